"""Evidence as one HTML file that loads nothing and runs nothing.

Source: ops/report/templates; the look is that of contracts/templates.
"""

from __future__ import annotations

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from ops.report.evidence import LAYERS
from ops.report.model import Evidence, Gate

_TONES = {"PASS": "good", "WARN": "warning", "PASS_WITH_WAIVER": "waived", "FAIL": "bad", "no verdict": "bad"}


def render(evidence: Evidence) -> str:
    """The page."""
    return _template().render(evidence=evidence, lead=lead(evidence))


def tone(verdict: str) -> str:
    """The colour of a verdict."""
    return _TONES.get(verdict, "none")


def lead(evidence: Evidence) -> str:
    """How the run stands, in one sentence."""
    head = evidence.head
    closed = next((gate for gate in evidence.gates if tone(gate.verdict) == "bad"), None)
    if closed is not None:
        return _closed(closed)
    if head.error:
        return f"Failed{f' in {head.failed_in}' if head.failed_in else ''}: {head.error}."
    passed = [gate.layer for gate in evidence.gates if gate.checks]
    warned = sum(group.failed for gate in evidence.gates for check in gate.checks[:1] for group in check.groups)
    waived = sum(group.waived for gate in evidence.gates for check in gate.checks[:1] for group in check.groups)
    gates = "All gates passed" if len(passed) == len(LAYERS) else f"Passed so far: {', '.join(passed) or 'no gate'}"
    more = [f"{warned} {_plural('warning', warned)}"] * bool(warned) + [f"{waived} waived"] * bool(waived)
    return gates + (f", with {' and '.join(more)}" if more else "") + "."


def _closed(gate: Gate) -> str:
    check = gate.checks[0]
    if check.verdict is None:
        where = f" ({check.attempt.where})" if check.attempt.where else ""
        return f"The {gate.layer} gate has no verdict: its check ended in {check.attempt.error or 'an error'}{where}."
    return (
        f"The {gate.layer} gate is closed: {check.failed:,} of {check.results:,} "
        f"{_plural('expectation', check.results)} failed."
    )


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


@cache
def _template() -> Template:
    templates = Environment(
        loader=ChoiceLoader([PackageLoader("ops.report"), PackageLoader("contracts")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals.update(tone=tone)
    return templates.get_template("report.html.j2")
