"""JSON Schema's formats as native Spark columns, each with the verdict of jsonschema's FormatChecker.

The checkers are the standard here, not the RFCs: they let a line end stand after a date-time, a host name or a URI,
take Unicode digits in times, host names and UUIDs, and know no leap second. Repeated groups are possessive, for Java
remembers each of their rounds on its stack, which a long text overflows.

Source: jsonschema 4.25.1 _format.py; rfc3339_validator 0.1.4; rfc3986_validator 0.1.1; fqdn; Python 3.11's ipaddress
and uuid.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as sf

_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]++)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])\n?\z"
_DATE_TIME = rf"^[0-9]{{4}}-(?:0[1-9]|1[0-2])-[0-9]{{2}}[Tt]{_CLOCK}"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_UUID = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\z"
# what int(text, 16) passes over at both ends: blanks of ASCII, and those beyond
_BLANK = r"[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_LONGEST_HOST = 253


def keeps_format(name: str, text: Column) -> Column:
    """Whether text that is not null keeps a format."""
    return _FORMATS[name](text)


def _date(text: Column) -> Column:
    return text.rlike(_DATE) & _real_day(text)


def _date_time(text: Column) -> Column:
    return text.rlike(_DATE_TIME) & _real_day(sf.substring(text, 1, 10))


def _real_day(text: Column) -> Column:
    return ~text.startswith("0000") & text.try_cast("date").isNotNull()


def _time(text: Column) -> Column:
    """FormatChecker() has the checker of draft 3 under this name: hours, minutes, seconds, and no zone."""
    digit = f"[{_decimals()}]"
    sixty = f"(?:[0-5]{digit}|{digit})"
    return text.rlike(rf"^(?:2[0-3]|[01]{digit}|{digit}):{sixty}:{sixty}\z")


def _hostname(text: Column) -> Column:
    # the length is looked at first, so that a long text is not searched
    length = sf.char_length(text) - text.endswith(".").cast("int")
    return sf.when(length > _LONGEST_HOST, sf.lit(False)).otherwise(text.rlike(_host_pattern()))


def _uuid(text: Column) -> Column:
    """Python's uuid.UUID reads more than UUIDs are written as; what is written plainly is told at once."""
    bare = sf.replace(sf.replace(text, sf.lit("urn:")), sf.lit("uuid:"))
    digits = sf.replace(sf.btrim(bare, sf.lit("{}")), sf.lit("-"))
    hyphens = text.rlike(r"(?s)^.{8}-.{4}-.{4}-.{4}-")
    odd = hyphens & (sf.char_length(digits) == 32) & digits.rlike(_hexadecimal_pattern())
    return sf.when(text.rlike(_UUID), sf.lit(True)).otherwise(odd)


def _matches(pattern: str) -> Callable[[Column], Column]:
    return lambda text: text.rlike(pattern)


@cache
def _decimals() -> str:
    """Every decimal digit of Unicode, for a character class; Java's own list is of another version."""
    zeros = [code for code in range(0x110000) if unicodedata.decimal(chr(code), None) == 0]
    return "".join(rf"\x{{{zero:x}}}-\x{{{zero + 9:x}}}" for zero in zeros)


@cache
def _host_pattern() -> str:
    # dotless i, long s and the Kelvin sign are letters when case is ignored
    inner = rf"A-Za-z\u0131\u017f\u212a{_decimals()}"
    label = rf"[{inner}](?:[{inner}-]{{0,61}}[{inner}])?"
    return rf"^{label}(?:[.]{label})*+[.]?\n?\z"


@cache
def _hexadecimal_pattern() -> str:
    digit = rf"[A-Fa-f{_decimals()}]"
    zero = "".join(rf"\x{{{code:x}}}" for code in range(0x110000) if unicodedata.decimal(chr(code), None) == 0)
    return rf"^{_BLANK}*+\+?(?:[{zero}][xX]_?)?{digit}++(?:_{digit}++)*+{_BLANK}*+\z"


def _ipv6_pattern() -> str:
    """Eight groups, or fewer around one `::`; the last two may be written as an IPv4 address."""
    group = "[0-9A-Fa-f]{1,4}"
    whole = [rf"(?:{group}:){{7}}{group}", rf"(?:{group}:){{6}}{_IPV4}"]
    for before in range(8):
        start = rf"{group}(?::{group}){{{before - 1}}}" if before else ""
        after = [""]
        if before < 7:
            after.append(rf"(?:{group}:){{0,{6 - before}}}{group}")
        if before < 6:
            after.append(rf"(?:{group}:){{0,{5 - before}}}{_IPV4}")
        whole.append(rf"{start}::(?:{'|'.join(reversed(after))})")
    return rf"^(?:{'|'.join(whole)})\z"


def _uri_pattern() -> str:
    plain = r"a-zA-Z0-9_.~\-!$&'()*+,;="
    escape = "%[0-9A-Fa-f]{2}"

    def run(characters: str) -> str:
        return rf"[{characters}]*+(?:{escape}[{characters}]*+)*+"

    segments = rf"(?:/{run(plain + ':@')})*+"
    first_segment = rf"(?:[{plain}:@]|{escape}){run(plain + ':@')}"
    literal = rf"\[(?:{_URI_IPV6}|v[0-9A-Fa-f]++\.[{plain}:]++)\]"
    authority = rf"(?:{run(plain + ':')}@)?(?:{literal}|{run(plain)})(?::[0-9]*+)?"
    path = rf"(?://{authority}{segments}|/(?:{first_segment}{segments})?|{first_segment}{segments}|)"
    rest = run(plain + ":@/?")
    return rf"^[a-zA-Z][a-zA-Z0-9+.-]*+:{path}(?:\?{rest})?(?:#{rest})?\n?\z"


def _uri_ipv6_pattern() -> str:
    """An IPv6 address as rfc3986_validator knows it: an IPv4 part may have leading zeros, `::` may stand for none."""
    group = "[0-9A-Fa-f]{1,4}"
    octet = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
    last = rf"(?:{group}:{group}|(?:{octet}\.){{3}}{octet})"
    found = [
        rf"(?:{group}:){{6}}{last}",
        rf"::(?:{group}:){{5}}{last}",
        *(rf"(?:(?:{group}:){{0,{before}}}{group})?::(?:{group}:){{{4 - before}}}{last}" for before in range(5)),
        rf"(?:(?:{group}:){{0,5}}{group})?::{group}",
        rf"(?:(?:{group}:){{0,6}}{group})?::",
    ]
    return rf"(?:{'|'.join(found)})"


_URI_IPV6 = _uri_ipv6_pattern()
_FORMATS: Mapping[str, Callable[[Column], Column]] = {
    "date": _date,
    "date-time": _date_time,
    "time": _time,
    "email": lambda text: text.contains("@"),
    "uuid": _uuid,
    "uri": _matches(_uri_pattern()),
    "ipv4": _matches(rf"^{_IPV4}\z"),
    "ipv6": _matches(_ipv6_pattern()),
    "hostname": _hostname,
}
