"""Objects that arrive, in any order and any number of times: each version is in one run, and in no other."""

import io
import itertools
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lambdas_world import BUCKET, EXECUTION, Crash, Faults, World, event, refusal

from contracts import contract as contracts
from contracts.errors import InvalidRequestError
from lambdas import aws, digests, gather_arrivals, runtime
from lambdas.arrival_sets import AT_ONCE, Gatherer
from lambdas.arrivals import claim, held_by_others, list_landed, matching
from lambdas.gathering import Arrived, is_newer, newest, read_message, set_name
from lambdas.ledger import OPEN, SUCCEEDED, Ledger, Run
from lambdas.opening import Opening, open_run
from lambdas.records import GATHERING, SEALED

FX = contracts.of_source("fx_rates")
MACHINE = "arn:aws:states:eu-west-1:000000000000:stateMachine:assay-test-file-arrival"
AT = datetime(2026, 7, 30, 15, tzinfo=UTC)


def arrived(name: str, version: int = 1, *, prefix: str = "landing/fx/", **changes: Any) -> Arrived:
    """A version of an object; later versions have larger sequencers, and other content."""
    fields: dict[str, Any] = {
        "bucket": BUCKET,
        "key": f"{prefix}{name}",
        "etag": f"e-{name}-{version}",
        "version_id": f"v-{name}-{version}",
        "sequencer": f"00{version:X}",
        "at": AT + timedelta(minutes=version),
    }
    return Arrived(**fields | changes)


def message(each: Arrived, message_id: str = "m1") -> dict[str, Any]:
    """An SQS record that carries the event of EventBridge."""
    about = {"key": each.key, "size": 1, "etag": each.etag, "sequencer": each.sequencer}
    if each.version_id:
        about["version-id"] = each.version_id
    body = event("s3_object_created", object=about, bucket={"name": each.bucket})
    body["time"] = each.at.isoformat().replace("+00:00", "Z")
    return {"messageId": message_id, "body": json.dumps(body), "eventSource": "aws:sqs"}


class Executions:
    """StartExecution of standard workflows: idempotent while the input is the same and the execution runs."""

    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}
        self.ended: set[str] = set()

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:  # noqa: N803, A002
        assert stateMachineArn == MACHINE
        assert 1 <= len(name) <= 80
        assert name.replace("-", "").isalnum()
        if name in self.inputs and (name in self.ended or self.inputs[name] != input):
            raise refusal("ExecutionAlreadyExists", "StartExecution")
        self.inputs[name] = input
        return {"executionArn": EXECUTION + name}


@dataclass
class Landing:
    """A lake where objects arrive, and the run of a set does what the workflow does with its objects."""

    world: World = field(default_factory=World)
    executions: Executions = field(default_factory=Executions)
    ingested: list[tuple[str, str]] = field(default_factory=list)

    def put(self, each: Arrived) -> None:
        """The object is there, in this version; its content is the version, so that its etag follows from it."""
        self.world.s3.put_object(Bucket=BUCKET, Key=each.key, Body=each.version.encode())

    def gatherer(self, faults: Faults | None = None) -> Gatherer:
        faults = faults or Faults()
        return Gatherer(
            ledger=Ledger(faults.around(self.world.store)),
            s3=faults.around(self.world.s3),
            sfn=faults.around(self.executions),
            bucket=BUCKET,
            contracts=[FX],
            workflow_arn=MACHINE,
        )

    def open(self, name: str) -> Run:
        opening = Opening(
            execution_arn=EXECUTION + name,
            request=json.loads(self.executions.inputs[name]),
            now=AT,
            unique=name[-32:],
            code_digest="code1",
            released=digests.released(),
            sources=("fx_rates", "snowflake_orders"),
            workflow="file_arrival",
            can_still_run=lambda _: True,
        )
        run = self.world.ledger.run(open_run(self.world.ledger, opening)["run_id"])
        assert run is not None
        return run

    def run_all(self) -> None:
        """Each execution that was started and has not run yet: takes its objects, and succeeds."""
        for name in [each for each in self.executions.inputs if each not in self.executions.ended]:
            run = self.open(name)
            self.ingested += [(each.key, each.etag) for each in taken(self.world, run)]
            self.world.ledger.change(run, status=SUCCEEDED)
            self.executions.ended.add(name)


def taken(world: World, run: Run) -> list[Any]:
    return claim(world.ledger, FX, matching(FX, list_landed(cast(Any, world.s3), BUCKET, FX)), run)


def etag_of(each: Arrived) -> Arrived:
    """With the etag that the fake bucket gives its content."""
    s3 = World().s3
    s3.put_object(Bucket=BUCKET, Key=each.key, Body=each.version.encode())
    [page] = s3.paginate(Bucket=BUCKET, Prefix=each.key)
    return Arrived(**{**vars(each), "etag": page["Contents"][0]["ETag"].strip('"')})


FIVE = [
    etag_of(each)
    for each in (
        arrived("eurofxref-a.csv"),
        arrived("eurofxref-b.csv"),
        arrived("eurofxref-b.csv", 2),
        arrived("eurofxref-b.csv", 3),
        arrived("eurofxref-c.csv"),
    )
]
STAND = sorted((each.key, each.etag) for each in (FIVE[0], FIVE[3], FIVE[4]))


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))), ids=lambda order: "".join(map(str, order)))
def test_five_events_in_any_order_three_times_each_are_taken_once(order: tuple[int, ...]) -> None:
    """Every version is there when its event comes, as it would be on a late day; each batch holds one event."""
    landing = Landing()
    for each in FIVE:
        landing.put(each)
    for again in range(3):
        for index in order if again != 1 else reversed(order):
            landing.gatherer().gather([FIVE[index]])
        landing.run_all()
    assert sorted(landing.ingested) == STAND


@pytest.mark.parametrize(
    "order", list(itertools.permutations(range(5)))[::7], ids=lambda order: "".join(map(str, order))
)
def test_the_order_matters_no_more_when_runs_end_between_the_events(order: tuple[int, ...]) -> None:
    """An object is replaced while runs end: each of its versions may be taken, none twice, the newest last."""
    landing = Landing()
    there: dict[str, Arrived] = {}
    for index in order:
        each = FIVE[index]
        if each.key not in there or is_newer(each.sequencer, there[each.key].sequencer):
            there[each.key] = each
            landing.put(each)
        for _ in range(3):
            landing.gatherer().gather([each])
            landing.run_all()
    assert len(set(landing.ingested)) == len(landing.ingested)
    last = dict(landing.ingested)
    assert sorted(last.items()) == STAND


def test_one_batch_is_one_run() -> None:
    landing = Landing()
    for each in FIVE:
        landing.put(each)
    landing.gatherer().gather([*FIVE, *FIVE])
    [(name, document)] = landing.executions.inputs.items()
    assert json.loads(document) == {"arrival_set": name, "data_date": "2026-07-30"}
    assert name == set_name([FIVE[4], FIVE[3], FIVE[0]])
    landing.run_all()
    assert sorted(landing.ingested) == STAND


def test_a_thousand_files_in_a_minute_make_a_handful_of_runs() -> None:
    landing = Landing()
    files = [etag_of(arrived(f"eurofxref-{number}.csv")) for number in range(1000)]
    for each in files:
        landing.put(each)
    for start in range(0, 1000, 250):  # as two pollers share them in a window
        landing.gatherer().gather(files[start : start + 250])
    assert len(landing.executions.inputs) == 4
    landing.run_all()
    assert sorted(landing.ingested) == sorted((each.key, each.etag) for each in files)


def calls_of(batches: list[list[Arrived]]) -> int:
    faults, landing = Faults(), Landing()
    for each in FIVE:
        landing.put(each)
    for batch in batches:
        landing.gatherer(faults).gather(batch)
    return len(faults.calls)


BATCHES = [[FIVE[1], FIVE[0]], [FIVE[3], FIVE[4], FIVE[2]]]
TOGETHER = calls_of(BATCHES)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, TOGETHER + 1))
def test_a_process_that_dies_at_any_call_loses_and_doubles_nothing(at: int, after: bool) -> None:
    """The messages come again, in other batches than at first."""
    landing, faults = Landing(), Faults(at=at, after=after)
    for each in FIVE:
        landing.put(each)
    died = False
    for batch in BATCHES:
        try:
            landing.gatherer(faults).gather(batch)
        except Crash:
            died = True
            landing.run_all()
            for each in reversed(batch):
                landing.gatherer().gather([each])
    assert died
    landing.run_all()
    assert sorted(dict(landing.ingested).items()) == STAND
    assert len(set(landing.ingested)) == len(landing.ingested)
    sets = [item for item in _items(landing) if item["pk"].startswith("arrival_set#")]
    assert {item["status"] for item in sets if item["objects"]} == {SEALED}


def _items(landing: Landing) -> list[dict[str, Any]]:
    return list(landing.world.store._items.values())


def test_a_set_that_never_started_starts_with_the_same_members() -> None:
    landing = Landing()
    landing.executions.start_execution = lambda **_: (_ for _ in ()).throw(Crash("before start"))  # type: ignore[method-assign, assignment]
    with pytest.raises(Crash):
        landing.gatherer().gather([FIVE[0], FIVE[4]])
    landing.executions = Executions()
    landing.gatherer().gather([FIVE[4]])
    assert list(landing.executions.inputs) == [set_name([FIVE[0], FIVE[4]])]
    for each in FIVE:
        landing.put(each)
    landing.run_all()
    assert sorted(landing.ingested) == [(FIVE[0].key, FIVE[0].etag), (FIVE[4].key, FIVE[4].etag)]


def test_an_execution_of_that_name_that_has_ended_is_no_error() -> None:
    landing = Landing()
    landing.gatherer().gather([FIVE[0]])
    landing.executions.ended.update(landing.executions.inputs)  # failed before it opened its run
    landing.gatherer().gather([FIVE[0]])
    assert len(landing.executions.inputs) == 1


def test_nothing_joins_a_set_that_is_sealed() -> None:
    """A slow process whose messages came again: what it had not claimed goes to a set of its own."""
    landing = Landing()
    many = [etag_of(arrived(f"eurofxref-{number}.csv")) for number in range(AT_ONCE + 5)]
    for each in many:
        landing.put(each)
    slow = landing.gatherer()
    write, raced = landing.world.store.write, []

    def write_and_lose_time(*writes: Any) -> bool:
        done = write(*writes)
        if len(writes) > AT_ONCE and not raced:
            raced.append(True)
            landing.gatherer().gather([many[0]])
            landing.run_all()
        return done

    landing.world.store.write = write_and_lose_time  # type: ignore[method-assign]
    slow.gather(many)
    assert len(landing.executions.inputs) == 2
    landing.run_all()
    assert sorted(landing.ingested) == sorted((each.key, each.etag) for each in many)


@pytest.mark.parametrize(
    "each",
    [
        pytest.param(arrived("other.csv"), id="outside-the-pattern"),
        pytest.param(arrived("eurofxref-1.csv", prefix="landing/other/"), id="outside-the-prefix"),
        pytest.param(arrived("sub/eurofxref-1.csv"), id="folder-below"),
        pytest.param(arrived("", prefix="landing/fx/"), id="the-folder-itself"),
        pytest.param(arrived("eurofxref-1 2.csv"), id="space"),
        pytest.param(arrived("eurofxref-1+2.csv"), id="plus"),
        pytest.param(arrived("eurofxref-%2e.csv"), id="percent"),
        pytest.param(arrived("eurofxref-é.csv"), id="unicode"),
        pytest.param(arrived("eurofxref-1.csv/../../gold/x.csv"), id="path-tricks"),
        pytest.param(arrived("eurofxref-1.csv", bucket="another-bucket"), id="another-bucket"),
    ],
)
def test_a_key_that_no_contract_takes_is_dropped_and_told(each: Arrived, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = io.StringIO()
    handler = runtime.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    monkeypatch.setattr(handler, "stream", logged)
    landing = Landing()
    assert landing.gatherer().gather([each]) == []
    assert landing.executions.inputs == {}
    assert _items(landing) == []
    told = logged.getvalue()
    assert "no contract takes an object that arrived" in told
    assert each.version in told
    assert each.key not in told.replace(each.version, "")


ODD = ["a b", "a+b", "a%2Fb", "naïve-ß", "日本", "a b+c%20d", "\u00a0"]


@pytest.mark.parametrize("name", ODD)
def test_a_key_is_read_by_the_kind_of_its_event(name: str) -> None:
    """EventBridge gives the key as it is; S3's own notification encodes it like a form."""
    key = f"landing/fx/{name}.csv"
    assert read_message(message(arrived(f"{name}.csv"))["body"])[0].key == key
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-07-30T15:01:00.000Z",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": quote_plus(key), "eTag": "e", "sequencer": "0A"}},
    }
    [read] = read_message(json.dumps({"Records": [record]}))
    assert (read.key, read.version, read.at) == (key, "e", AT + timedelta(minutes=1))


@given(st.text(min_size=1, max_size=80))
def test_any_key_comes_through_a_message_as_it_is(name: str) -> None:
    assert read_message(message(arrived(name))["body"]) == [arrived(name)]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "{}",
        "null",
        json.dumps({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}),
        json.dumps({"Records": [{"eventName": "ObjectRemoved:Delete"}]}),
        json.dumps({"Records": None}),
    ],
)
def test_a_message_that_is_no_event_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequestError, match="not an event of S3"):
        read_message(body)


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        pytest.param("0055AED6DCD90281E5", "0055AED6DCD90281E4", True, id="same-length"),
        pytest.param("00FF", "00FE01", True, id="shorter-and-later"),
        pytest.param("00FE", "00FE00", False, id="equal-once-padded"),
        pytest.param("00FE", "00FE01", False, id="shorter-and-earlier"),
        pytest.param("00fe01", "00FE00", True, id="case"),
        pytest.param(None, "00", False, id="missing"),
    ],
)
def test_sequencers_are_padded_on_the_right(one: str | None, other: str | None, newer: bool) -> None:
    assert is_newer(one, other) is newer


def test_the_name_of_a_set_is_that_of_its_versions() -> None:
    assert set_name(FIVE) == set_name(reversed(FIVE))
    assert set_name(FIVE[:2]) != set_name([FIVE[0], FIVE[2]])
    assert len({set_name([each]) for each in FIVE}) == 5
    assert newest(reversed(FIVE)) == [FIVE[0], FIVE[3], FIVE[4]]


def test_an_object_without_versions_is_told_apart_by_its_etag() -> None:
    landing = Landing()
    first, second = (arrived("eurofxref-a.csv", number, version_id=None) for number in (1, 2))
    for each in (first, first, second):
        landing.gatherer().gather([each])
    assert list(landing.executions.inputs) == [set_name([first]), set_name([second])]


# Who takes a file: the daily run or the set.


def test_the_daily_run_leaves_what_arrived_and_the_set_leaves_the_rest() -> None:
    landing = Landing()
    for each in (FIVE[0], FIVE[4]):
        landing.put(each)
    landing.gatherer().gather([FIVE[0]])
    day = landing.world.open_run()
    assert [each.key for each in taken(landing.world, day)] == [FIVE[4].key]
    landing.run_all()
    assert [key for key, _ in landing.ingested] == [FIVE[0].key]
    assert [each.key for each in taken(landing.world, day)] == [FIVE[4].key]


@pytest.mark.parametrize("status", [OPEN, SUCCEEDED])
def test_an_event_after_the_daily_run_took_the_file_starts_nothing(status: str) -> None:
    landing = Landing()
    landing.put(FIVE[0])
    day = landing.world.open_run()
    assert len(taken(landing.world, day)) == 1
    landing.world.ledger.change(day, status=status)
    landing.gatherer().gather([FIVE[0]])
    assert landing.executions.inputs == {}


def test_a_file_put_right_waits_for_the_daily_run_and_is_a_new_arrival_after_it() -> None:
    landing = Landing()
    landing.put(FIVE[1])
    day = landing.world.open_run()
    taken(landing.world, day)
    landing.put(FIVE[2])
    landing.gatherer().gather([FIVE[2]])
    assert landing.executions.inputs == {}
    assert [each.etag for each in taken(landing.world, day)] == [FIVE[2].etag]
    landing.world.ledger.change(day, status=SUCCEEDED)
    landing.put(FIVE[3])
    landing.gatherer().gather([FIVE[3]])
    landing.run_all()
    assert landing.ingested == [(FIVE[3].key, FIVE[3].etag)]


def test_a_late_event_of_a_version_that_the_daily_run_never_saw_starts_nothing() -> None:
    landing = Landing()
    landing.put(FIVE[2])
    day = landing.world.open_run()
    taken(landing.world, day)
    landing.world.ledger.change(day, status=SUCCEEDED)
    landing.gatherer().gather([FIVE[1]])  # older than what the run listed; its claim has no sequencer to tell
    assert landing.executions.inputs == {}


@pytest.mark.parametrize("first", ["day", "set"])
def test_a_race_for_a_file_has_one_winner(first: str) -> None:
    """One asks while the other is about to write."""
    landing = Landing()
    landing.put(FIVE[0])
    day = landing.world.open_run()
    write, done, taken_by_day = landing.world.store.write, [], []

    def raced(other: Callable[[], Any]) -> Callable[..., bool]:
        def write_after_the_other(*writes: Any) -> bool:
            if not done:
                done.append(True)
                other()
            return write(*writes)

        return write_after_the_other

    def ask() -> None:
        taken_by_day[:] = taken(landing.world, day)

    def gather() -> None:
        landing.gatherer().gather([FIVE[0]])

    slow, quick = (ask, gather) if first == "set" else (gather, ask)
    landing.world.store.write = raced(quick)  # type: ignore[method-assign]
    slow()
    landing.world.store.write = write  # type: ignore[method-assign]
    landing.run_all()
    assert len(taken_by_day) + len(landing.ingested) == 1
    assert len(landing.ingested) == (first == "set")


def test_a_file_counts_as_taken_once_the_run_of_its_set_is_open() -> None:
    landing, thursday = Landing(), date(2026, 7, 30)
    file = etag_of(arrived("eurofxref-2026-07-30.csv"))
    landing.put(file)
    landing.gatherer().gather([file])
    day = landing.world.open_run()
    before = held_by_others(landing.world.ledger, FX, day, thursday, thursday)
    assert (before.taken, before.waiting) == ([], [file.key])
    landing.run_all()
    after = held_by_others(landing.world.ledger, FX, day, thursday, thursday)
    assert (after.taken, after.waiting) == ([file.key], [])


# The run of a set.


def test_a_set_has_one_run_and_the_days_know_nothing_of_it() -> None:
    landing = Landing()
    landing.gatherer().gather([FIVE[0], FIVE[4]])
    [name] = landing.executions.inputs
    run = landing.open(name)
    assert (run.workflow, run.arrival_set, run.sources) == ("file_arrival", name, ["fx_rates"])
    assert (run.data_date, run.interval_start, run.interval_end) == (
        "2026-07-30",
        "2026-07-30T00:00:00Z",
        "2026-07-31T00:00:00Z",
    )
    ledger = landing.world.ledger
    assert ledger.watermark() is None
    assert ledger.interval_claim("2026-07-30") is None
    assert landing.open(name) == run  # asked again
    second = _opening(json.loads(landing.executions.inputs[name]), "by-hand")
    answer = open_run(ledger, second)
    assert (answer["disposition"], answer["run_id"]) == ("ALREADY_DONE", run.run_id)
    assert answer["sources"] == ["fx_rates"]


def _opening(request: dict[str, Any], execution: str, workflow: str = "file_arrival", alive: bool = True) -> Opening:
    return Opening(
        execution_arn=EXECUTION + execution,
        request=request,
        now=AT,
        unique="f" * 32,
        code_digest="code1",
        released=digests.released(),
        sources=("fx_rates", "snowflake_orders"),
        workflow=workflow,
        can_still_run=lambda _: alive,
    )


def test_a_run_of_a_set_can_be_superseded_in_its_own_workflow_only() -> None:
    landing = Landing()
    landing.put(FIVE[0])
    landing.gatherer().gather([FIVE[0]])
    [name] = landing.executions.inputs
    dead = landing.open(name)
    request = {"supersedes": dead.run_id}
    ledger = landing.world.ledger
    with pytest.raises(InvalidRequestError, match="is of file_arrival"):
        open_run(ledger, _opening(request, "daily", workflow="daily_batch", alive=False))
    answer = open_run(ledger, _opening(request, "again", alive=False))
    successor = ledger.live_run(answer["run_id"])
    assert (answer["disposition"], successor.arrival_set, answer["sources"]) == ("OPENED", name, ["fx_rates"])
    assert [each.key for each in taken(landing.world, successor)] == [FIVE[0].key]


@pytest.mark.parametrize(
    ("request_", "workflow", "words"),
    [
        pytest.param({"data_date": "2026-07-30"}, "file_arrival", "no set of arrivals", id="no-set"),
        pytest.param({"arrival_set": "arrivals-0"}, "file_arrival", "no set of arrivals", id="unknown-set"),
        pytest.param(
            {"arrival_set": "arrivals-0", "data_date": "2026-07-30"}, "daily_batch", "file_arrival", id="daily"
        ),
    ],
)
def test_an_input_that_names_no_set_is_refused(request_: dict[str, Any], workflow: str, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        open_run(World().ledger, _opening(request_, "x", workflow))


def test_a_set_that_is_still_gathering_has_no_run() -> None:
    landing = Landing()
    faults = Faults(at=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gatherer, "_start", lambda *_: None)
        landing.gatherer(faults).gather([FIVE[0]])
    name = set_name([FIVE[0]])
    found = landing.world.ledger.arrival_set(name)
    assert found is not None
    assert found.status == GATHERING
    with pytest.raises(InvalidRequestError, match="no set of arrivals ready"):
        open_run(landing.world.ledger, _opening({"arrival_set": name}, "early"))


# The handler.


@pytest.fixture
def landing(monkeypatch: pytest.MonkeyPatch) -> Landing:
    one = Landing()
    for name, value in {
        "LEDGER_TABLE": "assay-test-ledger",
        "LAKE_BUCKET": BUCKET,
        "SOURCES": '["fx_rates", "snowflake_orders"]',
        "FILE_ARRIVAL_ARN": MACHINE,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(runtime, "ledger", lambda: one.world.ledger)
    monkeypatch.setattr(aws, "s3", lambda: one.world.s3)
    monkeypatch.setattr(aws, "stepfunctions", lambda: one.executions)
    return one


def deliver(records: Iterable[dict[str, Any]]) -> list[str]:
    answer = gather_arrivals.lambda_handler({"Records": list(records)}, object())
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def test_a_batch_starts_one_run_and_its_messages_are_done(landing: Landing) -> None:
    assert deliver(message(each, f"m{index}") for index, each in enumerate(FIVE)) == []
    assert len(landing.executions.inputs) == 1


def test_a_message_that_cannot_be_read_is_the_only_one_to_come_again(landing: Landing) -> None:
    broken = {"messageId": "broken", "body": "{", "eventSource": "aws:sqs"}
    assert deliver([message(FIVE[0], "m0"), broken, message(FIVE[4], "m4")]) == ["broken"]
    assert list(landing.executions.inputs) == [set_name([FIVE[0], FIVE[4]])]
    assert deliver([broken]) == ["broken"]


def test_a_refused_start_brings_the_whole_batch_again(landing: Landing) -> None:
    start = landing.executions.start_execution

    def refused(**_: Any) -> dict[str, str]:
        raise refusal("StateMachineDoesNotExist", "StartExecution")

    landing.executions.start_execution = refused  # type: ignore[method-assign]
    with pytest.raises(Exception, match="StateMachineDoesNotExist"):
        deliver([message(FIVE[0])])
    landing.executions.start_execution = start  # type: ignore[method-assign]
    assert deliver([message(FIVE[0])]) == []
    assert len(landing.executions.inputs) == 1
