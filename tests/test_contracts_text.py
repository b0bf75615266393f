"""The head of a vendor's file is judged before any Spark is paid for."""

import dataclasses

import pytest

from contracts import contract as contracts
from contracts.errors import ContractViolationError
from contracts.text import line_of, read_head, read_header

FX = contracts.load("fx_rates_bronze")
NAMES = [field.name for field in FX.fields]
KEY = "landing/fx/eurofxref-2026-07-30.csv"


def line(**cells):
    values = dict.fromkeys(NAMES, "1.5") | {"Date": "2026-07-30"} | cells
    return ",".join(values[name] for name in NAMES) + ","


HEADER = ",".join(NAMES) + ","


def file(*lines, end="\n"):
    return (end.join([HEADER, *lines]) + end).encode()


def test_cells_become_values_and_null_tokens_null():
    [row] = read_head(FX, KEY, file(line(USD="1.1172", BGN="N/A", CYP="", JPY="176")), truncated=False)
    assert (row["Date"], row["USD"], row["BGN"], row["CYP"], row["JPY"]) == ("2026-07-30", 1.1172, None, None, 176.0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbf" + file(line()), id="bom"),
        pytest.param(file(line(), end="\r\n"), id="crlf"),
        pytest.param(file(line(), end="\r"), id="cr"),
        pytest.param(file(line()).rstrip(b"\n"), id="no-line-end-at-the-end"),
        pytest.param(file(line(USD='"1.1"')), id="quoted"),
        pytest.param(file(line(), "", "  "), id="blank-lines"),
        pytest.param(file(line(USD="1E2", JPY="0.5e-3")), id="exponents"),
    ],
)
def test_what_csv_allows_is_read(data):
    assert len(read_head(FX, KEY, data, truncated=False)) == 1


def test_a_header_without_the_trailing_comma_is_read():
    data = file(line()).replace(b",\n", b"\n")
    assert len(read_head(FX, KEY, data, truncated=False)) == 1


@pytest.mark.parametrize(
    ("data", "column", "rule", "where"),
    [
        pytest.param(file(line(), line(USD="-1.1")), "USD", "exclusiveMinimum", "line 3", id="negative-rate"),
        pytest.param(file(line(USD="0")), "USD", "exclusiveMinimum", "line 2", id="zero-rate"),
        pytest.param(file(line(USD="2000000000")), "USD", "maximum", "line 2", id="absurd-rate"),
        pytest.param(file(line(USD="abc")), "USD", "type", "line 2", id="text"),
        pytest.param(file(line(USD="NaN")), "USD", "type", "line 2", id="nan"),
        pytest.param(file(line(USD="1e999")), "USD", "type", "line 2", id="infinite"),
        pytest.param(file(line(USD=" 1.1")), "USD", "type", "line 2", id="space"),
        pytest.param(file(line(USD="+1.1")), "USD", "type", "line 2", id="plus"),
        pytest.param(file(line(USD="01.1")), "USD", "type", "line 2", id="leading-zero"),
        pytest.param(file(line(Date="30.07.2026")), "Date", "format", "line 2", id="date-layout"),
        pytest.param(file(line(Date="2026-02-30")), "Date", "format", "line 2", id="no-such-day"),
        pytest.param(file(line(Date="")), "Date", "type", "line 2", id="no-date"),
        pytest.param(file(line()).replace(b"USD,", b"", 1), "USD", "required", "line 1", id="missing-column"),
        pytest.param(file(line()).replace(b"USD", b"XXX", 1), "USD", "required", "line 1", id="renamed-column"),
        pytest.param(
            file(line() + "9").replace(b"ZAR,", b"ZAR,BTC", 1), "BTC", "additionalProperties", "line 1", id="unknown"
        ),
        pytest.param(file(line() + "9").replace(b"ZAR,", b"ZAR,USD", 1), "USD", "header", "line 1", id="twice"),
        pytest.param(file(line()[:-30]), "*", "layout", "line 2", id="short-line"),
        pytest.param(file(line() + "9"), "*", "layout", "line 2", id="long-line"),
        pytest.param(file(line(USD='"1.1\n"')), "*", "layout", "line 2", id="cell-spans-lines"),
        pytest.param(file(), "*", "minimum_rows", "0 rows", id="header-only"),
        pytest.param(b"", "*", "header", "empty", id="empty"),
        pytest.param(b"\n\n", "*", "header", "empty", id="blank"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00", "*", "encoding", "line 3", id="nul"),
        pytest.param(b"\x89PNG\r\n", "*", "encoding", "line 1", id="not-utf-8"),
        pytest.param(b'{"Date": "2026-07-30"}\n', "*", "header", "not CSV", id="json"),
        pytest.param(b"<html><body>Moved</body></html>", "*", "header", "not CSV", id="html"),
    ],
)
def test_a_broken_file_is_refused_with_column_rule_and_line(data, column, rule, where):
    with pytest.raises(ContractViolationError) as caught:
        read_head(FX, KEY, data, truncated=False)
    error = caught.value
    assert (error.dataset, error.version, error.column, error.rule) == ("fx_rates_bronze", "1-2-0", column, rule)
    assert str(error).startswith(f"fx_rates_bronze 1-2-0: column {column} breaks rule {rule}: {KEY}: ")
    assert where in error.detail
    assert error.detail.endswith("then redrive the execution.")


def test_the_cut_last_line_of_a_truncated_head_is_left_out():
    data = file(line(), line(Date="2026-07-29"))[:-20]
    assert [row["Date"] for row in read_head(FX, KEY, data, truncated=True)] == ["2026-07-30"]


def test_a_truncated_head_may_hold_no_whole_row():
    assert read_head(FX, KEY, file(line())[:-20], truncated=True) == []


def test_the_header_is_judged_without_its_rows():
    header = read_header(FX, KEY, file(line(USD="-1")), truncated=False)
    assert header.columns == tuple(NAMES)
    with pytest.raises(ContractViolationError, match="minimum_rows"):
        read_header(FX, KEY, file(), truncated=False)


def test_the_line_of_a_row_is_found():
    data = file(line(), line(USD="-1"))
    assert line_of(FX, data, dict.fromkeys(NAMES, "1.5") | {"Date": "2026-07-30", "USD": "-1", "": ""}) == 3
    assert line_of(FX, data + b"a,b\n", "a,b") == 4
    assert line_of(FX, data, "not there") is None


def test_a_value_is_quoted_only_where_no_column_is_personal():
    """Cells may have moved, so with one personal column no value of the file is named."""
    data = file(line(USD="canary@example.com"))
    personal = dataclasses.replace(
        FX, fields=tuple(dataclasses.replace(each, pii=each.name == "GBP") for each in FX.fields)
    )
    with pytest.raises(ContractViolationError, match=r"line 2: 'canary@example\.com' is not of type"):
        read_head(FX, KEY, data, truncated=False)
    with pytest.raises(
        ContractViolationError, match=r"column USD breaks rule type: .*line 2: expected \['number', 'null'\]"
    ) as refused:
        read_head(personal, KEY, data, truncated=False)
    assert "canary" not in str(refused.value)
