"""One role per actor, and all that each may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk import grants
from cdk.names import JOB_ACTORS, Names

EMR_SERVERLESS = "emr-serverless.amazonaws.com"
REDSHIFT = ("redshift", "redshift-serverless")
UNLOAD = "unload"  # the prefix that Redshift writes large results to


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
    deleted from. `sources` allows the credentials of sources, `pii_key` the key of tokens.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    appends: tuple[str, ...] = ()
    sources: bool = False
    pii_key: bool = False


JOB_ACCESS = {
    "ingest": JobAccess(
        reads=("landing", "bronze", "quarantine", UNLOAD), writes=("bronze", "quarantine"), sources=True
    ),
    "check": JobAccess(
        reads=("bronze", "quarantine", "silver", "gold", "candidates", "quality/results"), appends=("quality/results",)
    ),
    "silver": JobAccess(
        reads=("bronze", "silver", "candidates", "quarantine"),
        writes=("candidates/*/silver", "quarantine/*_silver"),
        pii_key=True,
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
        pii_key=True,
    ),
}


class JobRoles(Construct):
    """The roles that Spark job runs assume: no job can write a layer that is not its own."""

    def __init__(
        self, scope: Construct, construct_id: str, *, names: Names, secret_arns: Sequence[str], pii_key_arn: str
    ) -> None:
        super().__init__(scope, construct_id)
        principal = grants.trusted(EMR_SERVERLESS, account=names.account)
        for actor in JOB_ACTORS:
            statements = job_statements(names, JOB_ACCESS[actor], secret_arns=secret_arns, pii_key_arn=pii_key_arn)
            construct_id = "".join(word.capitalize() for word in actor.split("_"))
            name = names.named(actor.replace("_", "-"))
            role(self, construct_id, name=name, principal=principal, statements=statements)


class UnloadRole(Construct):
    """The role that Redshift assumes to write a large result, and nothing else, into the lake.

    The warehouse's owner attaches it to the cluster or namespace.
    Source: https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html (required privileges and permissions)
    """

    def __init__(self, scope: Construct, construct_id: str, *, names: Names) -> None:
        super().__init__(scope, construct_id)
        bucket = f"arn:aws:s3:::{names.lake_bucket}"
        statements = [
            grants.allow(["s3:PutObject", "s3:AbortMultipartUpload"], [f"{bucket}/{UNLOAD}/*"]),
            grants.allow(["s3:ListBucket"], [bucket], {"StringLike": {"s3:prefix": [f"{UNLOAD}/*"]}}),
            grants.allow(["s3:GetBucketLocation"], [bucket]),
        ]
        principals = [_database_users(service, names) for service in REDSHIFT]
        self.role_arn: str = role(
            self,
            "Role",
            name=names.named("redshift-unload"),
            principal=iam.CompositePrincipal(*principals),
            statements=statements,
        ).role_arn


def _database_users(service: str, names: Names) -> iam.PrincipalBase:
    """Redshift when it acts for a database user of this account, whom it names as the external id.

    Source: https://docs.aws.amazon.com/redshift/latest/mgmt/authorizing-redshift-service-database-users.html
    """
    users = {"StringLike": {"sts:ExternalId": names.arn(service, "dbuser:*/*")}}
    return iam.PrincipalWithConditions(iam.ServicePrincipal(f"{service}.amazonaws.com"), users)


def job_statements(
    names: Names, access: JobAccess, *, secret_arns: Sequence[str], pii_key_arn: str
) -> list[iam.PolicyStatement]:
    """What a job run may do: its code, its request and receipts, and the prefixes of `access`."""
    statements = [
        *grants.read(names.code_bucket, ["spark"]),
        *grants.read(names.lake_bucket, ["requests", "runs", *access.reads]),
        grants.put(names.lake_bucket, ["runs", *access.appends]),
    ]
    if access.writes:
        statements.append(grants.write(names.lake_bucket, access.writes))
    if secrets := [*(secret_arns if access.sources else ()), *([pii_key_arn] if access.pii_key else ())]:
        statements.append(grants.allow(["secretsmanager:GetSecretValue"], secrets))
    return statements
