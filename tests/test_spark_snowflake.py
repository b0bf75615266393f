"""Snowflake read by its real connector, from the stand-in that the laptop cloud runs."""
# ruff: noqa: F811  # fixtures that are imported are asked for by their names

import json
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from spark_session import quiet, spark  # noqa: F401
from standin_server import fault, lake, port, secret_arn  # noqa: F401

from contracts import contract as contracts
from contracts.errors import (
    ContractViolationError,
    InvalidRequestError,
    SourceFailedError,
    SourceUnavailableError,
)
from local.processes import free_port
from local.standins import snowflake as standin
from spark_jobs.sources import snowflake
from spark_jobs.sources.rest import Patience
from spark_jobs.sources.snowflake import read_relation

pytestmark = quiet
ORDERS = contracts.of_source("snowflake_orders")
SHORT = Patience(seconds=60, first_wait_seconds=0.01, longest_wait_seconds=0.02, attempts=3)
PASSWORD = standin.secret(0)["password"]


def at(day, hour=0):
    return datetime(2026, 7, day, hour, tzinfo=UTC)


def test_an_interval_gives_its_rows_and_no_others(lake, secret_arn):
    rows = read_relation(lake, ORDERS, secret_arn, at(30), at(31))
    held = rows.selectExpr("count(*)", "count(distinct order_id)", "min(_received_at)", "max(_received_at)").first()
    assert held[0] == held[1] > 0
    assert at(30) <= held[2].astimezone(UTC) <= held[3].astimezone(UTC) < at(31)
    assert set(rows.columns) == {*(field.name for field in ORDERS.fields), "_file", "_received_at"}


def test_an_interval_without_rows_gives_none(lake, secret_arn):
    assert read_relation(lake, ORDERS, secret_arn, datetime(2031, 1, 1, tzinfo=UTC), at(31).replace(year=2031)) is None


def test_neither_plan_nor_error_holds_the_secret(lake, secret_arn, capfd):
    read_relation(lake, ORDERS, secret_arn, at(30), at(31)).explain("extended")
    gone = replace(ORDERS, source={**ORDERS.source, "relation": "ANALYTICS.SALES.GONE"})
    with pytest.raises(SourceUnavailableError, match="GONE: Snowflake answered with error") as refused:
        read_relation(lake, gone, secret_arn, None, at(31))
    output = capfd.readouterr()
    for words in (output.out, output.err, str(refused.value)):
        assert str(PASSWORD) not in words


def test_a_relation_of_another_shape_is_a_violation_that_names_the_column(lake, secret_arn):
    customers = replace(ORDERS, source={**ORDERS.source, "relation": "ANALYTICS.SALES.CUSTOMERS"})
    with pytest.raises(ContractViolationError, match="order_id"):
        read_relation(lake, customers, secret_arn, None, at(31))


def secret_with(**parameters):
    client = boto3.client("secretsmanager")
    held = json.loads(client.get_secret_value(SecretId="source")["SecretString"])
    client.put_secret_value(SecretId="source", SecretString=json.dumps({**held, **parameters}))


@pytest.mark.parametrize("name", ["down", "too_many"])
def test_a_snowflake_that_does_not_answer_has_failed_and_is_not_called_a_wrong_password(lake, secret_arn, fault, name):
    fault(name, 1_000)
    with pytest.raises(SourceFailedError, match=r"snowflake_orders: asked 3 times.*Snowflake.*redrive") as failed:
        read_relation(lake, ORDERS, secret_arn, at(30), at(31), SHORT)
    assert "secret" not in str(failed.value)


def test_an_answer_that_is_cut_short_each_time_has_failed(lake, secret_arn, fault, monkeypatch):
    monkeypatch.setattr(snowflake, "NETWORK_SECONDS", 3)
    fault("truncated", 1_000)
    with pytest.raises(SourceFailedError, match=r"snowflake_orders: .*no whole answer from Snowflake.*redrive"):
        read_relation(lake, ORDERS, secret_arn, at(30), at(31), SHORT)


def test_a_fault_that_passes_within_the_reader_s_patience_costs_nothing(lake, secret_arn, fault):
    for name in ("down", "too_many", "truncated"):
        fault(name, 1)
    assert read_relation(lake, ORDERS, secret_arn, at(30), at(31), SHORT).count() > 0


def test_a_port_where_nobody_listens_is_no_wrong_password(lake, secret_arn):
    secret_with(port=free_port())
    with pytest.raises(SourceFailedError, match="asked 3 times, the last answer was none from Snowflake"):
        read_relation(lake, ORDERS, secret_arn, at(30), at(31), SHORT)


def test_a_wrong_password_is_said_to_be_one_and_is_read_once_more(lake, secret_arn):
    secret_with(password="wrong-one")
    with pytest.raises(SourceFailedError, match=r"did not let us in.*have its secret put right") as refused:
        read_relation(lake, ORDERS, secret_arn, at(30), at(31))
    assert "wrong-one" not in str(refused.value)
    secret_with(password=PASSWORD)
    assert read_relation(lake, ORDERS, secret_arn, at(30), at(31)).count() > 0


def test_a_login_refused_once_succeeds_with_the_secret_read_again(lake, secret_arn, fault):
    fault("refused", 1)
    assert read_relation(lake, ORDERS, secret_arn, at(30), at(31)).count() > 0


def test_without_a_secret_nothing_is_asked(lake):
    with pytest.raises(InvalidRequestError, match="names no secret"):
        read_relation(lake, ORDERS, None, None, at(31))
