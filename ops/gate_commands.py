"""`assay gate`: let a held run pass in spite of an expectation, or without the rows that fail it; on the record."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any

import typer
from rich.text import Text

from contracts.errors import AssayError
from lambdas.ledger import Rejection, Waiver
from lambdas.receipts import Lake
from lambdas.rejections import Refusal, rejections_of
from lambdas.rejections import reject as refuse
from lambdas.waivers import MOST_HOURS, Plea, grant, in_force
from ops import show
from ops.errors import OpsError
from ops.platform import platform

app = typer.Typer(
    help="Waive an expectation for a run, or reject the rows that fail it, and list either.", no_args_is_help=True
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Stage = Annotated[str, typer.Option(help="local, dev or prod.")]
Run = Annotated[str, typer.Option("--run", help="The run's id, as `assay explain` names it.")]


@app.command()
def waive(
    run: Run,
    expectation: Annotated[str, typer.Option(help="<dataset>:<expectation>[:<column>], as `assay explain` names it.")],
    reason: Annotated[str, typer.Option(help="Why the run may pass all the same.")],
    by: Annotated[str, typer.Option(help="Who answers for it.")],
    hours: Annotated[int, typer.Option(help=f"How long, 1 to {MOST_HOURS}.")],
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """Have the next checks of a run pass over a failing expectation, for some hours; redrive the run afterwards.

    It is kept for ever, with who, why and until when. What breaks a contract can never be waived.
    """
    plea = Plea(
        run_id=run,
        expectation=expectation,
        reason=reason,
        by=by,
        hours=hours,
        now=now(),
        unique=uuid.uuid4().hex[:8],
    )
    try:
        waiver = grant(platform(stage).ledger, plea)
    except AssayError as error:
        raise OpsError(str(error)) from error
    if as_json:
        print(show.as_json(record(waiver, in_force_now=True)))
        return
    who = f"until {waiver.until}, by {waiver.by}: {waiver.reason}"
    words = f"waiver {waiver.waiver_id}: {waiver.expectation} of run {waiver.run_id}, {who}"
    show.CONSOLE.print(Text(words), soft_wrap=True)
    show.CONSOLE.print(f"next: assay redrive {waiver.run_id}", soft_wrap=True, highlight=False)


@app.command()
def waivers(run: Run, as_json: AsJson = False, stage: Stage = "local") -> None:
    """List the waivers of a run, oldest first, those that have ended among them."""
    book = platform(stage).ledger
    if book.run(run) is None:
        raise OpsError(f"run {run!r} is not in the ledger; `assay explain` names the run of an execution")
    found = book.waivers(run)
    valid = {each.waiver_id for each in in_force(found, now())}
    records = [record(each, in_force_now=each.waiver_id in valid) for each in found]
    if as_json:
        print(show.as_json(records))
    elif records:
        short = [{name: value for name, value in each.items() if name != "run_id"} for each in records]
        show.CONSOLE.print(show.rows(f"waivers of run {run}", short))
    else:
        show.CONSOLE.print(f"run {run} has no waivers", soft_wrap=True, highlight=False)


@app.command()
def reject(
    run: Annotated[str, typer.Argument(help="The run's id, as `assay explain` names it.")],
    reason: Annotated[str, typer.Option(help="Why these rows will never be right.")],
    by: Annotated[str, typer.Option(help="Who answers for it.")],
    expectation: Annotated[
        list[str] | None,
        typer.Option(help="<dataset>:<expectation>[:<column>], as `assay explain` names it; repeatable."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that closed the gate and speak of single rows.")
    ] = False,
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """Have a held run put the rows that fail an expectation into quarantine; redrive the run afterwards.

    The rows are refused once the run is redriven, and the others go on. It is kept for ever, with who and why, and ends
    with the run.
    """
    if bool(expectation) == everything:
        raise OpsError("name what to reject by --expectation, or say --all; not both")
    target = platform(stage)
    lake = Lake(target.access.s3, target.lake_bucket)
    refusal = Refusal(run_id=run, expectations=tuple(expectation or ()), reason=reason, by=by, now=now())
    try:
        made, left = refuse(target.ledger, lake.read, refusal)
    except AssayError as error:
        raise OpsError(str(error)) from error
    if as_json:
        print(show.as_json({"rejections": [rejected(each) for each in made], "left": left}))
        return
    for each in made:
        words = f"rejected: the rows of run {each.run_id} that fail {each.expectation}, by {each.by}: {each.reason}"
        show.CONSOLE.print(Text(words), soft_wrap=True)
    for name in left:
        show.CONSOLE.print(Text(f"not touched, though it failed: {name}"), soft_wrap=True)
    show.CONSOLE.print(f"next: assay redrive {run}", soft_wrap=True, highlight=False)


@app.command()
def rejections(
    run: Annotated[str, typer.Argument(help="The run's id, as `assay explain` names it.")],
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """List what holds for a run of the rows that were rejected, oldest first, those of a run it supersedes among it."""
    book = platform(stage).ledger
    found = book.run(run)
    if found is None:
        raise OpsError(f"run {run!r} is not in the ledger; `assay explain` names the run of an execution")
    records = [rejected(each) for each in rejections_of(book, found)]
    if as_json:
        print(show.as_json(records))
    elif records:
        show.CONSOLE.print(show.rows(f"rejections of run {run}", records))
    else:
        show.CONSOLE.print(f"run {run} has no rejections", soft_wrap=True, highlight=False)


def now() -> datetime.datetime:
    """The present second, UTC."""
    return datetime.datetime.now(tz=datetime.UTC).replace(microsecond=0)


def record(waiver: Waiver, *, in_force_now: bool) -> dict[str, Any]:
    """A waiver as the commands print it."""
    return {
        "id": waiver.waiver_id,
        "run_id": waiver.run_id,
        "expectation": waiver.expectation,
        "by": waiver.by,
        "reason": waiver.reason,
        "made_at": waiver.made_at,
        "until": waiver.until,
        "in_force": in_force_now,
    }


def rejected(rejection: Rejection) -> dict[str, Any]:
    """A rejection as the commands print it."""
    return {name: getattr(rejection, name) for name in ("run_id", "expectation", "by", "reason", "made_at")}
