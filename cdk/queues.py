"""Dead letter queues."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.names import Names


def dead_letters(scope: Construct, construct_id: str, *, names: Names, actor: str) -> sqs.Queue:
    """A queue that keeps for 14 days what could not be delivered to `actor`."""
    return sqs.Queue(
        scope,
        construct_id,
        queue_name=names.named(f"{actor}-dead-letters"),
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=cdk.Duration.days(14),
    )
