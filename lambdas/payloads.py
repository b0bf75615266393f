"""What goes through Step Functions: small, and never over its limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contracts.errors import InvalidRequestError

# Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html (input or result of a state)
LIMIT_BYTES = 262_144

Json = dict[str, Any]


def encoded(payload: Mapping[str, Any], limit_bytes: int = LIMIT_BYTES) -> str:
    """The payload as JSON.

    Raises:
        InvalidRequestError: it is over the limit; receipts in the lake carry what is large.
    """
    text = json.dumps(payload, separators=(",", ":"))
    size_bytes = len(text.encode())
    if size_bytes > limit_bytes:
        raise InvalidRequestError(
            f"a payload of {size_bytes} bytes is over {limit_bytes}; put the large part into the receipt"
        )
    return text


def text_of(event: Mapping[str, Any], name: str) -> str:
    """A string that the event must have.

    Raises:
        InvalidRequestError: it is missing or not a string.
    """
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"event: {name} is missing or not a string; the state's Arguments must pass it")
    return value


def count_of(event: Mapping[str, Any], name: str) -> int:
    """A whole number that the event must have; JSONata may write it as 1.0.

    Raises:
        InvalidRequestError: it is missing, negative or not whole.
    """
    value = event.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise InvalidRequestError(f"event: {name} is missing or not a count; the state's Arguments must pass it")
    return int(value)


def texts_of(event: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of strings that the event must have.

    Raises:
        InvalidRequestError: it is missing or holds something else.
    """
    value = event.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRequestError(
            f"event: {name} is missing or not a list of strings; the state's Arguments must pass it"
        )
    return tuple(value)
