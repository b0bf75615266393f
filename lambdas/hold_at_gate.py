"""HoldAtGate: hold the run and tell people; after a redrive, send it round again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contracts.errors import InvalidRequestError, QualityGateClosedError
from lambdas import aws, runtime
from lambdas.gates import Verdict, failures, holds, notice, sentence
from lambdas.ledger import Ledger, NextRound, Notice, Run
from lambdas.names import LAYERS
from lambdas.payloads import Json, count_of, text_of
from lambdas.receipts import Lake
from lambdas.settings import HoldSettings


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Hold at a gate.

    Args:
        event: run_id, layer, round, redrive_count, and check: the output of the check before the gate.
    Returns:
        The round to go on with, once somebody has redriven the execution since the verdict was measured.
    Raises:
        QualityGateClosedError: until then.
    """
    settings, ledger = runtime.settings(HoldSettings), runtime.ledger()
    run = ledger.live_run(text_of(event, "run_id"))
    if event.get("layer") not in LAYERS:
        raise InvalidRequestError(f"event: layer must be one of {', '.join(LAYERS)}")
    gate = f"{str(event['layer']).capitalize()}Gate"
    round_, redrive_count = count_of(event, "round"), count_of(event, "redrive_count")
    verdict = Verdict.read(event.get("check"))
    if not holds(verdict, redrive_count) and opens(ledger, run.run_id, gate, round_ + 1, redrive_count):
        runtime.log("gate left for another round", gate=gate, round=round_ + 1, redrive_count=redrive_count)
        return {"round": round_ + 1}
    receipt = Lake(aws.s3(), settings.lake_bucket).read(verdict.receipt) if verdict.receipt else None
    cause = sentence(gate, run.run_id, verdict, failures(receipt))
    told = Notice(run_id=run.run_id, gate=gate, round=round_, redrive_count=redrive_count)
    tell(ledger, settings.notice_topic_arn, run, told, cause)
    runtime.log("gate closed", gate=gate, verdict=verdict.verdict, receipt=verdict.receipt, redrive_count=redrive_count)
    raise QualityGateClosedError(cause)


def opens(ledger: Ledger, run_id: str, gate: str, round_: int, redrive_count: int) -> bool:
    """Whether this gate may open the next round: once a redrive, and again for a retry of the same call."""
    wanted = NextRound(run_id=run_id, redrive_count=redrive_count, gate=gate, round=round_)
    on_record = ledger.add(wanted) or ledger.next_round(run_id, redrive_count)
    return on_record is not None and (on_record.gate, on_record.round) == (gate, round_)


def tell(ledger: Ledger, topic_arn: str, run: Run, wanted: Notice, cause: str) -> None:
    """Publish a notice once for a gate, round and redrive; after a crash in between it may come twice, never not."""
    on_record = ledger.notice(wanted) or ledger.add(wanted) or ledger.notice(wanted)
    if on_record and on_record.sent:
        return
    aws.sns().publish(
        TopicArn=topic_arn,
        Subject=f"{wanted.gate} closed for {run.data_date}",
        Message=json.dumps(notice(wanted.gate, cause, run.run_id, run.execution_arn, wanted.redrive_count), indent=1),
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "QualityGateClosed"}},
    )
    if on_record:
        ledger.change(on_record, sent=True)
    runtime.count("QualityGateClosed")
