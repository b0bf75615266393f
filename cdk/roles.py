"""One role per actor, and all that each may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk import grants
from cdk.names import JOB_ACTORS, Names

EMR_SERVERLESS = "emr-serverless.amazonaws.com"


def role(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    principal: iam.IPrincipal,
    statements: Sequence[iam.PolicyStatement],
) -> iam.IRole:
    """A role with exactly these statements; what a construct would like to add is left out."""
    policy = iam.PolicyDocument(statements=list(statements))
    written = iam.Role(scope, construct_id, role_name=name, assumed_by=principal, inline_policies={"Actor": policy})
    return written.without_policy_updates()


@dataclass(frozen=True, kw_only=True)
class JobAccess:
    """What a kind of job reads and writes in the lake, beside its request and its receipt.

    `reads`, `writes` and `appends` are prefixes, a `*` stands for a run or a dataset; what is appended to is never
    deleted from.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    appends: tuple[str, ...] = ()
    secrets: bool = False


JOB_ACCESS = {
    "ingest": JobAccess(reads=("landing", "bronze", "quarantine"), writes=("bronze", "quarantine"), secrets=True),
    "check": JobAccess(
        reads=("bronze", "quarantine", "silver", "gold", "candidates", "quality/results"), appends=("quality/results",)
    ),
    "silver": JobAccess(
        reads=("bronze", "silver", "candidates", "quarantine"), writes=("candidates/*/silver", "quarantine/*_silver")
    ),
    "publish_silver": JobAccess(reads=("silver", "candidates"), writes=("silver",)),
    "gold": JobAccess(reads=("silver", "gold", "candidates"), writes=("candidates/*/gold",)),
    "publish": JobAccess(reads=("silver", "gold", "candidates"), writes=("silver", "gold")),
    "maintain": JobAccess(
        reads=("bronze", "silver", "gold", "quality/results"),
        writes=("bronze", "silver", "gold"),
        appends=("quality/results",),
    ),
    "restore": JobAccess(
        reads=("bronze", "silver", "candidates", "quarantine", "quality/results"),
        writes=("silver", "candidates/*/silver"),
        appends=("quality/results",),
    ),
}


class JobRoles(Construct):
    """The roles that Spark job runs assume: no job can write a layer that is not its own."""

    def __init__(self, scope: Construct, construct_id: str, *, names: Names, secret_arns: Sequence[str]) -> None:
        super().__init__(scope, construct_id)
        principal = grants.trusted(EMR_SERVERLESS, account=names.account)
        for actor in JOB_ACTORS:
            statements = job_statements(names, JOB_ACCESS[actor], secret_arns=secret_arns)
            construct_id = "".join(word.capitalize() for word in actor.split("_"))
            name = names.named(actor.replace("_", "-"))
            role(self, construct_id, name=name, principal=principal, statements=statements)


def job_statements(names: Names, access: JobAccess, *, secret_arns: Sequence[str]) -> list[iam.PolicyStatement]:
    """What a job run may do: its code, its request and receipts, and the prefixes of `access`."""
    statements = [
        *grants.read(names.code_bucket, ["spark"]),
        *grants.read(names.lake_bucket, ["requests", "runs", *access.reads]),
        grants.put(names.lake_bucket, ["runs", *access.appends]),
    ]
    if access.writes:
        statements.append(grants.write(names.lake_bucket, access.writes))
    if access.secrets:
        statements.append(grants.allow(["secretsmanager:GetSecretValue"], secret_arns))
    return statements
