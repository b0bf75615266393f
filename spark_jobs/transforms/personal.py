"""Personal values in one spelling, so that one person has one token, and the country that a phone is dialled from.

What native Spark can do is a column function; phones and countries need tables that only Python libraries hold.

Source: ITU-T E.164; ISO 3166-1; RFC 5321, 2.4 (a domain is the same in any case; HubSpot takes the whole address so).
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from pyspark.sql import Column
from pyspark.sql import functions as sf

EMAIL, PHONE, NAME, COMPANY = "email", "phone", "name", "company"
# Names that people enter and that ISO 3166 writes otherwise, in lower case.
COUNTRY_ALIASES = {
    "uk": "GB",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "u.k.": "GB",
    "u.s.": "US",
    "u.s.a.": "US",
    "america": "US",
    "united states of america": "US",
    "russia": "RU",
    "turkey": "TR",
    "holland": "NL",
    "the netherlands": "NL",
    "deutschland": "DE",
    "ivory coast": "CI",
    "macedonia": "MK",
    "swaziland": "SZ",
    "burma": "MM",
}


def email(column: Column) -> Column:
    """An address trimmed and in lower case; null when nothing is left."""
    return _or_null(sf.lower(sf.trim(column)))


def words(*columns: Column) -> Column:
    """Texts joined by a space, in lower case, each stretch of white space one space; null when nothing is left."""
    joined = sf.concat_ws(" ", *columns)
    return _or_null(sf.lower(sf.trim(sf.regexp_replace(joined, r"(?U)\s+", " "))))


def trimmed(column: Column) -> Column:
    """A text without white space around it; null when nothing is left."""
    return _or_null(sf.trim(column))


@lru_cache(maxsize=10_000)
def country_code(text: str | None) -> str | None:
    """The ISO 3166 alpha-2 code of a country as it was entered, by name or code; null when it is none."""
    import pycountry

    entered = " ".join((text or "").split()).casefold()
    if not entered:
        return None
    if entered in COUNTRY_ALIASES:
        return COUNTRY_ALIASES[entered]
    try:
        return str(pycountry.countries.lookup(entered).alpha_2)
    except LookupError:
        return None


def phone_number(text: str | None, country: str | None) -> str | None:
    """A phone number in E.164; null when it cannot be dialled.

    Args:
        text: in any layout; a number without its country's prefix is dialled from `country`.
        country: ISO 3166 alpha-2; null leaves numbers without a prefix undialable.
    Returns:
        A number of a length that its country has. Whether somebody has it is not asked: numbering plans change with
        each release of the library, and a token must not.
    """
    import phonenumbers

    if not text:
        return None
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def token(key: bytes, kind: str, value: str | None) -> str | None:
    """What stands for a value: `<kind>_` and the HMAC-SHA256, in hex, of `<kind>:<value>`; null for null.

    The kind is part of what is hashed, so that an equal text of another kind cannot be recognised.
    """
    if value is None:
        return None
    return f"{kind}_{hmac.new(key, f'{kind}:{value}'.encode(), hashlib.sha256).hexdigest()}"


def _or_null(text: Column) -> Column:
    return sf.when(text != "", text)
