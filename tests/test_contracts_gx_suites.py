"""A contract's expectations leave as a suite of Great Expectations and come back as they were."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import contract as contracts
from contracts.contract import Expectation
from contracts.errors import UnsupportedKeywordError
from contracts.expectation_types import GX_TYPES, PIPELINE_TYPES
from contracts.gx_suites import from_suite, to_suite
from spark_jobs.expectation_kinds import KINDS
from spark_jobs.pipeline_kinds import PIPELINE_KINDS

FX = contracts.load("fx_rates_silver")
BETWEEN = "expect_column_values_to_be_between"

names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
scalars = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text(max_size=8)
arguments = scalars | st.lists(scalars, max_size=3) | st.builds(lambda name: {"$run": name}, names)
conditions = st.builds(
    lambda text: {"row_condition": text, "condition_parser": "spark"}, st.text(min_size=1, max_size=9)
)
reserved = {"batch_id", "catch_exceptions", "result_format", "row_condition", "condition_parser", "mostly"}
documents = st.builds(
    lambda name, kwargs, condition, mostly, severity: {
        "type": name,
        "kwargs": {**kwargs, **condition, **mostly},
        "severity": severity,
    },
    st.sampled_from(sorted(GX_TYPES)),
    st.dictionaries(names.filter(lambda name: name not in reserved), arguments, max_size=4),
    conditions | st.just({}),
    st.builds(lambda share: {"mostly": share}, st.floats(0, 1, exclude_max=True)) | st.just({}),
    st.sampled_from(["error", "warn"]),
)


def contract_of(written):
    """A contract with these expectations, read as a contract file's are."""
    expectations = []
    for each in written:
        kwargs = dict(each["kwargs"])
        mostly = kwargs.pop("mostly", 1.0)
        expectations.append(Expectation(type=each["type"], kwargs=kwargs, severity=each["severity"], mostly=mostly))
    return dataclasses.replace(FX, expectations=tuple(expectations))


def suite(name=BETWEEN, severity="critical", **kwargs):
    return {"name": "s", "expectations": [{"type": name, "kwargs": kwargs, "severity": severity, "meta": {}}]}


@given(st.lists(documents, max_size=4))
def test_expectations_come_back_as_they_were(written):
    through_a_file = json.loads(json.dumps(to_suite(contract_of(written))))
    assert from_suite(through_a_file) == written


def test_a_suite_says_what_its_contract_says():
    document = to_suite(FX)
    assert document["name"] == "fx_rates_silver"
    assert document["meta"]["contract"] == {"version": FX.version, "sha256": FX.digest}
    assert document["expectations"][1] == {
        "type": "expect_column_max_to_be_between",
        "kwargs": {"column": "rate_date", "max_value": {"$PARAMETER": "data_date"}},
        "severity": "warning",
        "meta": {},
    }


def test_what_can_be_exchanged_is_what_can_be_judged():
    assert set(KINDS) == GX_TYPES
    assert set(PIPELINE_KINDS) == PIPELINE_TYPES


def test_what_great_expectations_has_no_word_for_is_left_out_by_name():
    document = to_suite(contracts.load("orders_silver"))
    assert document["meta"]["left_out"] == ["expect_column_values_to_exist_in_table", "expect_table_to_be_fresh"]
    assert not PIPELINE_TYPES & {each["type"] for each in document["expectations"]}


def test_a_suite_as_it_is_saved_is_read():
    condition = {"type": "pass_through", "pass_through_filter": "a > 1"}
    document = suite(
        severity="info", column="a", max_value=3, min_value=None, row_condition=condition, result_format="BASIC"
    )
    assert from_suite(document) == [
        {
            "type": BETWEEN,
            "kwargs": {"column": "a", "max_value": 3, "row_condition": "a > 1", "condition_parser": "spark"},
            "severity": "warn",
        }
    ]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param(suite("expect_magic", column="a"), "expect_magic", id="unknown"),
        pytest.param(suite(column="a", row_condition="a > 1", condition_parser="pandas"), "row_condition", id="pandas"),
        pytest.param(suite(column="a", max_value={"$PARAMETER": "now() - 1"}), "max_value", id="computed"),
        pytest.param(suite(column="a", max_value={"$PARAMETER": "a", "b": 1}), "max_value", id="not-alone"),
        pytest.param(suite(column="a", value_set=[{"$PARAMETER": "a"}]), "value_set", id="inside"),
        pytest.param(suite(severity="fatal", column="a"), "fatal", id="severity"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(document, named):
    with pytest.raises(UnsupportedKeywordError, match=named):
        from_suite(document)


def test_an_expectation_that_no_check_judges_does_not_leave():
    with pytest.raises(UnsupportedKeywordError, match="expect_magic"):
        to_suite(contract_of([{"type": "expect_magic", "kwargs": {}, "severity": "error"}]))
