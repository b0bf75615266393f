"""How people of the sample company's nations enter names, addresses, phones and countries.

Everything follows from a customer's number, so that it is the same everywhere.
"""

from __future__ import annotations

from functools import cache

import phonenumbers

# A nation of TPC-H and its ISO 3166 code.
REGIONS = {
    "ALGERIA": "DZ",
    "ARGENTINA": "AR",
    "BRAZIL": "BR",
    "CANADA": "CA",
    "CHINA": "CN",
    "EGYPT": "EG",
    "ETHIOPIA": "ET",
    "FRANCE": "FR",
    "GERMANY": "DE",
    "INDIA": "IN",
    "INDONESIA": "ID",
    "IRAN": "IR",
    "IRAQ": "IQ",
    "JAPAN": "JP",
    "JORDAN": "JO",
    "KENYA": "KE",
    "MOROCCO": "MA",
    "MOZAMBIQUE": "MZ",
    "PERU": "PE",
    "ROMANIA": "RO",
    "RUSSIA": "RU",
    "SAUDI ARABIA": "SA",
    "UNITED KINGDOM": "GB",
    "UNITED STATES": "US",
    "VIETNAM": "VN",
}
FIRST_NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Eszter", "Fatima", "Grace", "Hiro", "Ines", "João", "Kwame", "Linh")
LAST_NAMES = (
    "Okafor",
    "Müller",
    "Nguyễn",
    "da Silva",
    "O'Brien",
    "Haddad",
    "Popescu",
    "Tanaka",
    "Iyer",
    "Kovács",
    "Li",
)


def name(number: int) -> tuple[str, str]:
    """First and last name."""
    return FIRST_NAMES[number % len(FIRST_NAMES)], LAST_NAMES[number % len(LAST_NAMES)]


def email(number: int) -> str:
    """An address of its own, in small letters, in capitals or in both."""
    first, last = (part.encode("ascii", "ignore").decode().replace(" ", "").replace("'", "") for part in name(number))
    written = f"{first}.{last}.{number}@example.com"
    return (written.lower(), written, written.upper())[number % 3]


def country(nation: str, layout: int) -> str:
    """A country as somebody enters it: by name or by code."""
    code = REGIONS[nation]
    return (nation.title(), code, nation, code.lower(), f" {nation.title()} ")[layout % 5]


def phone(nation: str, number: int, layout: int) -> str:
    """A number of the nation's own kind, in one of six layouts; the same number has the same digits in each."""
    country_code, digits = _sample(REGIONS[nation])
    own = phonenumbers.PhoneNumber(
        country_code=country_code, national_number=int(f"{digits[:-5]}{number % 100_000:05}")
    )
    kinds = phonenumbers.PhoneNumberFormat
    written = phonenumbers.format_number(own, (kinds.E164, kinds.INTERNATIONAL, kinds.NATIONAL)[layout % 3])
    return written if layout % 6 < 3 else written.replace(" ", ".").replace("-", "/")


@cache
def _sample(region: str) -> tuple[int, str]:
    sample = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if sample is None or sample.country_code is None:
        raise LookupError(f"{region}: no sample of a mobile number")
    return sample.country_code, str(sample.national_number)
