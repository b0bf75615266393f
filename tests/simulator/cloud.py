"""AWS as the handlers see it, on the virtual clock: each call takes time, may fail, and may have done its work all the same."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from greenlet import getcurrent

from lambdas.store import Create, Item, Replace, Store
from local.seams import moto_asl

from . import faults as kinds
from .faults import Faults
from .kernel import Event, Kernel, plain_copy
from .trace import Trace

ACCOUNT = "000000000000"
BUCKET = "assay-sim-lake"
MACHINE_TIME = '"TimeoutSeconds": 86400,'
ARN = f"arn:aws:states:eu-west-1:{ACCOUNT}"
SKEW_SECONDS = 3 * 3600.0
RETRIES = 2  # of an asynchronous invocation
EVENT_RETRIES_SECONDS = (60.0, 120.0)
LATE_SECONDS = (300.0, 9000.0)
FUNCTION_SECONDS = 50.0
SLOW_SECONDS = (10.0, 48.0)
LATE_START_SECONDS = (45.0, 700.0)  # most outlive the state that calls, some its heartbeat
TIMES_OUT_SECONDS = (1, 20, 60, 150, 400, 900)


class Crash(BaseException):
    """The Lambda died: nothing of ours can catch it."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Violation(BaseException):
    """An invariant does not hold: nothing of ours may catch it."""


def refusal(code: str, operation: str) -> ClientError:
    """An answer of AWS that is an error."""
    answer: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "0"},
    }
    return ClientError(answer, operation)


@dataclass
class Site:
    """What everything in a schedule shares."""

    kernel: Kernel
    trace: Trace
    faults: Faults
    denied: bool = False
    code_digest: str = "code1"
    release: str = "released"
    who: dict[Any, tuple[str, float]] = field(default_factory=dict)

    def pause(self, least: float, most: float) -> None:
        """Let a while pass, of a length that the seed draws."""
        self.kernel.sleep(self.kernel.random.uniform(least, most))

    def call(self, operation: str, possible: tuple[str, ...], work: Callable[[], Any]) -> Any:
        """One call of a service by the Lambda that runs, with what may go wrong around it."""
        who, deadline = self.who[getcurrent()]
        self.pause(0.005, 0.05)
        fault = self.faults.at(f"{who} {operation}", possible)
        if fault is not None:
            self.trace.add(who, "FAULT", fault, operation)
        if fault == "slow":
            self.pause(*SLOW_SECONDS)
        if self.kernel.now > deadline:
            raise Crash("Sandbox.Timedout")
        if self.denied and operation.startswith("s3."):
            raise refusal("AccessDenied", operation)
        if fault == "throttled":
            raise refusal("ThrottlingException", operation)
        if fault == "access_lost":
            self.denied = True
            raise refusal("AccessDenied", operation)
        if fault == "dies_before":
            self._die()
        answer = work()
        if fault == "dies_after":
            self._die()
        if fault == "answer_lost":
            raise ReadTimeoutError(endpoint_url=operation)
        return answer

    def _die(self) -> None:
        if self.kernel.random.random() < 0.5:
            raise Crash("Runtime.ExitError")
        self.kernel.sleep(FUNCTION_SECONDS)
        raise Crash("Sandbox.Timedout")


@dataclass
class Stored:
    """An object of the bucket; the content of a data file stays as it is."""

    content: Any
    etag: str
    modified: datetime


class S3:
    """One bucket. What Lambdas ask of it may fail; drivers have their own way to it (see spark)."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.objects: dict[str, Stored] = {}
        self.folders: dict[str, dict[str, None]] = {}
        self._count = 0

    def put(self, key: str, content: Any) -> None:
        """Write an object."""
        self._count += 1
        self.objects[key] = Stored(content, f"etag{self._count}", self._site.kernel.moment())
        folder, _, name = key.rpartition("/")
        self.folders.setdefault(folder, {})[name] = None

    def get_object(self, *, Key: str, IfMatch: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: N803
        def work() -> dict[str, Any]:
            found = self.objects.get(Key)
            if found is None:
                raise refusal("NoSuchKey", "GetObject")
            if IfMatch is not None and IfMatch.strip('"') != found.etag:
                raise refusal("PreconditionFailed", "GetObject")
            return {"Body": io.BytesIO(found.content)}

        return self._site.call("s3.get_object", (*kinds.READ, *kinds.LAKE), work)  # type: ignore[no-any-return]

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: N803
        def work() -> dict[str, Any]:
            if IfNoneMatch and Key in self.objects:
                raise refusal("PreconditionFailed", "PutObject")
            self.put(Key, Body)
            return {}

        return self._site.call("s3.put_object", (*kinds.WRITE, *kinds.LAKE), work)  # type: ignore[no-any-return]

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        def work() -> dict[str, Any]:
            if Key not in self.objects:
                raise refusal("404", "HeadObject")
            return {"ETag": f'"{self.objects[Key].etag}"'}

        return self._site.call("s3.head_object", (*kinds.READ, *kinds.LAKE), work)  # type: ignore[no-any-return]

    def list_objects_v2(self, *, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Contents": [{"Key": key} for key in self.objects if key.startswith(Prefix)]}

    def get_paginator(self, _: str) -> S3:
        return self

    def paginate(self, *, Prefix: str, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        found = self._site.call(
            "s3.list_objects",
            (*kinds.READ, *kinds.LAKE),
            lambda: [(key, each) for key, each in sorted(self.objects.items()) if key.startswith(Prefix)],
        )
        for key, each in found:
            entry = {"Key": key, "ETag": f'"{each.etag}"', "Size": len(each.content), "LastModified": each.modified}
            yield {"Contents": [entry]}


class Table(Store):
    """The ledger's table; tests/test_lambdas_store.py holds the real one to the same promises."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.items_by_key: dict[tuple[str, str], Item] = {}

    def get(self, pk: str, sk: str) -> Item | None:
        return self._site.call("ledger.get", kinds.READ, lambda: self.now(pk, sk))  # type: ignore[no-any-return]

    def now(self, pk: str, sk: str) -> Item | None:
        """The item, without asking AWS."""
        found = self.items_by_key.get((pk, sk))
        return None if found is None else plain_copy(found)  # type: ignore[no-any-return]

    def items(self, pk: str, prefix: str = "") -> list[Item]:
        return self._site.call("ledger.query", kinds.READ, lambda: self.all_now(pk, prefix))  # type: ignore[no-any-return]

    def between(self, pk: str, first: str, last: str) -> list[Item]:
        def work() -> list[Item]:
            return [each for each in self.all_now(pk) if first <= each["sk"] <= last]

        return self._site.call("ledger.query", kinds.READ, work)  # type: ignore[no-any-return]

    def all_now(self, pk: str, prefix: str = "") -> list[Item]:
        """The items under pk, without asking AWS."""
        keys = sorted(key for key in self.items_by_key if key[0] == pk and key[1].startswith(prefix))
        return [plain_copy(self.items_by_key[key]) for key in keys]

    def write(self, *writes: Create | Replace) -> bool:
        return self._site.call("ledger.write", kinds.WRITE, lambda: self._write(writes))  # type: ignore[no-any-return]

    def _write(self, writes: tuple[Create | Replace, ...]) -> bool:
        fresh: dict[tuple[str, str], Item] = {}
        for write in writes:
            seen = write.item if isinstance(write, Create) else write.seen
            key = (seen["pk"], seen["sk"])
            found = self.items_by_key.get(key)
            if isinstance(write, Create):
                if found is not None:
                    return False
                changed: Mapping[str, Any] = {**write.item, "rev": 1}
            else:
                if found is None or found["rev"] != write.seen["rev"]:
                    return False
                changed = {**found, **write.changes, "rev": found["rev"] + 1}
            fresh[key] = {name: plain_copy(value) for name, value in changed.items() if value is not None}
        self.items_by_key.update(fresh)
        return True


class Glue:
    """A catalog."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.tables: dict[tuple[str, str], Any] = {}

    def get_table(self, *, DatabaseName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        def work() -> dict[str, Any]:
            if (DatabaseName, Name) not in self.tables:
                raise refusal("EntityNotFoundException", "GetTable")
            return {"Table": self.tables[(DatabaseName, Name)]}

        return self._site.call("glue.get_table", kinds.READ, work)  # type: ignore[no-any-return]

    def create_table(self, *, DatabaseName: str, TableInput: Any) -> None:  # noqa: N803
        def work() -> None:
            if (DatabaseName, TableInput["Name"]) in self.tables:
                raise refusal("AlreadyExistsException", "CreateTable")
            self.tables[(DatabaseName, TableInput["Name"])] = TableInput

        self._site.call("glue.create_table", kinds.WRITE, work)

    def update_table(self, *, DatabaseName: str, TableInput: Any) -> None:  # noqa: N803
        self.tables[(DatabaseName, TableInput["Name"])] = TableInput


class Sns:
    """A topic that people read."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.subjects: list[str] = []

    def publish(self, *, Subject: str, **_: Any) -> None:  # noqa: N803
        self._site.call("sns.publish", kinds.WRITE, lambda: self.subjects.append(Subject))


class Functions:
    """Lambda: the real handlers, each invocation a process that may die."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.stop: Callable[[str], None] = lambda _: None

    def invoke(self, *, FunctionName: str, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Lambda's API, as the state machine calls it."""
        payload, function = json.loads(Payload), FunctionName.split(":")[6]
        if self._site.faults.at(f"call {function}{_about(payload)}", ("refused",)):
            raise refusal("TooManyRequestsException", "Invoke")
        body, failed = self.run(function, payload)
        answer = {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(body).encode())}
        return answer | ({"FunctionError": "Unhandled"} if failed else {})

    def deliver(self, function: str, payload: dict[str, Any]) -> None:
        """An asynchronous invocation, tried again when it fails."""
        for seconds in (*EVENT_RETRIES_SECONDS, None):
            _, failed = self.run(function, payload)
            if not failed or seconds is None:
                return
            self._site.kernel.sleep(seconds)

    def run(self, function: str, payload: dict[str, Any]) -> tuple[Any, bool]:
        """The handler's answer, or its error as Lambda tells it."""
        site, me = self._site, getcurrent()
        who = f"{function}{_about(payload)}"
        site.pause(0.02, 0.4)
        fault = site.faults.at(f"invoke {who}", kinds.INVOCATION)
        if fault is not None:
            site.trace.add(who, "FAULT", fault)
        self._disturb(fault, payload)
        if fault == "late_start":
            site.pause(*LATE_START_SECONDS)
        site.trace.add(who, "invoked")
        site.who[me] = who, site.kernel.now + FUNCTION_SECONDS
        if fault == "clock_skewed":
            site.kernel.skew_seconds = SKEW_SECONDS * (1 if site.kernel.random.random() < 0.5 else -1)
        try:
            answer = importlib.import_module(f"lambdas.{function}").lambda_handler(payload, None)
        except Crash as crash:
            site.trace.add(who, "DIED", crash.error)
            return {"errorType": crash.error, "errorMessage": "the process died"}, True
        except Exception as error:  # noqa: BLE001  as Lambda's runtime does
            site.trace.add(who, "raised", type(error).__name__, str(error)[:160])
            return {"errorType": type(error).__name__, "errorMessage": str(error)}, True
        finally:
            del site.who[me]
            if fault == "clock_skewed":
                site.kernel.skew_seconds = 0.0
        site.trace.add(who, "answered", answer.get("action", ""))
        return answer, False

    def _disturb(self, fault: str | None, payload: dict[str, Any]) -> None:
        site = self._site
        if fault == "stopped" and "run_id" in payload:
            site.kernel.at(
                site.kernel.random.uniform(0, 90), lambda: site.kernel.spawn(lambda: self.stop(payload["run_id"]))
            )
        elif fault == "code_changed":
            site.code_digest += "+"
        elif fault == "contract_changed":
            site.release = "compatible"
        elif fault == "contract_broken":
            site.release = "breaking"


def _about(payload: Mapping[str, Any]) -> str:
    if "step" in payload:
        return f"[{payload['step']}/{payload['subject']}]"
    if "layer" in payload:
        return f"[{payload['layer']}]"
    return ""


@dataclass
class Execution:
    """An execution as DescribeExecution tells of it, and what a redrive needs."""

    workflow: str
    name: str
    input: dict[str, Any]
    status: str = "RUNNING"
    redrive_count: int = 0
    output: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    cause: str | None = None
    stopped_at: datetime | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    trail: dict[str, Any] = field(default_factory=dict)
    run: moto_asl.Run | None = None
    ended: Event = field(default_factory=Event)

    @property
    def arn(self) -> str:
        """Its name among all of AWS."""
        return f"{ARN}:execution:{self.workflow}:{self.name}"


class States:
    """Step Functions: the laptop's engine, and the status events of executions."""

    def __init__(
        self, site: Site, functions: Functions, definition: Callable[[str], str], cancelled_on: tuple[str, ...]
    ) -> None:
        self._site = site
        self._functions = functions
        self._definition = definition
        self.on_start: Callable[[Execution], None] = lambda _: None
        self._cancelled_on = cancelled_on
        self.executions: dict[str, Execution] = {}

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, N803
        """StartExecution, as a Lambda calls it."""

        def work() -> None:
            workflow = stateMachineArn.rsplit(":", 1)[1]
            known = self.executions.get(Execution(workflow, name, {}).arn)
            if known is None:
                self.start(workflow, name, json.loads(input))
            elif known.status != "RUNNING" or known.input != json.loads(input):
                raise refusal("ExecutionAlreadyExists", "StartExecution")

        self._site.call("states.start_execution", kinds.WRITE, work)

    def start(self, workflow: str, name: str, request: dict[str, Any]) -> Execution:
        """StartExecution."""
        execution = Execution(workflow, name, request)
        self.executions[execution.arn] = execution
        self._site.trace.add("states", "StartExecution", name, request)
        self._run(execution)
        self.on_start(execution)
        return execution

    def stop(self, execution: Execution) -> None:
        """StopExecution."""
        if execution.status == "RUNNING" and execution.run is not None:
            self._site.trace.add("states", "StopExecution", execution.name)
            execution.run.stop("Stopped", "by a person")

    def redrive(self, execution: Execution) -> None:
        """RedriveExecution."""
        assert execution.status in {"FAILED", "TIMED_OUT", "ABORTED"}, execution.status
        execution.redrive_count += 1
        execution.ended.clear()
        execution.status, execution.error, execution.cause, execution.stopped_at = "RUNNING", None, None, None
        self._site.trace.add("states", "RedriveExecution", execution.name, execution.redrive_count)
        self._run(execution)

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        def work() -> dict[str, Any]:
            if executionArn not in self.executions:
                raise refusal("ExecutionDoesNotExist", "DescribeExecution")
            found = self.executions[executionArn]
            answer = {"status": found.status, "redriveCount": found.redrive_count}
            return answer | ({"stopDate": found.stopped_at} if found.stopped_at else {})

        return self._site.call("states.describe_execution", kinds.READ, work)  # type: ignore[no-any-return]

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        self._answer("states.send_task_success", lambda: moto_asl.succeed(taskToken, output))

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        self._answer("states.send_task_failure", lambda: moto_asl.fail(taskToken, error, cause))

    def _answer(self, operation: str, tell: Callable[[], None]) -> None:
        def work() -> None:
            try:
                tell()
            except moto_asl.InvalidToken as error:
                raise refusal("InvalidToken", operation) from error
            except moto_asl.TaskTimedOut as error:
                raise refusal("TaskTimedOut", operation) from error

        self._site.call(operation, kinds.WRITE, work)

    def _run(self, execution: Execution) -> None:
        count, now = execution.redrive_count, self._site.kernel.moment().isoformat()
        definition = self._definition(execution.workflow)
        if fault := self._site.faults.at(f"time of {execution.workflow}", kinds.TIME):
            self._site.trace.add("states", "FAULT", fault, execution.name)
            # as if the rest of the day had gone by already; a redrive has the whole of it again
            seconds = self._site.kernel.random.choice(TIMES_OUT_SECONDS)
            definition = definition.replace(MACHINE_TIME, f'"TimeoutSeconds": {seconds},', 1)
        execution.run = moto_asl.Run(
            execution=moto_asl.Execution(
                arn=execution.arn,
                name=execution.name,
                input=execution.input,
                start_time=now,
                role_arn=f"arn:aws:iam::{ACCOUNT}:role/daily",
                definition=definition,
                state_machine_arn=f"{ARN}:stateMachine:{execution.workflow}",
                state_machine_name=execution.workflow,
                account=ACCOUNT,
                region="eu-west-1",
            ),
            events=execution.events,
            trail=execution.trail,
            redrive=moto_asl.Redrive(count=count, time=now) if count else None,
            on_end=lambda outcome: self._end(execution, outcome),
        )
        execution.run.start()

    def _end(self, execution: Execution, outcome: moto_asl.Outcome) -> None:
        execution.status, execution.error, execution.cause = outcome.status, outcome.error, outcome.cause
        execution.output = json.loads(outcome.output or "{}")
        execution.stopped_at = self._site.kernel.moment()
        execution.ended.set()
        self._site.trace.add("states", execution.name, outcome.status, outcome.error or "", (outcome.cause or "")[:300])
        if outcome.status in self._cancelled_on:
            detail = {
                "executionArn": execution.arn,
                "status": outcome.status,
                "redriveCount": execution.redrive_count,
                "stopDate": int(execution.stopped_at.timestamp() * 1000),
            }
            tell(self._site, self._functions, f"status {execution.name}", kinds.STATUS_EVENT, "cancel_job_runs", detail)


def tell(
    site: Site, functions: Functions, point: str, possible: tuple[str, ...], function: str, detail: dict[str, Any]
) -> None:
    """EventBridge: an event to the function that a rule names, at least once and in its own time; or not at all."""
    fault = site.faults.at(point, possible)
    if fault is not None:
        site.trace.add("events", "FAULT", fault, point)
    times = {"event_lost": 0, "event_twice": 2}.get(fault or "", 1)
    for _ in range(times):
        least, most = LATE_SECONDS if fault == "event_late" else (0.2, 5.0)

        def deliver() -> None:
            site.kernel.spawn(lambda: functions.deliver(function, {"detail": detail}))

        site.kernel.at(site.kernel.random.uniform(least, most), deliver)
