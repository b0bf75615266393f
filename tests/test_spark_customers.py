"""Who a customer was and when: from states written out here, and from whole days against DuckDB."""

import random
from datetime import date

import pytest
from crm_company import DAYS, SHOWN, START, Company, at, workers_with_the_key  # noqa: F401
from delta.tables import DeltaTable
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs.delta_log import latest_version
from spark_jobs.transforms.customers import dim_customer

pytestmark = quiet
ACCOUNT_STATE = (
    "account_id string, updated_at timestamp, customer_id bigint, name_token string, phone_token string,"
    " country string, industry string, is_deleted boolean"
)
CONTACT_STATE = (
    "contact_id string, updated_at timestamp, email_token string, phone_token string, company_token string,"
    " country string, lifecycle_stage string, is_deleted boolean"
)


def shown(spark, orders, account_states, contact_states):  # noqa: F811
    """Account, contact, country, stage, deleted and the days between which they held, a row each."""
    rows = dim_customer(
        spark.createDataFrame(orders, "customer_id bigint, first_order_date date"),
        spark.createDataFrame(account_states, ACCOUNT_STATE),
        spark.createDataFrame(contact_states, CONTACT_STATE),
    )
    assert rows.columns == SHOWN
    return [
        (
            row["customer_id"],
            row["valid_from"].day,
            row["valid_to"] and row["valid_to"].day,
            row["account_id"],
            row["contact_id"],
            row["phone_token"],
            row["country"],
            row["is_deleted"],
        )
        for row in rows.orderBy("customer_id", "valid_from").collect()
    ]


def account(account_id, day, customer, name="acme", phone=None, country="DE", deleted=False):
    return (account_id, at(day), customer, name, phone, country, "Retail", deleted)


def contact(contact_id, day, phone=None, company=None, country=None, deleted=False):
    return (contact_id, at(day), f"mail {contact_id}", phone, company, country, "lead", deleted)


@pytest.mark.parametrize(
    ("orders", "account_states", "contact_states", "wanted"),
    [
        pytest.param([(7, date(2026, 7, 3))], [], [], [(7, 3, None, None, None, None, None, False)], id="orders-alone"),
        pytest.param(
            [],
            [account("a", 2, 7)],
            [],
            [(7, 2, None, "a", None, None, "DE", False)],
            id="an-account-alone",
        ),
        pytest.param(
            [(7, date(2026, 7, 1))],
            [account("a", 5, 7), account("a", 9, 7, country="FR")],
            [],
            [
                (7, 1, 5, None, None, None, None, False),
                (7, 5, 9, "a", None, None, "DE", False),
                (7, 9, None, "a", None, None, "FR", False),
            ],
            id="states-follow-each-other",
        ),
        pytest.param(
            [],
            [account("a", 1, 7), account("a", 4, 7), account("a", 6, 7)],
            [],
            [(7, 1, None, "a", None, None, "DE", False)],
            id="equal-states-are-one",
        ),
        pytest.param(
            [],
            [account("a", 1, 7), account("a", 4, 7, deleted=True), account("a", 6, 7)],
            [],
            [
                (7, 1, 4, "a", None, None, "DE", False),
                (7, 4, 6, None, None, None, None, True),
                (7, 6, None, "a", None, None, "DE", False),
            ],
            id="a-deleted-account-ends-and-may-come-back",
        ),
        pytest.param(
            [],
            [account("b", 1, 7), account("a", 3, 7, country="FR"), account("a", 5, 7, deleted=True)],
            [],
            [
                (7, 1, 3, "b", None, None, "DE", False),
                (7, 3, 5, "a", None, None, "FR", False),
                (7, 5, None, "b", None, None, "DE", False),
            ],
            id="of-two-accounts-the-smallest-id",
        ),
        pytest.param(
            [],
            [account("a", 1, 7), account("a", 3, 8)],
            [],
            [
                (7, 1, 3, "a", None, None, "DE", False),
                (7, 3, None, None, None, None, None, False),
                (8, 3, None, "a", None, None, "DE", False),
            ],
            id="an-account-moves-to-another-customer",
        ),
        pytest.param(
            [],
            [account("a", 1, 7, phone="p", country=None)],
            [
                contact("10", 2, company="acme"),
                contact("9", 3, company="acme"),
                contact("11", 4, phone="p", country="FR"),
            ],
            [
                (7, 1, 2, "a", None, "p", None, False),
                (7, 2, 3, "a", "10", "p", None, False),
                (7, 3, 4, "a", "9", "p", None, False),
                (7, 4, None, "a", "11", "p", "FR", False),
            ],
            id="phone-before-company-and-the-smallest-number",
        ),
        pytest.param(
            [],
            [account("a", 1, 7, phone="p"), account("a", 5, 7, phone="q")],
            [
                contact("1", 2, phone="p"),
                contact("2", 3, phone="q"),
                contact("1", 7, phone="q"),
                contact("1", 8, deleted=True),
            ],
            [
                (7, 1, 2, "a", None, "p", "DE", False),
                (7, 2, 5, "a", "1", "p", "DE", False),
                (7, 5, 7, "a", "2", "q", "DE", False),
                (7, 7, 8, "a", "1", "q", "DE", False),
                (7, 8, None, "a", "2", "q", "DE", False),
            ],
            id="matches-come-and-go",
        ),
        pytest.param(
            [],
            [account("a", 1, None, phone="p")],
            [contact("1", 2, phone="p")],
            [],
            id="a-prospect-is-no-customer",
        ),
    ],
)
def test_a_row_lasts_as_long_as_what_is_known(spark, orders, account_states, contact_states, wanted):  # noqa: F811
    assert shown(spark, orders, account_states, contact_states) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_days_in_any_order_give_duckdbs_rows(spark, tmp_path, monkeypatch, workers_with_the_key, seed):  # noqa: F811
    company = Company(spark, tmp_path, monkeypatch, seed)
    company.day(date(2026, 7, 19), history=True)
    days = list(DAYS)
    random.Random(seed).shuffle(days)  # noqa: S311 (an order)
    assert days != DAYS
    for day in days:
        company.day(day)
    wanted = company.expected()
    assert company.dim() == wanted
    assert sum(row[3] for row in wanted) == len({row[0] for row in wanted})
    assert {True, False} == {row[-1] for row in wanted}
    # a day that was read already changes nothing, in silver neither
    tables = ("silver/accounts", "silver/contacts", "gold/dim_customer")
    versions = {name: latest_version(company.store, name) for name in tables}
    company.day(days[0], run="0001")
    assert {name: latest_version(company.store, name) for name in tables} == versions
    assert company.dim() == wanted


@pytest.mark.parametrize("kind", [pytest.param("accounts", marks=pytest.mark.slow), "contacts"])
def test_a_restore_makes_the_same_tokens(spark, tmp_path, monkeypatch, workers_with_the_key, kind):  # noqa: F811
    company = Company(spark, tmp_path, monkeypatch, 0)
    company.day(START, history=True)
    table = f"silver/{kind}"
    columns = [name for name, _ in contracts.of_table(table).columns]
    wanted = company.rows(table, *columns)
    DeltaTable.forPath(spark, str(company.folder / table)).delete()
    receipt = company.job(DAYS[0], "restore_silver", kind, run="aaaa", upkeep={}, sources=[])
    assert receipt["status"] == "SUCCEEDED", receipt["cause"]
    assert wanted
    assert company.rows(table, *columns) == wanted
