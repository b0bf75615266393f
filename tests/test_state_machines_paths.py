"""Every way through the daily workflow: the real definition and handlers, with Spark as a script of outcomes."""

import contextlib
import importlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from lambdas_world import ACCOUNT, BUCKET, EXECUTION, ROLES, TABLE, World, refusal

from contracts import contract as contracts
from contracts.errors import InvalidRequestError, SourceUnavailableError
from lambdas import aws, runtime
from lambdas.rejections import Refusal, reject
from lambdas.waivers import Plea, grant
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
LAYERS = ("bronze", "silver", "gold")
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
    environment = {
        "STAGE": "test",
        "LAKE_BUCKET": BUCKET,
        "CODE_BUCKET": "assay-test-code",
        "LEDGER_TABLE": TABLE,
        "APPLICATION_ID": "00app",
        "JOB_ROLES": json.dumps(ROLES),
        "SECRET_ARNS": "{}",
        "PII_KEY_ARN": "arn:pii-key",
        "SOURCES": '["fx_rates", "snowflake_orders"]',
        "SPARK_CONF": "{}",
        "FAIL_FROM": '{"error": "1"}',
        "SPARK_ENTRY_KEY": "spark/1/main.py",
        "SPARK_CODE_KEY": "spark/1/code.zip",
        "SPARK_DEPS_KEY": "spark/deps-1.tar.gz",
        "CODE_DIGEST": "code1",
        "JOB_TIMEOUT_MINUTES": "2",
        "LEASE_WAIT_MINUTES": "240",
        "GLUE_DATABASES": json.dumps({layer: f"assay_test_{layer}" for layer in (*LAYERS, "quality")}),
        "NOTICE_TOPIC_ARN": f"arn:aws:sns:eu-west-1:{ACCOUNT}:assay-test-notices",
    }
    for name, value in environment.items():
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


def test_a_good_day_goes_straight_through(day: Day) -> None:
    outcome = Execution().run()
    assert (outcome.status, outcome.error) == ("SUCCEEDED", None)
    assert trail(outcome) == FORWARD
    assert outcome.output["status"] == "SUCCEEDED"
    assert outcome.output["rows"] == {"gold/fct_daily_revenue": 2}
    assert sorted(jobs(day)) == [
        "bronze_to_silver:all:0:1",
        "check_bronze:all:0:1",
        "check_gold:all:0:1",
        "check_silver:all:0:1",
        "ingest:fx_rates:0:1",
        "ingest:snowflake_orders:0:1",
        "publish_gold:all:0:1",
        "silver_to_gold:all:0:1",
    ]
    run_id = outcome.output["run_id"]
    summary = day.world.lake.read(f"runs/{run_id}/run.json")
    assert summary is not None
    assert len(summary["steps"]) == 8


def test_each_job_is_given_the_receipts_it_needs(day: Day) -> None:
    Execution().run()
    given = {}
    for job_run_id, run in day.world.emr.runs.items():
        receipts = day.world.request_of(job_run_id)["inputs"]["receipts"]
        given[run["name"].split(":")[1]] = ["/".join(receipt.split("/")[2:4]) for receipt in receipts]
    ingests = ["ingest/fx_rates", "ingest/snowflake_orders"]
    assert given == {
        "ingest": [],
        "check_bronze": ingests,
        "bronze_to_silver": ingests,
        "check_silver": [*ingests, "bronze_to_silver/all"],
        "silver_to_gold": [*ingests, "bronze_to_silver/all"],
        "check_gold": [*ingests, "bronze_to_silver/all", "silver_to_gold/all"],
        "publish_gold": [*ingests, "bronze_to_silver/all", "silver_to_gold/all"],
    }


def test_second_execution_of_a_day_changes_nothing_and_says_so(day: Day) -> None:
    first = Execution().run()
    count = len(day.world.emr.runs)
    second = Execution("again").run()
    assert second.status == "SUCCEEDED"
    assert trail(second) == ["OpenRun", "IsNewRun", "AlreadyDone"]
    assert (second.output["status"], second.output["run_id"]) == ("ALREADY_DONE", first.output["run_id"])
    assert len(day.world.emr.runs) == count


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        pytest.param("bronze", {"verdict": "FAIL"}, id="bronze"),
        pytest.param("silver", {"verdict": "FAIL"}, id="silver"),
        pytest.param("gold", {"verdict": "FAIL"}, id="gold"),
        pytest.param("bronze", {"verdict": None}, id="missing-verdict"),
        pytest.param("gold", {"verdict": "pass"}, id="word-that-is-not-a-pass"),
    ],
)
def test_closed_gate_holds_then_goes_round_after_a_redrive(day: Day, layer: str, said: dict[str, Any]) -> None:
    bad = {1, 2}  # measured at the start, and again after a redrive that mended nothing
    day.script = lambda step, attempt: dict(said) if step == f"check_{layer}" and attempt in bad else {}
    execution = Execution()
    gate = f"{layer.capitalize()}Gate"
    for redrive in range(2):
        held = execution.run()
        assert (held.status, held.error) == ("FAILED", "QualityGateClosedError"), held.cause
        assert held.states[-1] == f"HoldAt{gate}"
        assert f"{gate} is closed for run" in (held.cause or "")
        assert not any("publish" in job for job in jobs(day))
        assert len(day.sns.subjects) == redrive + 1
    outcome = execution.run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome) == [f"HoldAt{gate}", *FORWARD[3:]]
    assert "publish_gold:all:2:1" in jobs(day)


def test_waiver_opens_the_gate_once_it_is_in_force(day: Day) -> None:
    """Held; held again with a waiver that has ended; through with one that lasts."""

    def judged(step: str, attempt: int) -> dict[str, Any]:
        if step != "check_silver":
            return {}
        [key] = [
            each for each in day.world.s3.objects if re.fullmatch(f"requests/[^/]+/{step}/all/{attempt}.json", each)
        ]
        waivers = (day.world.lake.read(key) or {})["waivers"]
        return {"verdict": "PASS_WITH_WAIVER" if waivers else "FAIL"}

    day.script = judged
    execution = Execution()
    assert execution.run().error == "QualityGateClosedError"
    run_id = day.world.emr.runs["00job001"]["name"].split(":")[0]
    now = datetime.now(UTC).replace(microsecond=0)
    ask: dict[str, Any] = {"run_id": run_id, "reason": "r", "by": "Ada", "hours": 1, "unique": "0a1b2c3d"}
    rate = "fx_rates_silver:expect_column_values_to_be_between:rate"
    grant(day.world.ledger, Plea(**ask, expectation=rate, now=now - timedelta(hours=2)))
    assert execution.run().error == "QualityGateClosedError"
    grant(day.world.ledger, Plea(**ask, expectation=rate, now=now))
    outcome = execution.run()
    assert (outcome.status, outcome.states[0]) == ("SUCCEEDED", "HoldAtSilverGate")
    summary = day.world.lake.read(f"runs/{run_id}/run.json") or {}
    assert [step["verdict"] for step in summary["steps"] if step["step"] == "check_silver"] == ["PASS_WITH_WAIVER"]


def test_superseding_run_finishes_the_day_and_the_dead_one_cannot_be_redriven(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.script = lambda step, attempt: {"verdict": "FAIL"} if step == "check_bronze" else {}  # noqa: ARG005
    dead = Execution()
    assert dead.run().error == "QualityGateClosedError"
    claimed = day.world.ledger.interval_claim("2026-07-30")
    assert claimed is not None
    early = Execution("day1-again", supersedes=claimed.run_id).run()
    assert early.error == "InvalidRequestError"  # the first one runs, for all that Step Functions says
    monkeypatch.setattr(Sfn, "status", "FAILED")
    day.script = lambda step, attempt: {}  # noqa: ARG005
    outcome = Execution("day1-once-more", supersedes=claimed.run_id).run()
    assert outcome.status == "SUCCEEDED", outcome
    assert outcome.output["data_date"] == "2026-07-30"
    request = next(
        day.world.request_of(job) for job, run in day.world.emr.runs.items() if ":ingest:fx_rates:0:1" in run["name"]
        and run["name"].startswith(outcome.output["run_id"])
    )  # fmt: skip
    assert [each["key"] for each in request["inputs"]["files"]] == ["landing/fx/eurofxref-2026-07-30.csv"]
    started = len(day.world.emr.runs)
    assert dead.run().error == "RunSupersededError"
    assert len(day.world.emr.runs) == started


def test_rejected_rows_open_the_gate_that_they_closed(day: Day) -> None:
    """Held; the rows rejected; in the next round ingest is asked to refuse them, and the gate passes."""
    usd = "fx_rates_bronze:expect_column_values_to_not_be_null:USD"
    dataset, expectation, column = usd.split(":")
    failed = {"dataset": dataset, "expectation": expectation, "column": column, "severity": "error", "success": False}

    def asked(step: str, attempt: int) -> dict[str, Any]:
        if step != "check_bronze":
            return {}
        [key] = [
            each
            for each in day.world.s3.objects
            if re.fullmatch(f"requests/[^/]+/ingest/fx_rates/{attempt}.json", each)
        ]
        refused = (day.world.lake.read(key) or {})["rejections"]
        return {"verdict": "PASS"} if refused else {"verdict": "FAIL", "results": [failed]}

    day.script = asked
    execution = Execution()
    assert execution.run().error == "QualityGateClosedError"
    run_id = day.world.emr.runs["00job001"]["name"].split(":")[0]
    now = datetime.now(UTC).replace(microsecond=0)
    asked_for = Refusal(run_id=run_id, expectations=(), reason="r", by="Ada", now=now)
    reject(day.world.ledger, day.world.lake.read, asked_for)
    outcome = execution.run()
    assert (outcome.status, outcome.states[0]) == ("SUCCEEDED", "HoldAtBronzeGate")
    with pytest.raises(InvalidRequestError, match="has SUCCEEDED"):
        reject(day.world.ledger, day.world.lake.read, asked_for)


def test_later_gate_that_closes_after_an_earlier_one_was_redriven(day: Day) -> None:
    day.script = lambda step, attempt: (
        {"verdict": "FAIL"} if (step, attempt) in {("check_bronze", 1), ("check_gold", 1), ("check_silver", 2)} else {}
    )
    execution = Execution()
    held = [execution.run().states[-1] for _ in range(3)]
    assert held == ["HoldAtBronzeGate", "HoldAtGoldGate", "HoldAtSilverGate"]
    assert execution.run().status == "SUCCEEDED"
    assert "publish_gold:all:3:1" in jobs(day)


def test_broken_contract_is_not_retried_and_a_redrive_runs_only_what_failed(day: Day) -> None:
    failure = {
        "state": "FAILED",
        "status": "FAILED",
        "error": "ContractViolationError",
        "cause": "fx_rates_bronze 1-0-0",
    }
    day.script = lambda step, attempt: dict(failure) if (step, attempt) == ("ingest:fx_rates", 1) else {}
    execution = Execution()
    failed = execution.run()
    assert (failed.status, failed.error, failed.cause) == ("FAILED", "ContractViolationError", "fx_rates_bronze 1-0-0")
    outcome = execution.run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome) == FORWARD[3:]
    assert [job for job in jobs(day) if "ingest:fx" in job] == ["ingest:fx_rates:0:1", "ingest:fx_rates:0:2"]


def test_bad_file_fails_before_any_job_run_and_is_taken_once_put_right(day: Day) -> None:
    land_rates(day, "-1.1")
    execution = Execution()
    failed = execution.run()
    assert (failed.status, failed.error, failed.states[-1]) == ("FAILED", "ContractViolationError", "ValidateContracts")
    assert "fx_rates_bronze 1-2-0: column USD breaks rule exclusiveMinimum" in (failed.cause or "")
    assert day.world.emr.runs == {}
    land_rates(day)
    assert execution.run().status == "SUCCEEDED"


def test_a_working_day_waits_for_its_file_and_a_redrive_after_delivery_passes(day: Day) -> None:
    day.world.s3.objects.clear()
    execution = Execution()
    for _ in range(2):
        failed = execution.run()
        assert (failed.status, failed.error) == ("FAILED", "ContractViolationError")
        assert failed.states[-1] == "ValidateContracts"
        assert "expected_file: no file came for 2026-07-30 (Thursday)" in (failed.cause or "")
        assert day.world.emr.runs == {}
    land_rates(day)
    assert execution.run().status == "SUCCEEDED"


def test_job_run_that_dies_is_tried_once_more_then_waits_for_a_redrive(day: Day) -> None:
    day.script = lambda step, attempt: (
        {"state": "FAILED", "status": "KILLED"} if step == "silver_to_gold" and attempt < 3 else {}
    )
    execution = Execution()
    failed = execution.run()
    assert (failed.status, failed.error) == ("FAILED", "SparkJobFailedError")
    assert [job for job in jobs(day) if "silver_to_gold" in job] == ["silver_to_gold:all:0:1", "silver_to_gold:all:0:2"]
    outcome = execution.run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome) == FORWARD[9:]


def test_success_without_a_receipt_is_not_believed(day: Day) -> None:
    day.script = lambda step, attempt: {"status": "WRONG"} if (step, attempt) == ("publish_gold", 1) else {}
    execution = Execution()
    assert execution.run().error == "ReceiptMissingError"
    assert execution.run().status == "SUCCEEDED"


def test_lost_callback_costs_a_heartbeat_and_no_second_job_run(day: Day) -> None:
    day.script = lambda step, _: {"lost": True} if step in {"check_silver", "publish_gold"} else {}
    outcome = Execution(text=definition(heartbeat_seconds=2)).run()
    assert outcome.status == "SUCCEEDED"
    assert len(day.world.emr.runs) == 8


def test_base_that_moved_is_built_on_again_and_checked_again(day: Day) -> None:
    day.script = lambda step, attempt: {"published": False} if step == "publish_gold" and attempt < 3 else {}
    outcome = Execution().run()
    assert outcome.status == "SUCCEEDED"
    again = ["SilverToGold", "CheckGold", "GoldGate", "PublishGold", "IsPublished"]
    assert trail(outcome) == [*FORWARD[:14], *again, *again, *FORWARD[14:]]
    assert [job for job in jobs(day) if "publish" in job] == [
        "publish_gold:all:0:1",
        "publish_gold:all:1:2",
        "publish_gold:all:2:3",
    ]


def test_gate_that_closes_on_a_rebuilt_candidate_holds(day: Day) -> None:
    day.script = lambda step, attempt: (
        {"published": False} if (step, attempt) == ("publish_gold", 1)
        else {"verdict": "FAIL"} if (step, attempt) == ("check_gold", 2) else {}
    )  # fmt: skip
    execution = Execution()
    assert execution.run().states[-1] == "HoldAtGoldGate"
    assert execution.run().status == "SUCCEEDED"


def test_second_day_waits_for_the_writer_of_the_same_table(day: Day) -> None:
    slow = threading.Event()
    results: dict[str, Outcome] = {}
    ends = day.end

    def end_later(job_run_id: str) -> None:
        if slow.is_set():
            ends(job_run_id)

    day.end = end_later  # type: ignore[method-assign]
    threads = [
        threading.Thread(target=lambda name=name, when=when: results.update({name: Execution(name, when).run()}))
        for name, when in (("day1", "2026-07-30"), ("day2", "2026-07-31"))
    ]
    threads[0].start()
    wait_for(lambda: len(day.world.emr.runs) == 2)
    land_rates(day, date="2026-07-31")
    threads[1].start()
    time.sleep(1.5)
    assert len(day.world.emr.runs) == 2  # the second waits: LeaseHeldError is retried
    slow.set()
    for job_run_id in list(day.world.emr.runs):
        ends(job_run_id)
    for thread in threads:
        thread.join(60)
    assert {name: result.status for name, result in results.items()} == {"day1": "SUCCEEDED", "day2": "SUCCEEDED"}


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited a minute")


@pytest.mark.parametrize("function", ["open_run", "launch_job", "hold_at_gate"])
def test_function_that_fails_for_a_passing_reason_is_called_again(day: Day, function: str) -> None:
    day.broken[function] = SourceUnavailableError("AWS did not answer in time")
    day.script = lambda step, attempt: {"verdict": "FAIL"} if (step, attempt) == ("check_bronze", 1) else {}
    execution = Execution()
    assert execution.run().error == "QualityGateClosedError"
    assert execution.run().status == "SUCCEEDED"
    assert day.broken == {}
