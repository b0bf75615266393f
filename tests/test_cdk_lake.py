import pytest
from cdk_templates import STAGES, properties, resources, template

DATA = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Glue::Database")


def bucket(stage, kind):
    account = {"local": "000000000000", "dev": "111111111111", "prod": "222222222222"}[stage]
    return properties(stage, "AWS::S3::Bucket", BucketName=f"assay-{stage}-{kind}-{account}-eu-west-1")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ["lake", "code"])
def test_a_bucket_is_private_versioned_and_encrypted(stage, kind):
    found = bucket(stage, kind)
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(found["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = found["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


@pytest.mark.parametrize("stage", STAGES)
def test_every_bucket_topic_and_queue_refuses_plain_http(stage):
    policies = {
        "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
        "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
        "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
    }
    for kind, (policy_kind, target) in policies.items():
        refused = []
        for policy in resources(stage, policy_kind).values():
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Deny":
                    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                    targets = policy["Properties"][target]
                    refused += [each["Ref"] for each in (targets if isinstance(targets, list) else [targets])]
        assert sorted(refused) == sorted(resources(stage, kind))


@pytest.mark.parametrize("stage", STAGES)
def test_landing_files_reach_eventbridge_without_a_function_of_cdks_own(stage):
    assert bucket(stage, "lake")["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    for stack in ("lake", "pipeline"):
        kinds = {resource["Type"] for resource in template(stage, stack)["Resources"].values()}
        assert not [kind for kind in kinds if kind.startswith("Custom::") or "CustomResource" in kind]


def test_candidates_and_requests_outlive_the_14_days_of_a_redrive():
    rules = {rule["Id"]: rule for rule in bucket("prod", "lake")["LifecycleConfiguration"]["Rules"]}
    for prefix in ("candidates", "requests"):
        assert rules[f"expire-{prefix}"]["Prefix"] == f"{prefix}/"
        assert rules[f"expire-{prefix}"]["ExpirationInDays"] > 14
    assert rules["tidy"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["tidy"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert (rules["expire-unload"]["Prefix"], rules["expire-unload"]["ExpirationInDays"]) == ("unload/", 2)
    assert set(rules) == {"tidy", "expire-candidates", "expire-requests", "expire-unload"}, (
        "tables and receipts never expire"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_the_ledger_has_the_keys_the_functions_use(stage):
    ledger = properties(stage, "AWS::DynamoDB::Table", TableName=f"assay-{stage}-ledger")
    assert ledger["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert ledger["BillingMode"] == "PAY_PER_REQUEST"
    assert ledger["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


@pytest.mark.parametrize(
    ("stage", "policy", "protected"),
    [("local", "Delete", False), ("dev", "Retain", True), ("prod", "Retain", True)],
)
def test_data_outlives_its_stack_where_the_stage_says_so(stage, policy, protected):
    for kind in DATA:
        for logical_id, resource in resources(stage, kind, "lake").items():
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (policy, policy), logical_id
    ledger = properties(stage, "AWS::DynamoDB::Table", TableName=f"assay-{stage}-ledger")
    assert ledger["DeletionProtectionEnabled"] is protected


@pytest.mark.parametrize("stage", STAGES)
def test_the_secret_holds_no_value_of_the_template(stage):
    secret = properties(stage, "AWS::SecretsManager::Secret", Name=f"assay/{stage}/snowflake")
    assert "SecretString" not in secret
    assert secret["GenerateSecretString"]["GenerateStringKey"] == "password"


@pytest.mark.parametrize("stage", STAGES)
def test_the_key_of_tokens_is_generated_and_says_that_it_stays(stage):
    secret = properties(stage, "AWS::SecretsManager::Secret", Name=f"assay/{stage}/pii-key")
    assert "SecretString" not in secret
    assert secret["GenerateSecretString"]["PasswordLength"] >= 64
    assert "Never rotate" in secret["Description"]
    assert not resources(stage, "AWS::SecretsManager::RotationSchedule", "lake")


@pytest.mark.parametrize("stage", STAGES)
def test_there_is_a_catalog_database_per_layer_and_one_for_the_audit(stage):
    names = {found["Properties"]["DatabaseInput"]["Name"] for found in resources(stage, "AWS::Glue::Database").values()}
    assert names == {f"assay_{stage}_{name}" for name in ("bronze", "silver", "gold", "quality")}


@pytest.mark.parametrize(("stage", "buckets"), [("local", 3), ("dev", 4), ("prod", 4)])
def test_access_is_logged_where_the_stage_says_so(stage, buckets):
    found = resources(stage, "AWS::S3::Bucket")
    assert len(found) == buckets
    logged = [each for each in found.values() if "LoggingConfiguration" in each["Properties"]]
    assert len(logged) == (3 if buckets == 4 else 0)


@pytest.mark.parametrize("stage", STAGES)
def test_the_outputs_that_others_read(stage):
    assert {
        "LakeBucketName",
        "CodeBucketName",
        "LedgerTableName",
        "SnowflakeSecretArn",
        "AnalystRoleArn",
        "AnalystWorkGroup",
    } <= set(template(stage, "lake")["Outputs"])
    assert {"ApplicationId", "DailyBatchArn", "FileArrivalArn", "NoticeTopicArn"} <= set(
        template(stage, "pipeline")["Outputs"]
    )
