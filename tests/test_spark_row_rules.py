"""Row rules in Spark give the verdict that jsonschema gives, row by row."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pyspark.sql.types import StructType
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.text import parse_cell
from spark_jobs.row_rules import received_schema, row_rules, text_schema

pytestmark = quiet


def contract_of(properties, *, parse=True, **across):
    """A contract of a file, or of a database, with just these columns, and rules across them."""
    about = {
        "layer": "bronze",
        "table": "bronze/odd",
        "owner": "tests",
        "key": ["id"],
        "classification": {"pii": []},
        "tolerance": 0,
        "source": {"name": "odd", "kind": "files", "prefix": "landing/odd/", "pattern": "x"},
        "expectations": [],
    }
    if parse:
        about["parse"] = {
            "layout": "csv",
            "delimiter": ",",
            "null_tokens": ["N/A", ""],
            "trailing_empty_column": False,
            "minimum_rows": 1,
        }
    document = {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
        **across,
        "x-assay": about,
    }
    return contracts.parse_document("odd", "1-0-0", json.dumps(document).encode())


RATE = {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1000}
TEXT_RULES = {
    "id": {"type": "integer", "minimum": 1},
    "day": {"type": "string", "format": "date"},
    "at": {"type": ["string", "null"], "format": "date-time"},
    "status": {"type": "string", "enum": ["F", "O", "P"]},
    "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "note": {"type": ["string", "null"], "minLength": 2, "maxLength": 4},
    "flag": {"type": ["boolean", "null"], "const": True},
    "usd": RATE,
    "gbp": RATE,
    "jpy": RATE,
    "share": {"type": "number", "minimum": 0.1, "exclusiveMaximum": 0.3},
}
GOOD = {
    "id": "1",
    "day": "2024-02-29",
    "at": "2024-02-29T23:59:59.5Z",
    "status": "F",
    "code": "EUR",
    "note": "abc",
    "flag": "true",
    "usd": "1.1",
    "gbp": "N/A",
    "jpy": "",
    "share": "0.1",
}
CELLS = {
    "id": ["0", "-1", "1.0", "1e3", "007", "999999999999999999", "9999999999999999999", "", "N/A", "x", " 1", "٣"],
    "day": ["2023-02-29", "0000-01-01", "0001-01-01", "20240229", "2024-2-9", "2024-02-29 ", "2024-02-29\u2028", "",
            "٢024-01-01"],
    "at": ["2024-02-29t23:59:59z", "2024-02-29T24:00:00Z", "2024-02-29T23:59:60Z", "2023-02-29T00:00:00Z", "2024-02-29",
           "2024-02-29T00:00:00+14:00", "2024-02-29T00:00:00", "", "2024-13-01T00:00:00Z"],
    "status": ["f", "", "FO", "P"],
    "code": ["eur", "EURO", "EU", "", "EUR ", "ÄÖÜ", "xEUR"],
    "note": ["a", "ab", "abcd", "abcde", "äöüß", "😀😀😀😀", "😀", "", "a,b"],
    "flag": ["false", "TRUE", "1", "", "true"],
    "usd": ["0", "-0", "-1", "1000", "1000.0001", "1e3", "1e4", "1E-400", "1e400", "NaN", "Infinity", ".5", "5.", "+1", "0x1",
            "1f", "1d", "1_000", "N/A", "n/a", " ", "00", "0.0", "1,5"],
    "gbp": ["0.0000000000000001", "-N/A", "1000.00000000000001"],
    "jpy": ["176", "1.7.6", "--1"],
    "share": ["0.1", "0.09999999999999999", "0.3", "0.29999999999999998", "0.30000000000000004", "N/A"],
}  # fmt: skip
ROWS = [GOOD, *(GOOD | {column: cell} for column, cells in CELLS.items() for cell in cells)]


def test_rows_of_text_are_judged_as_jsonschema_judges_them(spark):  # noqa: F811
    contract = contract_of(TEXT_RULES)
    oracle = Draft202012Validator(contract.schema, format_checker=FormatChecker())
    expected = [oracle.is_valid({name: parse_cell(contract, name, cell) for name, cell in row.items()}) for row in ROWS]
    names = list(TEXT_RULES)
    compiled = row_rules(contract)
    frame = spark.createDataFrame(
        [(index, *(row[name] for name in names), None) for index, row in enumerate(ROWS)],
        "index int, " + text_schema([*names, "_layout"]).simpleString()[7:-1].replace(":", " ").replace(",", ", "),
    )
    judged = {
        row["index"]: row["broken"] for row in frame.select("index", compiled.first_broken.alias("broken")).collect()
    }
    differing = [
        (row, compiled.rules[judged[index]] if judged[index] is not None else "kept")
        for index, row in enumerate(ROWS)
        if (judged[index] is None) != expected[index]
    ]
    assert differing == []
    assert expected[0]
    assert expected.count(False) > 50
    # the rule is named after the column that was broken
    for index, row in enumerate(ROWS):
        if judged[index] is not None:
            column = compiled.rules[judged[index]].column
            assert row[column] != GOOD[column]


def test_a_line_of_other_width_breaks_the_layout(spark):  # noqa: F811
    contract = contract_of({"id": {"type": "integer"}})
    compiled = row_rules(contract)
    frame = spark.createDataFrame([("1", None), ("1", "1,2")], text_schema(["id", "_layout"]))
    assert [row[0] for row in frame.select(compiled.first_broken).collect()] == [None, 0]
    assert compiled.rules[0].rule == "layout"


def test_typed_rows_are_judged_by_value(spark):  # noqa: F811
    contract = contracts.load("snowflake_orders_bronze")
    good = {
        "order_id": 1,
        "customer_id": 7,
        "order_status": "F",
        "total_price": Decimal("10.00"),
        "order_date": date(2026, 7, 30),
        "order_priority": "1-URGENT",
        "clerk": "Clerk#1",
        "ship_priority": 0,
        "comment": None,
        "currency": "EUR",
        "updated_at": datetime(2026, 7, 30, 12, tzinfo=UTC),
    }
    cases = [
        ({}, None),
        ({"order_id": 0}, ("order_id", "minimum")),
        ({"order_id": None}, ("order_id", "type")),
        ({"order_status": "X"}, ("order_status", "enum")),
        ({"total_price": Decimal("-0.01")}, ("total_price", "minimum")),
        ({"order_priority": ""}, ("order_priority", "minLength")),
        ({"order_priority": "0123456789abcdef"}, ("order_priority", "maxLength")),
        ({"currency": "eur"}, ("currency", "pattern")),
        ({"updated_at": None}, ("updated_at", "type")),
        ({"comment": "fine"}, None),
    ]
    compiled = row_rules(contract)
    rows = [tuple((good | change).values()) for change, _ in cases]
    frame = spark.createDataFrame(rows, received_schema(contract))
    judged = [row[0] for row in frame.select(compiled.first_broken).collect()]
    named = [None if index is None else (compiled.rules[index].column, compiled.rules[index].rule) for index in judged]
    assert named == [expected for _, expected in cases]


@pytest.mark.usefixtures("spark")
def test_every_contract_compiles():
    for contract in contracts.load_all():
        assert row_rules(contract).rules


@pytest.mark.parametrize(
    ("parse", "cells"),
    [
        pytest.param(True, ("1.5", "1000.5", "x", "N/A"), id="text"),
        pytest.param(False, (1.5, 1000.5, float("nan"), None), id="typed"),
    ],
)
def test_a_table_of_two_thousand_columns_is_judged_in_one_plan(spark, parse, cells):  # noqa: F811
    names = [f"c{index}" for index in range(2000)]
    contract = contract_of(dict.fromkeys(names, RATE), parse=parse)
    compiled = row_rules(contract)
    schema = text_schema([*names, "_layout"]) if parse else received_schema(contract)
    schema = StructType([field for field in schema if not field.name.startswith("_") or parse])
    good, large, wrong, missing = cells
    rows = []
    for cell in (good, large, wrong, missing):
        row = [good] * len(names)
        row[1777] = cell
        rows.append((*row, None) if parse else tuple(row))
    judged = [row[0] for row in spark.createDataFrame(rows, schema).select(compiled.first_broken).collect()]
    named = [None if index is None else (compiled.rules[index].column, compiled.rules[index].rule) for index in judged]
    assert named == [None, ("c1777", "maximum"), ("c1777", "type"), None]
    # not a branch a column: what the JVM compiles stays small
    assert len(compiled.first_broken._jc.toString()) < 400_000


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_not_breaks_its_type(spark, odd):  # noqa: F811
    contract = contract_of({"rate": {"type": ["number", "null"]}}, parse=False)
    compiled = row_rules(contract)
    frame = spark.createDataFrame([(odd,), (1.0,), (None,)], "rate double")
    assert [row[0] for row in frame.select(compiled.first_broken).collect()] == [0, None, None]
    assert compiled.rules[0].rule == "type"


def test_a_rule_across_columns_is_named_with_what_it_asks(spark):  # noqa: F811
    euro = {"properties": {"currency": {"const": "EUR"}}}
    one = {"properties": {"rate": {"const": 1}}}
    columns = {"currency": {"type": "string"}, "rate": {"type": "number"}}
    compiled = row_rules(contract_of(columns, parse=False, **{"if": euro, "then": one}))
    frame = spark.createDataFrame([("EUR", 1.0), ("USD", 1.1), ("EUR", 1.1)], "currency string, rate double")
    judged = [row[0] for row in frame.select(compiled.first_broken).collect()]
    assert judged[:2] == [None, None]
    broken = compiled.rules[judged[2]]
    assert (broken.column, broken.rule, broken.expected) == ("*", "if", {"if": euro, "then": one})


@pytest.mark.usefixtures("spark")
def test_a_contract_that_nothing_can_break_has_no_rules():
    assert row_rules(contract_of({"note": {"type": ["string", "null"]}}, parse=False)).rules == ()
