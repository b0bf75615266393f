"""Repairs of moto's Task states: task tokens, callbacks, heartbeats, clients, and the casing of parameters.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html (callback with the task token);
https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html (errors of late callbacks).
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
    CallbackOutcomeTimedOut,
    CallbackPoolManager,
    HeartbeatEndpoint,
    HeartbeatTimedOut,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.states import ContextObject
from moto.stepfunctions.parser.asl.utils import boto_client

from local.seams.moto_asl_repair import repair, replace_everywhere
from local.seams.moto_asl_stops import is_stopped, wait

_SYNC_POLL_SECONDS = 0.5
_UNDECLARED_ERROR = "Lambda.AWSLambdaException"
# What Step Functions calls a service where it is not botocore's name for it without the hyphens.
_BOTOCORE_NAMES = {
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "costexplorer": "ce",
    "elasticloadbalancingv2": "elbv2",
    "eventbridge": "events",
    "sfn": "stepfunctions",
    "states": "stepfunctions",
}


class TaskTokenError(Exception):
    """Why a callback is refused; the name of a subclass is the error that AWS answers with."""


class InvalidToken(TaskTokenError):  # noqa: N818  AWS's name
    """No token of this service."""


class TaskTimedOut(TaskTokenError):  # noqa: N818  AWS's name
    """The task has been closed: it timed out, was answered, retried, or its execution ended."""


class _Task(CallbackEndpoint):
    """One attempt of a task that waits for its token."""

    def __init__(self, callback_id: str) -> None:
        super().__init__(callback_id=callback_id)
        self.bell = threading.Event()
        self.last_heartbeat = time.monotonic()
        self.frame: Any = None

    def notify(self, outcome: CallbackOutcome) -> None:
        super().notify(outcome)
        self.bell.set()

    def notify_heartbeat(self) -> bool:
        self.last_heartbeat = time.monotonic()
        super().notify_heartbeat()
        return True

    def setup_heartbeat_endpoint(self, heartbeat_seconds: int) -> HeartbeatEndpoint:
        self.last_heartbeat = time.monotonic()
        return super().setup_heartbeat_endpoint(heartbeat_seconds)


_open_tasks: dict[str, _Task] = {}
_lock = threading.Lock()


def succeed(token: str, output: str) -> None:
    """Answer the task of `token` with `output`, a JSON text.

    Raises:
        InvalidToken, TaskTimedOut: as AWS refuses the callback.
    """
    _take(token).notify(CallbackOutcomeSuccess(token, output))


def fail(token: str, error: str | None, cause: str | None) -> None:
    """Fail the task of `token`; raises as `succeed`."""
    _take(token).notify(CallbackOutcomeFailure(token, error, cause))


def beat(token: str) -> None:
    """Start the heartbeat's time of the task of `token` again; raises as `succeed`."""
    with _lock:
        task = _open_tasks.get(token)
    _require_open(task, token).notify_heartbeat()


def state_machine_of(token: str) -> str | None:
    """The ARN of the state machine that handed out `token`, whether its task is open or not; None for other text."""
    try:
        body, _, checksum = token.partition(".")
        text = base64.urlsafe_b64decode(body.encode())
        if f"{binascii.crc32(text):08x}" != checksum:
            return None
        return str(json.loads(text)["stateMachine"])
    except (ValueError, KeyError, TypeError):
        return None


def _take(token: str) -> _Task:
    with _lock:
        task = _open_tasks.pop(token, None)
    return _require_open(task, token)


def _require_open(task: _Task | None, token: str) -> _Task:
    # A stopped task is over from that moment on, also while its thread has yet to unwind.
    if task is not None and not is_stopped(task.frame):
        return task
    if state_machine_of(token) is None:
        raise InvalidToken("Invalid Token: 'Invalid token'")
    raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")


@repair(ContextObject, "update_task_token")
def _issue_token(_: Any, self: Any) -> str:
    """A token that names its state machine, so that a late or foreign one can be told apart, and authorised."""
    owner = {"stateMachine": self.context_object_data["StateMachine"]["Id"], "task": str(uuid.uuid4())}
    text = json.dumps(owner).encode()
    token = f"{base64.urlsafe_b64encode(text).decode()}.{binascii.crc32(text):08x}"
    self.context_object_data["Task"] = {"Token": token}
    return token


@repair(CallbackPoolManager, "add")
def _open_task(_: Any, self: Any, callback_id: str) -> CallbackEndpoint:
    """Find a task by its token alone; moto keeps a pool per execution, which only grows."""
    task = self._pool[callback_id] = _Task(callback_id)
    with _lock:
        _open_tasks[callback_id] = task
    return task


def _close_task(env: Any, token: str) -> None:
    with _lock:
        _open_tasks.pop(token, None)
    env.callback_pool_manager._pool.pop(token, None)


@repair(StateTaskServiceCallback, "_eval_body")
def _enter_state(_: Any, self: Any, env: Any) -> None:
    """Enter the state without a token: each attempt gets its own (see _attempt)."""
    CommonStateField._eval_body(self, env)


@repair(StateTaskServiceCallback, "_eval_execution")
def _attempt(moto_attempt: Any, self: Any, env: Any) -> None:
    """Give each attempt a token of its own and close it with the attempt.

    moto hands out one token for all retries and never closes it: an answer to the first attempt ended the second.
    """
    if (
        not self._is_integration_pattern()
        or ResourceCondition.WaitForTaskToken not in self._supported_integration_patterns
    ):
        moto_attempt(self, env)
        return
    self._assert_integration_pattern_is_supported()
    token = env.states.context_object.update_task_token()
    env.callback_pool_manager.add(token).frame = env
    try:
        moto_attempt(self, env)
    finally:
        _close_task(env, token)


@repair(StateTaskServiceCallback, "_eval_wait_for_task_token")
def _wait_for_callback(
    _: Any, __: Any, env: Any, timeout_seconds: int, callback_endpoint: Any, heartbeat_endpoint: Any
) -> Any:
    """Wait for the callback, which may have come already.

    With HeartbeatSeconds moto first waits for a heartbeat and loses an answer that came before the Lambda function
    returned. Without it, it waits on after the execution was stopped.
    """
    deadline = time.monotonic() + timeout_seconds
    while (outcome := callback_endpoint.get_outcome()) is None:
        expiry = deadline
        if heartbeat_endpoint is not None:
            expiry = min(deadline, callback_endpoint.last_heartbeat + heartbeat_endpoint._heartbeat_seconds)
        if time.monotonic() >= expiry:
            return CallbackOutcomeTimedOut(callback_endpoint.callback_id) if expiry == deadline else HeartbeatTimedOut()
        wait(env, callback_endpoint.bell, expiry - time.monotonic())
    return outcome


@repair(StateTaskServiceCallback, "_eval_sync")
def _wait_for_job(_: Any, __: Any, env: Any, sync_resolver: Callable[[], Any], **___: Any) -> Any:
    """Look for the end of a .sync job so that a stop ends it; moto listens for a token that AWS does not hand out."""
    while not (result := sync_resolver()):
        wait(env, threading.Event(), _SYNC_POLL_SECONDS)
    return result


@repair(StateTaskServiceLambda, "_from_error")
def _tell_lambda_error(moto_from_error: Any, self: Any, env: Any, ex: Exception) -> Any:
    """Name errors of the call itself as AWS does.

    moto calls a broken connection States.Runtime, which nothing retries, and makes names of its own for the errors
    that the Lambda API does not declare, such as a role that may not invoke the function.
    """
    if isinstance(ex, ClientError):
        event = moto_from_error(self, env, ex)
        if type(ex) is ClientError:
            event.error_name.error_name = event.event_details["taskFailedEventDetails"]["error"] = _UNDECLARED_ERROR
        return event
    if not isinstance(ex, BotoCoreError):
        return moto_from_error(self, env, ex)
    error = "Lambda.SdkClientException"
    details = TaskFailedEventDetails(
        error=error, cause=str(ex), resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type()
    )
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),
    )


@repair(StateTaskService, "_get_boto_service_name")
def _service_name(_: Any, self: Any, boto_service_name: str | None = None) -> str:
    """Botocore's name of a service, for those that Step Functions calls otherwise."""
    return _botocore_name(boto_service_name or self.resource.api_name)


@functools.cache
def _botocore_name(name: str) -> str:
    services = botocore.session.get_session().get_available_services()
    by_plain_name = {service.replace("-", ""): service for service in services}
    return _BOTOCORE_NAMES.get(name) or (name if name in services else by_plain_name.get(name, name))


@functools.cache
def _operation(service: str, action: str) -> OperationModel | None:
    model = botocore.session.get_session().get_service_model(service)
    for name in model.operation_names:
        if xform_name(name) == action:
            return model.operation_model(name)
    return None


@repair(StateTaskService, "_normalise_parameters")
def _to_boto(
    _: Any, self: Any, parameters: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """Cast the parameters of an AWS SDK integration as the service's model writes them; moto left this out."""
    action = self._get_boto_service_action(service_action_name)
    operation = _operation(self._get_boto_service_name(boto_service_name), action)
    if operation is not None and operation.input_shape is not None:
        self._to_boto_request(parameters, operation.input_shape)


@repair(StateTaskService, "_normalise_response")
def _from_boto(
    _: Any, self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    """Cast the answer of an AWS SDK integration to Step Functions' PascalCase; moto left this out."""
    action = self._get_boto_service_action(service_action_name)
    operation = _operation(self._get_boto_service_name(boto_service_name), action)
    if operation is not None and operation.output_shape is not None:
        self._from_boto_response(response, operation.output_shape)


class _Cloud:
    """Where Task states send their calls, and as whom."""

    def __init__(self) -> None:
        self.endpoint_url: str | None = None
        self.credentials_of: Callable[[str], dict[str, str]] = lambda _: {}


_cloud = _Cloud()


def connect(endpoint_url: str | None, credentials_of: Callable[[str], dict[str, str]]) -> None:
    """Send the calls of Task states to `endpoint_url`.

    Args:
        endpoint_url: None for AWS's own endpoints.
        credentials_of: role ARN to the keyword arguments of a boto3 client with that role's credentials.
    """
    _cloud.endpoint_url, _cloud.credentials_of = endpoint_url, credentials_of
    _client.cache_clear()


def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    role_arn = state_credentials.role_arn if state_credentials else ""
    credentials = tuple(sorted(_cloud.credentials_of(role_arn).items()))
    return _client(region, service, credentials)


@functools.lru_cache(maxsize=64)  # a client takes 50 ms to make, as long as the call itself
def _client(region: str, service: str, credentials: tuple[tuple[str, str], ...]) -> Any:
    config = Config(
        parameter_validation=False,
        retries={"total_max_attempts": 1},  # retrying is the state machine's business
        read_timeout=960,  # a Lambda function may take 15 minutes
        max_pool_connections=64,
    )
    keys: dict[str, Any] = dict(credentials)
    session: Any = boto3.session.Session(**keys)
    client = session.client(service, region_name=region, endpoint_url=_cloud.endpoint_url, config=config)
    client.meta.events.register("after-call", _name_request)
    return client


def _name_request(parsed: dict[str, Any], **_: Any) -> None:
    """Give each answer a request id, which moto writes into causes; ministack's refusals by IAM have none."""
    parsed.setdefault("ResponseMetadata", {}).setdefault("RequestId", str(uuid.uuid4()))


replace_everywhere(
    "boto_client_for",
    boto_client.boto_client_for,
    _client_for,
    "moto calls itself with fixed keys; here the state machine's role calls the laptop cloud",
)
