"""Ingest: one source's new rows, judged by their contract, appended to bronze as they were received.

Source: contracts/schemas/<source>_bronze; DESIGN's bronze: exact rows plus the run's columns, append only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as sf

from contracts import contract as contracts
from contracts.contract import JSON_LINES, Contract
from contracts.errors import ContractViolationError, InvalidRequestError, SourceUnavailableError
from contracts.text import EVERY_COLUMN
from spark_jobs.delta_log import Commit
from spark_jobs.job import Job
from spark_jobs.quarantine import Ground, as_json, quarantined, run_columns
from spark_jobs.receipts import Lineage, Outcome, Rejected, TableReceipt
from spark_jobs.rejections import REJECTED_BY, counted, mark, of_dataset, quarantine
from spark_jobs.request import Rejection
from spark_jobs.row_rules import LAYOUT_COLUMN, RowRule, row_rules
from spark_jobs.sources import redshift
from spark_jobs.sources.credentials import CredentialsRefusedError
from spark_jobs.sources.files import find_line, read_files
from spark_jobs.sources.hubspot import read_contacts
from spark_jobs.sources.json_lines import LINE_COLUMN
from spark_jobs.sources.rest import told_by_a_task
from spark_jobs.sources.salesforce import read_object
from spark_jobs.sources.snowflake import read_relation

BROKEN_RULE = "_broken_rule"
_RUN_STATISTICS = ("_run_id", "_attempt", "_source")


def ingest(job: Job) -> Outcome:
    """Append the source's rows to bronze, all of them or none.

    Raises:
        ContractViolationError: more rows than the contract tolerates break a rule; they are in quarantine/<source>.
        SourceUnavailableError: the source did not answer, or changed while it was read.
    """
    contract = contracts.of_source(job.request.subject)
    try:
        return _ingest(job, contract)
    except CredentialsRefusedError:
        # a task's connection found the secret rotated: everything is read anew, with the secret as it is now
        job.log.write("credentials_refused")
    try:
        return _ingest(job, contract)
    except CredentialsRefusedError as error:
        detail = f"{contract.source_name}: {error}, twice while reading; have its secret put right, then redrive"
        raise SourceUnavailableError(detail) from None


def _ingest(job: Job, contract: Contract) -> Outcome:
    try:
        return _append_new_rows(job, contract)
    except (PySparkException, Py4JJavaError) as error:
        if told := redshift.told_by_jdbc(error, contract):
            raise told from None
        raise


def _append_new_rows(job: Job, contract: Contract) -> Outcome:
    commit = job.lake.committed(contract.table)
    if commit is not None:
        job.log.write("already_committed", table=contract.table, version=commit.version)
        return _outcome(job, contract, commit)
    rows = _read(job, contract)
    if rows is None:
        return _nothing_new(job, contract)
    compiled = row_rules(contract)
    rules = compiled.rules
    judged = rows.withColumn(BROKEN_RULE, compiled.first_broken)
    rejected: tuple[Rejected, ...] = ()
    accepted = judged
    if rejections := of_dataset(job.request, contract):
        judged, rejected = _quarantine_rejected(job, contract, rejections, judged)
        accepted = judged.where(sf.col(REJECTED_BY).isNull())
    attempt, refused = sf.lit(job.request.attempt), sum(each.rows for each in rejected)
    if contract.tolerance > 0:
        refused += _quarantine_broken(job, contract, judged, rules)
        accepted = accepted.where(sf.col(BROKEN_RULE).isNull())
    else:
        # judged and written in one pass: a broken row fails the write before its commit
        stop = sf.raise_error(sf.lit("a row breaks its contract")).cast("int")
        attempt = sf.when(sf.col(BROKEN_RULE).isNull(), attempt).otherwise(stop)
    bronze = accepted.select(*(field.name for field in contract.fields), *_run_columns(job, contract, attempt))
    note = {"quarantined": refused, "rejected": {each.expectation: each.rows for each in rejected}}
    try:
        commit = job.lake.append(bronze, contract.table, note=note, statistics=_RUN_STATISTICS)
    except (PySparkException, Py4JJavaError) as error:
        if told := told_by_a_task(error) or redshift.told_by_jdbc(error, contract):
            raise told from None
        _quarantine_broken(job, contract, judged, rules)  # raises, if broken rows were the reason
        raise
    job.log.write("committed", table=contract.table, version=commit.version, rows=_rows_of(commit))
    return _outcome(job, contract, commit)


def lineage(contract: Contract) -> Lineage:
    """Bronze keeps every column under its own name."""
    source = f"{(contract.source or {})['kind']}:{contract.location}"
    columns = {field.name: [f"{source}.{field.name}"] for field in contract.fields}
    return {"output": contract.table, "inputs": [source], "columns": columns}


def _read(job: Job, contract: Contract) -> DataFrame | None:
    kind = str((contract.source or {}).get("kind"))
    if kind not in READERS:
        raise InvalidRequestError(
            f"{contract.source_name}: no reader for a source of kind {kind}; name it in READERS of spark_jobs/ingest.py"
        )
    return READERS[kind](job, contract)


def _read_files(job: Job, contract: Contract) -> DataFrame | None:
    return read_files(job.lake, contract, job.request.files) if job.request.files else None


def _read_relation(job: Job, contract: Contract) -> DataFrame | None:
    request = job.request
    return read_relation(job.lake, contract, request.secret_arn, request.interval_start, request.interval_end)


def _read_table(job: Job, contract: Contract) -> DataFrame | None:
    request = job.request
    return redshift.read_table(job.lake, contract, request.secret_arn, request.interval_start, request.interval_end)


def _read_object(job: Job, contract: Contract) -> DataFrame | None:
    request = job.request
    return read_object(job.lake, contract, request.secret_arn, request.interval_start, request.interval_end)


def _read_contacts(job: Job, contract: Contract) -> DataFrame | None:
    request = job.request
    return read_contacts(job.lake, contract, request.secret_arn, request.interval_start, request.interval_end)


READERS: Mapping[str, Callable[[Job, Contract], DataFrame | None]] = {
    "files": _read_files,
    "snowflake": _read_relation,
    "salesforce": _read_object,
    "redshift": _read_table,
    "hubspot": _read_contacts,
}


def _run_columns(job: Job, contract: Contract, attempt: Column | None = None) -> list[Column]:
    return run_columns(job, contract.source_name, sf.col("_file"), sf.col("_received_at"), attempt)


def _quarantine_rejected(
    job: Job, contract: Contract, rejections: Sequence[Rejection], judged: DataFrame
) -> tuple[DataFrame, tuple[Rejected, ...]]:
    """The rows marked with who rejects them, and what was rejected; what breaks a rule is left to that rule."""
    # read once: a database may answer otherwise when it is asked again
    marked = mark(judged, contract, rejections, job.request, only=sf.col(BROKEN_RULE).isNull()).persist()
    written_by = _run_columns(job, contract)
    return marked, quarantine(job, contract, rejections, marked, _raw_row(contract), written_by)


def _quarantine_broken(job: Job, contract: Contract, judged: DataFrame, rules: Sequence[RowRule]) -> int:
    """The number of rows that break a rule, all of them put into quarantine.

    Raises:
        ContractViolationError: there are more than the contract tolerates.
    """
    broken = sf.col(BROKEN_RULE)
    counts = judged.groupBy(BROKEN_RULE).agg(
        sf.count("*").alias("rows"), sf.first("_file").alias("file"), sf.first(_raw_row(contract)).alias("raw")
    )
    by_rule = {row[BROKEN_RULE]: row for row in counts.collect()}
    received = sum(row["rows"] for row in by_rule.values())
    by_rule.pop(None, None)
    if not by_rule:
        return 0
    refused: int = sum(row["rows"] for row in by_rule.values())
    table = contract.quarantine
    if job.lake.committed(table, job.request.transaction_of_received(table)) is None:
        grounds = [Ground(column=each.column, rule=each.rule, reason=_reason(each)) for each in rules]
        rows = quarantined(
            judged.where(broken.isNotNull()), contract, broken, grounds, _raw_row(contract), _run_columns(job, contract)
        )
        job.lake.append(rows, table, note={}, transaction=job.request.transaction_of_received(table))
    job.log.write("quarantined", table=table, rows=refused)
    if refused > contract.tolerance * received:
        raise _violation(job, contract, rules, by_rule, received)
    return refused


def _raw_row(contract: Contract) -> Column:
    """The row as it was received, as JSON; a malformed line, and a line of JSON, as it stands."""
    if contract.parse is not None and contract.parse.layout == JSON_LINES:
        return sf.col(LINE_COLUMN)
    row = as_json(contract)
    return row if contract.parse is None else sf.coalesce(sf.col(LAYOUT_COLUMN), row)


def _reason(rule: RowRule) -> str:
    subject = "the row" if rule.column == EVERY_COLUMN else rule.column
    return f"{subject} breaks {rule.rule}: {rule.expected}"


def _violation(
    job: Job, contract: Contract, rules: Sequence[RowRule], by_rule: dict[int, Row], received: int
) -> ContractViolationError:
    """The error for the first rule broken, with where, how many and what to do next."""
    index = min(by_rule)
    rule, first = rules[index], by_rule[index]
    others = len(by_rule) - 1
    where = contract.location
    if first["file"] is not None:
        line = _line(job, contract, rule, first)
        where = f"{first['file']}: line {line}" if line else first["file"]
    more = f"; {others} other rules are broken too" if others else ""
    detail = (
        f"{where}: {first['rows']} of {received} rows break it (expected {rule.expected}){more}. Nothing was written to"
        f" {contract.table}; the rows are in {contract.quarantine}, run {job.request.run_id}."
        f" Have the source put right, then redrive the execution."
    )
    return ContractViolationError(contract.dataset, contract.version, rule.column, rule.rule, detail)


def _line(job: Job, contract: Contract, rule: RowRule, first: Row) -> int | None:
    raw = first["raw"]
    if rule.rule == "layout" or (contract.parse is not None and contract.parse.layout == JSON_LINES):
        return find_line(job.lake, contract, first["file"], raw)
    row: dict[str, str] = {name: cell for name, cell in json.loads(raw).items() if cell is not None}
    if contract.parse is not None and contract.parse.trailing_empty_column:
        row[""] = ""
    return find_line(job.lake, contract, first["file"], row)


def _rows_of(commit: Commit) -> int:
    return commit.metrics.get("numOutputRows", 0)


def _outcome(job: Job, contract: Contract, commit: Commit) -> Outcome:
    """What the commit says, whichever attempt made it."""
    accepted, refused = _rows_of(commit), commit.note.get("quarantined", 0)
    table = TableReceipt(
        table=contract.table,
        version_before=commit.version - 1 if commit.version else None,
        version_after=commit.version,
        rows=accepted,
        path=contract.table,
    )
    return Outcome(
        tables=(table,),
        rows={"received": accepted + refused, "accepted": accepted, "quarantined": refused},
        rows_attempt=commit.note["attempt"],
        rejections=counted(of_dataset(job.request, contract), commit.note.get("rejected", {})),
        lineage=(lineage(contract),),
    )


def _nothing_new(job: Job, contract: Contract) -> Outcome:
    version = job.lake.version(contract.table)
    job.log.write("nothing_new", table=contract.table)
    table = TableReceipt(
        table=contract.table, version_before=version, version_after=version, rows=0, path=contract.table
    )
    return Outcome(
        tables=(table,),
        rows={"received": 0, "accepted": 0, "quarantined": 0},
        rows_attempt=job.request.attempt,
        lineage=(lineage(contract),),
    )
