import copy
from typing import Any

import pytest

from contracts import contract as contracts
from contracts.errors import BreakingContractChangeError
from lambdas.digests import Released, check_compatible, released, schema_digest

SCHEMA: dict[str, Any] = {
    "title": "Rates",
    "type": "object",
    "required": ["day"],
    "properties": {
        "day": {"type": "string", "format": "date", "description": "the day"},
        "title": {"type": "string", "enum": ["a", "b"]},
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SCHEMA), **changes}


def test_wording_may_change() -> None:
    reworded = changed(title="Daily rates", description="new", examples=[1])
    reworded["properties"]["day"]["description"] = "the day of the rate"
    assert schema_digest(reworded) == schema_digest(SCHEMA)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(changed(required=["day", "title"]), id="required"),
        pytest.param(changed(properties={"day": SCHEMA["properties"]["day"]}), id="column-called-title-gone"),
        pytest.param(changed(properties={**SCHEMA["properties"], "day": {"type": "string"}}), id="format-gone"),
        pytest.param(
            changed(properties={**SCHEMA["properties"], "title": {"type": "string", "enum": ["b"]}}), id="enum-narrowed"
        ),
    ],
)
def test_what_a_row_must_keep_may_not(schema: dict[str, Any]) -> None:
    assert schema_digest(schema) != schema_digest(SCHEMA)


def contracts_of(**versions: str) -> Released:
    return Released(
        digest="d", schemas={"fx": {name.strip("v").replace("_", "-"): each for name, each in versions.items()}}
    )


@pytest.mark.parametrize(
    "today",
    [
        pytest.param(contracts_of(v1_0_0="x"), id="unchanged"),
        pytest.param(contracts_of(v1_0_0="x", v1_0_1="y"), id="addition"),
        pytest.param(contracts_of(v1_0_0="x", v1_1_0="y"), id="revision"),
    ],
)
def test_run_goes_on_with_compatible_contracts(today: Released) -> None:
    check_compatible({"fx": ["1-0-0", "x"]}, today)


@pytest.mark.parametrize(
    ("today", "words"),
    [
        pytest.param(contracts_of(v1_0_0="y"), "fx 1-0-0: was altered in place", id="altered"),
        pytest.param(contracts_of(v1_0_1="x"), "fx 1-0-0: is no longer released", id="withdrawn"),
        pytest.param(contracts_of(v1_0_0="x", v2_0_0="y"), "replaced by the breaking 2-0-0", id="new-model"),
        pytest.param(Released(digest="d", schemas={}), "fx 1-0-0: is no longer released", id="dataset-gone"),
    ],
)
def test_breaking_change_under_a_run_is_refused(today: Released, words: str) -> None:
    with pytest.raises(BreakingContractChangeError, match=words):
        check_compatible({"fx": ["1-0-0", "x"]}, today)


def test_contracts_of_this_code_are_compatible_with_themselves() -> None:
    today = released()
    assert set(today.latest()) == set(contracts.datasets())
    check_compatible(today.latest(), today)
