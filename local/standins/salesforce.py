"""Salesforce on the laptop: its REST API over the sample company's customers and the deals with them.

Run as a child of the laptop cloud: `python -m local.standins.salesforce --port P --tpch FOLDER`. It knows the SOQL that
the reader sends. A test switches a fault on with `POST /faults {"name": ..., "times": ...}`; its answers have the
shapes of tests/events/salesforce_*.json.

Source: Salesforce REST API, Query, QueryAll, sObject Describe, "Status Codes and Error Responses".
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.standins import people, tpch, web

PAGE_RECORDS = 2000
CLIENT_ID, CLIENT_SECRET = "laptop", "laptop-only"
PROSPECTS = 40
_DATA = "/services/data/v64.0/"
_QUERY = re.compile(
    r"SELECT (?P<fields>.+) FROM (?P<object>\w+)"
    r" WHERE SystemModstamp >= (?P<start>\S+) AND SystemModstamp < (?P<end>\S+)( ORDER BY SystemModstamp, Id)?"
)
_STAGES = ("Prospecting", "Proposal/Price Quote", "Closed Won", "Closed Lost")
_INDUSTRIES = ("Retail", "Manufacturing", "Construction", "Apparel", None)
Record = Mapping[str, Any]


def secret(port: int) -> dict[str, str]:
    """What Secrets Manager holds for this stand-in: My Domain's address and the client of the credentials flow."""
    return {"instance_url": f"http://127.0.0.1:{port}", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def records_of(customers: Sequence[tuple[int, str, str, str]]) -> dict[str, list[Record]]:
    """Accounts and opportunities, by object, ordered by SystemModstamp and Id; the same ones everywhere.

    Args:
        customers: number, name, phone, nation.
    """
    accounts = [_account(number, name, nation) for number, name, _, nation in customers]
    accounts += [{**_account(900_000 + n, f"Prospect {n}", "GERMANY"), "AccountNumber": None} for n in range(PROSPECTS)]
    deals = [_opportunity(number, nation) for number, _, _, nation in customers if number % 3 == 0]
    found = {"Account": accounts, "Opportunity": deals}
    return {name: sorted(rows, key=lambda row: (row["SystemModstamp"], row["Id"])) for name, rows in found.items()}


def _account(number: int, name: str, nation: str) -> Record:
    return {
        "Id": f"001Aq{number:010}IAA",
        "Name": name,
        "AccountNumber": str(number),
        "Phone": people.phone(nation, number, number),
        "Industry": _INDUSTRIES[number % len(_INDUSTRIES)],
        "BillingCountry": people.country(nation, number),
        **_stamps(number),
    }


def _opportunity(number: int, nation: str) -> Record:
    stage = _STAGES[number // 3 % len(_STAGES)]
    return {
        "Id": f"006Aq{number:010}IAA",
        "AccountId": f"001Aq{number:010}IAA",
        "StageName": stage,
        "Amount": None if number % 11 == 0 else number % 9973 * 10 + 0.5,
        "CurrencyIsoCode": tpch.CURRENCIES.get(nation, "USD"),
        "CloseDate": f"2026-{number % 12 + 1:02}-15",
        "IsClosed": stage.startswith("Closed"),
        "IsWon": stage == "Closed Won",
        **_stamps(number),
    }


def _stamps(number: int) -> dict[str, Any]:
    """Created before the first order; one record in a hundred changed on a day of July or August 2026."""
    created = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=number * 1999 % (360 * 86400))
    changed = created
    if number % 100 == 0:
        changed = datetime(2026, 7, 1, tzinfo=UTC) + timedelta(days=number // 100 % 62, seconds=number % 86400)
    return {
        "IsDeleted": number % 700 == 0,
        "CreatedDate": _stamp(created),
        "SystemModstamp": _stamp(changed),
    }


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _shown(kind: str, row: Record, names: Sequence[str]) -> Record:
    """A record as a query shows it."""
    attributes = {"type": kind, "url": f"{_DATA}sobjects/{kind}/{row['Id']}"}
    return {"attributes": attributes, **{name: row[name] for name in names}}


class Org(web.Faults):
    """The records, the sessions and cursors that are open, and the faults that are switched on."""

    def __init__(self, records: Mapping[str, list[Record]]) -> None:
        super().__init__()
        self.records = records
        self.tokens: set[str] = set()
        self.cursors: dict[str, tuple[list[Record], int]] = {}
        self.issued = 0

    def fields(self, name: str) -> list[str]:
        """An object's fields."""
        gone = ["StageName"] if self.left.get("field_gone") else []
        more = ["Surprise__c"] if self.left.get("field_unknown") else []
        return [field for field in self.records[name][0] if field not in gone] + more

    def query(self, text: str) -> tuple[int, Any]:
        """Status and body of a query's first page."""
        said = _QUERY.fullmatch(text)
        if said is None or said["object"] not in self.records:
            return 400, [{"message": "unexpected token", "errorCode": "MALFORMED_QUERY"}]
        start, end = (said[name].replace("Z", ".000+0000") for name in ("start", "end"))
        rows = [row for row in self.records[said["object"]] if start <= row["SystemModstamp"] < end]
        if said["fields"] == "COUNT()":
            return 200, {"totalSize": len(rows), "done": True, "records": []}
        names = said["fields"].split(", ")
        for name in names:
            if name not in self.fields(said["object"]):
                message = f"\nSELECT {name}\n ^\nERROR at Row:1:Column:8\nNo such column '{name}' on entity"
                return 400, [{"message": f"{message} '{said['object']}'.", "errorCode": "INVALID_FIELD"}]
        return 200, self.page([_shown(said["object"], row, names) for row in rows], 0)

    def more(self, identifier: str) -> tuple[int, Any]:
        """Status and body of a later page; a cursor is used once."""
        found = self.cursors.pop(identifier, None)
        if found is None or self.fault("cursor_gone"):
            return 400, [{"message": "invalid query locator", "errorCode": "INVALID_QUERY_LOCATOR"}]
        return 200, self.page(*found)

    def page(self, rows: list[Record], at: int) -> dict[str, Any]:
        """The rows from `at`, and where the rest are."""
        end = at + PAGE_RECORDS
        page: dict[str, Any] = {"totalSize": len(rows), "done": end >= len(rows), "records": rows[at:end]}
        if not page["done"]:
            self.issued += 1
            identifier = f"0r8Aq{self.issued:010}AAA-{end}"
            self.cursors[identifier] = (rows, end)
            page["nextRecordsUrl"] = f"{_DATA}query/{identifier}"
        return page


def handler_of(org: Org) -> type[web.JsonHandler]:
    """What answers requests for an org."""

    class Handler(web.JsonHandler):
        faults = org

        def do_POST(self) -> None:  # noqa: N802 (http.server's name)
            body = self.body()
            if self.switched(body):
                return None
            form = {name: values[0] for name, values in parse_qs(body).items()}
            if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET) or org.fault("refused"):
                said = {"error": "invalid_client", "error_description": "invalid client credentials"}
                return self.answer(401, said)
            org.issued += 1
            token = f"00DAq!{org.issued}"
            org.tokens.add(token)
            mine = f"http://{self.headers['Host']}"
            granted = {"access_token": token, "token_type": "Bearer", "scope": "api", "instance_url": mine}
            signed = {"id": f"{mine}/id/00DAq/005Aq", "issued_at": f"{time.time_ns() // 10**6}", "signature": "laptop"}
            return self.answer(200, {**granted, **signed})

        def do_GET(self) -> None:  # noqa: N802 (http.server's name)
            url = urlsplit(self.path)
            if org.fault("expired"):
                org.tokens.clear()
            if self.headers.get("Authorization", "").removeprefix("Bearer ") not in org.tokens:
                message = "Session expired or invalid"
                return self.answer(401, [{"message": message, "errorCode": "INVALID_SESSION_ID"}])
            if org.fault("too_many"):
                return self.answer(429, [{"message": "slow down", "errorCode": "TOO_MANY"}], {"Retry-After": "0"})
            if org.fault("limit"):
                said = {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
                return self.answer(403, [said])
            if org.fault("down"):
                return self.answer(503, [{"message": "unavailable", "errorCode": "SERVER_UNAVAILABLE"}])
            status, body = self._found(url.path.removeprefix(_DATA), parse_qs(url.query))
            counted = "totalSize" in body and body["totalSize"] and not body["records"]
            return self.answer(status, body, records="" if counted else "records")  # the pages that follow can be cut

        def _found(self, path: str, asked: Mapping[str, list[str]]) -> tuple[int, Any]:
            if path.strip("/") in ("query", "queryAll"):
                return org.query(asked["q"][0])
            if path.startswith(("query/", "queryAll/")):
                return org.more(path.split("/")[1])
            if (name := path.removeprefix("sobjects/").removesuffix("/describe")) in org.records:
                return 200, {"fields": [{"name": each, "custom": each.endswith("__c")} for each in org.fields(name)]}
            return 404, [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]

    return Handler


if __name__ == "__main__":
    web.serve(lambda customers: handler_of(Org(records_of(customers))))
