"""EmitLineageAndMetrics: the run's receipts as OpenLineage events and CloudWatch metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import single_metric

from lambdas import aws, runtime
from lambdas.intervals import from_iso
from lambdas.lineage import Places, events, ndjson
from lambdas.measurements import measurements
from lambdas.payloads import Json, text_of, texts_of
from lambdas.receipts import Lake
from lambdas.settings import LineageSettings


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Emit what the receipts say; doing it twice writes the same object and counts the metrics twice.

    Args:
        event: run_id, receipts.
    """
    settings, keys = runtime.settings(LineageSettings), texts_of(event, "receipts")
    run = runtime.ledger().live_run(text_of(event, "run_id"))
    receipts = Lake(aws.s3(), settings.lake_bucket).receipts(keys)
    found = events(run, receipts, Places(stage=settings.stage, bucket=settings.lake_bucket))
    text, left_out = ndjson(found)
    key = f"lineage/{run.run_id}.ndjson"
    aws.s3().put_object(Bucket=settings.lake_bucket, Key=key, Body=text.encode(), ContentType="application/x-ndjson")
    runtime.count("LineageEventsLeftOut", left_out)
    opened, now = from_iso(run.opened_at), datetime.now(UTC)
    for each in measurements(run.workflow, receipts, (now - opened).total_seconds() if opened else 0.0):
        with single_metric(name=each.name, unit=each.unit, value=each.value, namespace=runtime.NAMESPACE) as metric:
            metric.add_dimension(name=each.dimension, value=each.of)
            metric.add_dimension(name="stage", value=settings.stage)
            metric.add_metadata(key="run_id", value=run.run_id)
    return {"lineage": key, "events": len(found) - left_out}
