"""ValidateContracts: verify the contracts, claim the landed files for the run, and judge their heads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from contracts import contract as contracts
from contracts import releases
from contracts.contract import Contract
from contracts.errors import ContractError, ContractViolationError, SourceUnavailableError
from contracts.landing import check_arrived
from lambdas import aws, runtime
from lambdas.arrivals import Landed, claim, held_by_others, list_landed, matching
from lambdas.digests import check_compatible, released
from lambdas.judging import judge
from lambdas.ledger import Ledger, Run
from lambdas.payloads import Json, text_of
from lambdas.settings import ValidateSettings


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Judge what has landed.

    Args:
        event: run_id.
    Returns:
        Per source of files: how many are the run's, and how many rows of their heads were judged.
    Raises:
        ContractViolationError: a file breaks its contract, or the day's has not come.
        ContractError: a contract in this code is broken, or was altered after its release.
    """
    settings, ledger = runtime.settings(ValidateSettings), runtime.ledger()
    run = ledger.live_run(text_of(event, "run_id"))
    if problems := releases.problems_as_released():
        raise ContractError(f"{problems[0]} (`assay contract check` names all {len(problems)})")
    check_compatible(run.schemas, released())
    answer: Json = {"sources": {}}
    data_date = date.fromisoformat(run.data_date)
    for contract in map(contracts.of_source, settings.sources if run.sources is None else run.sources):
        if (contract.source or {})["kind"] != "files":
            continue
        landed = list_landed(aws.s3(), settings.lake_bucket, contract)
        wanted = matching(contract, landed)
        files = claim(ledger, contract, wanted, run)
        rows = sum(judge(aws.s3(), settings.lake_bucket, contract, each, data_date) for each in files)
        if run.arrival_set is None:
            runtime.count("FilesRefused", len(landed) - len(wanted))
            _check_arrived(ledger, contract, run, files)
        answer["sources"][contract.source_name] = {"files": len(files), "rows_judged": rows}
        runtime.log("landed files judged", source=contract.source_name, files=len(files), rows=rows)
    return answer


def _check_arrived(ledger: Ledger, contract: Contract, run: Run, files: list[Landed]) -> None:
    """Nothing, when the day's files have come, to this run or to another, those of arrival sets among them.

    Raises:
        ContractViolationError: a day's file has not come.
        SourceUnavailableError: it has, but the run of its arrival set has not been opened.
    """
    data_date = date.fromisoformat(run.data_date)
    start = run.start_of(contract.source_name)
    first = date.fromisoformat(start[:10]) if start else data_date
    check = partial(check_arrived, contract, first=first, data_date=data_date, own=[each.key for each in files])
    try:
        check(others=())
    except ContractViolationError:
        elsewhere = held_by_others(ledger, contract, run, first, data_date)
    else:
        return  # it has what it needs, whatever others have
    try:
        check(others=elsewhere.taken)
    except ContractViolationError:
        if not elsewhere.waiting:
            raise
        check(others=[*elsewhere.taken, *elsewhere.waiting])
        raise SourceUnavailableError(
            f"{contract.dataset}: the file of {data_date} has arrived, but the file_arrival run that is to take it has "
            "not been opened. If it does not start, send the messages in the arrivals' dead letter queue back to the "
            "queue, then redrive this execution"
        ) from None
