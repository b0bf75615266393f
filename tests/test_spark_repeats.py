"""Repeats are counted exactly, whatever the types of the columns."""

import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from spark_session import quiet, spark  # noqa: F401

from spark_jobs.repeats import distinct, sharing

pytestmark = quiet

SCHEMA = "b tinyint, h smallint, i int, l bigint, d date, s string, x double, m decimal(38,0)"
NAMES = [each.split()[0] for each in SCHEMA.split(", ")]
LONGS = [-(2**63), 2**63 - 1, -1, 0, 1, 7, 8, 63, 64, 2**32]
KEYS = [["l"], ["d"], ["s", "x"], ["l", "s"], ["b", "h", "i"], ["b", "h", "i", "l", "d", "s", "x", "m"]]


def drawn(seed, columns, rows=400):
    """Rows whose values repeat more or less, with nulls."""
    dice = random.Random(seed)  # noqa: S311
    spread = dice.choice([2, 30, 100])

    def number(low, high):
        return max(low, min(high, dice.choice(LONGS) if dice.random() < 0.1 else dice.randint(-spread, spread)))

    def row():
        values = {
            "b": number(-128, 127),
            "h": number(-(2**15), 2**15 - 1),
            "i": number(-(2**31), 2**31 - 1),
            "l": number(-(2**63), 2**63 - 1),
            "d": date(1970, 1, 1) + timedelta(days=number(-9_999, 9_999)),
            "s": str(number(0, 50)),
            "x": number(0, 50) / 4,
            "m": Decimal(number(0, 50)) * 10**20,
        }
        return tuple(values[name] if name in columns and dice.random() > 0.05 else None for name in NAMES)

    return [row() for _ in range(rows)]


@pytest.mark.parametrize("columns", KEYS, ids="-".join)
def test_counts_are_those_of_a_counter(spark, columns):  # noqa: F811
    rows = drawn(len(columns), columns)
    frame = spark.createDataFrame(rows, SCHEMA)
    counts = Counter(tuple(row[NAMES.index(name)] for name in columns) for row in rows)
    assert distinct(frame, columns, 7).first().asDict() == {"rows7": len(rows), "distinct7": len(counts)}
    shared = sum(count for count in counts.values() if count > 1)
    assert sharing(frame, columns, 7).first().asDict() == {"failing7": shared}


def test_no_rows_are_no_repeats(spark):  # noqa: F811
    nothing = spark.createDataFrame([], SCHEMA)
    assert distinct(nothing, ["i", "s"], 0).first().asDict() == {"rows0": 0, "distinct0": 0}
    assert sharing(nothing, ["i", "s"], 0).first().asDict() == {"failing0": 0}
