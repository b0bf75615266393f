"""HubSpot on the laptop: its CRM API over contacts at the sample company's customers.

Run as a child of the laptop cloud: `python -m local.standins.hubspot --port P --tpch FOLDER`. It knows the searches
that the reader sends, and holds to HubSpot's limits: 200 contacts a page, 10,000 a query, five searches a second. A
test switches a fault on with `POST /faults {"name": ..., "times": ...}`; its answers have the shapes of
tests/events/hubspot_*.json.

Source: https://developers.hubspot.com/docs/api-reference/search/guide, .../usage-guidelines (429, policyName).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.standins import people, web

ACCESS_TOKEN = "laptop-only"  # noqa: S105 (opens nothing but this server)
SEARCHES_A_SECOND, PAGE_RECORDS, LIST_PAGE_RECORDS, QUERY_RECORDS = 5, 200, 100, 10_000
EVERY = 5  # one customer in so many has a contact
LEADS = 60
_OBJECTS = "/crm/v3/objects/contacts"
_STAGES = ("lead", "marketingqualifiedlead", "opportunity", "customer", "evangelist", "")
_STANDARD = ("email", "firstname", "lastname", "phone", "company", "country", "lifecyclestage")
_STAMPS = ("createdate", "lastmodifieddate", "hs_object_id")
_COMPARE = {"GTE": int.__ge__, "GT": int.__gt__, "LT": int.__lt__, "LTE": int.__le__, "EQ": int.__eq__}
Record = Mapping[str, Any]


def secret(port: int) -> dict[str, str]:
    """What Secrets Manager holds for this stand-in: a private app's token, and where the API is."""
    return {"api_url": f"http://127.0.0.1:{port}", "access_token": ACCESS_TOKEN}


def records_of(customers: Sequence[web.Customer]) -> list[Record]:
    """Every contact as the API shows it, by record id; the same ones everywhere.

    Most contacts are as they were made in 2019. Some changed, and some were archived, on a day of late winter 2020 or
    of July or August 2026. One in three has the phone of its customer's account, another one the name of its company.

    Args:
        customers: number, name, phone, nation.
    """
    contacts = [_contact(number, name, nation) for number, name, _, nation in customers if number % EVERY == 0]
    leads = range(900_000, 900_000 + LEADS * EVERY, EVERY)
    contacts += [_contact(number, f"Prospect {number // EVERY % 40}", "GERMANY") for number in leads]
    return sorted(contacts, key=lambda each: int(each["id"]))


def _contact(number: int, company: str, nation: str) -> Record:
    nth = number // EVERY
    created = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=number * 2017 % (360 * 86400))
    changed = _later(nth, number) if nth % 20 == 3 else created
    first, last = people.name(number)
    phone = people.phone(nation, number + (0 if nth % 3 == 0 else 40_000), nth)
    properties = {
        "email": "" if nth % 19 == 0 else people.email(number),
        "firstname": first,
        "lastname": last,
        "phone": "ask at reception" if nth % 47 == 0 else phone,
        "company": f" {company.upper()} " if nth % 3 == 1 else "",
        "country": "n/a" if nth % 53 == 0 else people.country(nation, nth),
        "lifecyclestage": _STAGES[nth % len(_STAGES)],
        "createdate": _stamp(created),
        "lastmodifieddate": _stamp(changed),
        "hs_object_id": str(5_000_000 + number),
    }
    record = {
        "id": properties["hs_object_id"],
        "properties": properties,
        "createdAt": properties["createdate"],
        "updatedAt": properties["lastmodifieddate"],
        "archived": nth % 40 == 7,
    }
    return {**record, "archivedAt": _stamp(_later(nth, number))} if record["archived"] else record


def _later(nth: int, number: int) -> datetime:
    """A moment of a day that a sample run takes: in February or March 2020, or in July or August 2026."""
    first, days = (datetime(2020, 2, 22, tzinfo=UTC), 14) if nth % 3 == 0 else (datetime(2026, 7, 20, tzinfo=UTC), 17)
    return first + timedelta(days=nth // 20 % days, seconds=number * 7 % 86_400)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Account(web.Faults):
    """The contacts, the searches of the last second, and the faults that are switched on."""

    def __init__(self, records: Sequence[Record]) -> None:
        super().__init__()
        self.active = [record for record in records if not record["archived"]]
        self.archived = [record for record in records if record["archived"]]
        self.searches: deque[float] = deque()

    def too_many(self, now: float) -> bool:
        """Whether a search is one too many of its second."""
        while self.searches and now - self.searches[0] >= 1:
            self.searches.popleft()
        if len(self.searches) >= SEARCHES_A_SECOND:
            return True
        self.searches.append(now)
        return False

    def properties(self) -> list[dict[str, Any]]:
        """What contacts have."""
        gone = {"lifecyclestage"} if self.left.get("field_gone") else set()
        found = [{"name": name, "hubspotDefined": True} for name in (*_STANDARD, *_STAMPS) if name not in gone]
        return found + ([{"name": "shoe_size", "hubspotDefined": False}] if self.left.get("field_unknown") else [])

    def search(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        """Status and body of a search's page."""
        limit, after = int(asked.get("limit", 10)), int(asked.get("after") or 0)
        if limit > PAGE_RECORDS or after + limit > QUERY_RECORDS:
            return 400, _error("VALIDATION_ERROR", "There was a problem with the request.")
        groups = [group["filters"] for group in asked.get("filterGroups", [])]
        found = [each for each in self.active if not groups or any(_meets(each, filters) for filters in groups)]
        page: dict[str, Any] = {
            "total": len(found),
            "results": [_shown(each, asked.get("properties", [])) for each in found[after : after + limit]],
        }
        if after + limit < len(found):
            page["paging"] = {"next": {"after": str(after + limit)}}
        return 200, page

    def archived_page(self, asked: Mapping[str, Sequence[str]]) -> tuple[int, Any]:
        """Status and body of a page of the list of archived contacts; it goes on after a record id."""
        limit, after = int(asked.get("limit", ["10"])[0]), int(asked.get("after", ["0"])[0])
        if limit > LIST_PAGE_RECORDS or asked.get("archived", ["false"])[0].lower() != "true":
            return 400, _error("VALIDATION_ERROR", "There was a problem with the request.")
        left = [record for record in self.archived if int(record["id"]) > after]
        page: dict[str, Any] = {"results": [_shown(record, asked.get("properties", [])) for record in left[:limit]]}
        if len(left) > limit:
            last = left[limit - 1]["id"]
            page["paging"] = {"next": {"after": last, "link": f"https://api.hubapi.com{_OBJECTS}?after={last}"}}
        return 200, page


def _meets(record: Record, filters: Sequence[Mapping[str, str]]) -> bool:
    return all(
        _COMPARE[each["operator"]](_number(record["properties"][each["propertyName"]]), int(each["value"]))
        for each in filters
    )


def _number(value: str) -> int:
    return int(value) if value.isdigit() else int(datetime.fromisoformat(value).timestamp() * 1000)


def _shown(record: Record, properties: Sequence[str]) -> Record:
    """A record with the properties asked for and those that always come; an empty one is null, as HubSpot has it."""
    held = record["properties"]
    return {**record, "properties": {name: held.get(name) or None for name in (*_STAMPS, *properties)}}


def _error(category: str, message: str, **more: str) -> dict[str, str]:
    return {"status": "error", "message": message, "correlationId": "laptop", "category": category, **more}


def handler_of(account: Account) -> type[web.JsonHandler]:
    """What answers requests for an account."""

    class Handler(web.JsonHandler):
        faults = account

        def do_POST(self) -> None:  # noqa: N802 (http.server's name)
            body = self.body()
            if self.switched(body) or self._refused():
                return
            if self.path != f"{_OBJECTS}/search":
                self.answer(404, _error("OBJECT_NOT_FOUND", "resource not found"))
            elif account.too_many(time.monotonic()):
                said = _error("RATE_LIMITS", "You have reached your secondly limit.", policyName="SECONDLY")
                self.answer(429, {**said, "errorType": "RATE_LIMIT"}, {"Retry-After": "1"})
            else:
                self.answer(*account.search(json.loads(body)), records="results")

        def do_GET(self) -> None:  # noqa: N802 (http.server's name)
            url = urlsplit(self.path)
            if self._refused():
                return
            if url.path == "/crm/v3/properties/contacts":
                self.answer(200, {"results": account.properties()})
            elif url.path == _OBJECTS:
                self.answer(*account.archived_page(parse_qs(url.query)), records="results")
            else:
                self.answer(404, _error("OBJECT_NOT_FOUND", "resource not found"))

        def _refused(self) -> bool:
            """Whether a fault, or the token, has answered the request."""
            limit = {"errorType": "RATE_LIMIT", "policyName": "SECONDLY"}
            if self.headers.get("Authorization") != f"Bearer {ACCESS_TOKEN}" or account.fault("refused"):
                self.answer(401, _error("INVALID_AUTHENTICATION", "Authentication credentials not found."))
            elif account.fault("expired"):
                self.answer(401, _error("EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired."))
            elif account.fault("no_scope"):
                self.answer(403, _error("MISSING_SCOPES", "This app hasn't been granted all required scopes."))
            elif account.fault("too_many"):
                self.answer(429, _error("RATE_LIMITS", "You have reached your limit.", **limit), {"Retry-After": "0"})
            elif account.fault("daily"):
                daily = {**limit, "policyName": "DAILY"}
                self.answer(429, _error("RATE_LIMITS", "You have reached your daily limit.", **daily))
            elif account.fault("down"):
                self.answer(503, _error("SERVICE_UNAVAILABLE", "unavailable"))
            elif account.fault("moving"):
                self.answer(477, _error("MIGRATION_IN_PROGRESS", "moving"), {"Retry-After": "0"})
            else:
                return False
            return True

    return Handler


if __name__ == "__main__":
    web.serve(lambda customers: handler_of(Account(records_of(customers))))
