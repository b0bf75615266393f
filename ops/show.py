"""What the `assay` command prints: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ops import executions, run
from ops.backfill import Day
from ops.platform import Platform
from ops.run import Progress

STYLES = {"SUCCEEDED": "green", "SUCCESS": "green", "RUNNING": "cyan", "FAILED": "red", "ABORTED": "red"}


def as_json(value: Any) -> str:
    """`value` as indented JSON; times are ISO 8601, dataclasses objects."""

    def plain(item: Any) -> Any:
        if isinstance(item, datetime.datetime | datetime.date):
            return item.isoformat()
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return dataclasses.asdict(item)
        return str(item)

    return json.dumps(value, indent=2, default=plain)


def watched(platform: Platform, execution_arn: str) -> Progress:
    """Follow an execution to its end: its states live on a terminal, at the end elsewhere, and then how it ended."""
    if CONSOLE.is_terminal:
        with Live(console=CONSOLE, refresh_per_second=4) as live:
            now = run.watch(platform, execution_arn, lambda progress: live.update(states(progress)))
    else:
        now = run.watch(platform, execution_arn)
        CONSOLE.print(states(now))
    CONSOLE.print(ending(now))
    return now


def summary(now: Progress) -> dict[str, Any]:
    """The result of a run as `assay run --json` prints it."""
    found: dict[str, Any] = {
        "status": now.status,
        "run_id": now.run_id,
        "execution_arn": now.execution_arn,
        "redrive_count": now.redrive_count,
        "steps": [{"name": step.name, "seconds": step.seconds} for step in now.steps],
        "rows": now.output.get("rows", {}),
    }
    if (said := message(now)) is not None:
        found["message"] = said
    if now.failure:
        found["failure"] = dataclasses.asdict(now.failure)
    return found


def follow(target: Platform, execution_arn: str, in_json: bool) -> None:
    """Follow an execution to its end; exits with 1 unless it succeeds."""
    if in_json:
        now = run.watch(target, execution_arn)
        print(as_json(summary(now)))
    else:
        now = watched(target, execution_arn)
    if now.status != "SUCCEEDED":
        raise typer.Exit(1)


def message(now: Progress) -> str | None:
    """What a run that had nothing to do says; None for any other."""
    if now.output.get("disposition") != "ALREADY_DONE":
        return None
    run_id, status = now.output.get("run_id"), now.output.get("run_status")
    return f"nothing to do: run {run_id} has this day already (its status: {status})"


def styled(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STYLES.get(status, "yellow"))


def seconds(value: float | None) -> str:
    """A duration for a table's cell."""
    return "" if value is None else f"{value:.1f} s"


def states(now: Progress) -> RenderableType:
    """The states of a run and the job runs behind them."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    for column, justify in (("state", "left"), ("status", "left"), ("time", "right"), ("job runs", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    behind: dict[str, list[Mapping[str, Any]]] = {}
    for job in now.jobs:
        behind.setdefault(executions.state_of(job["step"]), []).append(job)
    clock = datetime.datetime.now(tz=datetime.UTC)
    for step in now.steps:
        if step.name in executions.MAPS.values():  # one line for the Map, its job runs beside it
            continue
        jobs = behind.pop(executions.MAPS.get(step.name, step.name), [])
        status = "SUCCEEDED" if step.ended else "RUNNING" if now.status == "RUNNING" else "FAILED"
        elapsed = (
            step.seconds if step.ended else (clock - step.started).total_seconds() if status == "RUNNING" else None
        )
        table.add_row(step.name, styled(status), seconds(elapsed), Text(", ".join(_job(job) for job in jobs)))
    return table


def _job(job: Mapping[str, Any]) -> str:
    subject = "" if job["subject"] == "all" else f"{job['subject']} "
    attempt = f" (attempt {job['attempt']})" if job["attempt"] > 1 else ""
    return f"{subject}{job['state'].lower()} {job['seconds']:.1f} s{attempt}"


def ending(now: Progress) -> RenderableType:
    """How a run ended and what to do next."""
    lines: list[RenderableType] = []
    took = f" in {(now.ended - now.started).total_seconds():.1f} s" if now.ended else ""
    lines.append(Text.assemble(styled(now.status), took, f"  run {now.run_id}" if now.run_id else ""))
    if (said := message(now)) is not None:
        lines.append(Text(said))
    if now.failure:
        lines.append(Text(f"{now.failure.error} in {now.failure.state}: {now.failure.cause}", style="red"))
        lines.append(
            Text(f"next: assay explain {now.execution_arn.rsplit(':', 1)[-1]}    runbook: {now.failure.runbook}")
        )
    return Group(*lines)


def explanation(now: Progress) -> RenderableType:
    """What failed, where, why, and what a redrive would do."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("execution", now.execution_arn)
    table.add_row("run", now.run_id or "none yet")
    table.add_row("status", styled(now.status))
    table.add_row("redriven", f"{now.redrive_count} times")
    if now.failure:
        table.add_row("failed in", now.failure.state or "no state")
        table.add_row("error", now.failure.error)
        table.add_row("cause", now.failure.cause)
        failed = [job for job in now.jobs if job["state"] in ("FAILED", "CANCELLED")]
        for job in failed[-1:]:
            table.add_row("last failed job run", f"{job['job_run_id']} ({job['step']} {job['subject']})")
            table.add_row("its last words", job["state_details"])
        if now.superseded_by:
            table.add_row("superseded by", f"run {now.superseded_by}: leave this one as it is")
        elif now.redrivable_until:
            table.add_row("redrivable until", now.redrivable_until.isoformat(timespec="minutes"))
            for words, states in plan(now):
                table.add_row(words, states)
        else:
            table.add_row("redrivable", f"no; next: assay run --supersede {now.run_id}" if now.run_id else "no")
        table.add_row("runbook", now.failure.runbook)
    return table


def plan(now: Progress) -> list[tuple[str, str]]:
    """What a redrive would do, in lines of a heading and states."""
    if now.plan is None:
        return []
    lines = [
        ("a redrive runs again", ", ".join(now.plan.again) or "the failed state"),
        ("and then", ", ".join(now.plan.then)),
        ("it keeps the work of", ", ".join(now.plan.kept)),
    ]
    return [(words, states) for words, states in lines if states]


def rows(title: str, records: Sequence[Mapping[str, Any]]) -> Table:
    """Records as a table; the columns are those of the first record."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in records[0] if records else ():
        numeric = isinstance(records[0][name], int | float) or records[0][name].__class__.__name__ == "Decimal"
        table.add_column(name, justify="right" if numeric else "left")
    for record in records:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in record.values()))
    return table


def day(outcome: Day) -> dict[str, Any]:
    """A day of a backfill as a record for `rows`."""
    return {
        "day": outcome.date,
        "status": outcome.status,
        "rows": outcome.rows,
        "time": seconds(outcome.seconds),
        "run": outcome.run_id or "",
    }


CONSOLE = Console()
