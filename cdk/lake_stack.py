"""What must outlive a deployment: buckets, ledger, secrets and catalog."""

from __future__ import annotations

import json
from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk.analysts import Analysts
from cdk.names import Names
from cdk.settings import Settings
from cdk.sources import CREDENTIALS, Credentials, systems

# A redrive may come up to 14 days after an execution ended, and it reads candidates and requests again.
# Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
REDRIVE_DAYS = 21
ACCESS_LOG_DAYS = 90
# What Redshift unloads is read by the job run that asked for it, and by no other.
EXPIRE_DAYS = {"candidates": REDRIVE_DAYS, "requests": REDRIVE_DAYS, "unload": 2}


class LakeStack(cdk.Stack):
    """Holds the data of a stage; everything else can be deployed anew."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, names: Names, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, termination_protection=settings.retain, **kwargs)
        self._names = names
        self._removal = cdk.RemovalPolicy.RETAIN if settings.retain else cdk.RemovalPolicy.DESTROY

        access_logs = self._access_log_bucket() if settings.access_logs else None
        lake = self._lake_bucket(access_logs)
        code = self._code_bucket(access_logs)
        ledger = self._ledger(protect=settings.retain)
        self.secret_arns: dict[str, str] = {
            system: self._secret(system, CREDENTIALS[system])
            for system in sorted(set(systems(settings.sources).values()))
        }
        self.pii_key_arn = self._pii_key()
        self._databases(lake)
        self._results_bucket(settings.analysts.results_days, access_logs)
        analysts = Analysts(self, "Analysts", names=names, settings=settings.analysts, retain=settings.retain)

        cdk.CfnOutput(self, "LakeBucketName", value=lake.bucket_name)
        cdk.CfnOutput(self, "CodeBucketName", value=code.bucket_name)
        cdk.CfnOutput(self, "LedgerTableName", value=ledger.table_name)
        cdk.CfnOutput(self, "AnalystRoleArn", value=analysts.role_arn)
        cdk.CfnOutput(self, "AnalystWorkGroup", value=names.workgroup)
        for system, arn in self.secret_arns.items():
            cdk.CfnOutput(self, f"{system.capitalize()}SecretArn", value=arn)

    def _lake_bucket(self, access_logs: s3.IBucket | None) -> s3.Bucket:
        expiring = [
            s3.LifecycleRule(id=f"expire-{prefix}", prefix=f"{prefix}/", expiration=cdk.Duration.days(days))
            for prefix, days in EXPIRE_DAYS.items()
        ]
        bucket = self._bucket("LakeBucket", self._names.lake_bucket, rules=expiring, access_logs=access_logs)
        # Not event_bridge_enabled: it adds a function of CDK's own, whose role may touch every bucket.
        cast(
            s3.CfnBucket, bucket.node.default_child
        ).notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        return bucket

    def _code_bucket(self, access_logs: s3.IBucket | None) -> s3.Bucket:
        return self._bucket("CodeBucket", self._names.code_bucket, rules=[], access_logs=access_logs)

    def _results_bucket(self, days: int, access_logs: s3.IBucket | None) -> None:
        expiry = s3.LifecycleRule(id="expire", expiration=cdk.Duration.days(days))
        # without versions what expires is gone, and anybody's query can be asked again
        self._bucket(
            "ResultsBucket", self._names.results_bucket, rules=[expiry], access_logs=access_logs, versioned=False
        )

    def _access_log_bucket(self) -> s3.Bucket:
        expiry = s3.LifecycleRule(id="expire", expiration=cdk.Duration.days(ACCESS_LOG_DAYS))
        return self._bucket("AccessLogBucket", self._names.access_log_bucket, rules=[expiry], access_logs=None)

    def _bucket(
        self,
        construct_id: str,
        name: str,
        *,
        rules: list[s3.LifecycleRule],
        access_logs: s3.IBucket | None,
        versioned: bool = True,
    ) -> s3.Bucket:
        tidy = s3.LifecycleRule(
            id="tidy",
            noncurrent_version_expiration=cdk.Duration.days(30) if versioned else None,
            abort_incomplete_multipart_upload_after=cdk.Duration.days(2),
            expired_object_delete_marker=not any(rule.expiration and not rule.prefix for rule in rules),
        )
        return s3.Bucket(
            self,
            construct_id,
            bucket_name=name,
            versioned=versioned,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[tidy, *rules],
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=f"{name}/" if access_logs else None,
            removal_policy=self._removal,
        )

    def _ledger(self, *, protect: bool) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            "Ledger",
            table_name=self._names.ledger_table,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=protect,
            removal_policy=self._removal,
        )

    def _secret(self, system: str, credentials: Credentials) -> str:
        # Its keys show what to fill in; the template knows no value, and the generated password opens nothing.
        secret = secretsmanager.Secret(
            self,
            f"{system.capitalize()}Secret",
            secret_name=self._names.secret(system),
            description=credentials.description,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps(dict.fromkeys(credentials.keys, "")),
                generate_string_key=credentials.generated,
            ),
            removal_policy=self._removal,
        )
        # The attribute rather than the reference: the embedded AWS refers to a secret by its name.
        arn: str = cast(secretsmanager.CfnSecret, secret.node.default_child).attr_id
        return arn

    def _pii_key(self) -> str:
        # Any change of how it is generated would have CloudFormation generate another key.
        secret = secretsmanager.Secret(
            self,
            "PiiKeySecret",
            secret_name=self._names.secret("pii-key"),
            description=(
                "Key of the tokens that stand for personal data in silver and gold. Never rotate or replace it: every"
                " token would change, and what was matched by them would match no more"
            ),
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({}),
                generate_string_key="key",
                password_length=64,
                exclude_punctuation=True,
            ),
            removal_policy=self._removal,
        )
        arn: str = cast(secretsmanager.CfnSecret, secret.node.default_child).attr_id
        return arn

    def _databases(self, lake: s3.IBucket) -> None:
        for layer, name in self._names.databases.items():
            database = glue.CfnDatabase(
                self,
                f"{layer.capitalize()}Database",
                catalog_id=self.account,
                database_input=glue.CfnDatabase.DatabaseInputProperty(
                    name=name,
                    description=f"Tables of the {layer} layer",
                    location_uri=f"s3://{lake.bucket_name}/{layer}/",
                ),
            )
            database.apply_removal_policy(self._removal)
