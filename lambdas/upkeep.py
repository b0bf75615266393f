"""Open the run of a maintenance: the tables of all layers, or one silver table to be restored from bronze."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from contracts import contract as contracts
from contracts.errors import InvalidRequestError
from lambdas.intervals import requested_date
from lambdas.names import AUDIT, LAYERS, is_run_id

_TABLE = re.compile(r"(?:silver/)?([a-z][a-z0-9_]{0,62})")


def upkeep_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """What an execution's input asks for, as the run keeps it: `table` and `from_run`, or `keep_days`.

    Args:
        request: {"restore": {"table": ..., "from": <run id>}}, `from` left out for all of bronze; or nothing but
            `scheduled_time` and `keep_days`, both of which may be left out.
    Raises:
        InvalidRequestError: it asks for something else.
    """
    if unknown := sorted(set(request) - {"scheduled_time", "keep_days", "restore"}):
        raise InvalidRequestError(f"{', '.join(unknown)}: a maintenance takes scheduled_time, keep_days or restore")
    if "restore" not in request:
        keep_days = request.get("keep_days")
        if keep_days is not None and (isinstance(keep_days, bool) or not isinstance(keep_days, int)):
            raise InvalidRequestError(f"keep_days {keep_days!r}: not a number of days")
        return {} if keep_days is None else {"keep_days": keep_days}
    restore = request["restore"]
    if set(request) != {"restore"} or not isinstance(restore, Mapping) or set(restore) - {"table", "from"}:
        raise InvalidRequestError(
            'a restore is {"restore": {"table": "silver/<name>", "from": "<run id>"}}; without from, of all of bronze'
        )
    return {"table": _silver_table(restore.get("table"))} | _from_run(restore.get("from"))


def _silver_table(named: object) -> str:
    match = _TABLE.fullmatch(str(named))
    tables = sorted(each.table for each in contracts.load_all() if each.layer == "silver")
    if match is None or f"silver/{match[1]}" not in tables:
        raise InvalidRequestError(f"table {named!r}: no silver table; there are {', '.join(tables)}")
    return match[1]


def _from_run(named: object) -> dict[str, str]:
    if named is None:
        return {}
    if not is_run_id(str(named)):
        raise InvalidRequestError(f"from {named!r} is not a run id; `assay explain` names an execution's run")
    return {"from_run": str(named)}


def work_of(upkeep: Mapping[str, Any]) -> dict[str, Any]:
    """What the workflow does for it: `work` and the subjects of its steps."""
    if "table" in upkeep:
        return {"work": "restore", "subjects": [upkeep["table"]]}
    return {"work": "maintain", "subjects": [*LAYERS, AUDIT]}


def day_of(request: Mapping[str, Any], now: datetime) -> date:
    """The day that the run goes by: that of the schedule, or today; it decides nothing.

    Raises:
        InvalidRequestError: scheduled_time is no time with an offset.
    """
    if "scheduled_time" not in request:
        return now.date()
    return requested_date({"scheduled_time": request["scheduled_time"]}) + timedelta(days=1)
