"""What a run did, from its receipts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lambdas.intervals import from_iso, iso
from lambdas.ledger import SUCCEEDED, Run
from lambdas.payloads import Json

LAYERS = ("bronze/", "silver/", "gold/")


def shared_tables(receipts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Rows that the run wrote, by shared table; candidates lie elsewhere than their table's name says."""
    rows: dict[str, int] = {}
    for receipt in receipts:
        for each in receipt.get("tables") or []:
            if str(each["table"]).startswith(LAYERS) and each.get("path", each["table"]) == each["table"]:
                rows[each["table"]] = int(each["rows"])
    return rows


def committed_tables(receipts: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Whether the run itself committed to it, by shared table; without those that no run has committed to yet."""
    found: dict[str, bool] = {}
    for receipt in receipts:
        for each in receipt.get("tables") or []:
            table, after = str(each["table"]), each.get("version_after")
            if table.startswith(LAYERS) and each.get("path", table) == table and after is not None:
                found[table] = found.get(table, False) or after != each.get("version_before")
    return found


def seconds_of(receipt: Mapping[str, Any]) -> float:
    """How long a job ran, by its receipt."""
    started, ended = from_iso(receipt.get("started_at")), from_iso(receipt.get("ended_at"))
    return round((ended - started).total_seconds(), 3) if started and ended else 0.0


def summarise(run: Run, keys: Sequence[str], receipts: Sequence[Mapping[str, Any]], now: datetime) -> Json:
    """The object at runs/<run_id>/run.json."""
    opened = from_iso(run.opened_at) or now
    return {
        "run_id": run.run_id,
        "status": SUCCEEDED,
        "execution_arn": run.execution_arn,
        "workflow": run.workflow,
        "data_date": run.data_date,
        "interval": {"start": run.interval_start, "end": run.interval_end},
        "opened_at": run.opened_at,
        "closed_at": iso(now),
        "seconds": round((now - opened).total_seconds(), 3),
        "rows": shared_tables(receipts),
        "steps": [
            {
                "step": receipt["step"],
                "subject": receipt["subject"],
                "attempt": receipt["attempt"],
                "round": receipt["round"],
                "verdict": receipt.get("verdict"),
                "seconds": seconds_of(receipt),
                "receipt": key,
            }
            for key, receipt in zip(keys, receipts, strict=True)
        ],
    }
