"""The embedded AWS with EMR Serverless alone, as a process of its own, and a client of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from local.emr import jars
from local.processes import free_port

ROOT = Path(__file__).parent.parent
ACCOUNT = "000000000000"
REGION = "eu-west-1"
ENDED = ("SUCCESS", "FAILED", "CANCELLED")
PATIENCE_SECONDS = 240


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(*statements: tuple[list[str], list[str]]) -> str:
    allowed = [{"Effect": "Allow", "Action": actions, "Resource": resources} for actions, resources in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


@dataclass
class Cloud:
    process: subprocess.Popen[bytes]
    endpoint_url: str
    state: Path
    application: str = ""
    roles: dict[str, str] = field(default_factory=dict)
    queue_url: str = ""
    number: int = 0

    def client(self, service: str, access_key: str = ACCOUNT, secret: str = ACCOUNT) -> Any:
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    def set_up(self) -> None:
        s3, iam = self.client("s3"), self.client("iam")
        for bucket in ("lake", "code"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for layer in ("bronze", "gold"):
            made = iam.create_role(RoleName=layer, AssumeRolePolicyDocument=trust("emr-serverless.amazonaws.com"))
            policy = allow(
                (["s3:ListBucket"], ["arn:aws:s3:::lake"]),
                (["s3:*"], [f"arn:aws:s3:::lake/{layer}/*", "arn:aws:s3:::lake/logs/*"]),
                (["s3:GetObject"], ["arn:aws:s3:::code/*"]),
            )
            iam.put_role_policy(RoleName=layer, PolicyName="s3", PolicyDocument=policy)
            self.roles[layer] = made["Role"]["Arn"]
        sqs, events = self.client("sqs"), self.client("events")
        self.queue_url = sqs.create_queue(QueueName="states")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["aws.emr-serverless"], "detail-type": ["EMR Serverless Job Run State Change"]}
        events.put_rule(Name="states", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="states", Targets=[{"Id": "queue", "Arn": arn}])
        self.application = self.client("emr-serverless").create_application(
            name="assay-test", releaseLabel="emr-spark-8.1.0", type="SPARK"
        )["applicationId"]

    def submit(self, code: str, *, role: str = "bronze", parameters: str = "", **more: Any) -> str:
        self.number += 1
        key = f"jobs/{self.number}/main.py"
        self.client("s3").put_object(Bucket="code", Key=key, Body=code.encode())
        spark: dict[str, Any] = {"entryPoint": f"s3://code/{key}"}
        if parameters:
            spark["sparkSubmitParameters"] = parameters
        started = self.client("emr-serverless").start_job_run(
            applicationId=self.application,
            executionRoleArn=self.roles.get(role, role),
            jobDriver={"sparkSubmit": spark},
            **more,
        )
        return str(started["jobRunId"])

    def job_run(self, job_run_id: str) -> dict[str, Any]:
        answer = self.client("emr-serverless").get_job_run(applicationId=self.application, jobRunId=job_run_id)
        described: dict[str, Any] = answer["jobRun"]
        return described

    def wait(self, job_run_id: str, *states: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            job_run = self.job_run(job_run_id)
            return job_run if job_run["state"] in (states or ENDED) else None

        job_run: dict[str, Any] = until(reached, f"{states or ENDED} of {job_run_id}")
        return job_run

    def run(self, code: str, **more: Any) -> Any:
        """Run a job that succeeds; what it printed as JSON in its last line."""
        job_run_id = self.submit(code, **more)
        ended = self.wait(job_run_id)
        assert ended["state"] == "SUCCESS", (ended["stateDetails"], self.log(job_run_id, "stderr"))
        printed = self.log(job_run_id, "stdout").splitlines()
        return json.loads(printed[-1]) if printed else None

    def log(self, job_run_id: str, name: str) -> str:
        return (self.state / "emr" / "jobs" / job_run_id / name).read_text(encoding="utf-8")

    def children(self, *words: str) -> list[int]:
        """Processes of this cloud, by their command lines."""
        found = subprocess.run(
            ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 2) for line in found.splitlines()]
        mine: set[int] = set()
        found_more = {self.process.pid}
        while found_more:  # process numbers wrap around: a child may come before its parent
            mine |= found_more
            found_more = {int(pid) for pid, parent, _ in rows if int(parent) in mine} - mine
        return [int(pid) for pid, _, line in rows if int(pid) in mine and all(word in line for word in words)]

    def driver_of(self, job_run_id: str) -> int:
        """The driver's process id, once Spark has had a moment to compute for it."""
        self.wait(job_run_id, "RUNNING")
        until((self.state / "emr" / "jobs" / job_run_id / "driver.pid").exists, "a driver in its job")
        time.sleep(2)
        return self.pid("jobs", job_run_id, "driver.pid")

    def pid(self, *path: str) -> int:
        return int((self.state / "emr" / Path(*path)).read_text(encoding="utf-8"))


@contextmanager
def running_cloud(state: Path) -> Iterator[Cloud]:
    """A cloud that is set up; ended with the block."""
    port = free_port()
    jars.resolve(ROOT / "build" / "jars")
    command = [sys.executable, "-m", "local.emr", "--port", str(port), "--state", str(state)]
    with (state / "cloud.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    cloud = Cloud(process=process, endpoint_url=f"http://127.0.0.1:{port}", state=state)

    def serves() -> bool:
        try:
            cloud.client("sts").get_caller_identity()
        except EndpointConnectionError:
            return False
        return True

    try:
        until(serves, "the embedded AWS")
        cloud.set_up()
        yield cloud
    finally:
        process.terminate()
        process.wait(timeout=30)
