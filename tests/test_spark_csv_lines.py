"""Lines of CSV in Spark get the verdict that the head's check gives them: good ones, broken ones, malformed ones."""

import json
from datetime import UTC, date, datetime

import pytest
from json_cases import document_of
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import ContractViolationError
from contracts.text import read_head
from spark_jobs.lake import Lake
from spark_jobs.request import LandedFile, Request
from spark_jobs.row_rules import row_rules
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
# What the head's check refuses for the whole file. Beyond the head Spark's parser takes the two
# cells of broken quotes for text.
NOT_TEXT = {
    "latin-1": (b"2026-07-30;1;caf\xe9", ("*", "encoding")),
    "nul": (b"2026-07-30;1;a\x00b", ("*", "encoding")),
    "utf-16": ("2026-07-30;1;x".encode("utf-16-le"), ("*", "encoding")),
    "open-quote": (b'2026-07-30;1;"x', LAYOUT),
    "text-after-a-quote": (b'2026-07-30;1;"x"y', LAYOUT),
}


def contract() -> Contract:
    document = document_of(name="rates", pattern=".+[.]csv")
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


def rows_beyond_the_head(spark, folder, lines):  # noqa: F811
    """The rule that each line breaks, as the job sees it."""
    store = FolderStore(folder)
    good = LINES["good"][0] + b"\n"
    before = HEAD_BYTES // len(good) + 1  # the job's own look at the head sees nothing but these
    content = HEADER + good * before + b"".join(line + b"\n" for line in lines)
    store.put(KEY, content)
    moment = datetime(2026, 7, 30, tzinfo=UTC)
    request = Request(
        run_id="20260731T060000Z-0", step="ingest", subject="rates", attempt=1, round=0, redrive_count=0,
        data_date=date(2026, 7, 30), interval_start=None, interval_end=moment, lake=str(folder), receipt_key="r",
        receipts=(), files=(), secret_arn=None, input_digest="d", fail_from={},
    )  # fmt: skip
    file = LandedFile(key=KEY, etag=None, size=len(content), modified_at=moment)
    rows = read_files(Lake(spark, store, request), contract(), [file])
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
