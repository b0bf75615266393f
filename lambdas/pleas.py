"""What a person asks for a run that a gate holds: the parts that waivers and rejections have in common."""

from __future__ import annotations

import re

from contracts.errors import InvalidRequestError
from lambdas.ledger import SUCCEEDED, Ledger, Run

MOST_CHARACTERS = 500
_NAME = re.compile(r"(?P<dataset>[a-z][a-z0-9_]*):(?P<type>[a-z][A-Za-z0-9_]*)(:[A-Za-z0-9_,*]+)?")


def open_run(ledger: Ledger, run_id: str, verb: str) -> Run:
    """The run, which has not succeeded.

    Args:
        ledger: the ledger.
        run_id: the run's id.
        verb: what a person would do.
    Raises:
        InvalidRequestError: there is none such, or its gates are passed.
    """
    run = ledger.run(run_id)
    if run is None:
        raise InvalidRequestError(f"run {run_id!r} is not in the ledger; `assay explain` names the run of an execution")
    if run.status == SUCCEEDED:
        raise InvalidRequestError(f"run {run_id} has SUCCEEDED: its gates are passed, and there is nothing to {verb}")
    return run


def parts_of(name: str) -> tuple[str, str] | None:
    """The dataset and the type of the expectation that a name means; None when it is no such name."""
    parts = _NAME.fullmatch(name)
    return (parts["dataset"], parts["type"]) if parts else None


def known_parts(name: str) -> tuple[str, str]:
    """The dataset and the type of the expectation that a name means.

    Raises:
        InvalidRequestError: it is no such name.
    """
    parts = parts_of(name)
    if parts is None:
        raise InvalidRequestError(
            f"expectation {name!r} is not <dataset>:<expectation>[:<column>]; copy it from `assay explain`"
        )
    return parts


def said(what: str, text: str) -> str:
    """What a person gives as their reason or name.

    Raises:
        InvalidRequestError: it says nothing, or too much.
    """
    words = text.strip()
    if not words:
        raise InvalidRequestError(f"{what} is empty: auditors read it, so say it")
    if len(words) > MOST_CHARACTERS:
        raise InvalidRequestError(f"{what} has {len(words)} characters; {MOST_CHARACTERS} are the most")
    return words
