"""A keyword that cannot be judged alike by Python and Spark is refused when the contract is loaded."""

import re

import pytest

from contracts.errors import UnsupportedKeywordError
from contracts.keywords import check_column, check_row
from contracts.shapes import shape_of


def of(kind, **rules):
    return {"type": kind, **rules}


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        pytest.param(of("number", multipleOf=0), "multipleOf with 0", id="multipleOf-nothing"),
        pytest.param(of("integer", multipleOf=5e-324), "multipleOf with 5e-324", id="multipleOf-too-fine"),
        pytest.param(of("number", contains=1), "contains is not supported", id="unknown"),
        pytest.param(of("object", properties={}), "properties must name", id="empty-object"),
        pytest.param(of("object", properties={"a": of("string")}), "additionalProperties must be false", id="open-object"),
        pytest.param(
            of("object", properties={"a": of("string")}, additionalProperties=False), "required must name a", id="may-be-missing"
        ),
        pytest.param(
            of("object", properties={"a": of("string"), "A": of("string")}, additionalProperties=False, required=["a", "A"]),
            "properties: a and A differ only in case",
            id="same-name",
        ),
        pytest.param(of("array"), "items must give the type", id="array-of-anything"),
        pytest.param(of("array", items=True), "items must give the type", id="array-of-true"),
        pytest.param(of("string", format="idn-email"), "format with idn-email", id="format"),
        pytest.param(of("string", format="iri"), "format with iri", id="iri"),
        pytest.param(of(["string", "number"]), "type", id="two-types"),
        pytest.param(of("string", anyOf=[of("strung")]), "type must be", id="no-such-type"),
        pytest.param({"minimum": 1}, "type", id="no-type"),
        pytest.param(of("number", minimum="1"), "minimum with '1': must be a number", id="bound-of-text"),
        pytest.param(of("number", minimum=float("inf")), "minimum with inf: must be a number", id="infinite"),
        pytest.param(of("integer", maximum=2**63), "maximum with 9223372036854775808 is beyond", id="beyond-64-bit"),
        pytest.param(
            of("number", maximum=1000, **{"x-assay": {"type": "decimal(5,2)"}}), "maximum with 1000 is beyond", id="beyond-decimal"
        ),
        pytest.param(of("string", minLength=-1), "minLength with -1", id="negative-length"),
        pytest.param(of("string", maxLength=1.5), "maxLength with 1.5", id="broken-length"),
        pytest.param(of("string", then={}), "then decides nothing", id="then-without-if"),
        pytest.param(of("string", anyOf=[]), "anyOf must be a list", id="any-of-none"),
        pytest.param(of("string", format="date", minLength=1), "minLength cannot be judged: the column is stored as date", id="stored"),
        pytest.param(of("string", format="date", enum=["20240229"]), "enum cannot be judged", id="enum-of-dates"),
        pytest.param(of("string", pattern=r"^\d+$"), "pattern", id="unicode-digits"),
        pytest.param(of("string", pattern=r"^(a)\1$"), "pattern", id="back-reference"),
        pytest.param(of("string", pattern=r"^(?=a).*$"), "pattern", id="look-ahead"),
        pytest.param(of("string", pattern=r"^(?i)a$"), "pattern", id="flags"),
        pytest.param(of("string", pattern="^(a$"), "pattern", id="unbalanced"),
        pytest.param(of("string", pattern="^[a&&b]$"), "pattern", id="intersection"),
    ],
)  # fmt: skip
def test_an_unsupported_keyword_is_refused_by_name(rules, named):
    with pytest.raises(UnsupportedKeywordError, match=f"fx: column USD: (?:.*: )?keyword {named}"):
        check_column("fx: column USD", rules)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        pytest.param("(a+)+$", "can match what follows in another repeat", id="nested-repeats"),
        pytest.param("^(a|a)*$", "alternatives inside a repeat can begin alike", id="same-alternatives"),
        pytest.param("^(a|ab)*$", "alternatives inside a repeat can begin alike", id="alternatives-that-overlap"),
        pytest.param("^(.*a){20}$", "let what follows begin with another character", id="counted-rounds"),
        pytest.param("^(a?)*$", "repeats what can be empty", id="empty-rounds"),
        pytest.param("^a*a*$", "give the repeat an upper bound", id="repeats-side-by-side"),
        pytest.param("^.*.*=.*$", "give the repeat an upper bound", id="anything-twice"),
        pytest.param("a+b", "begin the pattern with \\^", id="tried-everywhere"),
        pytest.param("^a+|b+$", "begin the pattern with \\^", id="alternative-tried-everywhere"),
        pytest.param("^x{0,40}x{0,40}x$", "1,681 ways, and 1,000 are allowed", id="many-ways"),
        pytest.param("^a{1001}$", "no more than 1,000", id="large-count"),
    ],
)
def test_a_pattern_that_can_backtrack_for_ever_is_refused(pattern, reason):
    with pytest.raises(UnsupportedKeywordError, match=f"fx: column USD: keyword pattern with .*: .*{reason}"):
        check_column("fx: column USD", {"type": "string", "pattern": pattern})


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{3}$",
        "^eurofxref-[A-Za-z0-9_-]+[.]csv$",
        r"^(?:a|b)?\.x{2,3}$",
        "^[^,]*$",
        "F|O|P",
        "^[a-z]+(?:-[a-z]+)*$",
        r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$",
        r"^[^@]+@[^@]{1,255}\.[^@.]{2,24}$",
        "^(?:ab|cd)*$",
    ],
)
def test_a_plain_pattern_is_accepted(pattern):
    check_column("fx: column USD", {"type": ["string", "null"], "pattern": pattern})


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"type": "object", "properties": {}}, id="open"),
        pytest.param({"type": "array", "additionalProperties": False}, id="not-a-row"),
        pytest.param({"type": "object", "additionalProperties": False, "allOf": []}, id="allOf-of-none"),
        pytest.param({"type": "object", "additionalProperties": False, "minProperties": 1}, id="minProperties"),
    ],
)
def test_a_row_that_is_not_closed_is_refused(row):
    with pytest.raises(UnsupportedKeywordError):
        check_row("fx", row)


CLOSED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["currency"],
    "properties": {"currency": of("string"), "rate": of("number")},
}


@pytest.mark.parametrize(
    ("across", "named"),
    [
        pytest.param({"not": {"properties": {"euro": {}}}}, "not: keyword properties or required names euro", id="unknown"),
        pytest.param({"anyOf": [{"required": ["rate"]}]}, "anyOf 0: keyword properties or required names rate", id="optional"),
        pytest.param({"if": {"const": {}}}, "if: keyword const cannot be judged of a whole row", id="whole-row"),
        pytest.param({"allOf": [{"minProperties": 1}]}, "allOf 0: keyword minProperties is not supported", id="unsupported"),
        pytest.param(
            {"allOf": [{"properties": {"currency": {"pattern": "(a+)+"}}}]},
            "allOf 0: property currency: keyword pattern",
            id="pattern",
        ),
    ],
)  # fmt: skip
def test_a_rule_across_columns_that_cannot_be_judged_is_refused(across, named):
    with pytest.raises(UnsupportedKeywordError, match=f"fx: row: {named}"):
        check_row("fx", CLOSED | across)


def test_columns_that_differ_only_in_case_are_refused():
    columns = {"rate": of("number"), "Rate": of("number")}
    with pytest.raises(UnsupportedKeywordError, match="columns rate and Rate differ only in case"):
        check_row("fx", CLOSED | {"properties": columns, "required": []})


def test_a_cell_of_text_holds_no_array():
    with pytest.raises(UnsupportedKeywordError, match="keyword type with array: a cell of text"):
        check_column("fx: column USD", of("array", items=of("string")), raw=True)


@pytest.mark.parametrize(
    ("rules", "stored"),
    [
        pytest.param(of(["integer", "number", "null"]), "double", id="number"),
        pytest.param(of("array", items=of(["integer", "null"])), "array<bigint>", id="array"),
        pytest.param(
            of(
                "object",
                required=["at", "tags"],
                additionalProperties=False,
                properties={"at": of("string", format="date-time"), "tags": of("array", items=of("string"))},
            ),
            "struct<at:timestamp,tags:array<string>>",
            id="object",
        ),
        pytest.param(of("integer", **{"x-assay": {"type": "decimal(20,0)"}}), "decimal(20,0)", id="decimal"),
    ],
)
def test_a_column_is_stored_as_its_schema_says(rules, stored):
    check_column("fx: column USD", rules)
    assert shape_of("fx: column USD", rules).stored == stored


@pytest.mark.parametrize(
    ("rules", "stored"),
    [
        pytest.param(of("string"), "int", id="text-as-number"),
        pytest.param(of("integer"), "decimal(9,2)", id="integer-as-fraction"),
        pytest.param(of("string"), "date", id="any-text-as-date"),
        pytest.param(of("number"), "decimal(39,0)", id="too-many-digits"),
    ],
)
def test_a_type_that_does_not_keep_every_value_is_refused(rules, stored):
    with pytest.raises(UnsupportedKeywordError, match=f"x-assay type {re.escape(stored)} cannot store a"):
        check_column("fx: column USD", rules | {"x-assay": {"type": stored}})
