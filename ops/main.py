"""The `assay` command."""

from __future__ import annotations

import datetime
import errno
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from lambdas.rejections import may_be_rejected
from local.home import Home
from ops import (
    backfill,
    contract_commands,
    deploy,
    executions,
    gate_commands,
    laptop,
    report,
    run,
    show,
    upkeep_commands,
)
from ops import demo as demonstration
from ops.errors import OpsError
from ops.platform import Access, platform

app = typer.Typer(
    help="Assay: a lakehouse pipeline that a redrive can bring back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(contract_commands.app, name="contract")
app.add_typer(gate_commands.app, name="gate")
app.add_typer(upkeep_commands.app, name="restore")
app.command(name="maintain")(upkeep_commands.maintain)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Stage = Annotated[str, typer.Option(help="local, dev or prod.")]
Execution = Annotated[str, typer.Argument(help="ARN, name or run id of an execution, or `last`.")]


@app.command()
def up(
    as_json: AsJson = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the last one held.")] = False,
) -> None:
    """Start the laptop cloud, with what it held when it went down, and deploy the platform to it."""
    started = datetime.datetime.now(tz=datetime.UTC)
    with show.CONSOLE.status("starting") as status:
        laptop.up(lambda words: status.update(f"laptop cloud: {words}"), fresh=fresh)
    took = (datetime.datetime.now(tz=datetime.UTC) - started).total_seconds()
    if as_json:
        print(show.as_json(laptop.environment()))
    else:
        endpoint = laptop.environment()["endpoint_url"]
        show.CONSOLE.print(f"the laptop cloud is up at {endpoint} ({took:.0f} s); next: assay run --date 2026-07-30")


@app.command()
def down(quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing.")] = False) -> None:
    """Stop the laptop cloud; the next `assay up` finds what it held, executions to redrive included."""
    stopped = laptop.down()
    if not quiet:
        show.CONSOLE.print("the laptop cloud is down" if stopped else "the laptop cloud was not up")


@app.command()
def env(as_json: AsJson = False) -> None:
    """Print what another program needs to speak to the laptop cloud."""
    environment = laptop.environment()
    if as_json:
        print(show.as_json(environment))
    else:
        for name, value in environment.items():
            show.CONSOLE.print(f"{name:18}", str(value), style="default", highlight=False)


@app.command(name="run")
def run_command(
    date: Annotated[str, typer.Option(help="The day of data, such as 2026-07-30; yesterday by default.")] = "",
    supersede: Annotated[
        str, typer.Option(help="A dead run, by its id, whose day and files this one takes over.")
    ] = "",
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """Run a day and follow it to its end."""
    if date and supersede:
        raise OpsError("--supersede takes over the run's own date: leave --date out")
    target = platform(stage)
    execution_arn = run.supersede(target, supersede) if supersede else run.start(target, parse_date(date))
    show.follow(target, execution_arn, as_json)


@app.command(name="backfill")
def backfill_command(
    first: Annotated[str, typer.Option("--from", help="The first day, such as 2026-07-01.")],
    last: Annotated[str, typer.Option("--to", help="The last day.")],
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """Run the days from one to another, oldest first; the first that fails is the last that is run."""
    target = platform(stage)
    days = backfill.days_between(parse_date(first, "--from"), parse_date(last, "--to"))

    def follow_day(date: datetime.date, execution_arn: str) -> run.Progress:
        if as_json:
            return run.watch(target, execution_arn)
        show.CONSOLE.rule(f"[bold]{date}", align="left")
        return show.watched(target, execution_arn)

    found = list(backfill.backfill(target, days, follow_day))
    if as_json:
        print(show.as_json(found))
    else:
        show.CONSOLE.print(show.rows(f"days {first} to {last}", [show.day(each) for each in found]))
    if not found[-1].stands:
        raise OpsError(f"{found[-1].date} is {found[-1].status}: assay explain {found[-1].run_id}, then backfill again")


@app.command()
def stop(
    execution: Execution,
    why: Annotated[str, typer.Option(help="The cause that its history keeps.")] = "stopped with assay stop",
    stage: Stage = "local",
) -> None:
    """Stop a running execution and cancel its job runs; a redrive goes on where it was."""
    target = platform(stage)
    execution_arn = run.find(target, execution)
    run.stop(target, execution_arn, why)
    name = execution_arn.rsplit(":", 1)[-1]
    show.CONSOLE.print(f"stopped; its job runs are being cancelled; next: assay redrive {name}", soft_wrap=True)


@app.command()
def runs(as_json: AsJson = False, stage: Stage = "local") -> None:
    """List executions, newest first."""
    found = [
        {
            "name": execution["name"],
            "workflow": execution["stateMachineArn"].rsplit(":", 1)[-1].removeprefix(f"assay-{stage}-"),
            "status": execution["status"],
            "started": execution["startDate"],
            "ended": execution.get("stopDate"),
            "redrives": execution.get("redriveCount", 0),
            "execution_arn": execution["executionArn"],
        }
        for execution in run.recent(platform(stage))
    ]
    if as_json:
        print(show.as_json(found))
    elif found:
        short = [
            {key: _to_the_second(value) for key, value in item.items() if key != "execution_arn"} for item in found
        ]
        show.CONSOLE.print(show.rows("executions", short))
    else:
        show.CONSOLE.print("no executions yet: assay run --date 2026-07-30")


@app.command()
def explain(execution: Execution, as_json: AsJson = False, stage: Stage = "local") -> None:
    """Say what failed, where and why, and what a redrive would do."""
    target = platform(stage)
    now = run.progress(target, run.find(target, execution))
    if as_json:
        print(show.as_json(now))
        return
    show.CONSOLE.print(show.explanation(now))
    for expectation in executions.closed_by(now.failure):
        # on a line of its own, never broken, so that it can be copied
        words = f"to waive: assay gate waive --run {now.run_id} --expectation {expectation} --stage {stage}"
        show.CONSOLE.print(Text(words), soft_wrap=True)
        if may_be_rejected(expectation):
            words = f"to reject its rows: assay gate reject {now.run_id} --expectation {expectation} --stage {stage}"
            show.CONSOLE.print(Text(words), soft_wrap=True)


@app.command(name="report")
def report_command(
    execution: Execution,
    out: Annotated[Path | None, typer.Option(help="The file to write; build/reports/<run id>.html by default.")] = None,
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """Write what a run's gates saw as one HTML file: results, trends, quarantined rows with personal data masked."""
    written = report.write(platform(stage), execution, out)
    print(show.as_json(written) if as_json else written["path"])


@app.command()
def redrive(execution: Execution, as_json: AsJson = False, stage: Stage = "local") -> None:
    """Redrive a failed execution and follow it to its end."""
    target = platform(stage)
    execution_arn = run.find(target, execution)
    before = run.progress(target, execution_arn)
    if before.superseded_by:
        raise OpsError(f"its run was superseded by run {before.superseded_by}: a redrive would be refused")
    if not as_json:
        for words, states in show.plan(before):
            show.CONSOLE.print(f"{words}: {states}", soft_wrap=True, highlight=False)
    run.redrive(target, execution_arn)
    show.follow(target, execution_arn, as_json)


@app.command()
def ship(stage: Stage = "dev") -> None:
    """Upload the archives that `make package` built into a stage's code bucket."""
    access = Access.laptop() if stage == "local" else Access()
    for key in deploy.ship(access, stage, deploy.architecture_of(stage)):
        show.CONSOLE.print(key)


@app.command()
def demo() -> None:
    """Load the history as a first run, then one more day, and show what came of it."""
    demonstration.demo()


def _to_the_second(value: object) -> object:
    return value.isoformat(" ", "seconds") if isinstance(value, datetime.datetime) else value


def parse_date(text: str, option: str = "--date") -> datetime.date:
    """The date in `text`, or yesterday in UTC.

    Raises:
        OpsError: it is not a date.
    """
    if not text:
        return datetime.datetime.now(tz=datetime.UTC).date() - datetime.timedelta(days=1)
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise OpsError(f"{option} {text!r}: not a date such as 2026-07-30") from None


def main() -> None:
    """Run the command; what a person can put right is one sentence, anything else is kept in a log."""
    try:
        app()
    except OpsError as error:
        sys.exit(f"assay: {error}")
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"assay: AWS did not answer as hoped: {str(error)[:400]}")
    except KeyboardInterrupt:
        sys.exit("assay: stopped watching; the execution goes on (assay runs)")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit("assay: the disk is full: free some space, then try again")
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, the traceback goes to a file
        home = Home.default()
        home.path.mkdir(parents=True, exist_ok=True)
        log = home.path / "error.log"
        log.write_text(traceback.format_exc())
        sys.exit(f"assay: unexpected {type(error).__name__}: {error} (traceback: {log})")


if __name__ == "__main__":
    main()
