"""The API of callbacks: SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat.

Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html and its neighbours
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local.seams import moto_asl
from local.seams.ministack_states import Response, refuse, reply

_LARGEST_OUTPUT_BYTES = 262_144
_LONGEST_ERROR = 256
_LONGEST_CAUSE = 32_768


def send_success(data: dict[str, Any]) -> Response:
    """SendTaskSuccess."""
    output = data.get("output", "")
    if len(output.encode()) > _LARGEST_OUTPUT_BYTES:
        return _too_long("output", _LARGEST_OUTPUT_BYTES)
    try:
        json.loads(output)
    except ValueError:
        return refuse("InvalidOutput", "Invalid Output: 'The output is not valid JSON'")
    return _answer(lambda token: moto_asl.succeed(token, output), data)


def send_failure(data: dict[str, Any]) -> Response:
    """SendTaskFailure."""
    for field, longest in (("error", _LONGEST_ERROR), ("cause", _LONGEST_CAUSE)):
        if len(data.get(field) or "") > longest:
            return _too_long(field, longest)
    return _answer(lambda token: moto_asl.fail(token, data.get("error"), data.get("cause")), data)


def send_heartbeat(data: dict[str, Any]) -> Response:
    """SendTaskHeartbeat."""
    return _answer(moto_asl.beat, data)


def _answer(send: Callable[[str], None], data: dict[str, Any]) -> Response:
    try:
        send(data.get("taskToken") or "")
    except (moto_asl.InvalidToken, moto_asl.TaskTimedOut) as refusal:
        return refuse(type(refusal).__name__, str(refusal))
    return reply({})


def _too_long(field: str, longest: int) -> Response:
    message = (
        f"Value at '{field}' failed to satisfy constraint: Member must have length less than or equal to {longest}"
    )
    return refuse("ValidationException", f"1 validation error detected: {message}")
