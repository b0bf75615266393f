"""CloseRun: leave a summary and mark the run SUCCEEDED; its answer is the execution's output."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contracts.errors import SourceUnavailableError
from lambdas import aws, runtime
from lambdas.ledger import OPEN, SUCCEEDED
from lambdas.payloads import Json, text_of, texts_of
from lambdas.receipts import Lake
from lambdas.settings import LakeSettings
from lambdas.summary import summarise


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Close a run; closing it twice answers the same.

    Args:
        event: run_id, receipts of the last round.
    """
    settings, ledger, keys = runtime.settings(LakeSettings), runtime.ledger(), texts_of(event, "receipts")
    run = ledger.live_run(text_of(event, "run_id"))
    lake, key = Lake(aws.s3(), settings.lake_bucket), f"runs/{run.run_id}/run.json"
    summary = lake.create(key, summarise(run, keys, lake.receipts(keys), datetime.now(UTC)))
    if run.status == OPEN and not ledger.change(run, status=SUCCEEDED, closed_at=summary["closed_at"]):
        raise SourceUnavailableError(f"run {run.run_id} changed while it was closed; ask again")
    runtime.log("run closed", status=SUCCEEDED, rows=summary["rows"], data_date=run.data_date)
    fields = ("status", "run_id", "data_date", "rows", "seconds")
    return {field: summary[field] for field in fields} | {"summary": key}
