"""A closed gate: whether it holds, and what people are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.waiving import result_name
from lambdas.payloads import Json

PASSES = ("PASS", "WARN", "PASS_WITH_WAIVER")
FAILURES_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a gate was given.

    Attributes:
        verdict: the check's word; None when there was none.
        redrive_count: the execution's when it was measured.
        receipt: the key of the check's receipt; None when there was none.
    """

    verdict: str | None
    redrive_count: int
    receipt: str | None

    @classmethod
    def read(cls, check: object) -> Verdict:
        """The verdict in a check's output; what is missing or odd counts as no verdict, measured before any redrive."""
        output = check if isinstance(check, Mapping) else {}
        verdict, count, receipt = (output.get(name) for name in ("verdict", "verdict_redrive_count", "receipt"))
        return cls(
            verdict=verdict if isinstance(verdict, str) else None,
            redrive_count=int(count) if isinstance(count, int | float) else 0,
            receipt=receipt if isinstance(receipt, str) else None,
        )


def holds(verdict: Verdict, redrive_count: int) -> bool:
    """Whether the gate still holds the run.

    A verdict measured under the present redrive count holds: nobody has looked at it yet. Once somebody has redriven
    the execution, it is out of date, and the layers are written and measured again.
    """
    return verdict.redrive_count >= redrive_count


def failures(receipt: Mapping[str, Any] | None) -> list[str]:
    """The failing expectations of a check's receipt that no waiver passed over, errors first, each in one line.

    Each starts with the name that `assay gate waive` takes.
    """
    results = (receipt or {}).get("results") or []
    failed = [
        each
        for each in results
        if isinstance(each, Mapping) and each.get("success") is False and each.get("waived") is not True
    ]
    failed.sort(key=lambda each: each.get("severity") != "error")
    return [
        f"{result_name(str(each.get('dataset')), str(each.get('expectation')), each.get('column'))} "
        f"({each.get('severity')}): observed {each.get('observed')}, expected {each.get('expected')}"
        for each in failed
    ]


def sentence(gate: str, run_id: str, verdict: Verdict, failed: list[str]) -> str:
    """Why a gate is closed and how to go on; the cause that people and `assay explain` read."""
    named = "; ".join(failed[:FAILURES_NAMED]) or "no failing expectation is on record"
    more = f"; and {len(failed) - FAILURES_NAMED} more" if len(failed) > FAILURES_NAMED else ""
    return (
        f"{gate} is closed for run {run_id}: verdict {verdict.verdict or 'missing'}. {named}{more}. "
        f"Receipt: {verdict.receipt or 'none'}. No shared silver or gold table has changed. Put the source, the "
        "contract or the code right, or waive the expectation for this run (`assay gate waive`), or reject the rows "
        "that fail it (`assay gate reject`), then redrive the execution: it starts again at ingest"
    )


def notice(gate: str, cause: str, run_id: str, execution_arn: str, redrive_count: int) -> Json:
    """What the topic carries."""
    return {
        "kind": "QualityGateClosed",
        "gate": gate,
        "run_id": run_id,
        "execution_arn": execution_arn,
        "redrive_count": redrive_count,
        "cause": cause,
    }
