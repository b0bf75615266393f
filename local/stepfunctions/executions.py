"""The API of executions: start, stop, redrive, describe, list.

What an execution is stays plain data in ministack's records: definition, history, and the trail a redrive starts
from. Only what runs is kept here.

Source: https://docs.aws.amazon.com/step-functions/latest/apireference (StartExecution, RedriveExecution and others)
"""

from __future__ import annotations

import datetime
import json
import re
import threading
import uuid
from typing import Any

from local.seams import ministack_cloud, moto_asl
from local.seams.ministack_states import Record, Response, executions, now, refuse, reply, state_machine
from local.stepfunctions import status_events

_LARGEST_INPUT_BYTES = 262_144
_REDRIVABLE_DAYS = 14
_MOST_EVENTS_TO_REDRIVE = 24_999
_CLIENT_TOKENS_KEPT = 10
_CLIENT_TOKEN_MINUTES = 15
_STATE_MACHINE_FIELDS = ("stateMachineArn", "stateMachineVersionArn", "stateMachineAliasArn")
_LISTED = ("executionArn", "name", "status", "startDate", "stopDate", "redriveCount", "redriveDate")
_FORBIDDEN_IN_NAMES = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")

_runs: dict[str, moto_asl.Run] = {}


def start(data: dict[str, Any]) -> Response:
    """StartExecution. The same name and input again, while it runs, answers with the running execution."""
    requested_arn = data.get("stateMachineArn", "")
    machine = state_machine(requested_arn)
    if machine is None:
        return refuse("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{requested_arn}'")
    name = data.get("name") or str(uuid.uuid4())
    if len(name) > 80 or _FORBIDDEN_IN_NAMES.search(name):
        return refuse("InvalidName", f"Invalid Name: '{name}'")
    text = data.get("input") or "{}"
    if problem := _find_input_problem(text):
        return problem
    arn = machine["stateMachineArn"].replace(":stateMachine:", ":execution:") + f":{name}"
    existing = executions().get(arn)
    if existing is not None:
        if existing["status"] == "RUNNING" and existing["input"] == text:
            return reply({"executionArn": arn, "startDate": existing["startDate"]})
        return refuse("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
    record = executions()[arn] = _new_record(arn, name, text, machine)
    if requested_arn != machine["stateMachineArn"]:
        is_version = requested_arn.rsplit(":", 1)[-1].isdigit()
        record["stateMachineVersionArn" if is_version else "stateMachineAliasArn"] = requested_arn
    _run(record)
    return reply({"executionArn": arn, "startDate": record["startDate"]})


def run_to_end(arn: str) -> None:
    """Run the execution that StartSyncExecution has recorded, and return when it has ended."""
    recorded = executions()[arn]
    machine = state_machine(recorded["stateMachineArn"])
    if machine is None:
        return
    record = executions()[arn] = {
        **recorded,
        **_new_record(arn, recorded["name"], recorded["input"], machine),
        "sync": True,
    }
    ended = threading.Event()
    _run(record, ended)
    ended.wait()


def stop(data: dict[str, Any]) -> Response:
    """StopExecution. An execution that has ended stays as it ended."""
    arn = data.get("executionArn", "")
    record = executions().get(arn)
    if record is None:
        return _no_such_execution(arn)
    run = _runs.get(arn)
    if run is not None:
        run.stop(data.get("error"), data.get("cause"))
    return reply({"stopDate": record["stopDate"] or now()})


def redrive(data: dict[str, Any]) -> Response:
    """RedriveExecution: run again what had not succeeded, with the same definition and input."""
    arn = data.get("executionArn", "")
    record = executions().get(arn)
    if record is None:
        return _no_such_execution(arn)
    token = data.get("clientToken")
    if (redriven_at := _redriven_with(record, token)) is not None:
        return reply({"redriveDate": redriven_at})
    reason = why_not_redrivable(record)
    if reason is not None:
        return refuse("ExecutionNotRedrivable", reason)
    redriven_at = now()
    record.update(output=None, error=None, cause=None, stopDate=None, redriveDate=redriven_at)
    record.update(redriveCount=record["redriveCount"] + 1, status="RUNNING")
    if token:
        record["redriveTokens"] = [*record["redriveTokens"], [token, redriven_at]][-_CLIENT_TOKENS_KEPT:]
    _run(record)
    return reply({"redriveDate": redriven_at})


def describe(data: dict[str, Any]) -> Response:
    """DescribeExecution."""
    arn = data.get("executionArn", "")
    record = executions().get(arn)
    if record is None:
        return _no_such_execution(arn)
    output = record["output"] if record["status"] == "SUCCEEDED" else None
    reason = why_not_redrivable(record)
    return reply(
        {
            **{field: record[field] for field in ("executionArn", "stateMachineArn", "name", "status", "startDate")},
            **{field: record.get(field) for field in ("stateMachineVersionArn", "stateMachineAliasArn", "mapRunArn")},
            **{field: record[field] for field in ("stopDate", "error", "cause", "redriveCount", "redriveDate")},
            "input": record["input"],
            "inputDetails": {"included": True},
            "output": output,
            "outputDetails": {"included": True} if output is not None else None,
            "redriveStatus": "NOT_REDRIVABLE" if reason else "REDRIVABLE",
            "redriveStatusReason": reason,
        }
    )


def describe_state_machine(data: dict[str, Any]) -> Response:
    """DescribeStateMachineForExecution: the definition it was started with, whatever the machine's is now."""
    arn = data.get("executionArn", "")
    record = executions().get(arn)
    if record is None:
        return _no_such_execution(arn)
    return reply(
        {
            **{field: record[field] for field in ("stateMachineArn", "definition", "roleArn")},
            "name": record["stateMachineName"],
            "updateDate": record["startDate"],
        }
    )


def list_executions(data: dict[str, Any]) -> Response:
    """ListExecutions, the newest first."""
    arn = data.get("stateMachineArn")
    if arn and state_machine(arn) is None:
        return refuse("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
    redriven = {"REDRIVEN": True, "NOT_REDRIVEN": False}.get(data.get("redriveFilter") or "")
    found = [
        record
        for record in executions().values()
        if arn
        in (None, record["stateMachineArn"], record.get("stateMachineVersionArn"), record.get("stateMachineAliasArn"))
        and data.get("statusFilter") in (None, record["status"])
        and data.get("mapRunArn") in (None, record.get("mapRunArn"))
        and redriven in (None, record.get("redriveCount", 0) > 0)
    ]
    found.sort(key=_position, reverse=True)
    if token := data.get("nextToken"):
        found = [record for record in found if "|".join(_position(record)) < token]
    size = int(data.get("maxResults") or 100)
    fields = (
        "executionArn",
        "stateMachineArn",
        "name",
        "status",
        "startDate",
        "stopDate",
        "redriveCount",
        "redriveDate",
    )
    page = [{field: record[field] for field in fields if record.get(field) is not None} for record in found[:size]]
    last = "|".join(_position(found[size - 1])) if len(found) > size else None
    return reply({"executions": page, "nextToken": last})


def end_runs() -> None:
    """End what runs, as failed and so that it can be redriven: the laptop cloud is going down."""
    for arn, run in list(_runs.items()):
        region, account = arn.split(":")[3:5]
        with ministack_cloud.scope(account, region):
            record = executions()[arn]

        def end(outcome: moto_asl.Outcome, record: Record = record) -> None:
            record.update(status=outcome.status, error=outcome.error, cause=outcome.cause, stopDate=now())

        run.on_end = end
        run.break_off("States.ServiceRestart", "the laptop cloud was stopped while the execution ran; redrive it")
    _runs.clear()


def forget_runs() -> None:
    """Stop what runs, without a word: the cloud's state is being dropped."""
    for run in list(_runs.values()):
        run.on_end = lambda _: None
        run.stop(None, None)
    _runs.clear()


def why_not_redrivable(record: Record) -> str | None:
    """AWS's reason why an execution cannot be redriven; None if it can."""
    if record["status"] in ("RUNNING", "SUCCEEDED"):
        return f"Execution is {record['status']} and cannot be redriven"
    if record.get("kind") == "EXPRESS":
        return "Executions of EXPRESS state machines cannot be redriven"
    if len(record["events"]) >= _MOST_EVENTS_TO_REDRIVE:
        return "Execution history event limit exceeded"
    if _age(record["stopDate"]) > datetime.timedelta(days=_REDRIVABLE_DAYS):
        return "Execution redrivable period exceeded"
    return None


def _find_input_problem(text: str) -> Response | None:
    if len(text.encode()) > _LARGEST_INPUT_BYTES:
        message = "Value at 'input' failed to satisfy constraint: Member must have length less than or equal to 262144"
        return refuse("ValidationException", f"1 validation error detected: {message}")
    try:
        json.loads(text)
    except ValueError as error:
        return refuse("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'")
    return None


def _new_record(arn: str, name: str, text: str, machine: Record) -> Record:
    return {
        "executionArn": arn,
        "stateMachineArn": machine["stateMachineArn"],
        "stateMachineName": machine["name"],
        "name": name,
        "status": "RUNNING",
        "startDate": now(),
        "stopDate": None,
        "input": text,
        "output": None,
        "error": None,
        "cause": None,
        "definition": machine["definition"],  # a redrive keeps it
        "roleArn": machine["roleArn"],
        "kind": machine["type"],
        "redriveCount": 0,
        "redriveDate": None,
        "redriveTokens": [],
        "events": [],
        "trail": {},
    }


def _run(record: Record, ended: threading.Event | None = None) -> None:
    arn = record["executionArn"]
    count = record["redriveCount"]
    started_record = dict(record)

    def begin() -> None:
        if record["status"] == "RUNNING":  # it may have been stopped already
            _tell(started_record)

    def end(outcome: moto_asl.Outcome) -> None:
        if _runs.get(arn) is run:
            del _runs[arn]
        record.update(output=outcome.output, error=outcome.error, cause=outcome.cause, stopDate=now())
        ended_record = {**record, "status": outcome.status}  # a redrive may change the record before the event is sent
        record["status"] = outcome.status  # last: who sees it may read the rest
        _tell(ended_record)
        if ended is not None:
            ended.set()

    run = _runs[arn] = moto_asl.Run(
        execution=moto_asl.Execution(
            arn=arn,
            name=record["name"],
            input=json.loads(record["input"]),
            start_time=record["startDate"],
            role_arn=record["roleArn"],
            definition=record["definition"],
            state_machine_arn=record["stateMachineArn"],
            state_machine_name=record["stateMachineName"],
            account=ministack_cloud.account(),
            region=ministack_cloud.region(),
            kind=record["kind"],
        ),
        events=record["events"],
        trail=record["trail"],
        redrive=moto_asl.Redrive(count=count, time=record["redriveDate"]) if count else None,
        on_start=begin,
        on_end=end,
    )
    run.start()


def _tell(record: Record) -> None:
    if record.get("sync") or record["kind"] == "EXPRESS":
        return  # AWS sends events of standard executions only
    reason = why_not_redrivable(record)
    status_events.send(
        record, redrive_status="NOT_REDRIVABLE" if reason else "REDRIVABLE", redrive_status_reason=reason
    )


def _redriven_with(record: Record, token: str | None) -> str | None:
    for known, redriven_at in record.get("redriveTokens", []):
        if known == token and _age(redriven_at) < datetime.timedelta(minutes=_CLIENT_TOKEN_MINUTES):
            return str(redriven_at)
    return None


def _age(moment: str) -> datetime.timedelta:
    return datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)


def _position(record: Record) -> tuple[str, str]:
    return record["startDate"], record["executionArn"]


def _no_such_execution(arn: str) -> Response:
    return refuse("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
