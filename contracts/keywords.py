"""Which JSON Schema keywords a contract may use, and with which values.

A keyword is allowed only when Python (the head check before any Spark) and Spark (the row rules) give the same verdict
on every row. What is not listed here is refused when the contract is loaded, by name.

Source: JSON Schema 2020-12, Validation vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.errors import UnsupportedKeywordError

RULES = (
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
)
TYPES = ("string", "integer", "number", "boolean", "null")
FORMATS = ("date", "date-time")
_ANNOTATIONS = {"title", "description", "examples", "$comment", "x-assay"}
_ROW_KEYWORDS = {"$schema", "$id", "type", "properties", "required", "additionalProperties"} | _ANNOTATIONS
# Outside this subset Python's and Java's regular expressions disagree (\d is Unicode only in Python), or backtracking
# has no bound that a person can see (back references, look-around).
_PATTERN_TOKEN = re.compile(
    r"""
    [A-Za-z0-9 _\-/,:;@%&=~'"<>\#!]        # plain characters
    | \\[.\\\-/^$|?*+()\[\]{}]              # escaped punctuation
    | [.^$|()?*+]                           # operators
    | \(\?:                                 # groups without a number
    | \{[0-9]{1,4}(?:,[0-9]{0,4})?\}        # counted repeats
    | \[\^?(?:[A-Za-z0-9 _/,:;@%=~'"<>\#!.*+?()|$-]|\\[\]\[\\^.\-])+\]   # character classes
    """,
    re.VERBOSE,
)


def check_row(dataset: str, schema: Mapping[str, Any]) -> None:
    """Nothing, when the row schema uses only what is judged alike everywhere.

    Raises:
        UnsupportedKeywordError: names the dataset, the column, the keyword and why it is refused.
    """
    for keyword in schema:
        if keyword not in _ROW_KEYWORDS:
            raise UnsupportedKeywordError(f"{dataset}: keyword {keyword} of the row is not supported")
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        raise UnsupportedKeywordError(f"{dataset}: a row has type object and additionalProperties false")
    for column, rules in schema.get("properties", {}).items():
        check_column(f"{dataset}: column {column}", rules)


def check_column(where: str, rules: Mapping[str, Any]) -> None:
    """Nothing, when each keyword of one column is supported with its value."""
    for keyword, value in rules.items():
        if keyword not in RULES and keyword not in _ANNOTATIONS:
            raise UnsupportedKeywordError(f"{where}: keyword {keyword} is not supported")
        if keyword == "pattern":
            _check_pattern(where, value)
        if keyword == "format" and value not in FORMATS:
            raise UnsupportedKeywordError(f"{where}: keyword format with {value} is not supported")
    types = column_types(rules)
    if not types or any(each not in TYPES for each in types) or len([each for each in types if each != "null"]) != 1:
        raise UnsupportedKeywordError(f"{where}: keyword type must be one of {TYPES[:-1]}, alone or with null")


def column_types(rules: Mapping[str, Any]) -> tuple[str, ...]:
    """The types a column allows, as a tuple even when the contract names one."""
    types = rules.get("type", ())
    return (types,) if isinstance(types, str) else tuple(types)


def _check_pattern(where: str, pattern: str) -> None:
    position = 0
    while position < len(pattern):
        token = _PATTERN_TOKEN.match(pattern, position)
        if token is None or (pattern.startswith("(?", position) and not pattern.startswith("(?:", position)):
            raise UnsupportedKeywordError(
                f"{where}: keyword pattern: {pattern[position : position + 4]!r} at {position} is outside the subset"
                " on which Python and Java agree"
            )
        # `(?:` is one token, or its `?` would be read as an operator
        position = position + 3 if pattern.startswith("(?:", position) else token.end()
    try:
        re.compile(pattern)
    except re.error as error:
        raise UnsupportedKeywordError(f"{where}: keyword pattern: {error}") from error
