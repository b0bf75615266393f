"""What checks of earlier days observed, for the expectations that compare with it.

Each run counts with its last measurement, and only with what passed or was waived: a day that a gate refused says
nothing of what is usual.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import SourceUnavailableError
from spark_jobs.expectations import History
from spark_jobs.pipeline_kinds import PIPELINE_KINDS, Trend
from spark_jobs.quality_results import DATASET
from spark_jobs.storage import Store

REACH = timedelta(days=400)  # what is older says little of today, and need not be read
_COLUMNS = ["run_id", "data_date", "dataset", "expectation", "column", "success", "waived", "observed", "measured_at"]


def earlier_results(store: Store, judged: Iterable[Contract], data_date: date) -> History:
    """What runs of days before `data_date` observed, newest day first.

    Raises:
        SourceUnavailableError: the audit cannot be read.
    """
    wanted = {
        (contract.dataset, expectation.type, expectation.column)
        for contract in judged
        for expectation in contract.expectations
        if isinstance(PIPELINE_KINDS.get(expectation.type), Trend)
    }
    if not wanted:
        return {}
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(
        _rows(store, {dataset for dataset, _, _ in wanted}, data_date), key=lambda row: row["measured_at"]
    ):
        key = (row["dataset"], row["expectation"], row["column"])
        if key in wanted:
            last[(*key, row["run_id"])] = row
    found: dict[tuple[str, str, str | None], list[Any]] = {}
    for row in sorted(last.values(), key=lambda row: (row["data_date"], row["measured_at"]), reverse=True):
        if row["success"] or row["waived"]:
            key = (row["dataset"], row["expectation"], row["column"])
            found.setdefault(key, []).append(json.loads(row["observed"]))
    return found


def _rows(store: Store, datasets: Iterable[str], data_date: date) -> list[dict[str, Any]]:
    # imported here, because only a contract that compares needs it
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    table = contracts.load(DATASET).table
    try:
        audit = DeltaTable(f"{store.root}/{table}", storage_options=store.options())
        rows: list[dict[str, Any]] = audit.to_pyarrow_table(
            columns=_COLUMNS,
            filters=[
                ("dataset", "in", sorted(datasets)),
                ("data_date", "<", data_date),
                ("data_date", ">=", data_date - REACH),
            ],
        ).to_pylist()
    except TableNotFoundError:
        return []
    except (DeltaError, OSError) as error:
        raise SourceUnavailableError(f"{table}: what earlier runs observed cannot be read: {error}") from error
    return rows
