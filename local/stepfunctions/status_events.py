"""The event that Step Functions sends to EventBridge when an execution changes its status.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
"""

from __future__ import annotations

import datetime
import logging
from typing import Any

from local.seams import ministack_cloud

# What is larger is left out, and the event says so.
_LARGEST_PAYLOAD_BYTES = 248 * 1024

_log = logging.getLogger(__name__)


def send(record: dict[str, Any], *, redrive_status: str, redrive_status_reason: str | None) -> None:
    """Tell EventBridge of the present status of an execution; never raises, as delivery is best effort on AWS."""
    input_text, input_details = _payload(record["input"])
    output, output_details = _payload(record["output"])
    detail = {
        **{field: record[field] for field in ("executionArn", "stateMachineArn", "name", "status")},
        "startDate": _milliseconds(record["startDate"]),
        "stopDate": _milliseconds(record["stopDate"]),
        "input": input_text,
        "output": output,
        "inputDetails": input_details,
        "outputDetails": output_details,
        "stateMachineVersionArn": record.get("stateMachineVersionArn"),
        "stateMachineAliasArn": record.get("stateMachineAliasArn"),
        "redriveCount": record["redriveCount"],
        "redriveDate": _milliseconds(record["redriveDate"]),
        "redriveStatus": redrive_status,
        "redriveStatusReason": redrive_status_reason,
        "error": record["error"],
        "cause": record["cause"],
    }
    try:
        ministack_cloud.emit_event(
            "aws.states", "Step Functions Execution Status Change", detail, [record["executionArn"]]
        )
    except Exception:  # noqa: BLE001  the execution goes on whatever a rule's target does
        _log.exception("the status change of %s did not reach EventBridge", record["executionArn"])


def _payload(text: str | None) -> tuple[str | None, dict[str, bool] | None]:
    if text is None:
        return None, None
    is_included = len(text.encode()) <= _LARGEST_PAYLOAD_BYTES
    return (text if is_included else None), {"included": is_included}


def _milliseconds(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.datetime.fromisoformat(moment).timestamp() * 1000)
