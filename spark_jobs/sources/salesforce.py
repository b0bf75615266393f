"""A Salesforce object as a Spark data source: SOQL over windows of SystemModstamp, a window a partition.

The driver asks how many records the interval holds and cuts it into windows of a few pages; each task signs in for
itself, by the secret's ARN, and reads its windows page by page. Deleted records come too (queryAll), for as long as
they are in the recycle bin. A window is read anew from its first page when its cursor is gone.

Source: Salesforce REST API, Query (2,000 records a page, nextRecordsUrl) and QueryAll; SOAP API, "QueryLocator" (ten
cursors a user at a time, the oldest is released); OAuth 2.0 client credentials flow; "Status Codes and Error
Responses" (403 REQUEST_LIMIT_EXCEEDED, 401 INVALID_SESSION_ID); simple-salesforce 1.12.10.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract
from contracts.errors import ContractViolationError, SourceUnavailableError
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
)

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

FORMAT = "assay_salesforce"
SYSTEM = "Salesforce"
VERSION = "64.0"
WINDOW_RECORDS = 10_000  # five pages: few enough to read again when a cursor is gone
FIRST_CHANGE = datetime(1999, 3, 1, tzinfo=UTC)  # Salesforce was founded in that month
TIMEOUT_SECONDS = 60
_CURSOR_GONE = "INVALID_QUERY_LOCATOR"
_LIMITS = ("REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "UNABLE_TO_LOCK_ROW")
_REFUSED_SIGN_INS = ("invalid_client", "invalid_client_id", "invalid_grant", "inactive_user", "invalid_app_access")


_NO_COLUMN = re.compile(r"No such column '([A-Za-z0-9_]+)'")


class CursorGoneError(Exception):
    """A cursor was released or has expired: its query has to be made again."""


def read_object(
    lake: Lake,
    contract: Contract,
    secret_arn: str | None,
    start: datetime | None,
    end: datetime,
    patience: Patience = PATIENCE,
) -> DataFrame | None:
    """The object's records, deleted ones too, whose SystemModstamp lies in [start, end); None when there are none.

    Args:
        lake: the job's lake.
        contract: names the object and its fields.
        secret_arn: the secret, as JSON: instance_url (My Domain), client_id, client_secret.
        start: UTC; None for the whole history.
        end: UTC.
        patience: of each request.
    Returns:
        The contract's columns typed as it says, `_file` (null) and `_received_at` (SystemModstamp).
    Raises:
        ContractViolationError: the object lacks a field, or has one of its own that the contract does not know.
        SourceFailedError: Salesforce did not answer, or refused the secret twice.
    """
    wanted = Wanted.of(contract, secret_arn, patience)
    windows = planned(contract, wanted, start, end)
    if not windows:
        return None
    rows = load(lake, contract, FORMAT, wanted, windows, read_window)
    cursor = sf.col((contract.source or {})["cursor"])
    return rows.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": cursor})


def planned(contract: Contract, wanted: Wanted, start: datetime | None, end: datetime) -> list[Window]:
    """The windows of an interval, once the object's fields are those of the contract."""
    client = _session(wanted)
    described = _described(client, wanted)
    own = [str(each["name"]) for each in described if each.get("custom")]
    check_fields(contract, [str(each["name"]) for each in described], own)
    return windows_of(
        lambda window: _count(client, wanted, window),
        start or FIRST_CHANGE,
        end,
        records=WINDOW_RECORDS,
        shortest=timedelta(seconds=1),
    )


def read_window(wanted: Wanted, window: Window) -> list[Mapping[str, Any]]:
    """The records of a window, read by a task."""
    return _records(_session(wanted), wanted, window)


def sign_in(secret: Mapping[str, Any]) -> Any:
    """A client for the org, by the client credentials flow.

    Raises:
        CredentialsRefusedError, TemporaryError, SourceUnavailableError: none of them quotes the secret.
    Source: Salesforce Help, "OAuth 2.0 Client Credentials Flow" (the token endpoint of My Domain)
    """
    import requests
    from simple_salesforce.api import Salesforce

    mine = str(secret.get("instance_url", "")).rstrip("/")
    at = urlsplit(mine)
    if at.scheme != "https" and at.hostname != "127.0.0.1":
        raise CredentialsRefusedError("instance_url is not an https address (My Domain)")
    form = {"grant_type": "client_credentials", **{name: secret[name] for name in ("client_id", "client_secret")}}
    session = requests.Session()
    try:
        answer = session.post(f"{mine}/services/oauth2/token", data=form, timeout=TIMEOUT_SECONDS)
        said = page_with(answer.json())
    except requests.RequestException as error:
        raise TemporaryError(f"no sign-in ({type(error).__name__})") from None
    if said.get("error") in _REFUSED_SIGN_INS:
        raise CredentialsRefusedError(f"{SYSTEM} refused the credentials ({said['error']})")
    if answer.status_code != 200:
        raise error_of_status(SYSTEM, answer.status_code, answer.headers.get("Retry-After"), str(said.get("error", "")))
    page_with(said, access_token=str, instance_url=str)
    client = Salesforce(
        instance_url=said["instance_url"], session_id=said["access_token"], version=VERSION, session=session,
        parse_float=str,
    )  # fmt: skip
    client.base_url = f"{said['instance_url'].rstrip('/')}/services/data/v{VERSION}/"
    session.hooks["response"].append(_refuse)
    return client


def _session(wanted: Wanted) -> SignedIn[Any]:
    return SignedIn(wanted.source, wanted.secret_arn, sign_in, wanted.patience)


def _described(client: SignedIn[Any], wanted: Wanted) -> list[Mapping[str, Any]]:
    def describe(org: Any) -> list[Mapping[str, Any]]:
        page = _asked(wanted, lambda: org.restful(f"sobjects/{wanted.object}/describe", timeout=TIMEOUT_SECONDS))
        fields: list[Mapping[str, Any]] = page_with(page, fields=list)["fields"]
        return fields

    return client.ask(describe)


def _count(client: SignedIn[Any], wanted: Wanted, window: Window) -> int:
    query = f"SELECT COUNT() FROM {wanted.object} WHERE {_condition(window)}"  # noqa: S608
    page = client.ask(lambda org: page_with(_first_page(org, wanted, query), totalSize=int))
    return int(page["totalSize"])


def _records(client: SignedIn[Any], wanted: Wanted, window: Window) -> list[Mapping[str, Any]]:
    """Every record of a window; read anew from the start when its cursor is gone."""
    # every name here comes from a released contract
    query = f"SELECT {', '.join(wanted.fields)} FROM {wanted.object} WHERE {_condition(window)}"  # noqa: S608
    query += " ORDER BY SystemModstamp, Id"
    for _ in range(wanted.patience.attempts):
        try:
            return _all_pages(client, wanted, query)
        except CursorGoneError:
            continue
    raise SourceUnavailableError(
        f"{wanted.source}: {SYSTEM} released the cursor of each query before it was read; it allows ten a user, so give"
        " this platform a user of its own, then redrive"
    )


def _all_pages(client: SignedIn[Any], wanted: Wanted, query: str) -> list[Mapping[str, Any]]:
    page = client.ask(lambda org: _page(_first_page(org, wanted, query)))
    records, total = list(page["records"]), page["totalSize"]
    while not page["done"]:
        at = str(page["nextRecordsUrl"])
        page = client.ask(lambda org, at=at: _page(_next_page(org, wanted, at)))  # type: ignore[misc]
        records += page["records"]
    if len(records) != total:
        raise SourceUnavailableError(
            f"{wanted.source}: {SYSTEM} announced {total} records of {wanted.object} and gave {len(records)}; redrive"
        )
    return records


def _page(page: Any) -> Any:
    page_with(page, records=list, totalSize=int, done=bool)
    return page if page["done"] else page_with(page, nextRecordsUrl=str)


def _first_page(org: Any, wanted: Wanted, query: str) -> Any:
    return _asked(wanted, lambda: org.query(query, include_deleted=True, timeout=TIMEOUT_SECONDS))


def _next_page(org: Any, wanted: Wanted, url: str) -> Any:
    # by its identifier: given the URL, the client would put https before it wherever the org is
    resource, identifier = url.rsplit("/", 2)[-2:]
    deleted_too = resource == "queryAll"
    return _asked(wanted, lambda: org.query_more(identifier, include_deleted=deleted_too, timeout=TIMEOUT_SECONDS))


def _condition(window: Window) -> str:
    return f"SystemModstamp >= {_literal(window.start)} AND SystemModstamp < {_literal(window.end)}"


def _literal(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _asked(wanted: Wanted, request: Callable[[], T]) -> T:
    """What a request gives, with the client's errors as those of this platform: they quote the query and the answer."""
    import requests
    from simple_salesforce.exceptions import SalesforceError

    try:
        return request()
    except requests.RequestException as error:
        raise TemporaryError(f"no whole answer ({type(error).__name__})") from None
    except SalesforceError as error:
        raise _translated(wanted, error.status, error.content) from None


def _translated(wanted: Wanted, status: int, content: Any) -> Exception:
    said = content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}
    code = str(said.get("errorCode", ""))
    if code == _CURSOR_GONE:
        return CursorGoneError()
    if code in _LIMITS:
        return TemporaryError(f"{SYSTEM}'s status {status} ({code})")
    if code == "INVALID_FIELD":
        column = _NO_COLUMN.search(str(said.get("message", "")))
        detail = (
            f"{wanted.object}: Salesforce knows no such field, or the user may not see it. Have the org's owner put it"
            " right, or release a new version of the contract; then redrive."
        )
        return ContractViolationError(wanted.dataset, wanted.version, column[1] if column else "*", "required", detail)
    return error_of_status(SYSTEM, status, code=code)


def _refuse(answer: requests.Response, *_: Any, **__: Any) -> None:
    """Raise what tells how long to wait: the client's own errors drop the headers."""
    if answer.status_code == 429 or answer.status_code >= 500:
        raise error_of_status(SYSTEM, answer.status_code, answer.headers.get("Retry-After"))
