"""A released contract never changes: data was judged by it, and a run may be redriven under it."""

import pytest

from contracts import contract as contracts
from contracts import releases
from contracts.errors import ContractError, UnknownContractError

RELEASED = {tuple(name.split("/")): digest for name, digest in releases.pinned().items()}


@pytest.mark.parametrize(("dataset", "version"), sorted(RELEASED))
def test_a_released_file_is_what_it_was(dataset, version):
    assert contracts.load(dataset, version).digest == RELEASED[dataset, version], "release a new version instead"


def test_every_version_is_pinned():
    everything = {(dataset, version) for dataset in contracts.datasets() for version in contracts.versions(dataset)}
    assert everything == set(RELEASED)


def test_nothing_is_wrong_with_the_contracts():
    assert releases.problems(releases.pinned()) == []


@pytest.mark.parametrize(
    ("dataset", "version"),
    [
        pytest.param("no_such_dataset", None, id="dataset"),
        pytest.param("fx_rates_bronze", "9-9-9", id="version"),
        pytest.param("../../etc/passwd", None, id="path"),
        pytest.param("fx_rates_bronze", "../1-0-0", id="path-in-version"),
    ],
)
def test_an_unknown_contract_is_refused_by_name(dataset, version):
    with pytest.raises(UnknownContractError):
        contracts.load(dataset, version)


def test_a_file_that_is_not_a_contract_is_refused():
    with pytest.raises(ContractError, match="orders_silver 1-0-0: not a contract"):
        contracts.parse_document("orders_silver", "1-0-0", b'{"type": "object", "additionalProperties": false}')


def test_a_bronze_table_of_text_keeps_text_and_adds_the_runs_columns():
    columns = contracts.load("fx_rates_bronze").columns
    assert columns[:2] == (("Date", "string"), ("USD", "string"))
    assert [name for name, _ in columns[42:]] == [
        "_run_id",
        "_attempt",
        "_source",
        "_ingested_at",
        "_file",
        "_received_at",
    ]


def test_a_gold_table_is_stored_in_exact_types():
    assert contracts.load("fct_daily_revenue_gold").columns == (
        ("revenue_date", "date"),
        ("currency", "string"),
        ("orders", "bigint"),
        ("revenue", "decimal(18,2)"),
        ("rate", "decimal(18,8)"),
        ("rate_date", "date"),
        ("revenue_eur", "decimal(18,2)"),
        ("_run_id", "string"),
    )
