"""HubSpot's contacts as a Spark data source: searches over windows of lastmodifieddate, a window a partition.

The driver asks how many contacts the interval holds and cuts it into windows; each task reads its windows page by page,
each page from the record id after the last one: so a contact that changes meanwhile moves no other out of its page, and
a bulk change of more contacts than a search can page through is read all the same.

A search does not find archived contacts. The list of those knows no times, so it is read whole by one task, which takes
what was archived in the interval. HubSpot purges it after ninety days: a later run never sees such a deletion.

Source: https://developers.hubspot.com/docs/api-reference/search/guide (200 records a page, 10,000 a query, five
requests a second and account); https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines (429,
policyName, Retry-After; 477, 423); HubSpot Knowledge Base, "Restore deleted records"; hubspot-api-client 12.0.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract
from contracts.errors import SourceFailedError, SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.sources.credentials import CredentialsRefusedError
from spark_jobs.sources.records import Wanted, Window, check_fields, load, windows_of
from spark_jobs.sources.rest import (
    PATIENCE,
    Patience,
    SignedIn,
    TemporaryError,
    error_of_status,
    page_with,
    seconds_to_wait,
)

FORMAT = "assay_hubspot"
SYSTEM = "HubSpot"
ADDRESS = "https://api.hubapi.com"
PAGE_RECORDS, LIST_PAGE_RECORDS = 200, 100
WINDOW_RECORDS = 10_000  # what a search can count; the account's five searches a second are no more for more tasks
FIRST_CHANGE = datetime(2006, 6, 1, tzinfo=UTC)  # HubSpot was founded in that month
TIMEOUT_SECONDS = 60
_MOVING = (423, 477)  # the account is locked, or moves between data centres
_BESIDE_PROPERTIES = ("id", "archived", "archivedAt")


@dataclass(frozen=True, kw_only=True)
class Archived:
    """The contacts that were archived in [start, end)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Account:
    """The client's APIs for one account; each keeps its connections."""

    search: Any
    lists: Any
    properties: Any


def read_contacts(
    lake: Lake,
    contract: Contract,
    secret_arn: str | None,
    start: datetime | None,
    end: datetime,
    patience: Patience = PATIENCE,
) -> DataFrame | None:
    """The contacts that changed, or were archived, in [start, end); None when there are none.

    Args:
        lake: the job's lake.
        contract: names the properties.
        secret_arn: the secret, as JSON: access_token of a private app, and api_url where it is not HubSpot's own.
        start: UTC; None for the whole history.
        end: UTC.
        patience: of each request.
    Returns:
        The contract's columns typed as it says, a property that HubSpot leaves out or empty being null; `_file` (null)
        and `_received_at` (lastmodifieddate, of an archived contact archivedAt).
    Raises:
        ContractViolationError: a property is missing, or somebody added one that the contract does not know.
        SourceFailedError: HubSpot did not answer, or refused the secret twice.
    """
    wanted = Wanted.of(contract, secret_arn, patience)
    parts = planned(contract, wanted, start, end)
    if not parts:
        return None
    rows = load(lake, contract, FORMAT, wanted, parts, read_part)
    changed = sf.greatest((contract.source or {})["cursor"], "archivedAt")  # passes over a null
    return rows.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": changed})


def planned(contract: Contract, wanted: Wanted, start: datetime | None, end: datetime) -> list[Window | Archived]:
    """What the tasks of an interval read, once the properties are those of the contract."""
    client = _session(wanted)
    described = client.ask(lambda account: _listed(account.properties.get_all, wanted.object))["results"]
    names = [str(each["name"]) for each in described]
    own = [str(each["name"]) for each in described if each.get("hubspotDefined") is not True]
    check_fields(contract, [*names, *_BESIDE_PROPERTIES], own)
    first = start or FIRST_CHANGE
    parts: list[Window | Archived] = list(
        windows_of(
            lambda window: int(client.ask(lambda account: _search(account, wanted, window, limit=1))["total"]),
            first,
            end,
            records=WINDOW_RECORDS,
            shortest=timedelta(milliseconds=1),
        )
    )
    archived = Archived(start=first, end=end)
    # no property but the id: the driver needs to know of no person
    if any(True for _ in _archived(client, wanted, archived, ["hs_object_id"])):
        parts.append(archived)
    return parts


def read_part(wanted: Wanted, part: Window | Archived) -> Iterator[Mapping[str, Any]]:
    """The contacts of a part, read by a task."""
    client = _session(wanted)
    found = (
        _archived(client, wanted, part, _properties(wanted))
        if isinstance(part, Archived)
        else _contacts(client, wanted, part)
    )
    return (_flat(record) for record in found)


def sign_in(secret: Mapping[str, Any]) -> Account:
    """A client for the account; no request is made, so a token that is refused shows with the first one.

    Raises:
        CredentialsRefusedError: the secret has no token, or leads to an address that is not HubSpot's; never quoted.
    """
    from hubspot import Client  # type: ignore[import-untyped]

    address, token = str(secret.get("api_url") or ADDRESS).rstrip("/"), secret.get("access_token")
    at = urlsplit(address)
    if at.scheme != "https" and at.hostname != "127.0.0.1":
        raise CredentialsRefusedError("api_url is not an https address")
    if not isinstance(token, str) or not token:
        raise CredentialsRefusedError("the secret has no access_token")
    # the client would repeat requests by itself, unseen and beyond our patience
    crm = Client.create(access_token=token, host=address, retry=False).crm
    return Account(search=crm.contacts.search_api, lists=crm.contacts.basic_api, properties=crm.properties.core_api)


def _session(wanted: Wanted) -> SignedIn[Account]:
    return SignedIn(wanted.source, wanted.secret_arn, sign_in, wanted.patience)


def _properties(wanted: Wanted) -> list[str]:
    return [name for name in wanted.fields if name not in _BESIDE_PROPERTIES]


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value or None for name, value in record["properties"].items()}
    return {**values, **{name: record.get(name) for name in _BESIDE_PROPERTIES}}


def _contacts(client: SignedIn[Account], wanted: Wanted, window: Window) -> Iterator[Mapping[str, Any]]:
    """The contacts of a window, by record id."""
    last = 0
    while True:
        page = client.ask(lambda account, last=last: _search(account, wanted, window, after_id=last))  # type: ignore[misc]
        records = page["results"]
        yield from records
        if page["total"] <= len(records):
            return
        last = int(records[-1]["id"])


def _search(
    account: Account, wanted: Wanted, window: Window, *, after_id: int = 0, limit: int = PAGE_RECORDS
) -> Mapping[str, Any]:
    """The first contacts of a window whose record id is larger, and how many there are in all.

    Raises:
        TemporaryError: a page that is cut short, or not in order.
    """
    filters = [
        {"propertyName": "lastmodifieddate", "operator": "GTE", "value": _milliseconds(window.start)},
        {"propertyName": "lastmodifieddate", "operator": "LT", "value": _milliseconds(window.end)},
        {"propertyName": "hs_object_id", "operator": "GT", "value": str(after_id)},
    ]
    asked = {
        "filterGroups": [{"filters": filters}],
        "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
        "properties": _properties(wanted),
        "limit": limit,
    }
    page = page_with(_asked(account.search.do_search, asked), results=list, total=int)
    records = _whole(page["results"])
    if len(records) != min(limit, page["total"]):
        raise TemporaryError(f"a page of {len(records)} contacts where {page['total']} are left")
    if any(one >= other for one, other in pairwise([after_id, *(int(each["id"]) for each in records)])):
        raise TemporaryError("a page that is not in the order of record ids")
    return page  # type: ignore[no-any-return]


def _archived(
    client: SignedIn[Account], wanted: Wanted, part: Archived, properties: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    """The contacts of the list of archived ones that were archived in a part's interval."""
    after: str | None = None
    while True:
        page = client.ask(lambda account, after=after: _archived_page(account, after, properties))  # type: ignore[misc]
        for record in page["results"]:
            if part.start <= datetime.fromisoformat(record["archivedAt"]) < part.end:
                yield record
        following = ((page.get("paging") or {}).get("next") or {}).get("after")
        if following is None:
            return
        if following == after:
            raise SourceUnavailableError(
                f"{wanted.source}: {SYSTEM}'s list of archived contacts leads back to one of its pages; redrive"
            )
        after = following


def _archived_page(account: Account, after: str | None, properties: Sequence[str]) -> Mapping[str, Any]:
    more = {} if after is None else {"after": after}
    page = _listed(account.lists.get_page, limit=LIST_PAGE_RECORDS, properties=list(properties), archived=True, **more)
    for record in _whole(page["results"]):
        page_with(record, archivedAt=str)
    return page


def _listed(request: Callable[..., Any], *arguments: Any, **options: Any) -> Mapping[str, Any]:
    return page_with(_asked(request, *arguments, **options), results=list)  # type: ignore[no-any-return]


def _whole(records: list[Any]) -> list[Any]:
    for record in records:
        page_with(record, id=str, properties=dict)
    return records


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def _asked(request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The JSON of an answer, with the client's errors as those of this platform: they quote headers and the answer.

    The client's own models would turn an answer cut short into something else than an error.
    """
    import urllib3
    from hubspot.crm.contacts import ApiException as OfContacts  # type: ignore[import-untyped]
    from hubspot.crm.properties import ApiException as OfProperties  # type: ignore[import-untyped]

    try:
        answer = request(*arguments, _preload_content=False, _request_timeout=TIMEOUT_SECONDS, **options)
        return json.loads(answer.data)
    except (OfContacts, OfProperties) as error:
        raise _translated(int(error.status or 0), error.headers or {}, error.body) from None
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise TemporaryError(f"no whole answer ({type(error).__name__})") from None


def _translated(status: int, headers: Mapping[str, str], body: Any) -> Exception:
    try:
        said = json.loads(body or "{}")
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    code = str(said.get("category") or said.get("errorType") or "")
    retry_after = headers.get("Retry-After")
    if status == 429 and said.get("policyName") == "DAILY":
        return SourceFailedError(
            f"{SYSTEM}'s requests of the day are used up (status 429, DAILY); redrive after midnight in the account's"
            " time zone"
        )
    if status in _MOVING:
        return TemporaryError(f"{SYSTEM}'s status {status}", retry_after_seconds=seconds_to_wait(retry_after))
    return error_of_status(SYSTEM, status, retry_after, code)
