"""`assay maintain` and `assay restore`: what keeps the tables in shape, through the platform's own workflow."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from contracts.errors import InvalidRequestError
from lambdas.upkeep import upkeep_of
from ops import show
from ops.errors import OpsError
from ops.platform import Platform, platform

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Stage = Annotated[str, typer.Option(help="local, dev or prod.")]
app = typer.Typer(help="Rebuild tables from the layer below.", no_args_is_help=True)


@app.callback()
def restore() -> None:
    """Rebuild tables from the layer below."""


@app.command(name="silver")
def restore_silver(
    table: Annotated[str, typer.Option(help="Which one, such as orders.")],
    from_run: Annotated[
        str, typer.Option("--from", help="Go back to before this run published, and apply it and the later ones again.")
    ] = "",
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """Rebuild a silver table from the bronze rows of the runs that published, in one commit."""
    restored = {"table": table} | ({"from": from_run} if from_run else {})
    show.follow(platform(stage), start(platform(stage), {"restore": restored}), as_json)


def maintain(
    keep_days: Annotated[
        int | None, typer.Option(help="For how long to keep files that left a table; 30 days at the least.")
    ] = None,
    as_json: AsJson = False,
    stage: Stage = "local",
) -> None:
    """Pack small files, sort what has come apart and delete old files, layer by layer."""
    request = {} if keep_days is None else {"keep_days": keep_days}
    show.follow(platform(stage), start(platform(stage), request), as_json)


def start(target: Platform, request: dict[str, Any]) -> str:
    """Start the maintenance with a request; the execution's ARN.

    Raises:
        OpsError: it is not one, as OpenRun would say.
    """
    try:
        upkeep_of(request)
    except InvalidRequestError as error:
        raise OpsError(str(error)) from None
    machine = target.state_machines["maintenance"]
    return target.access.states.start_execution(stateMachineArn=machine, input=json.dumps(request))["executionArn"]
