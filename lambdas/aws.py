"""AWS clients, made once a process, with one retry and time-out policy."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_emr_serverless import EMRServerlessClient
    from types_boto3_glue import GlueClient
    from types_boto3_s3 import S3Client
    from types_boto3_sns import SNSClient
    from types_boto3_stepfunctions import SFNClient

# Standard mode backs off with jitter and stops after five tries; what is still refused then is the state's to retry.
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=20)

THROTTLES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionCanceledException",  # conditions that did not hold are answered by the store, so this is load
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


@cache
def _client(service: str) -> Any:
    return boto3.client(cast(Any, service), config=CONFIG)


def dynamodb() -> DynamoDBClient:
    """The DynamoDB client."""
    return cast("DynamoDBClient", _client("dynamodb"))


def emr_serverless() -> EMRServerlessClient:
    """The EMR Serverless client."""
    return cast("EMRServerlessClient", _client("emr-serverless"))


def glue() -> GlueClient:
    """The Glue client."""
    return cast("GlueClient", _client("glue"))


def s3() -> S3Client:
    """The S3 client."""
    return cast("S3Client", _client("s3"))


def sns() -> SNSClient:
    """The SNS client."""
    return cast("SNSClient", _client("sns"))


def stepfunctions() -> SFNClient:
    """The Step Functions client."""
    return cast("SFNClient", _client("stepfunctions"))


def forget_clients() -> None:
    """Drop the clients of this process, for tests that move to another endpoint."""
    _client.cache_clear()


def error_code(error: ClientError) -> str:
    """The service's name for an error, such as ThrottlingException."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_running(states: SFNClient, execution_arn: str) -> bool:
    """Whether an execution runs or is about to; one that Step Functions no longer knows does not."""
    try:
        status = states.describe_execution(executionArn=execution_arn)["status"]
    except ClientError as error:
        if error_code(error) == "ExecutionDoesNotExist":
            return False
        raise
    return status in {"RUNNING", "PENDING_REDRIVE"}


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed later without anybody changing anything."""
    if isinstance(error, ClientError):
        return error_code(error) in THROTTLES
    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)
