"""Analysts query gold within limits, and reach nothing else."""

import pytest
from cdk_templates import STAGES, allows, listed, properties, resources, statements

from cdk import settings

LAKE = "arn:aws:s3:::assay-dev-lake-111111111111-eu-west-1"
RESULTS = "arn:aws:s3:::assay-dev-results-111111111111-eu-west-1"
ATHENA = "arn:aws:athena:eu-west-1:111111111111"
GLUE = "arn:aws:glue:eu-west-1:111111111111"


@pytest.mark.parametrize("stage", STAGES)
def test_a_query_has_the_workgroup_s_limit_and_place_and_no_client_can_choose_others(stage):
    group = properties(stage, "AWS::Athena::WorkGroup", Name=f"assay-{stage}-analysts")["WorkGroupConfiguration"]
    assert group["EnforceWorkGroupConfiguration"] is True
    assert group["BytesScannedCutoffPerQuery"] == settings.load(stage).analysts.query_limit_gb * 1_000_000_000
    assert group["PublishCloudWatchMetricsEnabled"] is True
    assert group["EngineVersion"] == {"SelectedEngineVersion": "Athena engine version 3"}
    result = group["ResultConfiguration"]
    assert result["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    bucket = result["OutputLocation"].removeprefix("s3://").rstrip("/")
    kept = properties(stage, "AWS::S3::Bucket", BucketName=bucket)
    [days] = [rule["ExpirationInDays"] for rule in kept["LifecycleConfiguration"]["Rules"] if rule["Id"] == "expire"]
    assert days == settings.load(stage).analysts.results_days
    assert "VersioningConfiguration" not in kept, "what expires must be gone"
    assert set(kept["PublicAccessBlockConfiguration"].values()) == {True}


def test_results_lie_in_a_bucket_where_no_data_of_the_platform_lies():
    location = properties("dev", "AWS::Athena::WorkGroup", Name="assay-dev-analysts")["WorkGroupConfiguration"]
    bucket = location["ResultConfiguration"]["OutputLocation"]
    for actor in ("ingest", "check", "silver", "gold", "publish", "launch-job", "register-catalog"):
        for statement in statements("dev", actor):
            assert not [arn for arn in listed(statement["Resource"]) if "-results-" in str(arn)], (actor, bucket)


def test_an_analyst_reads_gold_s_files():
    assert allows("dev", "analyst", "s3:GetObject", f"{LAKE}/gold/fct_orders/_delta_log/00000000000000000000.json")
    assert allows("dev", "analyst", "s3:GetObject", f"{LAKE}/gold/fct_orders/part-0.parquet")


@pytest.mark.parametrize(
    "key",
    [
        "bronze/fx_rates/part-0.parquet",
        "silver/orders/part-0.parquet",
        "candidates/r/gold/fct_orders/1/part-0.parquet",
        "quarantine/fx_rates/part-0.parquet",
        "quality/results/part-0.parquet",
        "landing/fx/x.csv",
        "requests/r/x.json",
        "runs/r/ingest/fx_rates/1.json",
        "lineage/r.ndjson",
        "goldx/fct_orders/part-0.parquet",
    ],
)
def test_an_analyst_reads_nothing_else_of_the_lake(key):
    assert not allows("dev", "analyst", "s3:GetObject", f"{LAKE}/{key}")


def test_an_analyst_lists_gold_and_the_results_and_no_more():
    listing = [each for each in statements("dev", "analyst") if "s3:ListBucket" in listed(each["Action"])]
    [lake] = [each for each in listing if each["Resource"] == LAKE]
    assert lake["Condition"] == {"StringLike": {"s3:prefix": ["gold", "gold/*"]}}
    assert [each["Resource"] for each in listing if each is not lake] == [RESULTS]


def test_an_analyst_writes_results_and_nothing_else():
    assert allows("dev", "analyst", "s3:PutObject", f"{RESULTS}/1.csv")
    assert not allows("dev", "analyst", "s3:PutObject", f"{LAKE}/gold/fct_orders/part-0.parquet")
    writes = ("Put", "Create", "Update", "Delete", "Start", "Stop", "Abort", "Send", "Invoke", "Pass", "Tag")
    found = {
        action
        for statement in statements("dev", "analyst")
        for action in listed(statement["Action"])
        if action.split(":")[1].startswith(writes)
    }
    assert found == {
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
    }


def test_an_analyst_queries_in_the_workgroup_of_analysts_only():
    assert allows("dev", "analyst", "athena:StartQueryExecution", f"{ATHENA}:workgroup/assay-dev-analysts")
    for group in ("primary", "assay-prod-analysts", "assay-dev-analysts2"):
        assert not allows("dev", "analyst", "athena:StartQueryExecution", f"{ATHENA}:workgroup/{group}")


def test_an_analyst_sees_gold_in_the_catalog_and_no_other_database():
    assert allows("dev", "analyst", "glue:GetTable", f"{GLUE}:table/assay_dev_gold/fct_orders")
    assert allows("dev", "analyst", "glue:GetDatabase", f"{GLUE}:database/assay_dev_gold")
    for database in ("assay_dev_bronze", "assay_dev_silver", "assay_dev_quality", "assay_prod_gold", "default"):
        assert not allows("dev", "analyst", "glue:GetTable", f"{GLUE}:table/{database}/orders")
    for database in ("assay_dev_bronze", "assay_dev_silver", "assay_dev_quality", "assay_prod_gold"):
        assert not allows("dev", "analyst", "glue:GetDatabase", f"{GLUE}:database/{database}")


def test_an_analyst_has_no_right_in_any_other_service():
    services = {action.split(":")[0] for each in statements("dev", "analyst") for action in listed(each["Action"])}
    assert services == {"athena", "glue", "s3"}, "no ledger, no secret, no state machine, no job"


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_principals_of_the_setting_assume_the_role_and_only_of_the_stage_s_account(stage):
    loaded = settings.load(stage)
    trust = properties(stage, "AWS::IAM::Role", RoleName=f"assay-{stage}-analyst")["AssumeRolePolicyDocument"]
    [statement] = trust["Statement"]
    assert str(statement["Principal"]["AWS"]).count(loaded.account) == 1
    arns = statement["Condition"]["ArnLike"]["aws:PrincipalArn"]
    assert listed(arns) == [f"arn:aws:iam::{loaded.account}:{each}" for each in loaded.analysts.principals]


@pytest.mark.parametrize(("stage", "recursive"), [("local", True), ("dev", False), ("prod", False)])
def test_the_history_of_queries_goes_with_the_stack_only_where_data_does(stage, recursive):
    [group] = resources(stage, "AWS::Athena::WorkGroup").values()
    assert group["Properties"]["RecursiveDeleteOption"] is recursive
