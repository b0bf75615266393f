"""HubSpot read by its real client, from the stand-in that the laptop cloud runs."""
# ruff: noqa: F811  # fixtures that are imported are asked for by their names

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from recorded_events import recorded
from spark_session import quiet, spark  # noqa: F401
from standin_server import (  # noqa: F401
    answered,
    fault,
    lake,
    port,
    rows_of,
    secret_arn,
    shape,
    with_secret,
)

from contracts import contract as contracts
from contracts.errors import (
    AssayError,
    ContractViolationError,
    InvalidRequestError,
    SourceFailedError,
    SourceUnavailableError,
)
from local.home import ROOT
from local.standins import hubspot as standin
from local.standins import web
from spark_jobs.row_rules import received_schema
from spark_jobs.sources import hubspot
from spark_jobs.sources.hubspot import Archived, read_contacts
from spark_jobs.sources.records import RecordReader, Wanted, Window
from spark_jobs.sources.rest import Patience, told_by_a_task

pytestmark = [quiet, pytest.mark.usefixtures("spark")]  # types of a contract's columns are parsed by it
CONTACTS = contracts.load("hubspot_contacts_bronze")
END = datetime(2026, 9, 1, tzinfo=UTC)
SHORT = Patience(seconds=30, first_wait_seconds=0.25, longest_wait_seconds=0.5, attempts=6)


def at(day):
    return datetime(2026, 7, day, tzinfo=UTC)


@pytest.fixture(scope="module")
def held():
    """What the stand-in holds."""
    return standin.records_of(web.customers(ROOT / "build" / "tpch"))


def read(arn, start, end, on_part=lambda: None, contract=CONTACTS):
    """The rows of an interval, read in this process instead of in Spark's workers; and the parts."""
    wanted = Wanted.of(contract, arn, SHORT)
    parts = hubspot.planned(contract, wanted, start, end)
    reader = RecordReader(received_schema(contract), wanted, parts, hubspot.read_part)
    return rows_of(reader, on_part), parts


def test_the_whole_history_comes_in_windows_and_each_contact_once(secret_arn, held, monkeypatch):
    monkeypatch.setattr(hubspot, "WINDOW_RECORDS", len(held) // 3)
    rows, parts = read(secret_arn, None, END)
    assert sorted(row["id"] for row in rows) == sorted(each["id"] for each in held)
    assert sum(isinstance(part, Window) for part in parts) > 1
    assert sum(isinstance(part, Archived) for part in parts) == 1
    assert {row["id"] for row in rows if row["archived"]} == {each["id"] for each in held if each["archived"]}


def test_an_interval_gives_what_changed_and_what_was_archived_in_it(secret_arn, held):
    rows, _ = read(secret_arn, at(30), at(31))
    found = {row["id"]: row["archived"] for row in rows}
    wanted = {
        each["id"]: each["archived"]
        for each in held
        if (each.get("archivedAt") or each["properties"]["lastmodifieddate"]).startswith("2026-07-30")
    }
    assert found == wanted
    assert set(wanted.values()) == {True, False}


def test_values_are_typed_and_what_is_empty_is_null(secret_arn, held):
    rows, _ = read(secret_arn, None, END)
    [row] = [row for row in rows if row["id"] == "5000095"]
    [raw] = [each["properties"] for each in held if each["id"] == "5000095"]
    assert raw["email"] == ""
    assert row["email"] is None
    assert (row["phone"], row["country"]) == (raw["phone"], raw["country"])
    assert row["createdate"].replace(tzinfo=UTC) == datetime.fromisoformat(raw["createdate"])
    assert (row["archived"], row["archivedAt"]) == (False, None)


def test_contacts_that_share_a_millisecond_are_read_all(held, monkeypatch):
    """A bulk change of more contacts than a search pages through: 400 of them, and searches that end at 300."""
    moment = "2026-07-30T10:00:00.000Z"
    bulk = [
        {**each, "properties": {**each["properties"], "lastmodifieddate": moment}}
        for each in held[:400]
        if not each["archived"]
    ]
    monkeypatch.setattr(standin, "QUERY_RECORDS", 300)
    monkeypatch.setattr(hubspot, "WINDOW_RECORDS", 100)
    account = standin.Account(bulk)

    class Client:
        def ask(self, request):
            return request(None)

    monkeypatch.setattr(hubspot, "_asked", lambda _search, asked: account.search(asked)[1])
    monkeypatch.setattr(hubspot, "_search", _with_account(hubspot._search))
    wanted = Wanted.of(CONTACTS, None, SHORT)
    start = datetime.fromisoformat(moment)
    window = Window(start=start, end=start + timedelta(milliseconds=1))
    assert [each["id"] for each in hubspot._contacts(Client(), wanted, window)] == [each["id"] for each in bulk]
    assert account.search({"limit": 200, "after": 200})[0] == 400


def _with_account(search):
    class Nothing:
        class search:  # noqa: N801 (as the client names it)
            do_search = None

    return lambda _, *arguments, **options: search(Nothing, *arguments, **options)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        pytest.param("too_many", 2, id="429-with-retry-after"),
        pytest.param("down", 2, id="503"),
        pytest.param("moving", 1, id="477"),
        pytest.param("truncated", 1, id="truncated-page"),
        pytest.param("expired", 1, id="token-expires"),
        pytest.param("refused", 1, id="secret-just-rotated"),
    ],
)
def test_what_passes_is_waited_for_and_loses_nothing(secret_arn, fault, name, times, held):
    rows, _ = read(secret_arn, at(1), END, on_part=lambda: fault(name, times))
    moments = [each.get("archivedAt") or each["properties"]["lastmodifieddate"] for each in held]
    assert len({row["id"] for row in rows}) == len(rows) == sum(moment >= "2026-07-01" for moment in moments)


def test_a_secret_rotated_while_a_run_reads_is_read_once_more(secret_arn, port, held):
    client = boto3.client("secretsmanager")
    wrong = json.dumps({**standin.secret(port), "access_token": "of yesterday"})
    right = json.dumps(standin.secret(port))
    wanted = Wanted.of(CONTACTS, secret_arn, SHORT)
    client.put_secret_value(SecretId=secret_arn, SecretString=wrong)
    session = hubspot._session(wanted)
    session._client = hubspot.sign_in(json.loads(wrong))
    client.put_secret_value(SecretId=secret_arn, SecretString=right)
    window = Window(start=at(30), end=at(31))
    page = session.ask(lambda account: hubspot._search(account, wanted, window))
    assert page["total"] > 0


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        pytest.param("too_many", SourceFailedError, "hubspot_contacts: asked 6 times.*status 429", id="429"),
        pytest.param("daily", SourceFailedError, "used up.*after midnight", id="429-of-the-day"),
        pytest.param("down", SourceFailedError, "status 503", id="503"),
        pytest.param("no_scope", SourceFailedError, "status 403 .MISSING_SCOPES", id="403"),
        pytest.param("truncated", SourceFailedError, "no whole answer", id="truncated-page"),
        pytest.param("expired", SourceFailedError, "EXPIRED_AUTH.*again after a new sign-in", id="token-expires"),
        pytest.param("refused", SourceFailedError, "have its secret", id="secret"),
        pytest.param("field_gone", ContractViolationError, "lifecyclestage breaks rule required", id="property-gone"),
        pytest.param("field_unknown", ContractViolationError, "shoe_size breaks rule additional", id="property-added"),
    ],
)
def test_what_stays_fails_with_a_clear_cause(secret_arn, fault, name, error, words):
    fault(name, 1000)
    with pytest.raises(AssayError, match=words) as refused:
        read(secret_arn, None, END)
    assert type(refused.value) is error
    assert standin.ACCESS_TOKEN not in str(refused.value)


def test_a_page_with_less_than_it_should_hold_is_asked_again(secret_arn, monkeypatch):
    asked, short = hubspot._asked, iter([True])

    def cut(*arguments, **options):
        page = asked(*arguments, **options)
        return {**page, "results": page["results"][1:]} if "total" in page and next(short, False) else page

    monkeypatch.setattr(hubspot, "_asked", cut)
    rows, _ = read(secret_arn, at(30), at(31))
    assert len({row["id"] for row in rows}) == len(rows) > 0
    assert next(short, False) is False


def test_the_stand_in_answers_in_hubspots_shapes(port):
    def ask(path, body=None, token=standin.ACCESS_TOKEN):
        data = None if body is None else json.dumps(body).encode()
        return answered(port, path, data, token)

    names = ["company", "email", "phone"]
    contacts = "/crm/v3/objects/contacts"
    listed = f"{contacts}?limit=1&archived=true&properties=company&properties=email&properties=phone"
    found = {
        "hubspot_search_page": ask(f"{contacts}/search", {"limit": 1, "properties": names}),
        "hubspot_archived_page": ask(listed),
        "hubspot_rate_limit": [ask(f"{contacts}/search", {"limit": 1}) for _ in range(12)][-1],
        "hubspot_expired_token": ask(listed, token="of yesterday"),
    }
    for name, body in found.items():
        assert shape(body) == shape(recorded(name)), name


def test_an_interval_without_contacts_gives_none(lake, secret_arn):
    start = datetime(2031, 1, 1, tzinfo=UTC)
    assert read_contacts(lake, CONTACTS, secret_arn, start, datetime(2031, 2, 1, tzinfo=UTC), SHORT) is None


def test_without_a_secret_nothing_is_asked(lake):
    with pytest.raises(InvalidRequestError, match="names no secret"):
        read_contacts(lake, CONTACTS, None, None, END, SHORT)


@pytest.fixture
def workers_with_the_secret(port, monkeypatch):
    monkeypatch.setattr(hubspot, "read_part", with_secret(hubspot.read_part, standin.secret(port)))


def test_spark_reads_the_contacts_and_its_plan_holds_no_secret(lake, secret_arn, workers_with_the_secret, capfd, held):
    rows = read_contacts(lake, CONTACTS, secret_arn, None, END, SHORT)
    rows.explain("extended")
    output = capfd.readouterr()
    assert standin.ACCESS_TOKEN not in output.out + output.err
    assert rows.count() == len(held)
    assert set(rows.columns) == {*(field.name for field in CONTACTS.fields), "_file", "_received_at"}
    assert rows.where("_file is not null or _received_at <> coalesce(archivedAt, lastmodifieddate)").count() == 0


def test_an_error_of_a_task_reaches_the_driver_as_itself(lake, secret_arn, workers_with_the_secret, fault):
    rows = read_contacts(lake, CONTACTS, secret_arn, None, END, SHORT)
    fault("down", 1000)
    with pytest.raises(Exception, match="assay-error") as failed:
        rows.collect()
    told = told_by_a_task(failed.value)
    assert isinstance(told, SourceUnavailableError)
    assert "status 503" in str(told)
