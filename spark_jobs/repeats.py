"""How often values repeat, counted exactly and cheaply.

Whole numbers and days are counted up to 64 to a group: each group is a word, in which a value sets a bit of its own.
The keys of tables are mostly dense, so there are far fewer words to hash and to exchange than there are values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import DateType, IntegralType

_WORD_BITS = 6  # so many bits of a value, or of several together, say which of a word's 64 bits is theirs


def distinct(rows: DataFrame, columns: Sequence[str], index: int) -> DataFrame:
    """How many rows there are, and how many values of the columns differ: rows{index}, distinct{index}."""
    whole = [name for name in columns if isinstance(rows.schema[name].dataType, IntegralType | DateType)][:_WORD_BITS]
    bits = _WORD_BITS // len(whole) if whole else 0
    numbers = [_number(rows, name) for name in whole]
    words = [sf.shiftright(number, bits) for number in numbers]
    # null has a word of its own, so its bit may be any
    places = [sf.shiftleft(_low_bits(number, bits), bits * place) for place, number in enumerate(numbers)]
    place = reduce(Column.__add__, places, sf.lit(0).cast("bigint"))
    bit = sf.call_function("shiftleft", sf.lit(1).cast("bigint"), place.cast("int"))
    others = [sf.col(name) for name in columns if name not in whole]
    groups = rows.groupBy(*(key.alias(f"_{at}") for at, key in enumerate([*words, *others]))).agg(
        sf.count("*").alias("_rows"), sf.bit_or(bit).alias("_bits")
    )
    return groups.agg(
        _total(sf.col("_rows")).alias(f"rows{index}"), _total(sf.bit_count("_bits")).alias(f"distinct{index}")
    )


def sharing(rows: DataFrame, columns: Sequence[str], index: int) -> DataFrame:
    """How many rows share their values of the columns with another: failing{index}."""
    groups = rows.groupBy(*columns).agg(sf.count("*").alias("_rows"))
    return groups.agg(_total(sf.when(sf.col("_rows") > 1, sf.col("_rows"))).alias(f"failing{index}"))


def _number(rows: DataFrame, name: str) -> Column:
    value = sf.col(name)
    return (sf.unix_date(value) if isinstance(rows.schema[name].dataType, DateType) else value).cast("bigint")


def _low_bits(number: Column, bits: int) -> Column:
    return sf.coalesce(number.bitwiseAND(sf.lit((1 << bits) - 1)), sf.lit(0))


def _total(value: Column) -> Column:
    return sf.coalesce(sf.sum(value), sf.lit(0))
