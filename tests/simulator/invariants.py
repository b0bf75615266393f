"""What must hold whatever goes wrong (FAULTS.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from contracts import contract as contracts
from lambdas.gates import PASSES
from lambdas.names import JobName
from spark_jobs import delta_log
from spark_jobs.job import PUBLISH_SILVER
from spark_jobs.request import Request

from .cloud import Violation
from .engine import DAILY
from .jobs import AUDIT
from .lake import GOLD, ORDERS, RATES, live_commits
from .source import SILVER_OF, Source, expected
from .spark import JobRun

if TYPE_CHECKING:
    from .scenario import World

SHARED = (RATES, ORDERS, GOLD)


def check_cancel(world: World, run: JobRun) -> None:
    """With an execution only what was stopped is cancelled; what a redrive takes up again is left to it."""
    if not world.site.who[getcurrent()][0].startswith("cancel_job_runs"):
        return
    name = JobName.parse(run.name)
    item = world.table.now(f"run#{name.run_id}", "run")
    step = world.table.now(f"run#{name.run_id}", f"step#{name.step}#{name.subject}")
    execution = world.states.executions[item["execution_arn"]] if item else None
    is_marked = step is not None and step.get("stopped") and step["attempt"] == name.attempt
    status = execution and execution.status
    if status not in {"ABORTED", "TIMED_OUT"} and not (status == "RUNNING" and is_marked):
        raise Violation(f"job run {run.name} is cancelled while its execution is {status}")


def check_commit(world: World, table: str, run: JobRun, request: Request, rows: list[dict[str, Any]]) -> None:
    """A shared table changes only by candidates that every gate of the run has passed."""
    if table not in SHARED:
        return
    # a run that ends at silver cannot know what only gold's rules tell
    flawed = [row for row in rows if row["flaw"] and (table == GOLD or row["flaw"] != "gold")]
    flawed = [row for row in flawed if not _is_accepted(world.source, table, row)]
    if flawed:
        raise Violation(f"{run.name} commits flawed rows to {table}: {flawed[:2]}")
    if request.step == PUBLISH_SILVER:
        measured = {"check_bronze": request.receipts[:-1], "check_silver": request.receipts}
    else:
        bronze, silver = request.receipts[:-2], request.receipts[:-1]
        measured = {"check_bronze": bronze, "check_silver": silver, "check_gold": request.receipts}
    for check in measured:
        step = world.table.now(f"run#{request.run_id}", f"step#{check}#all")
        key = f"{request.run_id}/{check}/all/{step['attempt'] if step else 0}.json"
        receipt, asked = _json(world, f"runs/{key}"), _json(world, f"requests/{key}")
        if not receipt or receipt.get("verdict") not in PASSES:
            raise Violation(f"{run.name} commits to {table}, but {check} says {receipt and receipt.get('verdict')}")
        for waiver in receipt["waivers"] or ():
            granted = world.table.now(f"run#{request.run_id}", f"waiver#{waiver['id']}")
            if granted is None or granted["expectation"] != waiver["expectation"]:
                raise Violation(f"{run.name} commits to {table}, as {check} passed over {waiver}, which nobody granted")
        if not asked or tuple(asked["inputs"]["receipts"]) != tuple(measured[check]):
            raise Violation(f"{run.name} commits to {table} other candidates than {check} has measured")


def _is_accepted(source: Source, table: str, row: Mapping[str, Any]) -> bool:
    """Whether a person has said of what a row breaks that it is right."""
    if table == GOLD:  # it is computed of rows of several days
        return row["flaw"] in source.accepted.values()
    where, day = ("fx_rates", row["rate_date"]) if table == RATES else ("snowflake_orders", row["order_date"])
    return source.accepted.get((where, day)) == row["flaw"]


def check_end(world: World) -> str | None:
    """The first invariant that does not hold at the end, in a sentence."""
    for check in (_executions, _runs, _tables, _transactions, _rejected, _receipts, _audit):
        problem = check(world)
        if problem:
            return problem
    return None


def _executions(world: World) -> str | None:
    alive = [each for each in world.states.executions.values() if each not in world.superseded]
    for execution in alive:
        if execution.status != "SUCCEEDED":
            return f"{execution.name} is {execution.status} at the end"
    for execution in world.superseded:
        if execution.status == "SUCCEEDED":
            return f"{execution.name} has succeeded though another took its place"
    outcomes = Counter((each.output["data_date"], each.output["status"]) for each in alive if each.workflow == DAILY)
    for day in world.source.days:
        if outcomes[(day, "SUCCEEDED")] != 1:
            return f"{day}: {outcomes[(day, 'SUCCEEDED')]} executions say that they ran it"
    if live := world.emr.live():
        return f"job run {live[0].name} is {live[0].state} at the end"
    return None


def _runs(world: World) -> str | None:
    runs = [item for (_, sk), item in world.table.items_by_key.items() if sk == "run" and "status" in item]
    live = [item for item in runs if item["status"] != "SUPERSEDED"]
    daily = [item for item in live if item["workflow"] == DAILY]
    if len(daily) != len(world.source.days) or len(runs) - len(live) != len(world.superseded):
        return f"{len(runs)} runs for {len(world.source.days)} days and {len(world.superseded)} superseded"
    for item in live:
        if item["status"] != "SUCCEEDED":
            return f"run {item['run_id']} is {item['status']} though its execution succeeded"
    for (pk, _), item in world.table.items_by_key.items():
        if pk.startswith("lease#") and item["held"]:
            step = world.table.now(f"run#{item['run_id']}", f"step#{item['step']}#{item['subject']}")
            if step and step["status"] in {"STARTING", "RUNNING"}:
                return f"{pk} is still held by {item['run_id']} {item['step']}"
    return None


def rows_of(world: World, table: str) -> list[dict[str, Any]]:
    """The rows of a shared table as it stands."""
    names = world.s3.folders.get(f"{table}/_delta_log")
    if not names:
        return []
    content = world.s3.objects[f"{table}/_delta_log/{max(names)}"].content
    files = delta_log._parse(0, content).files
    return list(world.s3.objects[f"{table}/{files[0]}"].content)


def _tables(world: World) -> str | None:
    wanted = expected(world.source)
    found = {
        ORDERS: sorted((row["order_id"], row["updated_at"], row["amount"]) for row in rows_of(world, ORDERS)),
        RATES: sorted((row["rate_date"], row["rate"]) for row in rows_of(world, RATES)),
        GOLD: sorted((row["revenue_date"], row["amount"], row["orders"], row["rate"]) for row in rows_of(world, GOLD)),
    }
    for table in SHARED:
        if found[table] != wanted[table]:
            return f"{table} holds {found[table]}, and without faults {wanted[table]}"
    return None


def _transactions(world: World) -> str | None:
    """A table has what a step made of one input once, so no attempt has repeated what another did."""
    for folder, names in world.s3.folders.items():
        if not folder.endswith("/_delta_log") or folder.startswith(AUDIT):
            continue
        commits = [delta_log._parse(0, world.s3.objects[f"{folder}/{name}"].content) for name in names]
        counted = Counter((_input(world, commit.note), "rejected" in commit.note) for commit in commits)
        for (committed, _), times in counted.items():
            if times > 1:
                return f"{folder}: {committed} was committed {times} times"
        if folder.startswith("quarantine/"):
            rows = _in_quarantine(world, folder.removesuffix("/_delta_log"))
            again = Counter(json.dumps({**row, "_attempt": None}, sort_keys=True) for row in rows)
            if any(times > 1 for times in again.values()):
                return f"{folder}: a row is in quarantine twice"
    return None


def _in_quarantine(world: World, table: str) -> list[dict[str, Any]]:
    commits = live_commits(world.s3, table)
    return [row for commit in commits for file in commit.files for row in world.s3.objects[f"{table}/{file}"].content]


def _rejected(world: World) -> str | None:
    """What a person has rejected is kept; that silver and gold are without it, `_tables` sees."""
    for (source, day), flaw in world.source.rejected.items():
        contract = contracts.of_source(source) if flaw == "bronze" else contracts.of_table(SILVER_OF[source])
        dates = {row.get("order_date") or row["rate_date"] for row in _in_quarantine(world, contract.quarantine)}
        if day not in dates:
            return f"{contract.quarantine} lacks the rejected row of {day}"
    return None


def _input(world: World, note: Mapping[str, Any]) -> str:
    about = f"{note['run_id']}/{note['step']}/{note['subject']}"
    request = _json(world, f"requests/{about}/{note['attempt']}.json") or {}
    return f"{about}, input {request.get('input_digest')}"


def _receipts(world: World) -> str | None:
    """A receipt that says SUCCEEDED names commits that are in the log."""
    for key in world.s3.objects:
        receipt = _json(world, key) if key.startswith("runs/") and not key.endswith("/run.json") else None
        if not receipt or receipt["status"] != "SUCCEEDED" or receipt.get("published") is False:
            continue
        for table in receipt["tables"]:
            if table["path"] != table["table"] or not table["rows"]:
                continue
            name = f"{table['table']}/_delta_log/{table['version_after']:020}.json"
            commit = world.s3.objects.get(name)
            note = delta_log._parse(0, commit.content).note if commit else {}
            if note.get("run_id") != receipt["run_id"] or receipt.get("rows_attempt") not in {None, note["attempt"]}:
                return f"{key} names version {table['version_after']} of {table['table']}, which is not its commit"
    return None


def _audit(world: World) -> str | None:
    """Every verdict has its results on record."""
    recorded = world.s3.folders.get(f"{AUDIT}/_delta_log", {})
    for key in world.s3.objects:
        receipt = _json(world, key) if key.startswith("runs/") and "/check_" in key else None
        if receipt and receipt["status"] == "SUCCEEDED":
            tail = f":{receipt['attempt']}"
            head = f"{AUDIT}:{receipt['run_id']}:{receipt['step']}:"
            if not any(name.startswith(head) and name.endswith(tail) for name in recorded):
                return f"{key} has a verdict whose results are not on record"
    return None


def _json(world: World, key: str) -> dict[str, Any] | None:
    stored = world.s3.objects.get(key)
    return json.loads(stored.content) if stored else None
