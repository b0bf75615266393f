"""Who a customer was and when: from states written out here, and from whole days against DuckDB."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import functions as sf
from spark_day import World
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs import ingest, tokens
from spark_jobs.delta_log import latest_version
from spark_jobs.row_rules import received_schema
from spark_jobs.sources import credentials
from spark_jobs.transforms import accounts, contacts, personal
from spark_jobs.transforms.customers import dim_customer

pytestmark = quiet
KEY = "the key of this test"
SOURCES = ("fx_rates", "snowflake_orders", "salesforce_accounts", "hubspot_contacts")
ACCOUNTS, CONTACTS = (contracts.load(name) for name in ("salesforce_accounts_bronze", "hubspot_contacts_bronze"))
ORACLE = Path(__file__).with_name("dim_customer_oracle.sql")
DIM = contracts.load("dim_customer_gold")
SHOWN = [name for name, _ in DIM.columns if name != "_run_id"]


def at(day, hour=0):
    return datetime(2026, 7, day, hour, tzinfo=UTC)


def token(kind, value):
    return personal.token(KEY.encode(), kind, value)


# --- the transform ---

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


# --- bronze to silver ---


def raw_account(number, day, **said):
    row = {
        "Id": f"001Aq{number:010}IAA", "Name": f"Customer {number}", "AccountNumber": str(number), "Phone": None,
        "Industry": "Retail", "BillingCountry": "Germany", "IsDeleted": False, "CreatedDate": at(1), "SystemModstamp": day,
    }  # fmt: skip
    return {**row, **said}


def raw_contact(number, day, **said):
    row = {
        "id": str(number), "email": f"P{number}@Example.com ", "firstname": "Ann", "lastname": f"Lee {number}",
        "phone": None, "company": None, "country": "DE", "lifecyclestage": "lead", "createdate": at(1),
        "lastmodifieddate": day, "archived": False, "archivedAt": None,
    }  # fmt: skip
    return {**row, **said}


def frame(spark, contract, rows):  # noqa: F811
    names = [field.name for field in contract.fields]
    values = [tuple(row[name] for name in names) for row in rows]
    return spark.createDataFrame(values, received_schema(contract)).withColumn("_run_id", sf.lit("r1"))


@pytest.fixture
def workers_with_the_key(monkeypatch):
    """Spark's workers are processes without this one's Secrets Manager: theirs is put in place in the task."""
    settling, held = tokens.settling, json.dumps({"key": KEY})

    def with_key(kinds, secret_arn):
        settle = settling(kinds, secret_arn)

        def settled(rows):
            credentials._current = lambda _: json.loads(held)
            return settle(rows)

        return settled

    monkeypatch.setattr(tokens, "settling", with_key)


def test_accounts_are_typed_and_hold_no_personal_value(spark, workers_with_the_key):  # noqa: F811
    rows = [
        raw_account(1, at(2), Name=" ACME  Ltd ", Phone="030 5550123", Industry=" "),
        raw_account(1, at(3), AccountNumber="n/a", BillingCountry="Atlantis", Phone="030 5550123"),
    ]
    named = accounts.standardise(frame(spark, ACCOUNTS, rows))
    silver = accounts.states(tokens.with_tokens(named, accounts.PERSONAL, "arn"))
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
    silver = contacts.states(tokens.with_tokens(named, contacts.PERSONAL, "arn"))
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
        silver = accounts.states(tokens.with_tokens(named, accounts.PERSONAL, "arn"))
        assert [tuple(row) for row in silver.select("is_deleted", "industry").collect()] == [(True, "Retail")]


# --- whole days ---

START = date(2026, 6, 1)
DAYS = [date(2026, 7, 20) + timedelta(days=each) for each in range(4)]


class Company(World):
    """The world with its CRM systems, which know the last state of each record, as it was when they are asked."""

    def __init__(self, spark, folder, patch, seed):  # noqa: F811
        super().__init__(spark, folder, patch)
        chance = random.Random(seed)  # noqa: S311 (a sample)
        self.orders = [self._order(number, chance) for number in range(1, 60)]
        self.accounts = [row for number in range(1, 21) for row in self._accounts(number, chance)]
        self.contacts = [row for number in range(1, 26) for row in self._contacts(number, chance)]
        patch.setattr(ingest, "read_object", self._reading("accounts", lambda row: row["SystemModstamp"]))
        changed = self._reading("contacts", lambda row: row["archivedAt"] or row["lastmodifieddate"])
        patch.setattr(ingest, "read_contacts", changed)

    def _order(self, number, chance):
        day = chance.choice([START, *DAYS])
        moment = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=9)
        return (
            number,
            chance.randint(1, 25),
            "O",
            Decimal("10.00"),
            day,
            "1-URGENT",
            "Clerk#1",
            0,
            None,
            "EUR",
            moment,
        )

    def _moments(self, chance):
        """When a record changes: before the history ends, and on some of the days."""
        days = [START, *(day for day in DAYS if chance.random() < 0.4)]
        return [
            datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=chance.randint(0, 23)) for day in days
        ]

    def _accounts(self, number, chance):
        return [
            raw_account(
                number, moment,
                AccountNumber=chance.choice([str(number % 15 + 1)] * 4 + [None, "none"]),
                Name=f"Firm {number % 6}", Phone=f"030 55501{chance.randint(0, 4):02}",
                BillingCountry=chance.choice(["Germany", "DE", "Atlantis"]), IsDeleted=chance.random() < 0.25,
            )
            for moment in self._moments(chance)
        ]  # fmt: skip

    def _contacts(self, number, chance):
        rows = [
            raw_contact(
                number, moment, phone=chance.choice([None, f"+49 30 55501{chance.randint(0, 6):02}"]),
                company=chance.choice([None, f" FIRM  {chance.randint(0, 6)}"]), country=chance.choice(["DE", "France"]),
                lifecyclestage=chance.choice(["lead", "customer"]),
            )
            for moment in self._moments(chance)
        ]  # fmt: skip
        if chance.random() < 0.3:
            rows.append(
                {**rows[-1], "archived": True, "archivedAt": rows[-1]["lastmodifieddate"] + timedelta(hours=30)}
            )
        return rows

    def _reading(self, kind, changed):
        def read(_lake, contract, _secret, start, end):
            rows = [
                row for row in getattr(self, kind) if changed(row) < end and (start is None or changed(row) >= start)
            ]
            read_rows = frame(self.spark, contract, rows).drop("_run_id")
            return read_rows.withColumns(
                {"_file": sf.lit(None).cast("string"), "_received_at": sf.lit(None).cast("timestamp")}
            )

        return read

    def day(self, day, *, history=False, run="0000"):
        """A day through all of its steps."""
        said = {"history": history, "run": run, "sources": list(SOURCES)}
        files = [self.deliver(day, [{"Date": f"{day}", "USD": "1.1"}])]
        keys = [
            self.job(day, "ingest", source, files=files if source == "fx_rates" else (), **said)["key"]
            for source in SOURCES
        ]
        for step in (
            "check_bronze",
            "bronze_to_silver",
            "check_silver",
            "silver_to_gold",
            "check_gold",
            "publish_gold",
        ):
            receipt = self.job(day, step, receipts=keys, **said)
            assert receipt["status"] == "SUCCEEDED", receipt
            assert receipt.get("verdict") in (None, "PASS", "WARN"), receipt
            keys.append(receipt["key"])
        return receipt

    def states(self):
        """Silver's states of accounts and contacts, made without Spark from all that the systems ever held."""
        codes = {"Germany": "DE", "DE": "DE", "France": "FR", "Atlantis": None}

        def phone(text, country):
            digits = None if text is None or (country is None and not text.startswith("+")) else text[-7:]
            return digits and token("phone", f"+4930{digits}")

        account_states = [
            {
                "account_id": row["Id"], "updated_at": row["SystemModstamp"].replace(tzinfo=None),
                "customer_id": int(row["AccountNumber"]) if (row["AccountNumber"] or "none") != "none" else None,
                "name_token": token("company", row["Name"].lower()),
                "phone_token": phone(row["Phone"], codes[row["BillingCountry"]]),
                "country": codes[row["BillingCountry"]], "industry": row["Industry"], "is_deleted": row["IsDeleted"],
            }
            for row in self.accounts
        ]  # fmt: skip
        contact_states = [
            {
                "contact_id": row["id"], "updated_at": (row["archivedAt"] or row["lastmodifieddate"]).replace(tzinfo=None),
                "email_token": token("email", row["email"].strip().lower()),
                "phone_token": phone(row["phone"], codes[row["country"]]),
                "company_token": row["company"] and token("company", " ".join(row["company"].split()).lower()),
                "country": codes[row["country"]], "lifecycle_stage": row["lifecyclestage"], "is_deleted": row["archived"],
            }
            for row in self.contacts
        ]  # fmt: skip
        return account_states, contact_states

    def expected(self):
        """The rows of dim_customer as DuckDB computes them."""
        account_states, contact_states = self.states()
        firsts = {}
        for row in self.orders:
            firsts[row[1]] = min(row[4], firsts.get(row[1], row[4]))
        db = duckdb.connect()
        db.register("account_states", pa.Table.from_pylist(account_states))
        db.register("contact_states", pa.Table.from_pylist(contact_states))
        db.register("firsts", pa.table({"customer_id": list(firsts), "first_order_date": list(firsts.values())}))
        db.execute(ORACLE.read_text())
        return db.sql("FROM gold_dim_customer").fetchall()

    def dim(self):
        return self.rows("gold/dim_customer", *SHOWN)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
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
