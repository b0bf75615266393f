"""One deployed stage of the platform: its names, and clients that speak to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.ledger import Ledger
from lambdas.store import Store
from local.home import ACCOUNT, REGION, SECRET_ACCESS_KEY, Home
from ops.errors import OpsError

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_emr_serverless.client import EMRServerlessClient
    from types_boto3_s3.client import S3Client
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_stepfunctions.client import SFNClient

RETRIES = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5)


@dataclass(frozen=True, kw_only=True)
class Access:
    """How clients reach AWS: the user's own session, or the laptop cloud."""

    region: str | None = None
    endpoint_url: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def laptop(cls) -> Access:
        """The laptop cloud that is up.

        Raises:
            OpsError: none is up.
        """
        state = Home.default().read()
        if state is None:
            raise OpsError("the laptop cloud is not up: start it with `assay up`")
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": SECRET_ACCESS_KEY}
        return cls(region=REGION, endpoint_url=state.endpoint_url, credentials=keys)

    def _client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service, region_name=self.region, endpoint_url=self.endpoint_url, config=RETRIES, **self.credentials
        )

    @property
    def cloudformation(self) -> CloudFormationClient:
        """A CloudFormation client."""
        return self._client("cloudformation")  # type: ignore[no-any-return]

    @property
    def dynamodb(self) -> DynamoDBClient:
        """A DynamoDB client."""
        return self._client("dynamodb")  # type: ignore[no-any-return]

    @property
    def emr(self) -> EMRServerlessClient:
        """An EMR Serverless client."""
        return self._client("emr-serverless")  # type: ignore[no-any-return]

    @property
    def s3(self) -> S3Client:
        """An S3 client."""
        return self._client("s3")  # type: ignore[no-any-return]

    @property
    def secrets(self) -> SecretsManagerClient:
        """A Secrets Manager client."""
        return self._client("secretsmanager")  # type: ignore[no-any-return]

    @property
    def states(self) -> SFNClient:
        """A Step Functions client."""
        return self._client("stepfunctions")  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The names of one stage, as its stacks' outputs tell them."""

    stage: str
    access: Access
    lake_bucket: str
    code_bucket: str
    ledger_table: str
    application_id: str
    state_machines: Mapping[str, str]

    @property
    def ledger(self) -> Ledger:
        """The ledger, under the user's own credentials."""
        return Ledger(Store(self.access.dynamodb, self.ledger_table))

    @property
    def daily_batch(self) -> str:
        """ARN of the daily workflow."""
        return self.state_machines["daily_batch"]


def outputs(access: Access, stack: str) -> dict[str, str]:
    """The outputs of a stack.

    Raises:
        OpsError: the stack is not there, or AWS cannot be reached.
    """
    try:
        description = access.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except (ClientError, BotoCoreError) as error:
        raise OpsError(
            f"stack {stack} cannot be read ({error}): is the stage deployed, and are you signed in?"
        ) from None
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


@cache
def platform(stage: str) -> Platform:
    """The platform of `stage` (local, dev, prod).

    Raises:
        OpsError: it is not deployed, or the laptop cloud is not up.
    """
    access = Access.laptop() if stage == "local" else Access()
    lake = outputs(access, f"assay-{stage}-lake")
    pipeline = outputs(access, f"assay-{stage}-pipeline")
    return Platform(
        stage=stage,
        access=access,
        lake_bucket=lake["LakeBucketName"],
        code_bucket=lake["CodeBucketName"],
        ledger_table=lake["LedgerTableName"],
        application_id=pipeline["ApplicationId"],
        state_machines={
            "daily_batch": pipeline["DailyBatchArn"],
            "file_arrival": pipeline["FileArrivalArn"],
            "maintenance": pipeline["MaintenanceArn"],
        },
    )
