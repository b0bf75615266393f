"""ValidateContracts: verify the contracts, claim the landed files for the run, and judge their heads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from contracts import contract as contracts
from contracts import releases
from contracts.errors import ContractError
from contracts.landing import check_arrived
from lambdas import aws, runtime
from lambdas.arrivals import claim, held_by_others, list_landed, matching
from lambdas.digests import check_compatible, released
from lambdas.judging import judge
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
    for contract in map(contracts.of_source, settings.sources):
        if (contract.source or {})["kind"] != "files":
            continue
        landed = list_landed(aws.s3(), settings.lake_bucket, contract)
        wanted = matching(contract, landed)
        files = claim(ledger, contract, wanted, run)
        runtime.count("FilesRefused", len(landed) - len(wanted))
        rows = sum(judge(aws.s3(), settings.lake_bucket, contract, each, data_date) for each in files)
        check_arrived(
            contract,
            first=date.fromisoformat(run.interval_start[:10]) if run.interval_start else data_date,
            data_date=data_date,
            own=[each.key for each in files],
            others=held_by_others(ledger, contract, run),
        )
        answer["sources"][contract.source_name] = {"files": len(files), "rows_judged": rows}
        runtime.log("landed files judged", source=contract.source_name, files=len(files), rows=rows)
    return answer
