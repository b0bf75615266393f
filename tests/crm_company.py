"""A company with CRM systems: what they hold, days on it by the very jobs, and what DuckDB makes of the same records."""

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

from contracts import contract as contracts
from spark_jobs import ingest, tokens
from spark_jobs.row_rules import received_schema
from spark_jobs.sources import credentials
from spark_jobs.transforms import personal

KEY = "the key of this test"
SOURCES = ("fx_rates", "snowflake_orders", "salesforce_accounts", "hubspot_contacts")
ACCOUNTS, CONTACTS = (contracts.load(name) for name in ("salesforce_accounts_bronze", "hubspot_contacts_bronze"))
ORACLE = Path(__file__).with_name("dim_customer_oracle.sql")
DIM = contracts.load("dim_customer_gold")
SHOWN = [name for name, _ in DIM.columns if name != "_run_id"]

START = date(2026, 6, 1)
DAYS = [date(2026, 7, 20) + timedelta(days=each) for each in range(4)]


def at(day, hour=0):
    return datetime(2026, 7, day, hour, tzinfo=UTC)


def token(kind, value):
    return personal.token(KEY.encode(), kind, value)


def raw_account(number, day, **said):
    row = {
        "Id": f"001Aq{number:010}IAA", "Name": f"Customer {number}", "AccountNumber": str(number), "Phone": None,
        "Industry": "Retail", "BillingCountry": "Germany", "IsDeleted": False, "CreatedDate": at(1), "SystemModstamp": day,
    }  # fmt: skip
    return {**row, **said}


def raw_contact(number, day, **said):
    row = {
        "id": str(number), "email": f"P{number}@Example.com", "firstname": "Ann", "lastname": f"Lee {number}",
        "phone": None, "company": None, "country": "DE", "lifecyclestage": "lead", "createdate": at(1),
        "lastmodifieddate": day, "archived": False, "archivedAt": None,
    }  # fmt: skip
    return {**row, **said}


def frame(spark, contract, rows):
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


class Company(World):
    """The world with its CRM systems, which know the last state of each record, as it was when they are asked."""

    def __init__(self, spark, folder, patch, seed):
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
        archived = rows[-1]["lastmodifieddate"] + timedelta(hours=chance.choice([2, 30]))
        if chance.random() < 0.3 and archived.date() <= DAYS[-1]:
            rows.append({**rows[-1], "archived": True, "archivedAt": archived})
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
