"""What must change in a table so that it holds what was computed."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from spark_jobs.transforms.newest import EXISTING

REMOVED = "_removed"  # the row is to leave the table: nothing that it was computed from is left


def changed_rows(computed: DataFrame, current: DataFrame | None, key: Sequence[str]) -> DataFrame:
    """The rows that are new or different, and those that are there no longer.

    Args:
        computed: all rows that the table should have in some scope, such as some days; one row a key.
        current: the rows that it has in the same scope, with the columns of `computed` and maybe others; None for none.
        key: the columns that name a row.
    Returns:
        The columns of `computed`, `_existing` (the table has the key) and `_removed`.
    """
    if current is None:
        return computed.withColumns({EXISTING: sf.lit(False), REMOVED: sf.lit(False)})
    names = computed.columns
    # each side as one struct: a row that is not there is a null, whatever its columns hold
    new, old = (
        frame.select(*key, sf.struct(*names).alias(side)) for frame, side in ((computed, "_new"), (current, "_old"))
    )
    row = sf.coalesce("_new", "_old")
    return (
        new.join(old, list(key), how="full")
        .where(~sf.col("_new").eqNullSafe(sf.col("_old")))
        .select(
            *(row.getField(name).alias(name) for name in names),
            sf.col("_old").isNotNull().alias(EXISTING),
            sf.col("_new").isNull().alias(REMOVED),
        )
    )
