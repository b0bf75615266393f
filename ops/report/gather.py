"""Fetches what a report is made of: receipts, rows of quarantine, the audit of earlier runs.

The counting and the choosing of samples are left to delta-rs' own SQL, so that a million rows in quarantine, or years
of audit, cost no memory here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any

from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import AssayError
from lambdas.payloads import Json
from lambdas.receipts import Lake
from ops import lake, run
from ops.errors import OpsError
from ops.platform import Platform
from ops.report.evidence import RUNS_IN_TREND, Document, evidence
from ops.report.model import Evidence, Head

OpenTable = Callable[[str], DeltaTable]
SAMPLE_ROWS = 10
RESULTS = "quality/results"
QUARANTINE = "quarantine/"
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f-]{1,40}")
_YEAR = datetime.timedelta(days=366)  # thirty runs of a day are in it, and years of audit are not read for them


def gather(platform: Platform, wanted: str) -> Evidence:
    """The evidence of a run named as other commands name it, or by its run id when its execution is long gone.

    Raises:
        OpsError: there is no such run, or its execution has not opened one yet.
    """
    store = Lake(platform.access.s3, platform.lake_bucket)
    head = _head(platform, wanted)
    receipts = {key: store.read(key) for key in _receipt_keys(platform, head.run_id)}
    data_date = _data_date(store, list(receipts))
    head = Head(**{**vars(head), "data_date": data_date})

    def open_table(path: str) -> DeltaTable:
        return lake.table(platform, path)

    return evidence(
        head,
        receipts,
        {
            path: quarantined(open_table, path, head.run_id)
            for path in lake.tables(platform)
            if path.startswith(QUARANTINE)
        },
        measurements(open_table, data_date),
        contract_of,
    )


def contract_of(dataset: Any, version: Any) -> Contract | None:
    """The contract of a dataset and version, its latest when none is named; None when it is not here."""
    try:
        return contracts.load(str(dataset), None if version is None else str(version))
    except AssayError:
        return None


def quarantined(open_table: OpenTable, path: str, run_id: str) -> Sequence[Document]:
    """A sample of the rows that a run put into a quarantine table, each with how many broke its rule, as `rows`."""
    about = 'dataset, version, "column", rule'
    return (
        _query(
            open_table,
            path,
            f"""
        SELECT {about}, "row", _file, _attempt, rows FROM (
            SELECT {about}, "row", _file, _attempt,
                   count(*) OVER (PARTITION BY {about}) AS rows,
                   row_number() OVER (PARTITION BY {about} ORDER BY _attempt DESC, _file, "row") AS place
            FROM found WHERE _run_id = '{_checked(run_id)}'
        ) WHERE place <= {SAMPLE_ROWS} ORDER BY {about}, place
        """,  # noqa: S608  the run id is checked
        )
        or ()
    )


def measurements(open_table: OpenTable, until: str | None) -> Sequence[Document] | None:
    """The audit of the last runs up to a data date; None when no check has ever written one."""
    within = "true"
    if until is not None:
        day = datetime.date.fromisoformat(until)
        within = f"data_date <= DATE '{day}' AND data_date > DATE '{day - _YEAR}'"
    return _query(
        open_table,
        RESULTS,
        f"""
        WITH runs AS (
            SELECT run_id, max(data_date) AS day FROM found WHERE {within}
            GROUP BY run_id ORDER BY day DESC, run_id DESC LIMIT {RUNS_IN_TREND}
        )
        SELECT run_id, CAST(data_date AS VARCHAR) AS data_date, step, round, attempt, dataset, expectation, "column",
               success, observed, expected, CAST(measured_at AS VARCHAR) AS measured_at
        FROM found WHERE {within} AND run_id IN (SELECT run_id FROM runs)
        """,  # noqa: S608  dates alone are put in
    )


def _query(open_table: OpenTable, path: str, sql: str) -> list[Document] | None:
    try:
        table = open_table(path)
    except TableNotFoundError:
        return None
    answer = QueryBuilder().register("found", table).execute(sql).read_all()
    columns = [answer.column(name).to_pylist() for name in answer.column_names]
    return [dict(zip(answer.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def _head(platform: Platform, wanted: str) -> Head:
    try:
        now = run.progress(platform, run.find(platform, wanted))
    except OpsError:
        if _RUN_ID.fullmatch(wanted) and _receipt_keys(platform, wanted):
            # Step Functions forgets an execution after 90 days; the lake does not
            return Head(
                run_id=wanted,
                data_date=None,
                status="its execution is no longer known",
                execution_arn=None,
                started=None,
                ended=None,
                redrives=None,
            )
        raise
    if now.run_id is None:
        raise OpsError(f"execution {now.execution_arn} has opened no run: `assay explain` says how it stands")
    return Head(
        run_id=_checked(now.run_id),
        data_date=None,
        status=now.status,
        execution_arn=now.execution_arn,
        started=_minutes(now.started),
        ended=_minutes(now.ended),
        redrives=now.redrive_count,
        failed_in=now.failure.state if now.failure else None,
        error=now.failure.error if now.failure else None,
        runbook=now.failure.runbook if now.failure else None,
    )


def _receipt_keys(platform: Platform, run_id: str) -> list[str]:
    """Keys of the run's receipts: runs/<run_id>/<step>/<subject>/<attempt>.json."""
    pages = platform.access.s3.get_paginator("list_objects_v2").paginate(
        Bucket=platform.lake_bucket, Prefix=f"runs/{run_id}/"
    )
    found = [each["Key"] for page in pages for each in page.get("Contents", [])]
    return [key for key in found if key.count("/") == 4 and key.endswith(".json")]


def _data_date(store: Lake, keys: Sequence[str]) -> str | None:
    """The run's data date, as the request of one of its job runs says it."""
    for key in keys:
        request: Json = store.read(key.replace("runs/", "requests/", 1)) or {}
        if isinstance(request.get("data_date"), str):
            return datetime.date.fromisoformat(request["data_date"]).isoformat()
    return None


def _checked(run_id: str) -> str:
    """A run id that may stand in SQL and in a file's name."""
    if not _RUN_ID.fullmatch(run_id):
        raise OpsError(f"run {run_id!r}: not a UTC time and a UUID; `assay runs` lists executions")
    return run_id


def _minutes(moment: datetime.datetime | None) -> str | None:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else None
