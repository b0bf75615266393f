"""Receipts as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.summary import seconds_of, shared_tables


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One metric of one run, under one dimension."""

    name: str
    unit: MetricUnit
    value: float
    dimension: str
    of: str


def measurements(workflow: str, receipts: Iterable[Mapping[str, Any]], run_seconds: float) -> list[Measurement]:
    """Rows in, quarantined and out, and seconds: by source, by table, by step, and of the run."""
    found = []
    receipts = list(receipts)
    for receipt in receipts:
        step, subject, rows = receipt["step"], receipt["subject"], receipt.get("rows")
        found.append(_seconds("StepSeconds", seconds_of(receipt), "step", f"{step}.{subject}"))
        if step == "ingest" and rows:
            found.append(_rows("RowsIn", rows["received"], "source", subject))
            found.append(_rows("QuarantinedRows", rows["quarantined"], "source", subject))
    found += [_rows("RowsOut", rows, "table", table) for table, rows in shared_tables(receipts).items()]
    found.append(_seconds("RunSeconds", run_seconds, "pipeline", workflow))
    return found


def _rows(name: str, value: float, dimension: str, of: str) -> Measurement:
    return Measurement(name=name, unit=MetricUnit.Count, value=value, dimension=dimension, of=of)


def _seconds(name: str, value: float, dimension: str, of: str) -> Measurement:
    return Measurement(name=name, unit=MetricUnit.Seconds, value=value, dimension=dimension, of=of)
