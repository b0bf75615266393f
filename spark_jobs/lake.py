"""The lake's Delta tables: reads of a stated version, and commits that can be made twice without effect.

Every commit carries a transaction id and a note from which a rerun rebuilds its receipt. A rerun looks for the
transaction before it does any work; Delta itself skips an append whose transaction it has, should two reruns race.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import StructType

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import CommitLostError
from spark_jobs import delta_log
from spark_jobs.adopt import create_table
from spark_jobs.days import Span, in_spans, overlap
from spark_jobs.delta_log import Commit, File
from spark_jobs.request import Request
from spark_jobs.row_rules import stored_schema
from spark_jobs.storage import Store

# How long files that left a table are kept. A run may be redriven for 14 days after it ended, and then reads the files
# of its own commits and the versions it was built on; candidates and requests are kept for 21. The rest is for time
# travel: back to before a fault that was found late.
RETENTION_DAYS = 30
# Athena, Trino and delta-rs must be able to read every table; a run may be redriven for 14 days, and its transaction
# ids and commits must outlive that.
PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.logRetentionDuration": "interval 60 days",
    "delta.setTransactionRetentionDuration": "interval 60 days",
    # as long as VACUUM keeps files: it takes a file for an orphan once the log has forgotten when it was removed
    "delta.deletedFileRetentionDuration": f"interval {RETENTION_DAYS} days",
}
ROWS_A_FILE = 50_000
FILES_NAMED = 32  # Spark has a job of its own look for more files than that
_TRANSACTION_CONF = "spark.databricks.delta.write.txnAppId"
_TRANSACTION_VERSION_CONF = "spark.databricks.delta.write.txnVersion"
_NOTE_CONF = "spark.databricks.delta.commitInfo.userMetadata"


class Lake:
    """The tables as one job run sees them."""

    def __init__(self, spark: SparkSession, store: Store, request: Request) -> None:
        self.spark = spark
        self.store = store
        self.request = request

    def apart(self) -> Lake:
        """The same lake in a session of its own with the same settings, where SQL can be told a transaction of its own.

        Source: Spark 4.1.1, classic.SparkSession.cloneSession.
        """
        java_session = self.spark._jsparkSession.cloneSession()
        session = SparkSession(self.spark.sparkContext, java_session)
        return Lake(session, self.store, self.request)

    def uri(self, path: str) -> str:
        """Where a path of the lake is, as Spark spells it."""
        return f"{self.store.root}/{path}"

    def version(self, table: str) -> int | None:
        """The table's version now; None when there is no such table."""
        return delta_log.latest_version(self.store, table)

    def nothing(self, schema: StructType) -> DataFrame:
        """No rows. Spark knows that there are none, and leaves out what is done with them.

        An empty list would be rows like any other to it, which Python processes have to be started for.
        """
        from pyspark.sql.pandas.types import to_arrow_schema

        return self.spark.createDataFrame(to_arrow_schema(schema).empty_table(), schema)

    def stored(self, table: str, version: int) -> DataFrame:
        """The rows of a table at a stated version, in the columns that it has; quarantine's have no contract."""
        return self.spark.read.format("delta").option("versionAsOf", version).load(self.uri(table))

    def read(self, table: str, version: int) -> DataFrame:
        """The rows of a contract's table at a stated version; columns that the contract has gained since are null."""
        snapshot = delta_log.read_snapshot(self.store, table, version)
        return self._of_files(table, version, [] if snapshot is None else snapshot.files)

    def read_days(
        self, table: str, version: int | None, column: str | None, spans: Sequence[Span] | None
    ) -> DataFrame | None:
        """The rows of a table on the given days of a column (None: all rows), or None when there can be none.

        That is so when there is no table, or when the log's statistics tell that none of its files holds such a day.
        """
        if version is None:
            return None
        if column is None or spans is None:
            return self.read(table, version)
        snapshot = delta_log.read_snapshot(self.store, table, version, column)
        held = () if snapshot is None else snapshot.files
        wanted = [each for each in held if each.days is None or any(overlap(each.days, other) for other in spans)]
        if snapshot is not None and not wanted:
            return None
        return self._of_files(table, version, wanted).where(in_spans(column, spans))

    def _of_files(self, table: str, version: int, files: Sequence[File]) -> DataFrame:
        """The rows of some files of a table, which are few, or of the table at a version.

        A day's run reads some thirty tables, a file or two of each. To have Delta find them costs four times what it
        costs to read them: it lays out the whole state of each table as rows of Spark.
        """
        contract = contracts.of_table(table)
        if 0 < len(files) <= FILES_NAMED:
            return self._parquet(contract, [each.name for each in files])
        rows = self.stored(table, version)
        gained = {
            column.name: sf.lit(None).cast(column.dataType)
            for column in stored_schema(contract)
            if column.name not in rows.columns
        }
        return rows.withColumns(gained) if gained else rows

    def read_commit_rows(self, contract: Contract, commit: Commit) -> DataFrame:
        """The rows that a commit appended, from the files that it added.

        Files never change, and stay for as long as a run may be redriven; to have Delta find them among all of the
        table's would cost a day more time than to read them.
        """
        return self._parquet(contract, commit.files)

    def _parquet(self, contract: Contract, names: Sequence[str]) -> DataFrame:
        """The rows of files of a contract's table; columns that a file lacks are null."""
        files = [self.uri(f"{contract.table}/{name}") for name in names]
        return self.spark.read.schema(stored_schema(contract)).parquet(*files)

    def read_candidates(self, contract: Contract, path: str, **extra: str) -> DataFrame:
        """The candidates at a path; `extra` names columns beside the contract's, with their types."""
        schema = stored_schema(contract, **extra)
        return self.spark.read.schema(schema).parquet(self.uri(path))

    def write_candidates(self, rows: DataFrame, path: str) -> None:
        """Write candidates: plain files in a folder of this attempt's own, read only when its receipt names it."""
        rows.write.mode("overwrite").parquet(self.uri(path))

    def committed(self, table: str, transaction: str | None = None) -> Commit | None:
        """The commit that this step already made to a table, by this attempt or an earlier one."""
        transaction = transaction or self.request.transaction(table)
        return delta_log.find_transaction(self.store, table, transaction, self.request.opened_at)

    def append(
        self,
        rows: DataFrame,
        table: str,
        *,
        note: Mapping[str, Any],
        statistics: Sequence[str] = (),
        transaction: str | None = None,
        replacing: str | None = None,
    ) -> Commit:
        """Append rows in one commit; creates the table if there is none, and gives it the columns that it lacks.

        Args:
            rows: the rows, with the table's columns.
            table: its path in the lake.
            note: what a rerun needs to rebuild the receipt.
            statistics: columns to keep file statistics for, when not the first 32.
            transaction: its id; the step's own unless given.
            replacing: a condition on rows of the table that this commit takes away; all of `rows` meet it.
        """
        options = {}
        if statistics:
            options["delta.dataSkippingStatsColumns"] = ",".join(statistics)
        options["mergeSchema"] = "true"
        if replacing:
            options["replaceWhere"] = replacing
        return self._save(rows, table, "overwrite" if replacing else "append", options, note, transaction)

    def adopt(self, contract: Contract, path: str, *, note: Mapping[str, Any]) -> Commit:
        """Make a table that there is not yet of the candidates at a path, in one commit, without reading them again.

        Args:
            contract: names the table.
            path: of candidates in the contract's columns.
            note: what a rerun needs to rebuild the receipt.
        """
        create_table(
            self.store,
            contract.table,
            candidates=path,
            schema=stored_schema(contract).json(),
            properties=PROPERTIES,
            note=self._note(note),
            transaction=self.request.transaction(contract.table),
        )
        return self._read_back(contract.table)

    def overwrite(self, rows: DataFrame, table: str, *, note: Mapping[str, Any]) -> Commit:
        """Put rows in the place of all that a table holds, in one commit: a reader sees the old ones or these."""
        return self._save(rows, table, "overwrite", {"mergeSchema": "true"}, note, None)

    def _save(
        self,
        rows: DataFrame,
        table: str,
        mode: str,
        options: Mapping[str, str],
        note: Mapping[str, Any],
        transaction: str | None,
    ) -> Commit:
        transaction = transaction or self.request.transaction(table)
        (
            rows.write.format("delta")
            .mode(mode)
            .options(**PROPERTIES, **options)
            .option("txnAppId", transaction)
            .option("txnVersion", 1)
            .option("userMetadata", self._note(note))
            .save(self.uri(table))
        )
        return self._read_back(table, transaction)

    def merge(
        self, rows: DataFrame, contract: Contract, *, clauses: str, prune: str, note: Mapping[str, Any]
    ) -> Commit:
        """Merge rows into a table by its key, in one commit, which gives it the columns that the clauses name anew.

        Args:
            rows: the rows, known as `s` in the clauses; the table is `t`.
            contract: names the table and its key.
            clauses: the WHEN clauses.
            prune: a condition on `t` that holds wherever a key of `rows` can be, so that other files stay unread.
            note: what a rerun needs to rebuild the receipt.
        """
        table = contract.table
        rows.createOrReplaceTempView("merged_rows")
        condition = " AND ".join([*(f"t.`{key}` = s.`{key}`" for key in contract.key), f"({prune})"])
        settings = {
            _TRANSACTION_CONF: self.request.transaction(table),
            _TRANSACTION_VERSION_CONF: "1",
            # not by WITH SCHEMA EVOLUTION, which refuses a new column that a clause names
            "spark.databricks.delta.schema.autoMerge.enabled": "true",
        }
        with self._conf(settings, note):
            target = f"delta.`{self.uri(table)}` t"
            self.spark.sql(f"MERGE INTO {target} USING merged_rows s ON {condition} {clauses}")
        return self._read_back(table)

    def changed_by_others(self, table: str, base: int | None) -> bool:
        """Whether a commit that this run did not make changed rows after the base version.

        Files that were packed anew hold the rows that they held.
        """
        now = self.version(table)
        if now == base or now is None:
            return now != base
        versions = range(0 if base is None else base + 1, now + 1)
        commits = (delta_log.read_commit(self.store, table, version) for version in versions)
        return any(
            commit is None or (commit.changes_rows and commit.run_id != self.request.run_id) for commit in commits
        )

    def commit_of_run(self, table: str, version: int) -> Commit:
        """The commit of this run that a receipt names.

        Raises:
            CommitLostError: the log does not hold it: another writer overwrote it, which a store without locks allows.
        """
        commit = delta_log.read_commit(self.store, table, version)
        if commit is None or commit.run_id != self.request.run_id:
            raise CommitLostError(f"{table}: version {version} is not the commit of this run that its receipt names")
        return commit

    def rearrange(self, table: str, statement: str, *, settings: Mapping[str, str], note: Mapping[str, Any]) -> None:
        """Run a statement of SQL that leaves a table's rows as they are, `{table}` in it for the table.

        Raises:
            CommitLostError: its commit is not in the log, or another one is that this run did not make.
        """
        before = self.version(table)
        with self._conf(settings, note):
            self.spark.sql(statement.format(table=f"delta.`{self.uri(table)}`"))
        after = self.version(table)
        for version in range(0 if before is None else before + 1, (after or 0) + 1):
            commit = self.commit_of_run(table, version)
            if commit.changes_rows:
                raise CommitLostError(f"{table}: version {version} was to leave the rows as they are, and changes them")

    @contextmanager
    def _conf(self, settings: Mapping[str, str], note: Mapping[str, Any]) -> Iterator[None]:
        """A block whose SQL commits under these settings, with a note; SQL has no options to say it."""
        conf = {**settings, _NOTE_CONF: self._note(note)}
        for name, value in conf.items():
            self.spark.conf.set(name, value)
        try:
            yield
        finally:
            for name in conf:
                self.spark.conf.unset(name)

    def _note(self, note: Mapping[str, Any]) -> str:
        return json.dumps({**self.request.heading(), **note})

    def _read_back(self, table: str, transaction: str | None = None) -> Commit:
        commit = self.committed(table, transaction)
        if commit is None:
            raise CommitLostError(f"{table}: the commit just made is not in its log; another writer overwrote it")
        return commit


def distinct_dates(rows: DataFrame, column: str) -> list[date]:
    """The dates in a column, or those of its moments, without null: one Spark job, meant for small frames."""
    days = rows.select(sf.col(column).cast("date").alias("day"))
    return [row["day"] for row in days.where("day IS NOT NULL").distinct().collect()]


def in_stretches(rows: DataFrame, day: str, first: date, last: date, count: int) -> DataFrame:
    """A history in files that each hold a stretch of its days, so that later reads skip what they do not ask for.

    Rows beside the stretch from first to last go into the file at its nearer end.

    Args:
        rows: the history.
        day: a column of dates or moments.
        first: a day on or before most rows'.
        last: a day on or after most rows'.
        count: how many rows there are, about.
    """
    files = math.ceil(count / ROWS_A_FILE)
    if files <= 1:
        return rows
    stretch = sf.floor(sf.date_diff(sf.col(day).cast("date"), sf.lit(first)) * files / ((last - first).days + 1))
    bounded = sf.least(sf.greatest(stretch, sf.lit(0)), sf.lit(files - 1))
    return rows.repartitionById(files, sf.coalesce(bounded, sf.lit(0)).cast("int"))
