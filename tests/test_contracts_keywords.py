"""A keyword that cannot be judged alike by Python and Spark is refused when the contract is loaded."""

import pytest

from contracts.errors import UnsupportedKeywordError
from contracts.keywords import check_column, check_row


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        pytest.param({"type": "number", "multipleOf": 0.1}, "multipleOf", id="multipleOf"),
        pytest.param({"type": "object", "properties": {}}, "properties", id="nested"),
        pytest.param({"type": "string", "format": "email"}, "format with email", id="format"),
        pytest.param({"type": ["string", "number"]}, "type", id="two-types"),
        pytest.param({"minimum": 1}, "type", id="no-type"),
        pytest.param({"type": "string", "pattern": r"^\d+$"}, "pattern", id="unicode-digits"),
        pytest.param({"type": "string", "pattern": r"^(a)\1$"}, "pattern", id="back-reference"),
        pytest.param({"type": "string", "pattern": r"^(?=a).*$"}, "pattern", id="look-ahead"),
        pytest.param({"type": "string", "pattern": r"^(?i)a$"}, "pattern", id="flags"),
        pytest.param({"type": "string", "pattern": "^(a$"}, "pattern", id="unbalanced"),
    ],
)
def test_an_unsupported_keyword_is_refused_by_name(rules, named):
    with pytest.raises(UnsupportedKeywordError, match=f"fx: column USD: keyword {named}"):
        check_column("fx: column USD", rules)


@pytest.mark.parametrize(
    "pattern", ["^[A-Z]{3}$", "^eurofxref-[A-Za-z0-9_-]+[.]csv$", r"^(?:a|b)?\.x{2,3}$", "^[^,]*$", "F|O|P"]
)
def test_a_plain_pattern_is_accepted(pattern):
    check_column("fx: column USD", {"type": ["string", "null"], "pattern": pattern})


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"type": "object", "properties": {}}, id="open"),
        pytest.param({"type": "array", "additionalProperties": False}, id="not-a-row"),
        pytest.param({"type": "object", "additionalProperties": False, "allOf": []}, id="allOf"),
    ],
)
def test_a_row_that_is_not_closed_is_refused(row):
    with pytest.raises(UnsupportedKeywordError):
        check_row("fx", row)
