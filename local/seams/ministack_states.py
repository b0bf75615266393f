"""What the Step Functions service needs of ministack's: its records, its other actions, and three corrections.

ministack keeps state machines, versions, aliases, tags and activities; its interpreter is left out.

Source: ministack 1.5.33, services/stepfunctions.py, services/lambda_svc.py, services/cloudformation/provisioners.py,
core/lambda_runtime.py, core/iam_actions.py.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ministack import app as ministack_app
from ministack.core import iam_actions, lambda_runtime, responses
from ministack.services import lambda_svc, stepfunctions
from ministack.services.cloudformation import provisioners

MINISTACK_VERSION = "1.5.33"

Response = tuple[int, dict[str, str], bytes]
Action = Callable[[dict[str, Any]], Response]
Record = dict[str, Any]

_STATE_MACHINE = "AWS::StepFunctions::StateMachine"
# What ministack's Python worker does with a result and an exception, and what AWS's runtime does: bytes are text, the
# error has its own name, and the process lives on.
_WORKER_LINES = {
    "import sys, json, importlib, traceback, os, time\n": """import sys, json, importlib, traceback, os, time

class _MarshalError(Exception):
    pass

def _plain(value):
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

def _marshal(result):
    try:
        return json.dumps({"status": "ok", "result": result}, default=_plain)
    except (TypeError, ValueError) as e:
        raise _MarshalError(f"Unable to marshal response: {e}") from None

def _tell(error, request_id):
    name = "Runtime.MarshalError" if isinstance(error, _MarshalError) else type(error).__name__
    trace = traceback.format_tb(error.__traceback__)[1:]
    payload = {"errorMessage": str(error), "errorType": name, "requestId": request_id, "stackTrace": trace}
    return json.dumps({"status": "ok", "error_payload": payload, "trace": traceback.format_exc()})
""",
    """json.dumps({"status": "ok", "result": result})""": "_marshal(result)",
    """json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()})""": (
        "_tell(e, context.aws_request_id)"
    ),
}


def executions() -> MutableMapping[str, Record]:
    """The executions of the present account and region, by ARN. Records are plain data: ministack persists them."""
    return stepfunctions._executions  # type: ignore[no-any-return]


def state_machine(arn: str) -> Record | None:
    """The state machine, or version, that a start of `arn` runs: name, definition, roleArn, type, stateMachineArn."""
    base = stepfunctions._state_machines.get(stepfunctions._resolve_state_machine_arn(arn))
    if base is None:
        return None
    version = stepfunctions._state_machine_versions.get(stepfunctions._execution_version_arn(arn)) or {}
    return {**base, **{name: version[name] for name in ("definition", "roleArn", "type") if version.get(name)}}


def is_role_enforced() -> bool:
    """Whether IAM policies are enforced (AUTH=true)."""
    return bool(ministack_app.AUTH)


def reply(payload: dict[str, Any]) -> Response:
    """A successful answer; members that are None are left out."""
    return responses.json_response({key: value for key, value in payload.items() if value is not None})  # type: ignore[no-any-return]


def refuse(error: str, message: str) -> Response:
    """An answer with AWS's error code `error`."""
    return responses.error_response_json(error, message, 400)  # type: ignore[no-any-return]


def now() -> str:
    """The present time as ministack's records have it: ISO 8601 in UTC, answered as a number."""
    return str(responses.now_iso())


def before_saving(act: Callable[[], None]) -> None:
    """Call `act` before ministack writes down the state of Step Functions, at the end of its process."""
    get_state = stepfunctions.get_state

    def act_first() -> Any:
        act()
        return get_state()

    stepfunctions.get_state = act_first


def replace_action(name: str, action: Action) -> None:
    """Answer the API action `name`, such as StartExecution, with `action`; its callers inside ministack too."""
    private = "_" + "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    if not hasattr(stepfunctions, private):
        raise AttributeError(f"ministack {MINISTACK_VERSION} has no stepfunctions.{private}: look where {name} went")
    setattr(stepfunctions, private, action)


def add_actions(actions: dict[str, Action]) -> None:
    """Answer API actions that ministack does not know."""
    handle_request: Callable[..., Awaitable[Response]] = stepfunctions.handle_request

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        action = actions.get(headers.get("x-amz-target", "").rsplit(".", 1)[-1])
        if action is None:
            return await handle_request(method, path, headers, body, query)
        return stepfunctions._finalize_response(action(json.loads(body or b"{}")))  # type: ignore[no-any-return]

    stepfunctions.handle_request = handle


def run_sync_executions(run: Callable[[str], None]) -> None:
    """Let StartSyncExecution run the execution it has recorded, given by ARN, with `run`."""
    stepfunctions._run_execution = run


def on_reset(forget: Callable[[], None]) -> None:
    """Call `forget` when ministack drops all its state."""
    reset = stepfunctions.reset

    def reset_all() -> None:
        forget()
        reset()

    stepfunctions.reset = reset_all


def check_definitions(check: Callable[[str], str | None]) -> None:
    """Refuse definitions for which `check` has something to say, through the API and through CloudFormation.

    ministack looks only whether JSONata parses, and CloudFormation stores any text.
    """
    find_jsonata_error = stepfunctions._validate_definition_jsonata
    resource = provisioners._RESOURCE_HANDLERS[_STATE_MACHINE]
    create = resource["create"]

    def find_error(definition: Any) -> str | None:
        return find_jsonata_error(definition) or check(definition if isinstance(definition, str) else "")

    def create_checked(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        if problem := find_error(provisioners._sfn_definition(properties)):
            raise ValueError(f"{logical_id}: Invalid State Machine Definition: {problem}")
        return create(logical_id, properties, stack)

    stepfunctions._validate_definition_jsonata = find_error
    resource["create"] = create_checked


def authorize_callbacks(state_machine_of: Callable[[str], str | None]) -> None:
    """Let a policy name the state machine whose tasks a role may answer.

    ministack checks SendTask* against Resource "*" only.

    Args:
        state_machine_of: task token to the ARN of its state machine.
    """
    find_resource = iam_actions.extract_resource_arn

    def resource_of(service: str, method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any) -> str:
        if service == "states" and ".SendTask" in headers.get("x-amz-target", ""):
            return state_machine_of(iam_actions._safe_json_field(body, "taskToken")) or "*"
        return str(find_resource(service, method, path, headers, body, *rest))

    iam_actions.extract_resource_arn = resource_of


def tell_true_lambda_errors() -> None:
    """Let a Python function's error keep its name, by which retriers know it, and its process live on.

    ministack calls every error Runtime.HandlerError and starts a new process, a second each time.
    """
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    for line, better in _WORKER_LINES.items():
        if script.count(line) != 1:
            raise ImportError(f"ministack {MINISTACK_VERSION}'s Python worker has no one line {line.strip()!r}")
        script = script.replace(line, better)
    lambda_runtime._PYTHON_WORKER_SCRIPT = script
    last = threading.local()  # the worker answers in the thread that asked it
    invoke = lambda_runtime.Worker.invoke
    execute = lambda_svc._execute_function_warm

    def invoke_and_note(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = invoke(self, *args, **kwargs)
        last.error = answer.get("error_payload")
        if last.error is not None:
            answer.update(status="error", error=last.error["errorMessage"])
        return answer

    def execute_with_error(func: Any, event: Any, request_id: str) -> Any:
        last.error = None
        answer = execute(func, event, request_id)
        if last.error is not None and answer.get("error"):
            answer["body"] = last.error
        return answer

    lambda_runtime.Worker.invoke = invoke_and_note
    lambda_svc._execute_function_warm = execute_with_error
