"""Accounts and contacts on their way to silver: typed, one row a state, personal values as tokens."""

from datetime import date

from crm_company import ACCOUNTS, CONTACTS, at, frame, raw_account, raw_contact, token, workers_with_the_key  # noqa: F401
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs import tokens
from spark_jobs.transforms import accounts, contacts
from spark_jobs.transforms.newest import newest

pytestmark = quiet


def test_accounts_are_typed_and_hold_no_personal_value(spark, workers_with_the_key):  # noqa: F811
    rows = [
        raw_account(1, at(2), Name=" ACME  Ltd ", Phone="030 5550123", Industry=" "),
        raw_account(1, at(3), AccountNumber="n/a", BillingCountry="Atlantis", Phone="030 5550123"),
    ]
    named = accounts.standardise(frame(spark, ACCOUNTS, rows))
    silver = accounts.as_silver(tokens.with_tokens(named, accounts.PERSONAL, "arn"))
    assert set(silver.columns) == {name for name, _ in contracts.load("accounts_silver").columns}
    picked = silver.orderBy("updated_at").select(
        "updated_on", "customer_id", "name_token", "phone_token", "country", "industry"
    )
    assert [tuple(row) for row in picked.collect()] == [
        (date(2026, 7, 2), 1, token("company", "acme ltd"), token("phone", "+49305550123"), "DE", None),
        (date(2026, 7, 3), None, token("company", "customer 1"), None, None, "Retail"),
    ]


def test_contacts_are_typed_and_an_archived_one_changed_when_it_was_archived(spark, workers_with_the_key):  # noqa: F811
    rows = [
        raw_contact(1, at(2), company=" ACME  ltd", phone="+49 30 5550123"),
        raw_contact(1, at(2), archived=True, archivedAt=at(5)),
    ]
    named = contacts.standardise(frame(spark, CONTACTS, rows))
    silver = contacts.as_silver(tokens.with_tokens(named, contacts.PERSONAL, "arn"))
    assert set(silver.columns) == {name for name, _ in contracts.load("contacts_silver").columns}
    picked = silver.orderBy("updated_at").select(
        "updated_on", "email_token", "name_token", "phone_token", "company_token", "is_deleted"
    )
    person = (token("email", "p1@example.com"), token("name", "ann lee 1"))
    assert [tuple(row) for row in picked.collect()] == [
        (date(2026, 7, 2), *person, token("phone", "+49305550123"), token("company", "acme ltd"), False),
        (date(2026, 7, 5), *person, None, None, True),
    ]


def test_of_two_states_of_one_moment_the_deleted_one_stands(spark, workers_with_the_key):  # noqa: F811
    rows = [raw_account(1, at(2), IsDeleted=True), raw_account(1, at(2), Industry="Zoos")]
    for order in (rows, rows[::-1]):
        named = accounts.standardise(frame(spark, ACCOUNTS, order))
        states = accounts.as_silver(tokens.with_tokens(named, accounts.PERSONAL, "arn"))
        silver = newest(states, accounts.KEY, accounts.ORDER)
        assert [tuple(row) for row in silver.select("is_deleted", "industry").collect()] == [(True, "Retail")]
