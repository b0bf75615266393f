"""Rows as quarantine keeps them: as JSON, with the run that refused them, and the rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract
from spark_jobs.job import Job


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Why a row is refused: which column broke which rule, in words for a person."""

    column: str
    rule: str
    reason: str


def quarantined(
    rows: DataFrame,
    contract: Contract,
    ground: Column,
    grounds: Iterable[Ground],
    row: Column,
    written_by: Iterable[Column],
) -> DataFrame:
    """The rows in the columns of quarantine.

    Args:
        rows: the rows that are refused.
        contract: whose rows they are.
        ground: the index of a row's ground.
        grounds: all of them.
        row: the row as it was given, as JSON or as the line that it was.
        written_by: who refuses it, where it came from; see `run_columns`.
    """
    about = sf.array(
        *(
            sf.struct(
                sf.lit(each.column).alias("column"),
                sf.lit(each.rule).alias("rule"),
                sf.lit(each.reason).alias("reason"),
            )
            for each in grounds
        )
    )
    return rows.withColumn("_about", about[ground]).select(
        sf.lit(contract.dataset).alias("dataset"),
        sf.lit(contract.version).alias("version"),
        "_about.column",
        "_about.rule",
        "_about.reason",
        row.alias("row"),
        *written_by,
    )


def run_columns(job: Job, source: str, file: Column, received: Column, attempt: Column | None = None) -> list[Column]:
    """The columns that the pipeline adds to a row of bronze, and of quarantine.

    Args:
        job: who writes the row.
        source: the name of the source that the row comes from.
        file: the object key; null where no single file is known.
        received: when the file was put there, or the cursor of a database, UTC; null where that is not known.
        attempt: the job's unless told.
    """
    return [
        sf.lit(job.request.run_id).alias("_run_id"),
        (sf.lit(job.request.attempt) if attempt is None else attempt).alias("_attempt"),
        sf.lit(source).alias("_source"),
        sf.lit(job.started_at).alias("_ingested_at"),
        file.alias("_file"),
        received.alias("_received_at"),
    ]


def as_json(contract: Contract) -> Column:
    """A row's own columns as JSON, those that are null among them."""
    return sf.to_json(sf.struct(*(field.name for field in contract.fields)), {"ignoreNullFields": "false"})
