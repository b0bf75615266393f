"""JSON read strictly: what RFC 8259 leaves to the reader, and what Python lets pass, is refused with line and reason.

NaN and Infinity, a key that is there twice, half a surrogate pair, a number longer than any column holds, and nesting
without end are not data that two readers would agree on. spark_jobs/sources/json_lines.py refuses the same lines.

Source: RFC 8259; RFC 7493 (I-JSON), section 2.
"""

from __future__ import annotations

import json
import re
from itertools import chain, pairwise
from typing import Any

LONGEST_NUMBER = 400  # characters; the longest double that is written out plainly has 327
DEEPEST = 64
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER_START = "-0123456789"


class StrictJsonError(ValueError):
    """Content is not JSON as it is read here.

    Attributes:
        line: counted from 1.
        reason: what is wrong there; names a key, never a value.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class RawNumber(str):
    """A number as it is written."""

    __slots__ = ()


def load(content: bytes, *, deepest: int = DEEPEST, raw_numbers: bool = False) -> Any:
    """The value that the content is.

    Args:
        content: JSON in UTF-8, without a byte order mark.
        deepest: how many objects and arrays may lie in each other.
        raw_numbers: give numbers as RawNumber, so that none is rounded.
    Raises:
        StrictJsonError: the first thing that is wrong.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError(content.count(b"\n", 0, error.start) + 1, "not UTF-8") from error
    _check_depth(text, deepest)
    as_written = RawNumber if raw_numbers else None
    try:
        # constants are refused below, where their line is known
        value = json.loads(text, parse_constant=lambda _: None, parse_int=as_written, parse_float=as_written)
    except json.JSONDecodeError as error:
        raise StrictJsonError(error.lineno, error.msg) from error
    except ValueError:  # thousands of digits, which are refused below
        value = None
    _check_tokens(text)
    return value


def _check_depth(text: str, deepest: int) -> None:
    """Ahead of the parser, which goes as deep as the text."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
            if depth > deepest:
                raise StrictJsonError(_line(text, token), f"nested deeper than {deepest}")
        elif token[0] in "}]":
            depth -= 1


def _check_tokens(text: str) -> None:
    """What is wrong with a text that keeps the grammar."""
    keys: list[set[str]] = []
    for token, following in pairwise(chain(_TOKEN.finditer(text), [None])):
        if token is None:
            return
        word = token[0]
        if word in "{[":
            keys.append(set())
        elif word in "}]":
            keys.pop()
        elif word.startswith('"'):
            string = json.loads(word)
            if _SURROGATE.search(string):
                raise StrictJsonError(_line(text, token), "half a surrogate pair")
            if following is not None and following[0] == ":":
                if string in keys[-1]:
                    raise StrictJsonError(_line(text, token), f"the key {shown(string)} is there twice")
                keys[-1].add(string)
        elif word.lstrip("-") in ("NaN", "Infinity"):
            raise StrictJsonError(_line(text, token), f"{word} is not JSON")
        elif word[0] in _NUMBER_START and len(word) > LONGEST_NUMBER:
            raise StrictJsonError(_line(text, token), f"a number of {len(word)} characters")


def shown(name: str) -> str:
    """A key for a person to read: quoted, escaped, and cut where it is long."""
    return json.dumps(name if len(name) <= 80 else name[:80] + "...")


def _line(text: str, token: re.Match[str]) -> int:
    return text.count("\n", 0, token.start()) + 1
