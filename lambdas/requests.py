"""The request of a job run: all that it may know, in one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import InvalidRequestError
from lambdas.arrivals import Landed
from lambdas.digests import digest_of
from lambdas.intervals import iso
from lambdas.jobs import Ask, Work
from lambdas.ledger import Rejection, Run, Waiver
from lambdas.names import JobName
from lambdas.payloads import Json


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What an attempt reads, and the digest that makes its commits idempotent.

    `received` is the digest of what it reads alone; `digest` also covers the rows that it refuses of that.
    """

    digest: str
    receipts: tuple[str, ...] = ()
    files: tuple[Landed, ...] = ()
    received: str | None = None


def file_inputs(contract: Contract, files: Sequence[Landed]) -> Inputs:
    """Files: the same files under the same contract are the same commit, in whatever round they are asked for."""
    return Inputs(digest=digest_of([[[each.key, each.etag] for each in files], contract.digest]), files=tuple(files))


def database_inputs(contract: Contract, run: Run, round_: int) -> Inputs:
    """A database has no etag: a new round reads the interval again, as its rows may have been put right."""
    return Inputs(digest=digest_of([run.start_of(contract.source_name), run.interval_end, round_, contract.digest]))


def receipt_inputs(receipts: Sequence[str]) -> Inputs:
    """Steps after ingest: receipt keys name the attempts whose output is read."""
    return Inputs(digest=digest_of(list(receipts)), receipts=tuple(receipts))


def without_rejected(inputs: Inputs, rejections: Sequence[Rejection]) -> Inputs:
    """The same inputs without the rows that fail what is rejected: another input, so it is written again."""
    if not rejections:
        return inputs
    refused = [[each.expectation, contracts.load(each.expectation.split(":")[0]).digest] for each in rejections]
    return replace(inputs, digest=digest_of([inputs.digest, refused]), received=inputs.digest)


def build(
    *,
    ask: Ask,
    name: JobName,
    run: Run,
    inputs: Inputs,
    work: Work,
    bucket: str,
    secret_arn: str | None,
    fail_from: Mapping[str, str],
    waivers: Sequence[Waiver],
    rejections: Sequence[Rejection],
    superseded: Sequence[str],
) -> Json:
    """The request object; it names all that decides what its job run does, `fail_from` and waivers among it.

    Raises:
        InvalidRequestError: a receipt is not this run's.
    """
    for receipt in inputs.receipts:
        if not receipt.startswith(f"runs/{run.run_id}/"):
            raise InvalidRequestError(f"receipt {receipt!r} is not of run {run.run_id}")
    return {
        "run_id": run.run_id,
        "step": name.step,
        "subject": name.subject,
        "attempt": name.attempt,
        "round": name.round,
        "redrive_count": ask.redrive_count,
        "data_date": run.data_date,
        "interval": {"start": run.start_of(name.subject), "end": run.interval_end},
        "sources": run.sources,
        "lake": f"s3://{bucket}",
        "receipt_key": name.receipt_key,
        "inputs": {"receipts": list(inputs.receipts), "files": [_file(each) for each in inputs.files]},
        "secret_arn": secret_arn,
        "fail_from": {severity: int(count) for severity, count in fail_from.items()},
        "waivers": [_waiver(each) for each in waivers],
        "rejections": [_rejection(each) for each in rejections],
        "superseded": list(superseded),
        "upkeep": run.upkeep,
        "input_digest": inputs.digest,
        "received_digest": inputs.received or inputs.digest,
        "code_digest": work.code_digest,
        "contracts_digest": work.contracts_digest,
    }


def _file(landed: Landed) -> Mapping[str, Any]:
    return {
        "key": landed.key,
        "etag": landed.etag,
        "size": landed.size,
        "modified_at": iso(landed.modified_at),
    }


def _waiver(waiver: Waiver) -> Mapping[str, str]:
    return {
        "id": waiver.waiver_id,
        "expectation": waiver.expectation,
        "reason": waiver.reason,
        "by": waiver.by,
        "until": waiver.until,
    }


def _rejection(rejection: Rejection) -> Mapping[str, str]:
    return {
        "run_id": rejection.run_id,
        "expectation": rejection.expectation,
        "reason": rejection.reason,
        "by": rejection.by,
        "made_at": rejection.made_at,
    }
