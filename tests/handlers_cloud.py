"""What the deployed functions find around them: environment variables, and AWS by moto."""

import importlib
import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.model import ServiceModel
from botocore.validate import validate_parameters
from lambdas_world import ACCOUNT, BUCKET, EXECUTION, create_ledger, environment, event
from moto import mock_aws
from moto.emrserverless.models import emrserverless_backends

from contracts import contract as contracts
from lambdas import aws, runtime
from lambdas.names import JobName

REGION = "eu-west-1"


class FakeGlue:
    """Tables by database and name; requests are checked against the service's model."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self.tables: dict[tuple[str, str], dict[str, Any]] = {}

    def get_table(self, **request: Any) -> dict[str, Any]:
        key = (request["DatabaseName"], request["Name"])
        if key not in self.tables:
            raise ClientError({"Error": {"Code": "EntityNotFoundException"}}, "GetTable")
        return {
            "Table": {
                **self.tables[key],
                "DatabaseName": key[0],
                "VersionId": "0",
                "IsRegisteredWithLakeFormation": False,
            }
        }

    def create_table(self, **request: Any) -> None:
        self._write("CreateTable", request)

    def update_table(self, **request: Any) -> None:
        self._write("UpdateTable", request)

    def _write(self, operation: str, request: dict[str, Any]) -> None:
        shape = self._model.operation_model(operation).input_shape
        assert shape is not None
        validate_parameters(request, shape)
        self.tables[request["DatabaseName"], request["TableInput"]["Name"]] = request["TableInput"]


class Cloud:
    """What the deployed functions find around them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
        aws.forget_clients()
        aws.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        create_ledger(aws.dynamodb())
        application = aws.emr_serverless().create_application(
            name="assay-test", type="SPARK", releaseLabel="emr-6.6.0", clientToken="t"
        )
        self.application_id = application["applicationId"]
        self.glue = FakeGlue(aws.glue().meta.service_model)
        monkeypatch.setattr(aws, "glue", lambda: self.glue)
        topic = aws.sns().create_topic(Name="assay-test-notices")["TopicArn"]
        sqs = boto3.client("sqs", REGION)
        self.sqs, self.queue_url = sqs, sqs.create_queue(QueueName="people")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        aws.sns().subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
        variables = environment(
            APPLICATION_ID=self.application_id,
            SPARK_CONF='{"spark.driver.extraJavaOptions": "-Da=1 -Db=2"}',
            NOTICE_TOPIC_ARN=topic,
        )
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    def call(self, function: str, payload: dict[str, Any]) -> dict[str, Any]:
        module = importlib.import_module(f"lambdas.{function}")
        answer: dict[str, Any] = module.lambda_handler(payload, object())
        return answer

    def open(self) -> str:
        answer = self.call("open_run", {"execution_arn": EXECUTION + "day1", "request": event("scheduler_input")})
        run_id: str = answer["run_id"]
        return run_id

    def launch(self, run_id: str, step: str, subject: str = "all", **changes: Any) -> dict[str, Any]:
        fields = {"round": 0, "redrive_count": 0, "retry_count": 0, "receipts": [], "token": "t", **changes}
        return self.call("launch_job", {"run_id": run_id, "step": step, "subject": subject, **fields})

    def receipt(self, run_id: str, step: str, subject: str = "all", **changes: Any) -> str:
        name = JobName(run_id=run_id, step=step, subject=subject, round=0, attempt=1)
        content = {
            "status": "SUCCEEDED", "run_id": run_id, "step": step, "subject": subject, "attempt": 1, "round": 0,
            "redrive_count": 0, "started_at": "2026-07-31T06:01:00Z", "ended_at": "2026-07-31T06:01:30Z",
            "tables": [], "rows": None, "verdict": None, "results": [], "lineage": [], **changes,
        }  # fmt: skip
        aws.s3().put_object(Bucket=BUCKET, Key=name.receipt_key, Body=json.dumps(content).encode())
        return name.receipt_key

    def job_runs(self) -> list[Any]:
        return list(emrserverless_backends[ACCOUNT][REGION].job_runs.get(self.application_id, []))

    def notices(self) -> list[dict[str, Any]]:
        messages = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with mock_aws():
        yield Cloud(monkeypatch)
    aws.forget_clients()


def land(name: str, usd: str) -> None:
    columns = [field.name for field in contracts.of_source("fx_rates").fields]
    row = ["2026-07-30", usd] + ["N/A"] * (len(columns) - 2)
    aws.s3().put_object(
        Bucket=BUCKET, Key=f"landing/fx/{name}", Body="\n".join([",".join(columns), ",".join(row), ""]).encode()
    )


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the log writes."""
    handler = runtime.logger.registered_handler
    stream = io.StringIO()
    before = handler.setStream(stream)  # type: ignore[attr-defined]
    yield stream
    handler.setStream(before)  # type: ignore[attr-defined]
