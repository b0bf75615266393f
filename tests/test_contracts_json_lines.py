"""The head of a file of JSON lines is judged before any Spark is paid for."""

import datetime

import pytest
from json_cases import BROKEN, CONTRACT, MALFORMED, WELL_FORMED, contract_of, row

from contracts import landing
from contracts.errors import ContractViolationError
from contracts.json_lines import check_count, line_of, read_head

KEY = "landing/events/2026-07-30.jsonl"


def refused(data, truncated=False, contract=CONTRACT):
    with pytest.raises(ContractViolationError) as caught:
        read_head(contract, KEY, data, truncated)
    error = caught.value
    assert (error.dataset, error.version) == ("events_bronze", "1-0-0")
    assert error.detail.startswith(f"{KEY}: ")
    assert error.detail.endswith("then redrive the execution.")
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in WELL_FORMED.items()])
def test_a_line_of_strict_json_is_read(line):
    assert len(read_head(CONTRACT, KEY, line + b"\n", truncated=False)) == 1


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in MALFORMED.items()])
def test_a_malformed_line_is_refused_with_its_number(line):
    error = refused(row() + b"\n" + line + b"\n")
    assert (error.column, error.rule) == ("*", "layout")
    assert f"{KEY}: line 2: " in error.detail


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nan", "NaN is not JSON"),
        ("minus-infinity", "-Infinity is not JSON"),
        ("key-twice", 'the key "id" is there twice'),
        ("key-twice-in-escapes", 'the key "id" is there twice'),
        ("cut-in-a-string", "Unterminated string"),
        ("cut-before-the-brace", "Expecting ',' delimiter"),
        ("latin-1", "not UTF-8"),
        ("text-after-it", "Extra data"),
        ("a-bracket-after-it", "Extra data"),
        ("high-surrogate-alone", "half a surrogate pair"),
        ("number-of-401-characters", "a number of 401 characters"),
        ("nested-object", "nested deeper than 1"),
        ("nested-100000-deep", "nested deeper than 1"),
        ("array", "not an object"),
        ("tab-in-text", "Invalid control character"),
    ],
)
def test_the_reason_is_said(name, reason):
    assert f"line 1: {reason}" in refused(MALFORMED[name] + b"\n").detail


@pytest.mark.parametrize(
    ("line", "column", "rule"), [pytest.param(*case, id=name) for name, case in BROKEN.items() if name != "no-key"]
)
def test_a_row_that_breaks_the_contract_is_refused_by_rule(line, column, rule):
    error = refused(b"\n" + line + b"\n")
    # jsonschema speaks of a missing key as of the row
    assert (error.column, error.rule) == ("*" if rule == "required" else column, rule)
    assert f"{KEY}: line 2: " in error.detail


def test_values_become_what_they_stand_for():
    line = row(count='"-"', note="null", flag="true", amount="1e2")
    [read] = read_head(CONTRACT, KEY, line + b"\n", truncated=False)
    assert read == {"id": "7", "day": "2026-07-30", "amount": 100.0, "count": None, "note": None, "flag": True}


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        pytest.param(row(), 1, id="no-line-end"),
        pytest.param(b"\xef\xbb\xbf" + row() + b"\n", 1, id="byte-order-mark"),
        pytest.param(row() + b"\r\n" + row() + b"\r\n", 2, id="crlf"),
        pytest.param(b"\n \t\r\n" + row() + b"\n\n", 1, id="blank-lines"),
    ],
)
def test_line_ends_and_blank_lines(data, rows):
    assert len(read_head(CONTRACT, KEY, data, truncated=False)) == rows
    check_count(CONTRACT, KEY, data, truncated=False)


def test_the_cut_last_line_of_a_truncated_head_is_left_out():
    assert len(read_head(CONTRACT, KEY, row() + b"\n" + row()[:9], truncated=True)) == 1
    assert "not JSON lines" in refused(row()[:9], truncated=True).detail


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n"], ids=["empty", "line-end", "mark", "blank"])
def test_a_file_without_rows_has_too_few(data):
    assert refused(data).rule == "minimum_rows"
    assert read_head(CONTRACT, KEY, data, truncated=False, minimum_rows=0) == []
    with pytest.raises(ContractViolationError, match="0 rows, the contract wants 1"):
        check_count(CONTRACT, KEY, data, truncated=False)


def test_the_line_of_a_row_is_found():
    data = b"\xef\xbb\xbf" + row() + b"\n" + row(note='"x"') + b"\n\xff\n"
    assert line_of(data, row(note='"x"').decode()) == 2
    assert line_of(data, "\ufffd") == 3
    assert line_of(data, "not there") is None


def test_the_layout_decides_who_reads():
    day = datetime.date(2026, 7, 30)
    assert len(landing.read_head(CONTRACT, KEY, row() + b"\n", False, day)) == 1
    assert landing.read_head(contract_of(minimum_rows=0), KEY, b"", False, day) == []
