"""What Glue is told about tables, and when it changes."""

import re

import boto3
import pytest
from handlers_cloud import FakeGlue

from contracts import contract as contracts
from lambdas.catalog import register, table_input
from lambdas.summary import committed_tables

DATABASE, NAME = "assay_test_gold", "fct_orders"
# Source: https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html (single-line string pattern)
ONE_LINE = re.compile(r"[\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF\t]*")


@pytest.fixture
def glue():
    return FakeGlue(boto3.client("glue", "eu-west-1").meta.service_model)


def named(*columns):
    said = table_input(contracts.load("fct_orders_gold"), "lake")
    storage = {**said["StorageDescriptor"], "Columns": [{"Name": name, "Type": "string"} for name in columns]}
    return {**said, "StorageDescriptor": storage}


def names(glue):
    return [each["Name"] for each in glue.tables[DATABASE, NAME]["StorageDescriptor"]["Columns"]]


@pytest.mark.parametrize("contract", contracts.load_all(), ids=lambda each: each.dataset)
def test_every_contract_is_a_table_that_glue_accepts(glue, contract):
    said = table_input(contract, "lake")
    assert register(glue, DATABASE, said) is True
    assert register(glue, DATABASE, said) is False
    for column in said["StorageDescriptor"]["Columns"]:
        assert re.fullmatch(r"[a-z_][a-z0-9_]*", column["Name"])
        assert ONE_LINE.fullmatch(column["Comment"])
        assert len(column["Comment"]) <= 255
    assert said["PartitionKeys"] == [], "the tables are not partitioned"


def test_a_column_that_a_newer_contract_adds_comes_last_as_in_the_table(glue):
    register(glue, DATABASE, named("order_id", "amount", "_run_id"))
    assert register(glue, DATABASE, named("order_id", "amount", "margin", "_run_id")) is True
    assert names(glue) == ["order_id", "amount", "_run_id", "margin"]
    assert register(glue, DATABASE, named("order_id", "amount", "margin", "_run_id")) is False


def test_a_column_that_is_gone_leaves_the_catalog(glue):
    register(glue, DATABASE, named("order_id", "amount", "_run_id"))
    assert register(glue, DATABASE, named("order_id", "_run_id")) is True
    assert names(glue) == ["order_id", "_run_id"]


def test_a_table_without_a_commit_of_the_run_is_made_but_never_changed(glue):
    assert register(glue, DATABASE, named("order_id"), may_change=False) is True
    assert register(glue, DATABASE, named("order_id", "margin"), may_change=False) is False
    assert names(glue) == ["order_id"]


def receipt(table, before, after, **more):
    return {"tables": [{"table": table, "version_before": before, "version_after": after, "rows": 1, **more}]}


def test_a_run_committed_to_a_table_when_any_of_its_receipts_did():
    receipts = [
        receipt("bronze/fx_rates", 3, 4),
        receipt("bronze/snowflake_orders", 7, 7),
        receipt("bronze/salesforce_opportunities", None, None),
        receipt("silver/orders", 1, 2, path="candidates/r/silver/orders/1"),
        receipt("gold/fct_orders", None, 0),
        receipt("gold/fct_orders", 0, 0),
    ]
    assert committed_tables(receipts) == {
        "bronze/fx_rates": True,
        "bronze/snowflake_orders": False,
        "gold/fct_orders": True,
    }


PERSONAL = re.compile(r"e_?mail|phone|first_?name|last_?name|full_?name|company|address|birth|clerk|comment")


def untokenised(contract):
    """The columns that hold a person's data as it is: by classification, or by what their names say."""
    classed = {re.split(r"[.\[]", name)[0] for name in contract.classification["pii"]}
    named = {name for name, _ in contract.columns if PERSONAL.search(name)}
    return sorted(name for name in classed | named if not name.endswith("_token"))


def test_gold_tells_analysts_nothing_of_a_person_but_tokens():
    gold = [each for each in contracts.load_all() if each.layer == "gold"]
    assert len(gold) >= 6
    assert {each.dataset: untokenised(each) for each in gold} == {each.dataset: [] for each in gold}


def test_what_sources_bring_of_persons_would_be_found_in_gold():
    assert untokenised(contracts.load("hubspot_contacts_bronze")) == [
        "company",
        "email",
        "firstname",
        "lastname",
        "phone",
    ]
