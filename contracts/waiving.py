"""What the results of a check are called, which of them a waiver may pass over, and whose rows may be rejected."""

from __future__ import annotations

from contracts.expectation_types import ROW_TYPES

ROW_RULE = "row_rule_"


def result_name(dataset: str, expectation: str, column: str | None) -> str:
    """`dataset:expectation[:column]`, which holds no space: the gate says it, and `assay gate waive` takes it."""
    parts = [dataset, expectation, *([column.replace(", ", ",")] if column else [])]
    return ":".join(parts)


def may_be_waived(expectation: str) -> bool:
    """Whether it is an expectation: a row that breaks its contract is a violation, and stays one."""
    return not expectation.startswith(ROW_RULE)


def fails_by_row(expectation: str) -> bool:
    """Whether each row keeps or fails it by itself, so that the rows that fail it can be rejected."""
    return expectation in ROW_TYPES
