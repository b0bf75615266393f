"""One process, one Spark: `race.py LINEITEM` prints the seconds of each contestant in each round, as JSON.

It runs in Great Expectations' own environment. Every contestant judges the same twenty expectations of the same frame,
and must find that all hold; then one is broken, which each must find too.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from contracts.contract import Contract, parse_document
from spark_jobs.expectations import Batch, evaluate, verdict
from spark_jobs.row_rules import row_rules

ROUNDS = 3  # after one that warms up
NOT_NULL = (
    *("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber", "l_quantity"),
    *("l_extendedprice", "l_discount", "l_tax", "l_returnflag", "l_linestatus"),
)
BETWEEN: Mapping[str, tuple[float, float]] = {"l_quantity": (1, 50), "l_discount": (0, 0.1), "l_tax": (0, 0.08)}
IN_SET = {"l_returnflag": ["A", "N", "R"], "l_linestatus": ["O", "F"]}
REGEX = "^[A-Z ]+$"
KEY = ["l_orderkey", "l_linenumber"]
UNIQUE = "expect_compound_columns_to_be_unique"
COLUMNS: Mapping[str, dict[str, Any]] = {
    "l_orderkey": {"type": "integer", "minimum": 1},
    "l_partkey": {"type": "integer", "minimum": 1},
    "l_suppkey": {"type": "integer", "minimum": 1},
    "l_linenumber": {"type": "integer", "minimum": 1, "maximum": 7, "x-assay": {"type": "int"}},
    "l_quantity": {"type": "number", "minimum": 1, "maximum": 50, "x-assay": {"type": "decimal(15,2)"}},
    "l_extendedprice": {"type": "number", "exclusiveMinimum": 0, "x-assay": {"type": "decimal(15,2)"}},
    "l_discount": {"type": "number", "minimum": 0, "maximum": 0.1, "x-assay": {"type": "decimal(15,2)"}},
    "l_tax": {"type": "number", "minimum": 0, "maximum": 0.08, "x-assay": {"type": "decimal(15,2)"}},
    "l_returnflag": {"type": "string", "enum": ["A", "N", "R"]},
    "l_linestatus": {"type": "string", "enum": ["F", "O"]},
    "l_shipdate": {"type": "string", "format": "date"},
    "l_commitdate": {"type": "string", "format": "date"},
    "l_receiptdate": {"type": "string", "format": "date"},
    "l_shipinstruct": {"type": "string", "enum": ["COLLECT COD", "DELIVER IN PERSON", "NONE", "TAKE BACK RETURN"]},
    "l_shipmode": {"type": "string", "pattern": REGEX, "maxLength": 10},
    "l_comment": {"type": "string", "minLength": 1, "maxLength": 44},
}


def expectations(*, unique: bool, most: int = 50) -> list[dict[str, Any]]:
    """The twenty, as both spell them; nineteen without uniqueness. `most` is the largest quantity that is expected."""
    found: list[tuple[str, dict[str, Any]]] = [("expect_column_values_to_not_be_null", {"column": c}) for c in NOT_NULL]
    for column, (low, high) in {**BETWEEN, "l_quantity": (1, most)}.items():
        bounds = {"column": column, "min_value": low, "max_value": high}
        found.append(("expect_column_values_to_be_between", bounds))
    for column, values in IN_SET.items():
        found.append(("expect_column_values_to_be_in_set", {"column": column, "value_set": values}))
    found += [
        ("expect_column_values_to_match_regex", {"column": "l_shipmode", "regex": REGEX}),
        ("expect_column_value_lengths_to_be_between", {"column": "l_comment", "min_value": 1, "max_value": 44}),
        ("expect_column_mean_to_be_between", {"column": "l_quantity", "min_value": 20, "max_value": 30}),
        ("expect_table_row_count_to_be_between", {"min_value": 1}),
    ]
    if unique:
        found.append((UNIQUE, {"column_list": KEY}))
    return [{"type": name, "kwargs": kwargs} for name, kwargs in found]


def contract(listed: list[dict[str, Any]]) -> Contract:
    """A contract of lineitem with those expectations."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:assay:contract:lineitem:1-0-0",
        "title": "Order lines",
        "description": "One row an order and line.",
        "type": "object",
        "additionalProperties": False,
        "required": list(COLUMNS),
        "properties": COLUMNS,
        "x-assay": {
            "layer": "silver",
            "table": "silver/lineitem",
            "owner": "bench",
            "key": KEY,
            "classification": {"pii": []},
            "tolerance": 0,
            "expectations": [{**each, "severity": "error"} for each in listed],
        },
    }
    return parse_document("lineitem", "1-0-0", json.dumps(document).encode())


def with_ours(rows: DataFrame, listed: list[dict[str, Any]]) -> bool:
    """The verdict of a check."""
    results = evaluate([Batch(contract=contract(listed), rows=rows)], {})
    return verdict(results, {"error": 1}) == "PASS"


def with_gx(rows: DataFrame, listed: list[dict[str, Any]]) -> bool:
    """The verdict of Great Expectations on a whole data frame."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.add_spark("s").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = context.suites.add(gx.ExpectationSuite(name="s", expectations=listed))
    definition = context.validation_definitions.add(gx.ValidationDefinition(data=batch, suite=suite, name="v"))
    return bool(definition.run(batch_parameters={"dataframe": rows}, result_format="BASIC").success)


def by_hand(rows: DataFrame, listed: list[dict[str, Any]]) -> bool:
    """What one would write for just these: one aggregation, and a group-by for uniqueness."""

    def failing(holds: Any) -> Any:
        return sf.sum(sf.when(holds, 0).otherwise(1))

    bounds = {
        each["kwargs"]["column"]: (each["kwargs"]["min_value"], each["kwargs"]["max_value"])
        for each in listed
        if each["type"] == "expect_column_values_to_be_between"
    }
    row = rows.agg(
        sf.count("*").alias("rows"),
        *[sf.sum(sf.col(name).isNull().cast("int")).alias(f"null_{name}") for name in NOT_NULL],
        *[failing(sf.col(name).between(*limits)).alias(f"between_{name}") for name, limits in bounds.items()],
        *[failing(sf.col(name).isin(values)).alias(f"set_{name}") for name, values in IN_SET.items()],
        failing(sf.col("l_shipmode").rlike(REGEX)).alias("regex"),
        failing(sf.length("l_comment").between(1, 44)).alias("length"),
        sf.avg("l_quantity").alias("mean"),
    ).first()
    found: dict[str, Any] = row.asDict() if row else {}
    holds = found.pop("rows") >= 1 and 20 <= found.pop("mean") <= 30 and not any(found.values())
    if listed[-1]["type"] == UNIQUE:
        holds = holds and rows.groupBy(*KEY).count().where("count > 1").limit(1).count() == 0
    return bool(holds)


def copied(rows: DataFrame, folder: str, *, judged: bool) -> None:
    """The rows read and written, as an ingest does, with or without their contract enforced."""
    guard = sf.lit(1)
    if judged:
        stop = sf.raise_error(sf.lit("a row breaks its contract")).cast("int")
        guard = sf.when(row_rules(contract([])).first_broken.isNull(), guard).otherwise(stop)
    rows.select(*COLUMNS, guard.alias("_attempt")).write.mode("overwrite").parquet(folder)


def main() -> None:
    """Every contestant in every round, in turn."""
    logging.disable(logging.CRITICAL)
    spark = session()
    rows = spark.read.parquet(sys.argv[1])
    for judge in (with_ours, with_gx, by_hand):
        if judge(rows, expectations(unique=False, most=49)):
            raise SystemExit(f"{judge.__name__} missed the broken expectation: nothing to compare")
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        contestants: dict[str, Callable[[], bool | None]] = {
            f"{name}{suffix}": lambda judge=judge, unique=unique: judge(rows, expectations(unique=unique))  # type: ignore[misc]
            for unique, suffix in ((True, ""), (False, "_no_unique"))
            for name, judge in (("gx", with_gx), ("hand", by_hand), ("ours", with_ours))
        }
        contestants |= {
            "copy": lambda: copied(rows, f"{folder}/copy", judged=False),
            "copy_judged": lambda: copied(rows, f"{folder}/judged", judged=True),
        }
        for turn in range(ROUNDS + 1):
            for name, contestant in contestants.items():
                start = time.perf_counter()
                if contestant() is False:
                    raise SystemExit(f"{name} did not find that all expectations hold: nothing to compare")
                took = time.perf_counter() - start
                sys.stderr.write(f"quality: round {turn} of {ROUNDS}: {name} {took:.2f} s\n")
                if turn:
                    seconds.setdefault(name, []).append(took)
    sys.stdout.write(json.dumps({"rows": rows.count(), "seconds": seconds}))
    spark.stop()


def session() -> SparkSession:
    """The session that all share."""
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false").config("spark.sql.shuffle.partitions", "4")
    spark = builder.config("spark.driver.memory", "4g").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


if __name__ == "__main__":
    main()
