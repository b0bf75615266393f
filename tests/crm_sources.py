"""What the CRM stand-ins hold, as the states that silver should have: made without Spark, from their own records."""

import functools
import hashlib
import hmac
from datetime import UTC, datetime

import phonenumbers

from local.home import ROOT
from local.standins import hubspot, people, salesforce, web

CODES = {spelled.upper(): code for nation, code in people.REGIONS.items() for spelled in (nation, code)}


@functools.cache
def states(key):
    """Accounts and contacts as rows of silver, without `_run_id`; every record has one state."""
    customers = web.customers(ROOT / "build" / "tpch")
    accounts = [_account(key, record) for record in salesforce.records_of(customers)["Account"]]
    return accounts, [_contact(key, record) for record in hubspot.records_of(customers)]


def _account(key, record):
    country = CODES.get(record["BillingCountry"].strip().upper())
    moment = datetime.fromisoformat(record["SystemModstamp"])
    return {
        "account_id": record["Id"],
        "updated_at": moment,
        "updated_on": moment.date(),
        "customer_id": record["AccountNumber"] and int(record["AccountNumber"]),
        "name_token": _token(key, "company", record["Name"].lower()),
        "phone_token": _token(key, "phone", _dialled(record["Phone"], country)),
        "country": country,
        "industry": record["Industry"],
        "is_deleted": record["IsDeleted"],
        "created_at": datetime.fromisoformat(record["CreatedDate"]),
    }


def _contact(key, record):
    held = record["properties"]
    country = CODES.get(held["country"].strip().upper())
    moment = datetime.fromisoformat(record.get("archivedAt") or held["lastmodifieddate"])
    return {
        "contact_id": record["id"],
        "updated_at": moment,
        "updated_on": moment.date(),
        "email_token": _token(key, "email", held["email"].lower()),
        "name_token": _token(key, "name", f"{held['firstname']} {held['lastname']}".lower()),
        "phone_token": _token(key, "phone", _dialled(held["phone"], country)),
        "company_token": _token(key, "company", held["company"].strip().lower()),
        "country": country,
        "lifecycle_stage": held["lifecyclestage"] or None,
        "is_deleted": record["archived"],
        "created_at": datetime.fromisoformat(held["createdate"]),
    }


def _dialled(text, country):
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    return f"+{number.country_code}{number.national_number}"


def _token(key, kind, value):
    if not value:
        return None
    return f"{kind}_{hmac.new(key.encode(), f'{kind}:{value}'.encode(), hashlib.sha256).hexdigest()}"


def naive(row):
    """A row whose moments DuckDB takes for UTC."""
    return {
        name: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def aware(row):
    """A row of DuckDB with its moments in UTC."""
    return tuple(value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row)
