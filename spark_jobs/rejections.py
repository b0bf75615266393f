"""Rows that a person has rejected: told from the others by the very expectation that they fail, put into quarantine.

A row is refused by the first rejection that it falls under. The rows of a run that were rejected are replaced as a
whole whenever its step writes again, so that however many rounds there are, each stands in quarantine once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract, Expectation
from contracts.text import EVERY_COLUMN
from contracts.waiving import fails_by_row, result_name
from spark_jobs.expectations import Result, failing
from spark_jobs.job import Job
from spark_jobs.quarantine import Ground, quarantined
from spark_jobs.receipts import Rejected
from spark_jobs.request import Rejection, Request
from spark_jobs.row_rules import parsed

REJECTED_BY = "_rejected_by"  # the index of the first rejection that refuses the row, null for none
_GIVEN, _ONLY = "_given", "_only"


def of_dataset(request: Request, contract: Contract) -> tuple[Rejection, ...]:
    """The rejections that concern a dataset."""
    return tuple(each for each in request.rejections if each.expectation.split(":")[0] == contract.dataset)


def mark(
    rows: DataFrame,
    contract: Contract,
    rejections: Sequence[Rejection],
    request: Request,
    only: Column | None = None,
) -> DataFrame:
    """The rows with `_rejected_by`.

    Expectations speak of values after the parse, so they are asked of a parsed copy; the rows stay as received. An
    expectation that today's contract no longer has refuses nothing.

    Args:
        rows: the rows as received.
        contract: whose expectations the rejections name.
        rejections: those of its dataset, oldest first.
        request: names the values of the run.
        only: which rows may be rejected; all unless told.
    """
    rejectable = sf.lit(True) if only is None else only
    given = parsed(contract, rows.withColumns({_GIVEN: sf.struct("*"), _ONLY: rejectable}))
    run = {"data_date": request.data_date}
    refuses = sf.lit(None).cast("int")
    for index, rejection in reversed(list(enumerate(rejections))):
        for expectation in _named(contract, rejection):
            _, fails = failing(contract, expectation, given.schema, run)
            refuses = sf.when(fails, sf.lit(index)).otherwise(refuses)
    return given.select(f"{_GIVEN}.*", sf.when(sf.col(_ONLY), refuses).alias(REJECTED_BY))


def quarantine(
    job: Job,
    contract: Contract,
    rejections: Sequence[Rejection],
    marked: DataFrame,
    row: Column,
    written_by: Sequence[Column],
) -> tuple[Rejected, ...]:
    """Put the rejected rows into quarantine, in place of those that earlier rounds put there.

    Args:
        job: the job.
        contract: whose rows they are.
        rejections: those that `mark` was given.
        marked: what it gave back; read twice, so it had better be kept.
        row: the row as it was given, as JSON or as the line that it was.
        written_by: who wrote the row, where it came from; see `run_columns`.
    Returns:
        Each rejection with its rows.
    """
    lake, table = job.lake, contract.quarantine
    transaction = f"{job.request.transaction(table)}:rejected"
    commit = lake.committed(table, transaction)
    if commit is None:
        rejected = marked.where(sf.col(REJECTED_BY).isNotNull())
        found = {each[REJECTED_BY]: each["count"] for each in rejected.groupBy(REJECTED_BY).count().collect()}
        counts = {each.expectation: found.get(index, 0) for index, each in enumerate(rejections)}
        if found or lake.version(table) is not None:
            grounds = [_ground(contract, each) for each in rejections]
            lake.append(
                quarantined(rejected, contract, sf.col(REJECTED_BY), grounds, row, written_by),
                table,
                note={"rejected": counts},
                transaction=transaction,
                replacing=_earlier(job.request, contract),
            )
    else:
        counts = commit.note["rejected"]
    job.log.write("rejected", table=table, rows=sum(counts.values()))
    return counted(rejections, counts)


def counted(rejections: Sequence[Rejection], counts: Mapping[str, int]) -> tuple[Rejected, ...]:
    """Each rejection with how many rows it kept out."""
    return tuple(Rejected(**asdict(each), rows=counts.get(each.expectation, 0)) for each in rejections)


def noted(results: Sequence[Result], rejections: Sequence[Rejected]) -> tuple[Result, ...]:
    """The results; where rows were rejected for one, `observed` says how many, as it no longer sees them."""
    rows: dict[str, int] = {}
    for each in rejections:
        rows[each.expectation] = rows.get(each.expectation, 0) + each.rows
    return tuple(
        {**each, "observed": {**each["observed"], "rejected": rows[name]}}
        if (name := result_name(each["dataset"], each["expectation"], each["column"])) in rows
        else each
        for each in results
    )


def _named(contract: Contract, rejection: Rejection) -> list[Expectation]:
    return [
        each
        for each in contract.expectations
        if fails_by_row(each.type) and result_name(contract.dataset, each.type, each.column) == rejection.expectation
    ]


def _ground(contract: Contract, rejection: Rejection) -> Ground:
    column = next((each.column for each in _named(contract, rejection) if each.column), EVERY_COLUMN)
    reason = f"rejected by {rejection.by}: {rejection.reason}"
    return Ground(column=column, rule=rejection.expectation.split(":")[1], reason=reason)


def _earlier(request: Request, contract: Contract) -> str:
    """The rows that this run, or one whose place it takes, has rejected before; no row rule is called `expect_`."""
    runs = ", ".join(f"'{run_id}'" for run_id in (request.run_id, *request.superseded))
    return f"_run_id IN ({runs}) AND dataset = '{contract.dataset}' AND rule LIKE 'expect\\\\_%'"
