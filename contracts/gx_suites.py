"""A contract's expectations as a suite of Great Expectations 1.x, and a suite's as a contract writes them.

Great Expectations calls an error `critical` and knows `info` besides; here that is a warning. A value of the run,
`{"$run": "data_date"}`, is a suite parameter there, `{"$PARAMETER": "data_date"}`.

Source: Great Expectations 1.24, core/expectation_suite.py, core/suite_parameters.py and expectations/conditions.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contracts.contract import Contract, Expectation
from contracts.errors import UnsupportedKeywordError
from contracts.expectation_types import GX_TYPES, PIPELINE_TYPES

VERSION = "1.24.1"
_SEVERITIES = {"error": "critical", "warn": "warning"}
_SEVERITIES_BACK = {"critical": "error", "warning": "warn", "info": "warn"}
# How a run of Great Expectations goes, which says nothing of the data.
_RUN_SETTINGS = {"batch_id", "catch_exceptions", "result_format"}


def to_suite(contract: Contract) -> dict[str, Any]:
    """The contract's expectations as the JSON of an ExpectationSuite, named after the dataset.

    Those that Great Expectations has no word for are left out, and named in `meta`.

    Raises:
        UnsupportedKeywordError: an expectation that no check can judge.
    """
    return {
        "name": contract.dataset,
        "expectations": [
            _to_document(f"{contract.dataset} {contract.version}", each)
            for each in contract.expectations
            if each.type not in PIPELINE_TYPES
        ],
        "meta": {
            "great_expectations_version": VERSION,
            "contract": {"version": contract.version, "sha256": contract.digest},
            "left_out": [each.type for each in contract.expectations if each.type in PIPELINE_TYPES],
        },
    }


def from_suite(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The suite's expectations as `x-assay` has them in a contract file.

    Raises:
        UnsupportedKeywordError: names an expectation, a row condition or a parameter that has no counterpart here.
    """
    where = f"suite {document.get('name', '')}"
    return [_from_document(where, each) for each in document.get("expectations", ())]


def _to_document(where: str, expectation: Expectation) -> dict[str, Any]:
    _check_type(where, expectation.type)
    kwargs = {name: _renamed(value, "$run", "$PARAMETER") for name, value in expectation.kwargs.items()}
    if expectation.mostly < 1:
        kwargs["mostly"] = expectation.mostly
    return {
        "type": expectation.type,
        "kwargs": kwargs,
        "severity": _SEVERITIES[expectation.severity],
        "meta": {},
    }


def _from_document(where: str, document: Mapping[str, Any]) -> dict[str, Any]:
    name = document["type"]
    _check_type(where, name)
    where = f"{where}: {name}"
    kwargs: dict[str, Any] = {}
    for key, value in document["kwargs"].items():
        if key in _RUN_SETTINGS or value is None:
            continue
        if key == "row_condition":
            kwargs |= _row_condition(where, value, document["kwargs"].get("condition_parser"))
        elif key != "condition_parser":
            kwargs[key] = _renamed(value, "$PARAMETER", "$run")
            _check_parameters(where, key, kwargs[key])
    severity = document.get("severity") or "critical"
    if severity not in _SEVERITIES_BACK:
        raise UnsupportedKeywordError(f"{where}: no severity {severity}")
    return {"type": name, "kwargs": kwargs, "severity": _SEVERITIES_BACK[severity]}


def _check_type(where: str, name: str) -> None:
    if name not in GX_TYPES:
        raise UnsupportedKeywordError(f"{where}: no expectation {name}")


def _renamed(value: Any, old: str, new: str) -> Any:
    return {new: value[old]} if isinstance(value, Mapping) and set(value) == {old} else value


def _check_parameters(where: str, key: str, value: Any) -> None:
    """Nothing, when each parameter is a name and stands for a whole argument: a contract computes nothing."""
    if isinstance(value, Mapping) and set(value) == {"$run"} and str(value["$run"]).isidentifier():
        return
    if "$PARAMETER" in json.dumps(value, default=str) or (isinstance(value, Mapping) and "$run" in value):
        raise UnsupportedKeywordError(
            f"{where}: {key} is not the name of a value of the run, and nothing else: {value}"
        )


def _row_condition(where: str, condition: Any, parser: str | None) -> dict[str, str]:
    """A condition in Spark SQL, which a suite writes as text and saves as an object."""
    if isinstance(condition, Mapping) and condition.get("type") == "pass_through":
        return {"row_condition": condition["pass_through_filter"], "condition_parser": "spark"}
    if isinstance(condition, str) and parser == "spark":
        return {"row_condition": condition, "condition_parser": "spark"}
    raise UnsupportedKeywordError(f"{where}: row_condition is not in Spark SQL: {condition}")
