"""Which days must bring a file, and whether it came."""

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import contract as contracts
from contracts import landing
from contracts.errors import ContractViolationError
from contracts.expected_days import easter
from local.standins import vendor

FX = contracts.load("fx_rates_bronze")
EXPECTED = FX.expected_days
DAY = datetime.timedelta(days=1)


def day(text):
    return datetime.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-07-30", True, id="thursday"),
        pytest.param("2026-08-01", False, id="saturday"),
        pytest.param("2026-08-02", False, id="sunday"),
        pytest.param("2026-01-01", False, id="new-year"),
        pytest.param("2026-04-03", False, id="good-friday"),
        pytest.param("2026-04-06", False, id="easter-monday"),
        pytest.param("2026-04-07", True, id="after-easter"),
        pytest.param("2026-05-01", False, id="labour-day"),
        pytest.param("2026-12-25", False, id="christmas"),
        pytest.param("2025-12-26", False, id="boxing-day"),
        pytest.param("2026-12-28", True, id="no-day-in-lieu"),
        pytest.param("2028-02-29", True, id="leap-day"),
    ],
)
def test_the_ecb_s_working_days(text, expected):
    assert (day(text) in EXPECTED) is expected


def test_the_rule_is_the_ecb_s_own_calendar_since_2002():
    """Every day on which the ECB published rates, and no other."""
    published = {line[:10] for line in vendor.history()[1:]}
    first, last = day("2002-01-01"), day(max(published))
    days = [first + n * DAY for n in range((last - first).days + 1)]
    assert [each for each in days if (each in EXPECTED) != (each.isoformat() in published)] == []


@pytest.mark.parametrize(
    ("year", "sunday"),
    [(1818, "1818-03-22"), (1943, "1943-04-25"), (1961, "1961-04-02"), (2000, "2000-04-23"), (2038, "2038-04-25")],
)
def test_easter(year, sunday):
    assert easter(year) == day(sunday)


@given(st.dates(min_value=datetime.date(1583, 1, 1)))
def test_a_file_s_name_states_the_day_that_named_it(each):
    assert EXPECTED.day_of(EXPECTED.name_of(each)) == each


@pytest.mark.parametrize(
    "name",
    ["eurofxref-hist.csv", "eurofxref-2026-02-30.csv", "eurofxref-2026-7-30.csv", "eurofxref-2026-07-30xcsv", ""],
)
def test_a_name_that_states_no_day(name):
    assert EXPECTED.day_of(name) is None


def keys(*names):
    return [f"landing/fx/eurofxref-{name}.csv" for name in names]


@pytest.mark.parametrize(
    ("first", "data_date", "own", "others", "missing"),
    [
        pytest.param("2026-07-30", "2026-07-30", ["2026-07-30"], [], None, id="its-file"),
        pytest.param("2026-07-30", "2026-07-30", [], [], "2026-07-30", id="none"),
        pytest.param("2026-07-30", "2026-07-30", ["2026-07-29"], ["2026-07-28"], "2026-07-30", id="only-older-ones"),
        pytest.param("2026-07-30", "2026-07-30", ["hist"], [], None, id="a-history"),
        pytest.param("2026-07-30", "2026-07-30", [], ["2026-07-29", "2026-07-30"], None, id="taken-by-an-earlier-run"),
        pytest.param("2026-07-30", "2026-07-30", [], ["hist", "2026-07-29"], "2026-07-30", id="an-earlier-history"),
        pytest.param(
            "2026-07-30", "2026-07-30", ["2026-07-31"], ["2026-07-29"], "2026-07-30", id="only-the-next-day-s"
        ),
        pytest.param("2026-08-01", "2026-08-01", [], [], None, id="saturday"),
        pytest.param("2026-07-31", "2026-08-01", [], [], "2026-07-31", id="saturday-after-a-friday-without-a-run"),
        pytest.param("2026-07-31", "2026-08-01", ["2026-08-01"], [], None, id="saturday-s-file-covers-friday"),
        pytest.param("2026-07-27", "2026-07-30", ["2026-07-30"], [], None, id="one-file-for-days-without-runs"),
        pytest.param("2026-07-27", "2026-07-30", ["2026-07-29"], [], "2026-07-30", id="not-the-last-of-them"),
        pytest.param("2026-04-03", "2026-04-06", [], [], None, id="easter"),
        pytest.param(
            "2026-07-20", "2026-07-20", [], ["2026-07-30", "2026-07-31"], None, id="backfill-into-the-history"
        ),
        pytest.param(
            "2026-07-20", "2026-07-20", [], ["2026-07-17", "2026-07-31"], "2026-07-20", id="backfill-of-a-gap"
        ),
        pytest.param("2026-07-20", "2026-07-20", ["2026-07-31"], [], "2026-07-20", id="a-first-run-without-its-file"),
    ],
)
def test_whether_the_files_of_a_run_s_days_came(first, data_date, own, others, missing):
    run = {"first": day(first), "data_date": day(data_date), "own": keys(*own), "others": keys(*others)}
    if missing is None:
        landing.check_arrived(FX, **run)
        return
    with pytest.raises(ContractViolationError) as caught:
        landing.check_arrived(FX, **run)
    assert (caught.value.column, caught.value.rule) == ("*", "expected_file")
    assert f"no file came for {missing} " in caught.value.detail
    assert f"landing/fx/eurofxref-{missing}.csv is missing" in caught.value.detail
    assert caught.value.detail.endswith("then redrive the execution.")


def test_a_source_that_does_not_say_expects_nothing():
    old = contracts.load("fx_rates_bronze", "1-0-0")
    run = {"first": day("2026-07-30"), "data_date": day("2026-07-30"), "own": [], "others": []}
    landing.check_arrived(old, **run)
    assert landing.minimum_rows(old, keys("2026-08-01")[0], day("2026-08-01")) == 1


@pytest.mark.parametrize(
    ("name", "data_date", "rows"),
    [
        pytest.param("2026-07-30", "2026-08-01", 1, id="a-working-day-s-file-taken-at-the-weekend"),
        pytest.param("2026-08-01", "2026-08-03", 0, id="a-weekend-s-file-taken-on-monday"),
        pytest.param("hist", "2026-07-30", 1, id="undated-on-a-working-day"),
        pytest.param("hist", "2026-08-01", 0, id="undated-at-the-weekend"),
    ],
)
def test_only_a_file_of_a_working_day_must_have_rows(name, data_date, rows):
    assert landing.minimum_rows(FX, keys(name)[0], day(data_date)) == rows


def changed(**expected):
    document = json.loads((contracts._schemas() / "fx_rates_bronze" / "1-1-0.json").read_bytes())
    document["x-assay"]["source"]["expected"] |= expected
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        pytest.param({"weekdays": ["Monday"]}, "'Monday' is not one of", id="weekday"),
        pytest.param({"weekdays": []}, "[] should be non-empty", id="no-weekday"),
        pytest.param({"holidays": ["13-01"]}, "'13-01' does not match", id="month"),
        pytest.param({"holidays": ["easter"]}, "'easter' does not match", id="name"),
        pytest.param({"file": "eurofxref.csv"}, "'eurofxref.csv' does not match", id="no-day-in-the-name"),
        pytest.param({"file": "../%Y%m%d"}, "does not match", id="path"),
        pytest.param({"until": "2030"}, "'until' was unexpected", id="unknown"),
    ],
)
def test_days_that_cannot_be_meant_are_refused(expected, words):
    with pytest.raises(contracts.ContractError) as caught:
        contracts.check_document("fx.json", changed(**expected))
    assert str(caught.value).startswith("fx.json: $['x-assay'].source.expected")
    assert words in str(caught.value)
