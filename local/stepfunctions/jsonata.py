"""JSONata as Step Functions speaks it: bindings instead of a document, and functions of its own.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html; docs.jsonata.org 2.0.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import uuid
from collections.abc import Mapping
from typing import Any

import jsonata

# AWS stops an expression after a second; a laptop under load may be several times slower.
_LIMIT_MILLISECONDS = 5_000
_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_JSON_TYPES = (bool, int, float, str, list, dict)

#: The answer of an expression that selects nothing. JSON cannot say it, so AWS makes it an error.
UNDEFINED = object()


class JsonataError(ValueError):
    """An expression that does not parse, raises, or answers something JSON cannot hold.

    Attributes:
        code: JSONata's own, such as T2001; None where it has none.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        """Keep `code`, which AWS puts in front of the message."""
        super().__init__(message)
        self.code = code


def check(expression: str) -> None:
    """Raise JsonataError unless `expression` parses."""
    _parse(expression)


def evaluate(expression: str, bindings: Mapping[str, Any]) -> Any:
    """Evaluate `expression` with `bindings` as its variables ($name without the dollar).

    Returns:
        A JSON value, or UNDEFINED when the expression selects nothing; None is JSON's null.

    Raises:
        JsonataError: it does not parse, raises, or answers a function.
    """
    parsed = _parse(expression)
    parsed.set_output_convert_nulls(False)  # or null and undefined would both come back as None
    for name, function in _FUNCTIONS.items():
        parsed.register_lambda(name, function)
    try:
        answer = parsed.evaluate(None, {name: _with_nulls(value) for name, value in bindings.items()})
    except Exception as error:
        raise JsonataError(str(error), getattr(error, "error", None)) from error
    if answer is None:
        return UNDEFINED
    answer = jsonata.Utils.convert_nulls(answer)
    if answer is not None and not isinstance(answer, _JSON_TYPES):
        raise JsonataError("returned an unsupported result type.")
    return answer


def _parse(expression: str) -> jsonata.Jsonata:
    try:
        return jsonata.Jsonata(expression, timeout=_LIMIT_MILLISECONDS)
    except Exception as error:
        raise JsonataError(str(error), getattr(error, "error", None)) from error


def _with_nulls(value: Any) -> Any:
    """`value` with JSON's null as the library writes it; it takes a bare None inside a list for undefined."""
    if value is None:
        return jsonata.Utils.NULL_VALUE
    if isinstance(value, dict):
        return {key: _with_nulls(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_nulls(member) for member in value]
    return value


def _hash(text: str, algorithm: str) -> str:
    if algorithm not in _HASHES:
        raise ValueError(f"$hash knows {', '.join(_HASHES)}, not {algorithm!r}")
    return hashlib.new(_HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def _random(seed: float | None = None) -> float:
    generator = random if seed is None else random.Random(math.floor(seed))  # noqa: S311  JSONata's $random is no secret
    return generator.random()


_FUNCTIONS = {"hash": _hash, "random": _random, "uuid": lambda: str(uuid.uuid4()), "parse": json.loads}
