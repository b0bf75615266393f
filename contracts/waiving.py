"""What the results of a check are called, and which of them a waiver may pass over."""

from __future__ import annotations

ROW_RULE = "row_rule_"


def result_name(dataset: str, expectation: str, column: str | None) -> str:
    """`dataset:expectation[:column]`, which holds no space: the gate says it, and `assay gate waive` takes it."""
    parts = [dataset, expectation, *([column.replace(", ", ",")] if column else [])]
    return ":".join(parts)


def may_be_waived(expectation: str) -> bool:
    """Whether it is an expectation: a row that breaks its contract is a violation, and stays one."""
    return not expectation.startswith(ROW_RULE)
