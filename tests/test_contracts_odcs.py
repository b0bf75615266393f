"""The ODCS export keeps the schema that the standard publishes, and says what the contract says."""

import json
from importlib import resources

import pytest
import yaml
from jsonschema import Draft201909Validator
from test_spark_row_rules import contract_of

from contracts import contract as contracts
from contracts import odcs
from lambdas import catalog

SCHEMA = json.loads(resources.files("open_data_contract_standard").joinpath("schema.json").read_bytes())
VERSIONS = [(dataset, version) for dataset in contracts.datasets() for version in contracts.versions(dataset)]


def exported(dataset, version=None):
    return yaml.safe_load(odcs.to_yaml(contracts.load(dataset, version), released=True))


@pytest.mark.parametrize(("dataset", "version"), VERSIONS)
def test_every_contract_keeps_the_published_schema(dataset, version):
    assert SCHEMA["$schema"].endswith("2019-09/schema")
    document = exported(dataset, version)
    assert [error.message for error in Draft201909Validator(SCHEMA).iter_errors(document)] == []
    assert (document["apiVersion"], document["name"], document["version"]) == ("v3.1.0", dataset, version)


def test_the_published_schema_refuses_what_is_no_contract():
    document = exported("orders_silver")
    document["schema"][0]["properties"][0]["logicalType"] = "bigint"
    assert not Draft201909Validator(SCHEMA).is_valid(document)


def test_a_column_says_what_its_values_keep():
    [table] = exported("snowflake_orders_bronze")["schema"]
    columns = {each["name"]: each for each in table["properties"]}
    assert table["physicalName"] == "bronze/snowflake_orders"
    assert columns["order_id"] == {
        "name": "order_id",
        "logicalType": "integer",
        "physicalType": "bigint",
        "required": True,
        "primaryKey": True,
        "primaryKeyPosition": 1,
        "logicalTypeOptions": {"minimum": 1},
        "quality": [
            {
                "type": "custom",
                "engine": "great-expectations",
                "implementation": {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "order_id"}},
                "severity": "warning",
            }
        ],
    }
    assert columns["order_status"]["quality"] == [
        {"type": "library", "metric": "invalidValues", "arguments": {"validValues": ["F", "O", "P"]}, "mustBe": 0, "severity": "error"}
    ]  # fmt: skip
    assert columns["total_price"]["quality"][0]["implementation"]["kwargs"]["mostly"] == 0.99
    assert (columns["comment"]["required"], columns["comment"]["classification"]) == (False, "pii")
    assert columns["order_date"]["logicalType"] == "date"
    assert columns["_ingested_at"] == {
        "name": "_ingested_at",
        "logicalType": "timestamp",
        "physicalType": "timestamp",
        "tags": ["added by the pipeline"],
    }


def test_what_the_standard_has_no_word_for_is_kept():
    document = exported("fx_rates_bronze")
    custom = {each["property"]: each["value"] for each in document["customProperties"]}
    assert custom["parse"]["nullTokens"] == ["N/A", ""]
    assert custom["source"]["prefix"] == "landing/fx/"
    assert (custom["layer"], custom["tolerance"]) == ("bronze", 0)


def test_an_expectation_of_the_whole_table_stands_at_the_table():
    [table] = exported("fct_daily_revenue_gold")["schema"]
    assert [each["implementation"]["type"] for each in table["quality"]] == ["expect_compound_columns_to_be_unique"]
    assert [each["primaryKeyPosition"] for each in table["properties"] if each.get("primaryKey")] == [1, 2]


def test_a_version_that_is_not_released_is_a_draft():
    contract = contracts.load("orders_silver")
    assert [odcs.document(contract, released=each)["status"] for each in (True, False)] == ["active", "draft"]


def test_arrays_and_objects_say_what_they_hold_and_rules_across_columns_are_kept():
    place = {
        "type": "object",
        "required": ["City", "sizes"],
        "additionalProperties": False,
        "properties": {
            "City": {"type": "string"},
            "sizes": {"type": "array", "items": {"type": "number", "x-assay": {"type": "decimal(9,2)"}}},
        },
    }
    across = {"not": {"properties": {"id": {"const": 0}}}}
    made = contract_of(
        {"id": {"type": "integer", "multipleOf": 2}, "place": place},
        parse=False,
        title="Odd",
        description="Odd",
        **across,
    )
    document = yaml.safe_load(odcs.to_yaml(made, released=False))
    assert [error.message for error in Draft201909Validator(SCHEMA).iter_errors(document)] == []
    [table] = document["schema"]
    columns = {each["name"]: each for each in table["properties"]}
    assert columns["id"]["logicalTypeOptions"] == {"multipleOf": 2}
    assert columns["place"]["physicalType"] == "struct<City:string,sizes:array<decimal(9,2)>>"
    assert columns["place"]["properties"][1] == {
        "name": "sizes",
        "logicalType": "array",
        "physicalType": "array<decimal(9,2)>",
        "items": {"logicalType": "number", "physicalType": "decimal(9,2)"},
    }
    assert {each["property"]: each["value"] for each in document["customProperties"]}["rowRules"] == across
    assert (
        catalog.table_input(made, "lake")["StorageDescriptor"]["Columns"][1]["Type"]
        == columns["place"]["physicalType"].lower()
    )
