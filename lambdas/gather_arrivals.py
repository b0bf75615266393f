"""GatherArrivals: objects have arrived in the landing prefix; start one run for all that a batch of events tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from contracts import contract as contracts
from lambdas import aws, runtime
from lambdas.arrival_sets import Gatherer
from lambdas.gathering import Arrived, read_message
from lambdas.payloads import Json
from lambdas.settings import ArrivalSettings


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Gather a batch of messages.

    Args:
        event: of an SQS event source mapping that takes a partial answer.
    Returns:
        The messages that cannot be read: they come again, and end in the dead letter queue. Whatever else goes wrong
        raises, and the whole batch comes again.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    settings = runtime.settings(ArrivalSettings)
    arrived: list[Arrived] = []

    def read(record: SQSRecord) -> None:
        arrived.extend(read_message(record.body))

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(event=dict(event), record_handler=read, processor=processor)
    unread = answer["batchItemFailures"]
    if unread:
        runtime.count("ArrivalsUnread", len(unread))
        runtime.log("messages are not events of S3", action="UNREAD", files=len(unread))
    known = [contracts.of_source(source) for source in settings.sources]
    gatherer = Gatherer(
        ledger=runtime.ledger(),
        s3=aws.s3(),
        sfn=aws.stepfunctions(),
        bucket=settings.lake_bucket,
        contracts=[contract for contract in known if (contract.source or {})["kind"] == "files"],
        workflow_arn=settings.file_arrival_arn,
    )
    started = gatherer.gather(arrived)
    runtime.log("arrivals gathered", files=len(arrived), sets=len(started))
    return cast(Json, answer)
