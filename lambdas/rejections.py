"""Rejections: who refuses the rows that fail which expectation, when their source will never be right.

The rows go to quarantine when the run is redriven, and the others go on; a waiver lets them all pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts import contract as contracts
from contracts.errors import InvalidRequestError, SourceUnavailableError
from contracts.waiving import fails_by_row, may_be_waived, result_name
from lambdas.intervals import iso
from lambdas.ledger import SUPERSEDED, Ledger, Notice, Rejection, Run
from lambdas.names import WHOLE
from lambdas.outcomes import name_of
from lambdas.pleas import known_parts, open_run, parts_of, said

ReadReceipt = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a person asks for.

    Attributes:
        expectations: whose failing rows are refused; none: all of those that closed the gate and speak of single rows.
        now: UTC, in whole seconds.
    """

    run_id: str
    expectations: tuple[str, ...]
    reason: str
    by: str
    now: datetime


def reject(ledger: Ledger, read_receipt: ReadReceipt, refusal: Refusal) -> tuple[list[Rejection], list[str]]:
    """Write the rejections, all or none; none is ever changed.

    Args:
        ledger: the ledger.
        read_receipt: the receipt at a key of the lake, None when there is none.
        refusal: what is asked for.
    Returns:
        The rejections, and the failures that closed the gate and that they do not touch.
    Raises:
        InvalidRequestError: what was asked for cannot be rejected; the sentence says why, and what to do.
        SourceUnavailableError: the ledger did not take it.
    """
    reason, by = said("reason", refusal.reason), said("by", refusal.by)
    run = _live_run(ledger, refusal.run_id)
    failed = _failed(ledger, read_receipt, run)
    names = [name.replace(", ", ",") for name in refusal.expectations] or _closing(run, failed)
    known = {each.expectation: each for each in rejections_of(ledger, run)}
    made = [
        Rejection(run_id=run.run_id, expectation=name, reason=reason, by=by, made_at=iso(refusal.now))
        for name in dict.fromkeys(names)
    ]
    left = [name for name in failed if name not in names]
    if all(known.get(each.expectation) == _written(each) for each in made):
        return [_written(each) for each in made], left  # after a lost answer they are there already
    for each in made:
        _check(each.expectation, failed, known.get(each.expectation))
    if not ledger.write(*(each.create() for each in made)):
        raise SourceUnavailableError(f"run {run.run_id}: the ledger did not take the rejection; ask again")
    return [_written(each) for each in made], left


def rejections_of(ledger: Ledger, run: Run) -> list[Rejection]:
    """What holds for a run: its own rejections, and those of the run that it supersedes; one an expectation."""
    runs = [run.run_id, *ledger.superseded_by(run)]
    found = {each.expectation: each for run_id in runs for each in ledger.rejections(run_id)}
    return sorted(found.values(), key=lambda each: (each.made_at, each.expectation))


def concerning(rejections: Sequence[Rejection], step: str, subject: str) -> list[Rejection]:
    """Those whose rows a step writes: ingest a source's, bronze_to_silver all of silver's."""
    layers = {"ingest": "bronze", "bronze_to_silver": "silver"}
    found = []
    for each in rejections:
        contract = contracts.load(_dataset(each.expectation))
        if contract.layer == layers.get(step) and (step != "ingest" or contract.source_name == subject):
            found.append(each)
    return found


def may_be_rejected(name: str) -> bool:
    """Whether a name is that of an expectation whose failing rows can be rejected."""
    parts = parts_of(name)
    if parts is None or parts[0] not in contracts.datasets():
        return False
    return fails_by_row(parts[1]) and contracts.load(parts[0]).layer in {"bronze", "silver"}


def held_at(ledger: Ledger, run_id: str) -> Notice | None:
    """The gate that holds a run, as people were last told; None when no gate does, or a redrive went on since."""
    told = max(ledger.notices(run_id), key=lambda each: (each.round, each.redrive_count), default=None)
    if told is None or any(each.round > told.round for each in ledger.next_rounds(run_id)):
        return None
    return told


def _written(rejection: Rejection) -> Rejection:
    return Rejection(**{**rejection.values(), "rev": 1})


def _live_run(ledger: Ledger, run_id: str) -> Run:
    run = open_run(ledger, run_id, "reject")
    if run.status == SUPERSEDED:
        raise InvalidRequestError(
            f"run {run_id} was superseded by run {run.superseded_by}: reject in that one, if a gate holds it"
        )
    return run


def _failed(ledger: Ledger, read_receipt: ReadReceipt, run: Run) -> dict[str, str]:
    """What failed at the gate that holds the run, and was not waived: name to severity.

    Raises:
        InvalidRequestError: no gate holds the run, or its check left no word.
    """
    held = held_at(ledger, run.run_id)
    if held is None:
        raise InvalidRequestError(
            f"run {run.run_id} is not held at a gate: rows are rejected for what a gate has measured. `assay explain` "
            "says how the run stands"
        )
    step = ledger.step(run.run_id, f"check_{held.gate.removesuffix('Gate').lower()}", WHOLE)
    receipt = read_receipt(name_of(step).receipt_key) if step and step.round == held.round else None
    if receipt is None:
        raise InvalidRequestError(
            f"run {run.run_id}: {held.gate} closed without a receipt that says what failed; redrive the execution, "
            "which measures again"
        )
    return {
        result_name(str(each["dataset"]), str(each["expectation"]), each.get("column")): str(each.get("severity"))
        for each in receipt.get("results") or []
        if each.get("success") is False and each.get("waived") is not True
    }


def _closing(run: Run, failed: Mapping[str, str]) -> list[str]:
    """What can be rejected of the failures that closed the gate: the errors, or all where none is one."""
    closing = [name for name, severity in failed.items() if severity == "error"] or list(failed)
    names = [name for name in closing if may_be_rejected(name)]
    if not names:
        raise InvalidRequestError(
            f"run {run.run_id}: none of what failed can be told row by row of a source: {', '.join(closing) or 'none'}."
            " Waive it (`assay gate waive`), mend the contract or the code, or supersede the run"
        )
    return names


def _check(name: str, failed: Mapping[str, str], known: Rejection | None) -> None:
    """Nothing, when the rows that fail an expectation can be rejected.

    Raises:
        InvalidRequestError: they cannot; what to do instead.
    """
    dataset, kind = known_parts(name)
    if dataset not in contracts.datasets():
        raise InvalidRequestError(f"{name}: there is no dataset {dataset}; there are {', '.join(contracts.datasets())}")
    contract = contracts.load(dataset)
    if not may_be_waived(kind):
        raise InvalidRequestError(
            f"{name} is a rule of the contract, and a row that breaks it never gets past ingest: have the source, the "
            "contract or the code put right, then redrive"
        )
    if contract.layer not in {"bronze", "silver"}:
        raise InvalidRequestError(
            f"{name}: rows of {contract.layer} are computed, no source brought them: reject the rows of silver that "
            "they come from where those fail, waive it (`assay gate waive`), or mend the code and supersede the run"
        )
    names = {result_name(dataset, each.type, each.column) for each in contract.expectations}
    if name not in names:
        raise InvalidRequestError(
            f"{name}: {dataset} {contract.version} has no such expectation; there are {', '.join(sorted(names))}"
        )
    if not fails_by_row(kind):
        raise InvalidRequestError(
            f"{name} speaks of the table, no single row fails it: waive it (`assay gate waive`), or supersede the run"
        )
    if known is not None:
        raise InvalidRequestError(
            f"{name} was rejected by {known.by} at {known.made_at}: redrive the execution: its rows go to quarantine"
        )
    if name not in failed:
        raise InvalidRequestError(
            f"{name} did not fail in the check that closed the gate; there failed {', '.join(failed) or 'nothing'}"
        )


def _dataset(name: str) -> str:
    return name.split(":")[0]
