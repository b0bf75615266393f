"""Objects that arrive, in any order and any number of times: each version is in one run, and in no other."""

import io
import itertools
import json
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lambdas_world import BUCKET, Crash, Faults, refusal
from landing import AT, FIVE, MACHINE, STAND, Executions, Landing, arrived, etag_of, message

from contracts.errors import InvalidRequestError
from lambdas import aws, gather_arrivals, runtime
from lambdas.arrival_sets import AT_ONCE
from lambdas.gathering import Arrived, is_newer, newest, read_message, set_name
from lambdas.records import SEALED


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
