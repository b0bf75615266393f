"""A day of a workflow: the real definition and handlers, with Spark as a script of outcomes."""

import contextlib
import importlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from lambdas_world import ACCOUNT, EXECUTION, World, environment, refusal

from contracts import contract as contracts
from lambdas import aws, runtime
from local.seams import moto_asl
from ops.workflow_lint import SUBSTITUTIONS

FILE = "daily_batch.asl.json"
FUNCTIONS = {
    "OpenRunFunction": "open_run",
    "ValidateContractsFunction": "validate_contracts",
    "LaunchJobFunction": "launch_job",
    "HoldAtGateFunction": "hold_at_gate",
    "RegisterCatalogFunction": "register_catalog",
    "EmitLineageAndMetricsFunction": "emit_lineage_and_metrics",
    "CloseRunFunction": "close_run",
}
OUTCOMES: dict[str, dict[str, Any]] = {
    "ingest": {},
    "check_bronze": {"verdict": "PASS"},
    "check_silver": {"verdict": "WARN"},
    "check_gold": {"verdict": "PASS"},
    "publish_silver": {"published": True},
    "publish_gold": {"published": True},
}
Script = Callable[[str, int], dict[str, Any]]


def definition(heartbeat_seconds: int = 30, file: str = FILE) -> str:
    text = (Path(__file__).parent.parent / "state_machines" / file).read_text()
    numbers = {"JobTimeoutSeconds": "120", "JobHeartbeatSeconds": str(heartbeat_seconds)}
    for name in SUBSTITUTIONS[file]:
        function = FUNCTIONS.get(name)
        arn = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{function}:live"
        text = text.replace(f"${{{name}}}", arn if function else numbers[name])
    text = re.sub(r'"IntervalSeconds": \d+', '"IntervalSeconds": 1', text)
    return re.sub(r'"BackoffRate": [\d.]+', '"BackoffRate": 1', text)


class Sns:
    def __init__(self) -> None:
        self.subjects: list[str] = []

    def publish(self, *, Subject: str, **_: Any) -> None:  # noqa: N803
        self.subjects.append(Subject)


class Sfn:
    """Task tokens as the engine knows them, and one status for all executions."""

    status = "RUNNING"

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        self._tell(moto_asl.succeed, taskToken, output)

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        self._tell(moto_asl.fail, taskToken, error, cause)

    def describe_execution(self, **_: Any) -> dict[str, Any]:
        return {"status": self.status}

    def _tell(self, call: Callable[..., None], *args: str) -> None:
        try:
            call(*args)
        except moto_asl.InvalidToken as error:
            raise refusal("InvalidToken", "SendTask") from error
        except moto_asl.TaskTimedOut as error:
            raise refusal("TaskTimedOut", "SendTask") from error


class Glue:
    def get_table(self, **_: Any) -> None:
        raise refusal("EntityNotFoundException", "GetTable")

    def create_table(self, **_: Any) -> None:
        pass


@dataclass
class Day:
    """One laptop's worth of platform: an engine, the handlers behind an endpoint, and jobs that end as scripted.

    Attributes:
        script: (step, attempt) to what the job's receipt says; {"state": "FAILED", ...} makes it fail; {"lost": True}
            loses the event of its end.
    """

    script: Script = lambda step, attempt: {}  # noqa: ARG005
    world: World = field(default_factory=World)
    sns: Sns = field(default_factory=Sns)
    lock: threading.RLock = field(default_factory=threading.RLock)
    seen: set[str] = field(default_factory=set)
    broken: dict[str, Exception] = field(default_factory=dict)

    def invoke(self, function: str, payload: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            if function in self.broken:
                raise self.broken.pop(function)
            answer: dict[str, Any] = importlib.import_module(f"lambdas.{function}").lambda_handler(payload, object())
            for job_run_id in set(self.world.emr.runs) - self.seen:
                self.seen.add(job_run_id)
                threading.Timer(0.02, self.end, [job_run_id]).start()
            return answer

    def end(self, job_run_id: str) -> None:
        with self.lock:
            name = self.world.emr.runs[job_run_id]["name"].split(":")
            step = name[1] if name[2] == "all" else f"{name[1]}:{name[2]}"
            said = {**OUTCOMES.get(name[1], {}), **self.script(step, int(name[4]))}
            request = self.world.request_of(job_run_id)
            state, lost = said.pop("state", "SUCCESS"), said.pop("lost", False)
            tables = [
                {"table": "gold/fct_daily_revenue", "rows": 2, "version_after": 1, "path": "gold/fct_daily_revenue"}
            ]
            written = tables if name[1] == "publish_gold" else []
            self.world.end(job_run_id, state, tables=written, redrive_count=request["redrive_count"], **said)
            if not lost:
                event = {"detail": {"jobRunId": job_run_id}}
                importlib.import_module("lambdas.job_finished").lambda_handler(event, object())


@dataclass
class Outcome:
    """How an execution stands after a run of it."""

    status: str
    output: dict[str, Any]
    error: str | None
    cause: str | None
    states: list[str]


class Execution:
    """One execution in the engine, to be redriven at will."""

    def __init__(
        self,
        name: str = "day1",
        data_date: str = "2026-07-30",
        text: str | None = None,
        supersedes: str = "",
        request: dict[str, Any] | None = None,
    ) -> None:
        self._execution = moto_asl.Execution(
            arn=EXECUTION + name,
            name=name,
            input=request or ({"supersedes": supersedes} if supersedes else {"data_date": data_date}),
            start_time="2026-07-31T06:00:00Z",
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/x",
            definition=text or definition(),
            state_machine_arn=f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:x",
            state_machine_name="x",
            account=ACCOUNT,
            region="eu-west-1",
        )
        self._events: list[dict[str, Any]] = []
        self._trail: dict[str, Any] = {}
        self._redrives = -1

    def run(self) -> Outcome:
        """Start it, or redrive it."""
        self._redrives += 1
        before = len(self._events)
        ended: list[moto_asl.Outcome] = []
        done = threading.Event()

        def on_end(outcome: moto_asl.Outcome) -> None:
            ended.append(outcome)
            done.set()

        redrive = moto_asl.Redrive(count=self._redrives, time="2026-07-31T07:00:00Z") if self._redrives else None
        moto_asl.Run(
            execution=self._execution, events=self._events, trail=self._trail, redrive=redrive, on_end=on_end
        ).start()
        assert done.wait(60), [event["type"] for event in self._events[-5:]]
        entered = [
            event["stateEnteredEventDetails"]["name"]
            for event in self._events[before:]
            if "stateEnteredEventDetails" in event
        ]
        outcome = ended[0]
        return Outcome(outcome.status, json.loads(outcome.output or "{}"), outcome.error, outcome.cause, entered)


def serve(day: Day) -> ThreadingHTTPServer:
    """Lambda's Invoke API in front of the handlers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            function = unquote(self.path).split("/functions/")[1].split("/")[0].split(":")[6]
            try:
                body, failed = day.invoke(function, payload), False
            except Exception as error:  # noqa: BLE001  as Lambda's runtime does
                body, failed = {"errorType": type(error).__name__, "errorMessage": str(error)}, True
            content = json.dumps(body).encode()
            self.send_response(200)
            if failed:
                self.send_header("X-Amz-Function-Error", "Unhandled")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def land_rates(day: Day, usd: str = "1.1", date: str = "2026-07-30") -> None:
    """The vendor's file of a day."""
    columns = [field.name for field in contracts.of_source("fx_rates").fields]
    cells = [date, usd] + ["N/A"] * (len(columns) - 2)
    day.world.land(f"eurofxref-{date}.csv", f"{','.join(columns)},\n{','.join(cells)},\n".encode())


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    one = Day()
    for name, value in environment(JOB_TIMEOUT_MINUTES="2").items():
        monkeypatch.setenv(name, value)
    sfn, glue = Sfn(), Glue()
    monkeypatch.setattr(runtime, "ledger", lambda: one.world.ledger)
    monkeypatch.setattr(aws, "s3", lambda: one.world.s3)
    monkeypatch.setattr(aws, "emr_serverless", lambda: one.world.emr)
    monkeypatch.setattr(aws, "stepfunctions", lambda: sfn)
    monkeypatch.setattr(aws, "sns", lambda: one.sns)
    monkeypatch.setattr(aws, "glue", lambda: glue)
    land_rates(one)
    server = serve(one)
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    moto_asl.connect(f"http://127.0.0.1:{server.server_port}", lambda _: keys)
    yield one
    server.shutdown()
    server.server_close()


FORWARD = [
    "OpenRun", "IsNewRun", "ValidateContracts", "IngestSources", "CheckBronze", "BronzeGate", "BronzeToSilver",
    "CheckSilver", "SilverGate", "SilverToGold", "CheckGold", "GoldGate", "PublishGold", "IsPublished",
    "RegisterCatalog", "EmitLineageAndMetrics", "CloseRun",
]  # fmt: skip


def trail(outcome: Outcome) -> list[str]:
    return [state for state in outcome.states if state != "IngestSource"]


def jobs(day: Day) -> list[str]:
    """step:subject:round:attempt of every job run, in order."""
    return [run["name"].split(":", 1)[1] for run in day.world.emr.runs.values()]
