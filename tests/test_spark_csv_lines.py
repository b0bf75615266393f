"""Lines of CSV in Spark get the verdict that the head's check gives them: good ones, broken ones, malformed ones."""

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from json_cases import document_of
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import ContractViolationError
from contracts.text import Header, read_head, read_lines
from spark_jobs.lake import Lake
from spark_jobs.request import LandedFile, Request
from spark_jobs.row_rules import row_rules
from spark_jobs.sources import csv_lines
from spark_jobs.sources.files import HEAD_BYTES, read_files
from spark_jobs.storage import FolderStore

pytestmark = quiet

HEADER = b"day;rate;note\n"
KEY = "landing/rates/1.csv"
LAYOUT = ("*", "layout")
# One line each, with the column and rule that it breaks.
LINES = {
    "good": (b"2026-07-30;1.10;x", None),
    "null-token": (b"2026-07-30;N/A;N/A", None),
    "empty-text": (b"2026-07-30;1;", None),
    "quoted": (b'"2026-07-30";"1.10";"x"', None),
    "quoted-empty": (b'2026-07-30;1;""', None),
    "quoted-delimiter": (b'2026-07-30;1;"a;b"', None),
    "quoted-quote": (b'2026-07-30;1;"a""b"', None),
    "comma": (b"2026-07-30;1;a,b", None),
    "spaces-in-text": (b"2026-07-30;1;  a  ", None),
    "tab-in-text": (b"2026-07-30;1;a\tb", None),
    "backslash": (b"2026-07-30;1;a\\b", None),
    "backslash-at-the-end": (b"2026-07-30;1;a\\", None),
    "apostrophe": (b"2026-07-30;1;it's", None),
    "hash": (b"2026-07-30;1;#x", None),
    "utf-8": ("2026-07-30;1;\u00fc\U0001f600".encode(), None),
    "line-separator": ("2026-07-30;1;a\u2028b".encode(), None),
    "formula": (b"2026-07-30;1;=1+1", None),
    "exponent": (b"2026-07-30;1e5;x", None),
    "minus-zero": (b"2026-07-30;-0.0;x", None),
    "too-few-cells": (b"2026-07-30;1", LAYOUT),
    "one-cell": (b"2026-07-30", LAYOUT),
    "too-many-cells": (b"2026-07-30;1;x;y", LAYOUT),
    "delimiter-at-the-end": (b"2026-07-30;1;x;", LAYOUT),
    "other-delimiter": (b"2026-07-30,1,x", LAYOUT),
    "json": (b'{"day": "2026-07-30"}', LAYOUT),
    "html": (b"<html></html>", LAYOUT),
    "open-quote": (b'2026-07-30;1;"x', LAYOUT),
    "open-quote-in-the-first-cell": (b'"2026-07-30;1;x', LAYOUT),
    "text-after-a-quote": (b'2026-07-30;1;"x"y', LAYOUT),
    "space-after-a-quote": (b'2026-07-30;1;"x" ', LAYOUT),
    "three-quotes": (b'2026-07-30;1;"x"""y"', LAYOUT),
    "quote-in-text": (b'2026-07-30;1;a"b', None),
    "quotes-after-a-space": (b'2026-07-30;1; "x;', LAYOUT),
    "only-delimiters": (b";;", ("day", "format")),
    "no-day": (b";1;x", ("day", "format")),
    "no-such-day": (b"2026-02-30;1;x", ("day", "format")),
    "day-layout": (b"30.07.2026;1;x", ("day", "format")),
    "day-null": (b"N/A;1;x", ("day", "type")),
    "space-before-the-day": (b" 2026-07-30;1;x", ("day", "format")),
    "space-after-the-day": (b"2026-07-30 ;1;x", ("day", "format")),
    "header-again": (b"day;rate;note", ("day", "format")),
    "decimal-comma": (b"2026-07-30;1,5;x", ("rate", "type")),
    "thousands": (b"2026-07-30;1'000;x", ("rate", "type")),
    "nan": (b"2026-07-30;NaN;x", ("rate", "type")),
    "infinity": (b"2026-07-30;Infinity;x", ("rate", "type")),
    "beyond-a-double": (b"2026-07-30;1e400;x", ("rate", "type")),
    "hexadecimal": (b"2026-07-30;0x10;x", ("rate", "type")),
    "plus": (b"2026-07-30;+1;x", ("rate", "type")),
    "leading-zero": (b"2026-07-30;01;x", ("rate", "type")),
    "space-before-the-number": (b"2026-07-30; 1;x", ("rate", "type")),
    "quoted-space": (b'2026-07-30;" 1";x', ("rate", "type")),
    "percent": (b"2026-07-30;1%;x", ("rate", "type")),
    "empty-number": (b"2026-07-30;;x", ("rate", "type")),
    "arabic-digits": ("2026-07-30;\u0661;x".encode(), ("rate", "type")),
    "replacement-character": ("2026-07-30;1;\ufffd".encode(), ("note", "encoding")),
}
# What the head's check refuses for the whole file, as it is no text.
NOT_TEXT = {
    "latin-1": (b"2026-07-30;1;caf\xe9", ("*", "encoding")),
    "nul": (b"2026-07-30;1;a\x00b", ("*", "encoding")),
    "utf-16": ("2026-07-30;1;x".encode("utf-16-le"), ("*", "encoding")),
}


def contract() -> Contract:
    document = document_of(name="rates", pattern="^[^.]+[.]csv$")
    document |= {
        "properties": {
            "day": {"type": "string", "format": "date"},
            "rate": {"type": ["number", "null"]},
            "note": {"type": ["string", "null"]},
        },
        "required": ["day", "rate", "note"],
    }
    parse = {
        "layout": "csv",
        "delimiter": ";",
        "null_tokens": ["N/A"],
        "trailing_empty_column": False,
        "minimum_rows": 1,
    }
    document["x-assay"] |= {"key": ["day"], "parse": parse}
    return contracts.parse_document("rates_bronze", "1-0-0", json.dumps(document).encode())


@pytest.mark.parametrize(
    ("line", "expected"), [pytest.param(*case, id=name) for name, case in (LINES | NOT_TEXT).items()]
)
def test_a_line_is_judged_at_the_head(line, expected):
    data = HEADER + line + b"\n"
    if expected is None:
        assert len(read_head(contract(), KEY, data, truncated=False)) == 1
        return
    with pytest.raises(ContractViolationError) as caught:
        read_head(contract(), KEY, data, truncated=False)
    assert (caught.value.column, caught.value.rule) == expected
    assert f"{KEY}: line 2" in caught.value.detail


def request(folder):
    moment = datetime(2026, 7, 30, tzinfo=UTC)
    return Request(
        run_id="20260731T060000Z-0", step="ingest", subject="rates", attempt=1, round=0, redrive_count=0,
        data_date=date(2026, 7, 30), interval_start=None, interval_end=moment, lake=str(folder), receipt_key="r",
        receipts=(), files=(), secret_arn=None, input_digest="d", fail_from={},
    )  # fmt: skip


def rows_of_file(spark, folder, content, key=KEY):  # noqa: F811
    """The rows of a file as the job reads them, not yet judged."""
    store = FolderStore(folder)
    store.put(key, content)
    file = LandedFile(key=key, etag=None, size=len(content), modified_at=datetime(2026, 7, 30, tzinfo=UTC))
    return read_files(Lake(spark, store, request(folder)), contract(), [file])


def rows_beyond_the_head(spark, folder, lines):  # noqa: F811
    """The rule that each line breaks, as the job sees it."""
    good = LINES["good"][0] + b"\n"
    before = HEAD_BYTES // len(good) + 1  # the job's own look at the head sees nothing but these
    rows = rows_of_file(spark, folder, HEADER + good * before + b"".join(line + b"\n" for line in lines))
    compiled = row_rules(contract())
    found = rows.select(compiled.first_broken.alias("broken")).collect()
    assert {each["broken"] for each in found[:before]} == {None}
    rules = [None if each["broken"] is None else compiled.rules[each["broken"]] for each in found[before:]]
    return [rule and (rule.column, rule.rule) for rule in rules]


def test_spark_gives_every_line_the_same_verdict(spark, tmp_path):  # noqa: F811
    cases = LINES | {name: NOT_TEXT[name] for name in ("latin-1", "nul")}
    verdicts = rows_beyond_the_head(spark, tmp_path, [line for line, _ in cases.values()])
    got = dict(zip(cases, verdicts, strict=True))
    assert {name: verdict is None for name, verdict in got.items()} == {
        name: verdict is None for name, (_, verdict) in cases.items()
    }
    assert {name: got[name] for name in LINES} == {name: verdict for name, (_, verdict) in LINES.items()}


def test_the_head_is_left_out_and_blank_lines_are_no_rows_in_files_of_several_blocks(spark, tmp_path):  # noqa: F811
    """A header that comes again is a row that breaks the contract, wherever a block of the file begins."""
    blank = b'\r\n \t\r\n\xc2\xa0\n"  "\n'
    content = b"\xef\xbb\xbf" + blank + HEADER + (b"2026-07-30;1;x\n" * 9 + blank + HEADER) * 20
    spark.conf.set("spark.sql.files.maxPartitionBytes", "512")
    spark.conf.set("spark.sql.files.openCostInBytes", "1")
    try:
        rows = rows_of_file(spark, tmp_path, content).collect()
        one = rows_of_file(spark, tmp_path, content, "landing/rates/2.csv")
        assert one.rdd.getNumPartitions() > 2
        both = one.unionByName(rows_of_file(spark, tmp_path, content)).collect()
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
        spark.conf.unset("spark.sql.files.openCostInBytes")
    cells = sorted((each["day"], each["rate"], each["note"]) for each in rows)
    assert cells == [("2026-07-30", "1", "x")] * 180 + [("day", "rate", "note")] * 20
    assert len(both) == 400


CELLS = st.one_of(
    st.sampled_from(["", "1", "2026-07-30", "N/A", '"', '""', '"x"', '"a;b"', '"a""b"', '"x', 'x"', '"x"y', '"" ', ' "x"',
                     '"""', '""""', '"a"";"', "\\", '\\"', '"\\"', "'", "#", " ", "\t", "a b", "\u00e9", "\ufeff", "\u2028",
                     "\x00", "a" * 5000, "\x0b", "\x85"]),
    st.text(alphabet='ab"; \\,', max_size=6),
)  # fmt: skip
ROWS = st.lists(CELLS, min_size=1, max_size=5).map(";".join)


def by_python(line):
    """The cells of a line as the head's check cuts them; None where it refuses the line, or it is blank."""
    data = HEADER + line.encode() + b"\n"
    try:
        return [cells for _, cells in read_lines(contract(), KEY, data, truncated=False)[1]][:1] or "blank"
    except ContractViolationError:
        return None


@settings(
    max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(st.lists(ROWS, min_size=200, max_size=200))
def test_spark_and_the_head_s_check_cut_a_line_into_the_same_cells(spark, many):  # noqa: F811
    header = Header(columns=("day", "rate", "note"), trailing_empty_column=False, line=1)
    frame = spark.createDataFrame([(line,) for line in many], "value string").coalesce(1)
    rows = csv_lines.rows_of_lines(contract(), header, frame).collect()
    expected = [(line, by_python(line)) for line in many if "\x00" not in line]
    found = [row for row in rows if "\x00" not in "".join(cell or "" for cell in row)]
    wanted = [
        ((*cells[0], None) if cells else (None, None, None, line)) for line, cells in expected if cells != "blank"
    ]
    assert [(None, None, None, row["_layout"]) if row["_layout"] is not None else tuple(row) for row in found] == wanted
