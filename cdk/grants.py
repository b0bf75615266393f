"""Policy statements, each as narrow as its action allows; none names every resource.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam

Conditions = Mapping[str, Mapping[str, Any]]


def allow(
    actions: Sequence[str], resources: Sequence[str], conditions: Conditions | None = None
) -> iam.PolicyStatement:
    """A statement that allows `actions` on `resources`."""
    return iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)


def read(bucket: str, prefixes: Sequence[str]) -> list[iam.PolicyStatement]:
    """Get and list what lies under `prefixes` of `bucket`.

    The prefix itself, without a slash, is allowed too: Hadoop's S3A asks whether a folder's name is a file. List is
    needed even where nothing is listed: without it S3 answers 403, not 404, for an object that is not there. Unity
    Catalog gives Spark the same shape of policy for Delta tables on S3.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    Source: https://github.com/unitycatalog/unitycatalog, AwsPolicyGenerator.java
    """
    return [
        allow(["s3:GetObject"], [arn for prefix in prefixes for arn in _objects(bucket, prefix)]),
        allow(
            ["s3:ListBucket"],
            [f"arn:aws:s3:::{bucket}"],
            {"StringLike": {"s3:prefix": [pattern for prefix in prefixes for pattern in (prefix, f"{prefix}/*")]}},
        ),
    ]


def write(bucket: str, prefixes: Sequence[str]) -> iam.PolicyStatement:
    """Put, also in parts, and delete under `prefixes` of `bucket`: what Spark needs for a Delta table."""
    actions = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    return allow(actions, [f"arn:aws:s3:::{bucket}/{prefix}/*" for prefix in prefixes])


def put(bucket: str, prefixes: Sequence[str]) -> iam.PolicyStatement:
    """Put under `prefixes` of `bucket`, never delete: requests, receipts and the audit are evidence."""
    return allow(["s3:PutObject"], [f"arn:aws:s3:::{bucket}/{prefix}/*" for prefix in prefixes])


def ledger(arn: str, *, writes: bool = True) -> iam.PolicyStatement:
    """Read the ledger and, if told, write to it: a transaction asks for what each of its writes would.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    actions = ["dynamodb:GetItem", "dynamodb:Query"]
    if writes:
        actions += ["dynamodb:PutItem", "dynamodb:UpdateItem"]
    return allow(actions, [arn])


def pass_roles(arns: Sequence[str], service: str) -> iam.PolicyStatement:
    """Hand these roles to `service`, and to no other."""
    return allow(["iam:PassRole"], arns, {"StringEquals": {"iam:PassedToService": service}})


def consume(queue_arn: str) -> iam.PolicyStatement:
    """What an event source mapping needs of a queue.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    return allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [queue_arn])


def answer_tasks(state_machine_arns: Sequence[str]) -> iam.PolicyStatement:
    """Answer the tasks of these state machines that wait for a token."""
    actions = ["states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat"]
    return allow(actions, state_machine_arns)


def trusted(service: str, *, account: str, source_arn: str | None = None) -> iam.PrincipalBase:
    """`service` when it acts for this account, and for `source_arn` if given: a deputy that cannot be confused.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    conditions: dict[str, dict[str, str]] = {"StringEquals": {"aws:SourceAccount": account}}
    if source_arn is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source_arn}
    return iam.PrincipalWithConditions(iam.ServicePrincipal(service), conditions)


def _objects(bucket: str, prefix: str) -> tuple[str, str]:
    return f"arn:aws:s3:::{bucket}/{prefix}", f"arn:aws:s3:::{bucket}/{prefix}/*"
