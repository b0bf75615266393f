"""Salesforce read by its real client, from the stand-in that the laptop cloud runs."""
# ruff: noqa: F811  # fixtures that are imported are asked for by their names

from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

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
from local.standins import salesforce as standin
from spark_jobs.row_rules import received_schema
from spark_jobs.sources import salesforce
from spark_jobs.sources.records import RecordReader, Wanted
from spark_jobs.sources.rest import Patience, told_by_a_task
from spark_jobs.sources.salesforce import read_object

pytestmark = quiet
ACCOUNTS = contracts.load("salesforce_accounts_bronze")
OPPORTUNITIES = contracts.load("salesforce_opportunities_bronze")
END = datetime(2026, 9, 1, tzinfo=UTC)
SHORT = Patience(seconds=5, first_wait_seconds=0.01, longest_wait_seconds=0.02, attempts=3)


def at(day):
    return datetime(2026, 7, day, tzinfo=UTC)


@pytest.fixture
def in_this_process(spark):
    """Read the windows here instead of in Spark's workers; gives a function that reads them."""

    def read(contract, arn, start, end):
        wanted = Wanted.of(contract, arn, SHORT)
        windows = salesforce.planned(contract, wanted, start, end)
        reader = RecordReader(received_schema(contract), wanted, windows, salesforce.read_window)
        return rows_of(reader), windows

    return read


def test_the_whole_history_comes_in_windows_and_each_record_once(in_this_process, secret_arn):
    rows, windows = in_this_process(ACCOUNTS, secret_arn, None, END)
    assert len(rows) == len({row["Id"] for row in rows}) == 15_000 + standin.PROSPECTS
    assert len(windows) > 1
    assert sum(row["AccountNumber"] is None for row in rows) == standin.PROSPECTS
    assert any(row["IsDeleted"] for row in rows)


def test_an_interval_gives_its_records_and_no_others(in_this_process, secret_arn):
    rows, _ = in_this_process(ACCOUNTS, secret_arn, at(8), at(9))
    assert rows
    assert all(at(8) <= row["SystemModstamp"].replace(tzinfo=UTC) < at(9) for row in rows)


def test_values_are_typed_as_the_contract_says(in_this_process, secret_arn):
    rows, _ = in_this_process(OPPORTUNITIES, secret_arn, None, END)
    first = next(row for row in rows if row["Id"] == "006Aq0000000003IAA")
    assert first["Amount"] == Decimal("30.50")
    assert (first["StageName"], first["IsClosed"], str(first["CloseDate"])) == (
        "Proposal/Price Quote",
        False,
        "2026-04-15",
    )
    assert len(rows) == 5_000
    assert {row["AccountId"] for row in rows} == {row["Id"].replace("006", "001", 1) for row in rows}


@pytest.mark.parametrize(
    ("name", "times"),
    [
        pytest.param("too_many", 2, id="429-with-retry-after"),
        pytest.param("down", 2, id="503"),
        pytest.param("limit", 2, id="request-limit"),
        pytest.param("truncated", 1, id="truncated-page"),
        pytest.param("expired", 1, id="session-ends"),
        pytest.param("cursor_gone", 1, id="cursor-released"),
        pytest.param("refused", 1, id="secret-just-rotated"),
    ],
)
def test_what_passes_is_waited_for_and_loses_nothing(in_this_process, secret_arn, fault, name, times):
    fault(name, times)
    rows, _ = in_this_process(OPPORTUNITIES, secret_arn, None, END)
    assert len({row["Id"] for row in rows}) == len(rows) == 5_000


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        pytest.param("too_many", SourceFailedError, "salesforce_opportunities: asked 3 times.*status 429", id="429"),
        pytest.param("down", SourceFailedError, "status 503", id="503"),
        pytest.param("limit", SourceFailedError, "REQUEST_LIMIT_EXCEEDED", id="request-limit"),
        pytest.param("truncated", SourceFailedError, "no whole answer", id="truncated-page"),
        pytest.param("expired", SourceFailedError, "again after a new sign-in", id="session-ends"),
        pytest.param("cursor_gone", SourceUnavailableError, "ten a user", id="cursor-released"),
        pytest.param("refused", SourceFailedError, "invalid_client.*have its secret put right", id="secret"),
        pytest.param("field_gone", ContractViolationError, "StageName breaks rule required", id="field-gone"),
        pytest.param("field_unknown", ContractViolationError, "Surprise__c breaks rule additional", id="field-unknown"),
    ],
)
def test_what_stays_fails_with_a_clear_cause(in_this_process, secret_arn, fault, name, error, words):
    fault(name, 1000)
    with pytest.raises(AssayError, match=words) as refused:
        in_this_process(OPPORTUNITIES, secret_arn, None, END)
    assert type(refused.value) is error
    assert standin.CLIENT_SECRET not in str(refused.value)


def test_the_stand_in_answers_in_salesforces_shapes(port, fault):
    def sign_in(client_secret):
        form = {"grant_type": "client_credentials", "client_id": standin.CLIENT_ID, "client_secret": client_secret}
        return answered(port, "/services/oauth2/token", urlencode(form).encode())

    def query(fields, token):
        interval = "SystemModstamp >= 2019-01-01T00:00:00Z AND SystemModstamp < 2026-09-01T00:00:00Z"
        soql = f"SELECT {fields} FROM Account WHERE {interval}"  # noqa: S608
        return answered(port, f"/services/data/v64.0/queryAll/?{urlencode({'q': soql})}", token=token)

    granted = sign_in(standin.CLIENT_SECRET)
    token = granted["access_token"]
    found = {
        "salesforce_token": granted,
        "salesforce_query_page": query("Id, Name, Phone, IsDeleted, SystemModstamp", token),
        "salesforce_count": query("COUNT()", token),
        "salesforce_refused_client": sign_in("of yesterday"),
        "salesforce_session_ended": query("Id", "of yesterday"),
        "salesforce_no_such_field": query("Id, Nickname", token),
    }
    fault("limit", 1)
    found["salesforce_request_limit"] = query("Id", token)
    for name, body in found.items():
        assert shape(body) == shape(recorded(name)), name


def test_an_interval_without_records_gives_none(lake, secret_arn):
    start = datetime(2031, 1, 1, tzinfo=UTC)
    assert read_object(lake, ACCOUNTS, secret_arn, start, datetime(2031, 2, 1, tzinfo=UTC), SHORT) is None


def test_without_a_secret_nothing_is_asked(lake):
    with pytest.raises(InvalidRequestError, match="names no secret"):
        read_object(lake, ACCOUNTS, None, None, END, SHORT)


@pytest.fixture
def workers_with_the_secret(port, monkeypatch):
    monkeypatch.setattr(salesforce, "read_window", with_secret(salesforce.read_window, standin.secret(port)))


def test_spark_reads_the_records_and_its_plan_holds_no_secret(lake, secret_arn, workers_with_the_secret, capfd):
    rows = read_object(lake, OPPORTUNITIES, secret_arn, None, END, SHORT)
    rows.explain("extended")
    output = capfd.readouterr()
    assert standin.CLIENT_SECRET not in output.out + output.err
    assert rows.count() == 5_000
    assert set(rows.columns) == {*(field.name for field in OPPORTUNITIES.fields), "_file", "_received_at"}
    assert rows.where("_received_at <> SystemModstamp or _file is not null").count() == 0


def test_an_error_of_a_task_reaches_the_driver_as_itself(lake, secret_arn, workers_with_the_secret, fault):
    rows = read_object(lake, OPPORTUNITIES, secret_arn, None, END, SHORT)
    fault("down", 1000)
    with pytest.raises(Exception, match="assay-error") as failed:
        rows.collect()
    told = told_by_a_task(failed.value)
    assert isinstance(told, SourceUnavailableError)
    assert "status 503; redrive" in str(told)
