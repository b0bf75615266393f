"""A run's rows in bronze: those that the attempt its receipt names has written."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract
from contracts.errors import ReceiptMissingError
from spark_jobs.job import INGEST, Job
from spark_jobs.row_rules import stored_schema


def run_rows(job: Job, contract: Contract) -> DataFrame:
    """The rows of this run in a bronze table; none when its source had nothing new.

    Raises:
        ReceiptMissingError: the source's receipt is not there, or the table is not.
        CommitLostError: the commit that the receipt names is no longer in the table's log.
    """
    source = contract.source_name
    receipt = job.receipts.of(INGEST, source)
    written = receipt.table(contract.table)
    if written.version_after is None or receipt.rows_attempt is None:
        raise ReceiptMissingError(f"{contract.table}: no such table; {source} has never brought a row")
    if not written.rows:
        return job.lake.nothing(stored_schema(contract))
    rows = job.lake.read_commit_rows(contract, job.lake.commit_of_run(contract.table, written.version_after))
    return rows.where(
        (sf.col("_run_id") == job.request.run_id)
        & (sf.col("_attempt") == receipt.rows_attempt)
        & (sf.col("_source") == source)
    )
