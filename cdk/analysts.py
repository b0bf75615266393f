"""What analysts get: a workgroup of Athena with limits, and a role that reads gold and nothing else.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html
Source: https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_athena as athena
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk import grants
from cdk.names import Names
from cdk.roles import role
from cdk.settings import AnalystSettings

ENGINE = "Athena engine version 3"  # the first that reads Delta's own log
ACTOR = "analyst"
# ListWorkGroups and ListDataCatalogs know no resource but `*`, so a client is told the workgroup's name.
OF_WORKGROUP = (
    "athena:BatchGetQueryExecution",
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "athena:GetQueryResultsStream",
    "athena:GetQueryRuntimeStatistics",
    "athena:GetWorkGroup",
    "athena:ListQueryExecutions",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
)
OF_CATALOG = (
    "athena:GetDataCatalog",
    "athena:GetDatabase",
    "athena:GetTableMetadata",
    "athena:ListDatabases",
    "athena:ListTableMetadata",
)
OF_GLUE = (
    "glue:BatchGetPartition",
    "glue:GetDatabase",
    "glue:GetDatabases",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:GetTable",
    "glue:GetTables",
)


class Analysts(Construct):
    """The workgroup and the role.

    The workgroup's settings override a client's own: where results go, their encryption, and how much a query may scan.
    Source: https://docs.aws.amazon.com/athena/latest/ug/workgroups-settings-override.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, names: Names, settings: AnalystSettings, retain: bool
    ) -> None:
        super().__init__(scope, construct_id)
        athena.CfnWorkGroup(
            self,
            "WorkGroup",
            name=names.workgroup,
            description="Queries of gold",
            recursive_delete_option=not retain,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=settings.query_limit_gb * 10**9,
                requester_pays_enabled=False,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(selected_engine_version=ENGINE),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{names.results_bucket}/",
                    expected_bucket_owner=names.account,
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )
        role(
            self,
            "Role",
            name=names.named(ACTOR),
            principal=_whom_the_account_lets(names, settings.principals),
            statements=statements(names),
        )
        self.role_arn = names.role_arn(ACTOR)


def statements(names: Names) -> list[iam.PolicyStatement]:
    """What an analyst may do: ask in the workgroup, see gold's tables, read gold's files, keep results.

    Athena reads the catalog and the files with the rights of who asks, so what is not here no query reaches. It wants
    to see the database `default` too, where nothing of this platform lies.
    """
    gold, results = names.databases["gold"], f"arn:aws:s3:::{names.results_bucket}"
    return [
        grants.allow(OF_WORKGROUP, [names.arn("athena", f"workgroup/{names.workgroup}")]),
        grants.allow(OF_CATALOG, [names.arn("athena", "datacatalog/AwsDataCatalog")]),
        grants.allow(
            OF_GLUE,
            [names.arn("glue", each) for each in ("catalog", f"database/{gold}", f"table/{gold}/*")],
        ),
        grants.allow(["glue:GetDatabase"], [names.arn("glue", "database/default")]),
        *grants.read(names.lake_bucket, ["gold"]),
        grants.allow(["s3:GetBucketLocation"], [f"arn:aws:s3:::{names.lake_bucket}", results]),
        grants.allow(["s3:ListBucket", "s3:ListBucketMultipartUploads"], [results]),
        grants.allow(
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
            [f"{results}/*"],
        ),
    ]


def _whom_the_account_lets(names: Names, principals: Sequence[str]) -> iam.PrincipalBase:
    """Principals of this account by pattern; each also needs sts:AssumeRole on the role by its own policy.

    By pattern, because Identity Center makes up the end of a role's name, and anew when it is provisioned again.
    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
    """
    arns = [f"arn:aws:iam::{names.account}:{principal}" for principal in principals]
    return iam.PrincipalWithConditions(iam.AccountPrincipal(names.account), {"ArnLike": {"aws:PrincipalArn": arns}})
