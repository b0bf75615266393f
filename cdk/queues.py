"""Queues."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.names import Names

RECEIVES = 5  # of a message, before it counts as one that cannot be handled


def work(
    scope: Construct,
    construct_id: str,
    *,
    names: Names,
    failed: sqs.Queue,
    actor: str,
    timeout_seconds: int,
    window_seconds: int,
) -> sqs.Queue:
    """A queue that a function reads in batches, with `failed` for what it fails at.

    A message stays hidden while the function may still be tried with it: six times its time-out, and the window in
    which a batch is gathered.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    return sqs.Queue(
        scope,
        construct_id,
        queue_name=names.named(actor),
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        visibility_timeout=cdk.Duration.seconds(6 * timeout_seconds + window_seconds),
        retention_period=cdk.Duration.days(14),
        dead_letter_queue=sqs.DeadLetterQueue(queue=failed, max_receive_count=RECEIVES),
    )


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
