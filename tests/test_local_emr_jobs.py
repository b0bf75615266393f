"""Jobs on warm Spark, as a client of the embedded AWS sees them. One cloud serves them all."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emr_cloud import ACCOUNT, REGION, ROOT, Cloud, allow, running_cloud, trust, until

from local.emr.spark_settings import class_archive
from local.emr.submit import run_with_spark_submit

SESSION = "from pyspark.sql import SparkSession, functions as F\nspark = SparkSession.builder.getOrCreate()\n"
ENDLESS = SESSION + "spark.range(0, 10**13, 1, 2).selectExpr('sum(hash(id))').collect()\n"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


def test_states_reach_a_queue_by_rule_in_their_order(cloud: Cloud) -> None:
    job_run_id = cloud.submit(SESSION + "print(spark.range(10).count())", name="run:ingest:orders:0:1")
    assert cloud.wait(job_run_id)["state"] == "SUCCESS"
    assert cloud.log(job_run_id, "stdout") == "10\n"
    sqs = cloud.client("sqs")
    details: list[dict[str, Any]] = []

    def all_states() -> bool:
        answer = sqs.receive_message(QueueUrl=cloud.queue_url, MaxNumberOfMessages=10)
        events = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        details.extend(event["detail"] for event in events if event["detail"]["jobRunId"] == job_run_id)
        return len(details) >= 5

    until(all_states, "five events", seconds=20)
    states = {detail["state"]: detail.get("previousState") for detail in details}
    assert states == {
        "SUBMITTED": None,
        "PENDING": "SUBMITTED",
        "SCHEDULED": "PENDING",
        "RUNNING": "SCHEDULED",
        "SUCCESS": "RUNNING",
    }
    assert {detail["jobRunName"] for detail in details} == {"run:ingest:orders:0:1"}


def test_a_role_reaches_its_own_layer_only_by_s3a_and_by_boto3(cloud: Cloud) -> None:
    code = SESSION + (
        "import boto3, json\n"
        "def attempt(action):\n"
        "    try:\n"
        "        action()\n"
        "        return 'allowed'\n"
        "    except Exception as error:\n"
        "        return 'denied' if 'denied' in str(error).lower() or '403' in str(error) else str(error)[:300]\n"
        "def write(layer): spark.range(3).write.format('delta').mode('append').save(f's3://lake/{layer}/t')\n"
        "def put(layer): boto3.client('s3').put_object(Bucket='lake', Key=f'{layer}/key', Body=b'')\n"
        "seen = {f'{name} {layer}': attempt(lambda: act(layer))\n"
        "        for layer in ('bronze', 'gold') for name, act in (('s3a', write), ('boto3', put))}\n"
        "seen['worker'] = spark.range(1).select(F.udf(lambda _: __import__('boto3').client('sts')\n"
        "    .get_caller_identity()['Arn'].split('/')[1])('id')).first()[0]\n"
        "print(json.dumps(seen))\n"
    )
    for own, other in (("bronze", "gold"), ("gold", "bronze")):
        assert cloud.run(code, role=own) == {
            f"s3a {own}": "allowed",
            f"boto3 {own}": "allowed",
            f"s3a {other}": "denied",
            f"boto3 {other}": "denied",
            "worker": own,
        }


def test_nothing_of_a_job_is_left_for_the_next(cloud: Cloud) -> None:
    cloud.run(
        SESSION + "import json, os, sys\n"
        "spark.conf.set('spark.sql.shuffle.partitions', '77')\n"
        "spark.range(3).createOrReplaceTempView('left')\n"
        "spark.range(3).createGlobalTempView('left')\n"
        "spark.sql('create table left_table using delta as select 1 as a')\n"
        "spark.udf.register('left', lambda x: x)\n"
        "spark.range(5).cache().count()\n"
        "spark.sparkContext._jsc.hadoopConfiguration().set('left', '1')\n"
        "spark.range(1).select(F.udf(lambda x: os.environ.setdefault('LEFT', '1'))('id')).collect()\n"
        "os.environ['LEFT'] = '1'; os.chdir('/'); sys.path.insert(0, '/left')\n"
        "frames = [spark.range(3) for _ in range(500)]\n"
        "spark.stop()\n"
    )
    seen = cloud.run(
        SESSION + "import json, os, sys\n"
        "context = spark.sparkContext\n"
        "lent = context._gateway.java_gateway_server.getGateway().getBindings()\n"
        "def fails(action):\n"
        "    try:\n"
        "        action()\n"
        "    except Exception:\n"
        "        return True\n"
        "    return False\n"
        "print(json.dumps({\n"
        "  'partitions': spark.conf.get('spark.sql.shuffle.partitions'),\n"
        "  'view gone': fails(lambda: spark.table('left').count()),\n"
        "  'global view gone': fails(lambda: spark.table('global_temp.left').count()),\n"
        "  'table gone': fails(lambda: spark.table('left_table').count()),\n"
        "  'function gone': fails(lambda: spark.sql('select left(1)').collect()),\n"
        "  'cached': context._jsc.getPersistentRDDs().size(),\n"
        "  'frames': lent.size() > 500,\n"
        "  'hadoop': context._jsc.hadoopConfiguration().get('left'),\n"
        "  'environment': os.environ.get('LEFT'),\n"
        "  'worker environment': spark.range(1).select(F.udf(lambda x: os.environ.get('LEFT'))('id')).first()[0],\n"
        "  'folder': os.path.basename(os.getcwd()),\n"
        "  'path': '/left' in sys.path,\n"
        "  'checkout': any(os.path.isdir(os.path.join(entry, 'spark_jobs')) for entry in sys.path if entry),\n"
        "}))\n",
        parameters="--conf spark.sql.shuffle.partitions=3",
    )
    assert seen == {
        "partitions": "3",
        "view gone": True,
        "global view gone": True,
        "table gone": True,
        "function gone": True,
        "cached": 0,
        "frames": False,
        "hadoop": None,
        "environment": None,
        "worker environment": None,
        "folder": "work",
        "path": False,
        "checkout": False,
    }


SHIPPED = (
    "--py-files s3://code/code.zip --archives s3://code/deps.tar.gz#deps "
    "--conf spark.emr-serverless.driverEnv.PYTHONPATH=./deps --conf spark.executorEnv.PYTHONPATH=./deps "
    "--conf spark.assay.stage=local --conf spark.executor.memory=1g"
)
READS_WHAT_IT_SHIPS = SESSION + (
    "import importlib.util, json, os, shipped_code, shipped_deps\n"
    "names = F.udf(lambda _: __import__('shipped_code').NAME + ' ' + __import__('shipped_deps').NAME)\n"
    "spark.range(3).write.format('delta').mode('overwrite').save('s3://lake/bronze/shipped')\n"
    "print(json.dumps({'driver': [shipped_code.NAME, shipped_deps.NAME],\n"
    "  'unpacked': sorted(set(os.listdir('deps')) - {'__pycache__'}),\n"
    "  'worker': spark.range(1).select(names('id')).first()[0],\n"
    "  'rows': spark.read.format('delta').load('s3://lake/bronze/shipped').count(),\n"
    "  'conf': spark.sparkContext.getConf().get('spark.assay.stage'),\n"
    "  'rich': importlib.util.find_spec('rich') is not None}))\n"
)


@pytest.fixture(scope="module")
def shipped(cloud: Cloud) -> None:
    code, deps = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(code, "w") as zipped:
        zipped.writestr("shipped_code/__init__.py", "NAME = 'code'")
    with tarfile.open(fileobj=deps, mode="w:gz") as packed:
        member = tarfile.TarInfo("shipped_deps.py")
        member.size = len(b"NAME = 'deps'")
        packed.addfile(member, io.BytesIO(b"NAME = 'deps'"))
    cloud.client("s3").put_object(Bucket="code", Key="code.zip", Body=code.getvalue())
    cloud.client("s3").put_object(Bucket="code", Key="deps.tar.gz", Body=deps.getvalue())


EXPECTED = {
    "driver": ["code", "deps"],
    "unpacked": ["shipped_deps.py"],
    "worker": "code deps",
    "rows": 3,
    "conf": "local",
}


@pytest.mark.usefixtures("shipped")
def test_code_and_dependencies_come_from_the_archives(cloud: Cloud) -> None:
    seen = cloud.run(READS_WHAT_IT_SHIPS, parameters=SHIPPED)
    assert {name: seen[name] for name in EXPECTED} == EXPECTED


@pytest.mark.slow
@pytest.mark.usefixtures("shipped")
def test_real_spark_submit_runs_the_same_parameters_with_nothing_else_at_hand(cloud: Cloud, tmp_path: Path) -> None:
    cloud.client("s3").put_object(Bucket="code", Key="submitted/main.py", Body=READS_WHAT_IT_SHIPS.encode())
    session = cloud.client("sts").assume_role(RoleArn=cloud.roles["bronze"], RoleSessionName="submit")["Credentials"]
    spark: dict[str, Any] = {"entryPoint": "s3://code/submitted/main.py", "sparkSubmitParameters": SHIPPED}
    done = run_with_spark_submit(
        {"jobDriver": {"sparkSubmit": spark}},
        credentials={
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        },
        endpoint_url=cloud.endpoint_url,
        region=REGION,
        jars=ROOT / "build" / "jars",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {**EXPECTED, "rich": False}


def test_a_failed_job_says_why_and_leaves_its_log_in_s3(cloud: Cloud) -> None:
    monitoring = {"s3MonitoringConfiguration": {"logUri": "s3://lake/logs/"}}
    job_run_id = cloud.submit(
        "raise ValueError('orders: total_price is negative')",
        configurationOverrides={"monitoringConfiguration": monitoring},
    )
    ended = cloud.wait(job_run_id)
    assert ended["state"] == "FAILED"
    assert "ExitCode: 1" in ended["stateDetails"]
    assert ended["stateDetails"].endswith("ValueError: orders: total_price is negative")
    key = f"logs/applications/{cloud.application}/jobs/{job_run_id}/SPARK_DRIVER/stderr.gz"
    stored = cloud.client("s3").get_object(Bucket="lake", Key=key)["Body"].read()
    assert b"ValueError: orders" in gzip.decompress(stored)


@pytest.mark.parametrize(
    ("role", "entry", "said"),
    [
        pytest.param(f"arn:aws:iam::{ACCOUNT}:role/nobody", None, "Could not assume runtime role", id="no-role"),
        pytest.param("lambda-only", None, "Could not assume runtime role", id="role-of-another-service"),
        pytest.param("bronze", "s3://code/nothing.py", "s3://code/nothing.py: 404", id="no-code"),
        pytest.param("bronze", "s3://lake/gold/main.py", "s3://lake/gold/main.py: 403", id="forbidden-code"),
    ],
)
def test_what_cannot_start_fails_with_its_reason(cloud: Cloud, role: str, entry: str | None, said: str) -> None:
    if role == "lambda-only":
        made = cloud.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
        cloud.roles[role] = made["Role"]["Arn"]
    cloud.client("s3").put_object(Bucket="lake", Key="gold/main.py", Body=b"")
    emr = cloud.client("emr-serverless")
    job_run_id = emr.start_job_run(
        applicationId=cloud.application,
        executionRoleArn=cloud.roles.get(role, role),
        jobDriver={"sparkSubmit": {"entryPoint": entry or "s3://code/main.py"}},
    )["jobRunId"]
    ended = cloud.wait(job_run_id)
    assert (ended["state"], said in ended["stateDetails"]) == ("FAILED", True), ended["stateDetails"]


def test_iam_asks_for_the_application_and_for_the_role_that_is_passed(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="launcher")
    key = iam.create_access_key(UserName="launcher")["AccessKey"]
    emr = cloud.client("emr-serverless", key["AccessKeyId"], key["SecretAccessKey"])
    arn = cloud.client("emr-serverless").get_application(applicationId=cloud.application)["application"]["arn"]
    job = {"applicationId": cloud.application, "jobDriver": {"sparkSubmit": {"entryPoint": "s3://code/none.py"}}}

    def start(role: str) -> str:
        try:
            return str(emr.start_job_run(executionRoleArn=cloud.roles[role], **job)["jobRunId"])
        except ClientError as error:
            return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"

    def grant(*statements: tuple[list[str], list[str]]) -> None:
        iam.put_user_policy(UserName="launcher", PolicyName="emr", PolicyDocument=allow(*statements))

    assert "emr-serverless:StartJobRun" in start("bronze")
    grant((["emr-serverless:StartJobRun"], [arn]))
    assert "iam:PassRole on resource: " + cloud.roles["bronze"] in start("bronze")
    grant((["emr-serverless:StartJobRun"], [arn]), (["iam:PassRole"], [cloud.roles["bronze"]]))
    job_run_id = start("bronze")
    assert cloud.wait(job_run_id)["createdBy"] == f"arn:aws:iam::{ACCOUNT}:user/launcher"
    assert "iam:PassRole" in start("gold")
    with pytest.raises(ClientError, match="emr-serverless:GetJobRun"):
        emr.get_job_run(applicationId=cloud.application, jobRunId=job_run_id)
    grant((["emr-serverless:GetJobRun"], [f"{arn}/jobruns/*"]))
    assert emr.get_job_run(applicationId=cloud.application, jobRunId=job_run_id)["jobRun"]["state"] == "FAILED"


def test_a_cancelled_job_run_frees_spark(cloud: Cloud) -> None:
    endless, queued = cloud.submit(ENDLESS), cloud.submit("print(1)")
    cloud.driver_of(endless)
    cloud.client("emr-serverless").cancel_job_run(applicationId=cloud.application, jobRunId=endless)
    assert cloud.wait(endless, "CANCELLED")["stateDetails"] == "Job run cancelled by user"
    assert cloud.wait(queued)["state"] == "SUCCESS"


def test_a_killed_driver_fails_its_job_run_and_spark_lives_on(cloud: Cloud) -> None:
    job_run_id = cloud.submit(ENDLESS)
    driver, jvm = cloud.driver_of(job_run_id), cloud.pid("spark.pid")
    os.kill(driver, signal.SIGKILL)
    ended = cloud.wait(job_run_id)
    assert ended["state"] == "FAILED"
    assert ended["stateDetails"] == "Job failed: its driver was killed by SIGKILL. Start the job again."
    assert cloud.run(SESSION + "print(spark.range(4).count())") == 4
    assert cloud.pid("spark.pid") == jvm
    assert Path(f"/proc/{jvm}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process has mapped")
def test_spark_starts_from_the_class_archive(cloud: Cloud) -> None:
    assert cloud.run(SESSION + "print(spark.range(3).count())") == 3
    archive = class_archive(ROOT / "build" / "jars")
    assert str(archive) in Path(f"/proc/{cloud.pid('spark.pid')}/maps").read_text(encoding="utf-8"), (
        "the archive is not there or does not fit the JVM: `python -m local.emr.class_archive build/jars` says why"
    )


def test_a_killed_jvm_fails_its_job_run_and_is_started_again(cloud: Cloud) -> None:
    job_run_id, queued = cloud.submit(ENDLESS), cloud.submit(SESSION + "print(spark.range(5).count())")
    cloud.driver_of(job_run_id)
    os.kill(cloud.pid("spark.pid"), signal.SIGKILL)
    ended = cloud.wait(job_run_id)
    assert ended["state"] == "FAILED"
    assert ended["stateDetails"] == (
        "Job failed: Spark's JVM ended with SIGKILL while it ran. Spark is started again; start the job again."
    )
    assert cloud.wait(queued)["state"] == "SUCCESS"
    assert cloud.log(queued, "stdout") == "5\n"


def test_nothing_outlives_a_killed_cloud(cloud: Cloud) -> None:
    job_run_id = cloud.submit(ENDLESS)
    cloud.driver_of(job_run_id)
    others = [pid for pid in cloud.children() if pid != cloud.process.pid]
    assert len(others) >= 3  # the JVM, the driver, the driver started ahead
    cloud.process.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others), "the end of its processes", seconds=20)
