"""Whether text is a moment in a strftime format, as Python's strptime decides it, in native columns.

Source: https://docs.python.org/3.11/library/datetime.html#strftime-and-strptime-format-codes
"""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as sf

from contracts.errors import UnsupportedKeywordError

# What strptime reads for each directive: one digit will do where two are usual. Names of days and months are left out.
_DIRECTIVES = {
    "Y": r"\d\d\d\d",
    "m": r"1[0-2]|0[1-9]|[1-9]",
    "d": r"3[01]|[12]\d|0[1-9]|[1-9]| [1-9]",
    "H": r"2[0-3]|[01]\d|\d",
    "M": r"[0-5]\d|\d",
    "S": r"[0-5]\d|\d",
    "f": r"[0-9]{1,6}",
    "z": r"[+-]\d\d:?[0-5]\d(?::?[0-5]\d(?:[.]\d{1,6})?)?|Z",
}


def keeps_strftime(value: Column, layout: str) -> Column:
    """Whether a text is a real moment in a strftime format of the directives above."""
    pattern, parts = _pattern_of_strftime(layout)
    fits = value.rlike(pattern)
    if not {"Y", "m", "d"} & set(parts):
        return fits

    def part(name: str, otherwise: str) -> Column:
        if name not in parts:
            return sf.lit(otherwise)
        return sf.lpad(sf.trim(sf.regexp_extract(value, pattern, parts.index(name) + 1)), len(otherwise), "0")

    # a day of its month; strptime takes 1900 where no year is given
    day = sf.concat_ws("-", part("Y", "1900"), part("m", "01"), part("d", "01"))
    return fits & ~day.startswith("0000") & day.try_cast("date").isNotNull()


def _pattern_of_strftime(layout: str) -> tuple[str, list[str]]:
    """The regular expression of a strftime format, and its directives in the order of its groups.

    Raises:
        UnsupportedKeywordError: the format has a directive that is not judged here, or one twice.
    """
    pattern, parts = "", []
    for part in re.findall(r"%.?|\s+|[^%\s]+", layout, re.DOTALL):
        if part == "%%":
            pattern += "%"
        elif part[0] == "%" and part[1:] in _DIRECTIVES and part[1:] not in parts:
            pattern += f"({_DIRECTIVES[part[1:]]})"
            parts.append(part[1:])
        elif part[0] == "%":
            raise UnsupportedKeywordError(f"strftime_format {layout!r}: {part} is not supported, or stands twice")
        else:
            pattern += r"\s+" if part.isspace() else re.escape(part)
    return rf"^(?:{pattern})\z", parts
