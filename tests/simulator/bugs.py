"""Planted bugs: each takes one safeguard out of the real code, for a simulator that must notice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from contracts import contract as contracts
from lambdas import cancelling, launching, requests
from lambdas.jobs import Ask, Next, Work
from lambdas.leases import Leases
from lambdas.ledger import SUCCEEDED, Lease, Ledger, Step, Waiver
from lambdas.names import JobName
from lambdas.store import Create, Replace
from spark_jobs import ingest as real_ingest
from spark_jobs import receipts
from spark_jobs.delta_log import Commit
from spark_jobs.job import Job
from spark_jobs.receipts import Outcome
from spark_jobs.request import Request

from . import jobs, scenario
from .engine import DAILY, Hooks, definition
from .kernel import random_uuid, the

EXPIRY_SECONDS = 900.0
_decide, _is_over, _write, _ingest = launching.decide, Leases._is_over, Ledger.write, jobs._ingest


@contextmanager
def random_client_token() -> Iterator[None]:
    """StartJobRun with a token that nobody can repeat."""
    with mock.patch.object(JobName, "client_token", property(lambda _: random_uuid().hex)):
        yield


@contextmanager
def fixed_client_token() -> Iterator[None]:
    """StartJobRun with the same token for every attempt at a step."""

    def token(name: JobName) -> str:
        return hashlib.sha256("|".join((name.run_id, name.step, name.subject)).encode()).hexdigest()

    with mock.patch.object(JobName, "client_token", property(token)):
        yield


@contextmanager
def lease_that_expires_by_time() -> Iterator[None]:
    """A lease that passes on after a quarter of an hour, whatever its holder does."""

    def is_over(leases: Leases, lease: Lease) -> bool:
        run = Hooks.world.emr.runs.get(lease.job_run_id)
        return _is_over(leases, lease) or (run is not None and the().now - run.started_at > EXPIRY_SECONDS)

    with mock.patch.object(Leases, "_is_over", is_over):
        yield


@contextmanager
def receipt_before_commit() -> Iterator[None]:
    """Ingest that says it is done, and then commits."""

    def ingest(job: Job, lake: jobs.ModelLake, read: Callable[[], list[jobs.Row] | None]) -> Outcome:
        contract = contracts.of_source(job.request.subject)
        rows = read()
        if rows and lake.committed(contract.table) is None:
            seen = lake.version(contract.table)
            note = {**job.request.heading(), "quarantined": 0}
            commit = Commit(
                version=0 if seen is None else seen + 1,
                committed_at=job.started_at,
                transactions=frozenset(),
                metrics={"numOutputRows": len(rows)},
                note=note,
            )
            outcome = real_ingest._outcome(job, contract, commit)
            receipts.write(lake.store, job.request, receipts.success(job.request, job.started_at, outcome))
        return _ingest(job, lake, lambda: rows)

    with mock.patch.object(jobs, "_ingest", ingest):
        yield


@contextmanager
def gate_ending_in_fail() -> Iterator[None]:
    """Gates whose Default leads to a Fail state."""

    def failing(workflow: str = DAILY) -> str:
        machine = json.loads(definition(workflow))
        for name in machine["States"]:
            if name.startswith("HoldAt"):
                fail = {"Type": "Fail", "Error": "QualityGateClosedError", "Cause": f"{name[6:]} is closed"}
                machine["States"][name] = fail
        return json.dumps(machine)

    with mock.patch.object(scenario, "definition", failing):
        yield


@contextmanager
def gate_always_open() -> Iterator[None]:
    """Gates that let every verdict pass."""
    condition = "$states.input.verdict in ['PASS', 'WARN', 'PASS_WITH_WAIVER']"

    def open_to_all(workflow: str = DAILY) -> str:
        return definition(workflow).replace(condition, "true")

    with mock.patch.object(scenario, "definition", open_to_all):
        yield


@contextmanager
def transaction_of_the_attempt() -> Iterator[None]:
    """Commits whose transaction is another in each attempt."""
    real = Request.transaction
    with mock.patch.object(Request, "transaction", lambda asked, table: f"{real(asked, table)}:{asked.attempt}"):
        yield


@contextmanager
def stale_receipt_after_a_redrive() -> Iterator[None]:
    """A redriven step that is answered from what an earlier run of it has left."""

    def decide(step: Step | None, ask: Ask, job_state: str | None, is_live: bool, today: Work) -> Next:
        if step is not None and step.status == SUCCEEDED and ask.redrive_count > step.redrive_count:
            return Next.ANSWER
        return _decide(step, ask, job_state, is_live, today)

    with mock.patch.object(launching, "decide", decide):
        yield


@contextmanager
def round_ignored() -> Iterator[None]:
    """Steps that are the same in every round."""

    def decide(step: Step | None, ask: Ask, job_state: str | None, is_live: bool, today: Work) -> Next:
        return _decide(step and replace(step, round=ask.round), ask, job_state, is_live, today)

    with mock.patch.object(launching, "decide", decide):
        yield


@contextmanager
def cursor_moved_before_commit() -> Iterator[None]:
    """The watermark moves on first, and the run that stands for the interval is written after it.

    The watermark is the ledger's only cursor; the other writes of OpenRun are what commits the interval to a run.
    """

    def write(ledger: Ledger, *writes: Create | Replace) -> bool:
        def moves(each: Create | Replace) -> bool:
            return (each.item if isinstance(each, Create) else each.seen)["sk"] == "watermark"

        cursor, others = [each for each in writes if moves(each)], [each for each in writes if not moves(each)]
        if cursor and others:
            return _write(ledger, *cursor) and _write(ledger, *others)
        return _write(ledger, *writes)

    with mock.patch.object(Ledger, "write", write):
        yield


@contextmanager
def rejection_outside_the_digest() -> Iterator[None]:
    """An input that is the same with and without the rows that a person has rejected."""
    with mock.patch.object(requests, "without_rejected", lambda inputs, _: inputs):
        yield


@contextmanager
def waiver_for_every_run() -> Iterator[None]:
    """A waiver that lets other runs pass, too."""

    def of_all(ledger: Ledger, _: str) -> list[Waiver]:
        table = Hooks.world.table.items_by_key
        found = (Waiver.read(item) for (_, sk), item in table.items() if sk.startswith("waiver#"))
        return [each for each in found if each]

    with mock.patch.object(Ledger, "waivers", of_all):
        yield


@contextmanager
def cancel_on_failed() -> Iterator[None]:
    """Job runs that are cancelled when their execution has failed, too."""
    statuses = ("ABORTED", "TIMED_OUT", "FAILED")
    with (
        mock.patch.object(scenario, "CANCELLED_ON", statuses),
        mock.patch.object(cancelling, "CANCELLED_ON", frozenset(statuses)),
    ):
        yield


BUGS: Mapping[str, Callable[[], Any]] = {
    bug.__name__: bug
    for bug in (
        random_client_token,
        fixed_client_token,
        lease_that_expires_by_time,
        receipt_before_commit,
        gate_ending_in_fail,
        gate_always_open,
        transaction_of_the_attempt,
        stale_receipt_after_a_redrive,
        round_ignored,
        cursor_moved_before_commit,
        rejection_outside_the_digest,
        waiver_for_every_run,
        cancel_on_failed,
    )
}
