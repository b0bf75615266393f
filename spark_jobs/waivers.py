"""Waivers as a check honours them: a failing expectation that one names counts as none, and says so."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.waiving import may_be_waived, result_name
from spark_jobs.expectations import Result
from spark_jobs.request import Waiver


def passed_over(results: Sequence[Result], waivers: Sequence[Waiver]) -> tuple[tuple[Result, ...], tuple[Waiver, ...]]:
    """The results, each with `waived`, and the waivers that passed over one.

    A row rule is never passed over, whatever a waiver names.
    """
    failed = {_name(each) for each in results if not each["success"] and may_be_waived(each["expectation"])}
    used = tuple(each for each in waivers if each.expectation in failed)
    named = {each.expectation for each in used}
    marked = tuple(
        {
            **each,
            "waived": not each["success"] and may_be_waived(each["expectation"]) and _name(each) in named,
        }
        for each in results
    )
    return marked, used


def _name(result: Result) -> str:
    return result_name(result["dataset"], result["expectation"], result["column"])
