"""Which of several rows with one key stands: the newest."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

RUN = "_run_id"
EXISTING = "_existing"  # whether the row's key is in the table already


def newest(rows: DataFrame, key: Sequence[str], order: Sequence[str]) -> DataFrame:
    """One row a key: the one that is largest by `order`, whose first column says how new a row is.

    Returns:
        The same columns. Among rows alike in `order` it takes that of the latest run, then the largest by all
        columns, so the choice depends neither on how Spark split the work nor on how many runs are looked at at once.
    """
    others = [name for name in rows.columns if name not in (*key, *order)]
    others.sort(key=lambda name: name != RUN)
    latest_first = [sf.col(name).desc_nulls_last() for name in (*order, *others)]
    rank = sf.row_number().over(Window.partitionBy(*key).orderBy(*latest_first))
    return rows.withColumn("_rank", rank).where("_rank = 1").drop("_rank")


def newer_than(rows: DataFrame, current: DataFrame, key: Sequence[str], order: Sequence[str]) -> DataFrame:
    """The rows that are new to a table, or newer than its row of the same key.

    Args:
        rows: one row a key.
        current: the table's rows, at least those that have a key of `rows`; one row a key.
        key: the table's key.
        order: columns that say how new a row is, most significant first.
    Returns:
        The columns of `rows` and `_existing`.
    """
    present = current.select(*key, sf.struct(*order).alias("_current"))
    newness = sf.struct(*order)
    return (
        rows.join(present, list(key), how="left")
        .where(sf.col("_current").isNull() | (newness > sf.col("_current")))
        .withColumn(EXISTING, sf.col("_current").isNotNull())
        .drop("_current")
    )


def overlay(current: DataFrame, candidates: DataFrame, key: Sequence[str], order: Sequence[str]) -> DataFrame:
    """The table as it will be once the candidates are merged: the newest row of each key."""
    return newest(current.unionByName(candidates), key, order)
