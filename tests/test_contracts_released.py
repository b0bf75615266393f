"""A released contract never changes: data was judged by it, and a run may be redriven under it."""

import pytest

from contracts import contract as contracts
from contracts.errors import ContractError, UnknownContractError

RELEASED = {
    ("fct_daily_revenue_gold", "1-0-0"): "5f2ef35533c397a61c2c1f0733b9897b913aacbe7940ed6e76a7cdbace5d9c68",
    ("fx_rates_bronze", "1-0-0"): "9aca52cc0fe761ded659d8b252c74a7104202e1d29e0dd3f1047715897de038d",
    ("fx_rates_silver", "1-0-0"): "78acd0a29c94757f4cc2f578ce97a916f6cc1028088f783a9d3be2db59d6af3d",
    ("orders_silver", "1-0-0"): "650ad10bed9d31d2412fd01e81b9cd985df3f4bb2bd9400c472001c712dc0e70",
    ("snowflake_orders_bronze", "1-0-0"): "9ab7f3396d15366534f2248d5e7e55f4b63f0c131724d8b2cecd834310988825",
}


@pytest.mark.parametrize(("dataset", "version"), sorted(RELEASED))
def test_a_released_file_is_what_it_was(dataset, version):
    assert contracts.load(dataset, version).digest == RELEASED[dataset, version], "release a new version instead"


def test_every_version_is_pinned_here():
    everything = {(dataset, version) for dataset in contracts.datasets() for version in contracts.versions(dataset)}
    assert everything == set(RELEASED)


def test_every_contract_keeps_the_meta_schema():
    contracts.verify_all()


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
