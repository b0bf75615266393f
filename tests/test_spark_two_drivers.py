"""Two Spark drivers append to one Delta table on S3: under the lease no acknowledged commit is lost."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import boto3
import pytest
from lambdas_world import create_ledger

from local.home import ACCOUNT, REGION, ROOT, SECRET_ACCESS_KEY
from local.processes import free_port

pytestmark = pytest.mark.slow
TABLE = "bronze/fx_rates"
COMMITS = 25
PAIRS = 200


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """The embedded AWS in a process of its own; the environment that leads to it."""
    folder, port = tmp_path_factory.mktemp("aws"), free_port()
    environment = os.environ | {"IOT_MTLS_ENABLED": "0", "MINISTACK_ACCOUNT_ID": ACCOUNT, "MINISTACK_REGION": REGION}
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "local.stepfunctions", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health"):
                break
            time.sleep(0.1)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        }  # fmt: skip
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def lake(aws):
    """A bucket and a ledger of the test's own."""
    name = f"lake-{uuid.uuid4()}"
    client("s3", aws).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    create_ledger(client("dynamodb", aws), name)
    return name


class Driver:
    """A driver process and what it says, line by line."""

    def __init__(self, name, aws, lake, scratch, *options, commits=COMMITS):
        script = Path(__file__).with_name("two_drivers.py")
        environment = os.environ | aws | {"PYTHONPATH": f"{script.parent}{os.pathsep}{ROOT}"}
        command = [sys.executable, str(script), name, str(commits), lake, lake, str(scratch), *options]
        self.name, self.said = name, []
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(line.strip())

    def wait_for(self, lines, seconds=300):
        deadline = time.monotonic() + seconds
        while len(self.said) < lines:
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None or len(self.said) >= lines, self.said
            time.sleep(0.02)

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def numbers(self, word):
        return {(self.name, int(line.split()[1])) for line in self.said if line.startswith(word)}


@contextlib.contextmanager
def two(aws, lake, tmp_path, *options, commits=COMMITS):
    """Two drivers that set off at the same moment."""
    drivers = [Driver(name, aws, lake, tmp_path / name, *options, commits=commits) for name in ("0001", "0002")]
    try:
        for driver in drivers:
            driver.wait_for(1)
        for driver in drivers:
            driver.go()
        yield drivers
    finally:
        for driver in drivers:
            driver.kill()


def test_under_the_lease_all_fifty_commits_stand(aws, lake, tmp_path):
    with two(aws, lake, tmp_path, "--lease") as drivers:
        for driver in drivers:
            driver.wait_for(1 + COMMITS)
            driver.process.wait(60)
    acknowledged = set.union(*(driver.numbers("acknowledged") for driver in drivers))
    assert len(acknowledged) == 2 * COMMITS
    assert committed(aws, lake) == acknowledged
    assert lease(aws, lake)["held"] is False


def test_without_it_the_drivers_overwrite_each_other(aws, lake, tmp_path):
    """The store lets both write the same version: the test above proves something."""
    with two(aws, lake, tmp_path, "--in-step", commits=PAIRS) as drivers:
        for number in range(1, PAIRS + 1):
            for driver in drivers:
                driver.wait_for(1 + number)
            if len(log(aws, lake)) < 1 + 2 * number:
                break
            for driver in drivers:
                driver.go()
    told = set.union(*(driver.numbers("acknowledged") | driver.numbers("reported") for driver in drivers))
    assert len(told) == 2 * number
    assert committed(aws, lake) < told
    print(f"pair {number} was the first of which a commit was overwritten")


def test_a_killed_holder_passes_the_lease_on_and_nothing_of_it_is_lost(aws, lake, tmp_path):
    with two(aws, lake, tmp_path, "--lease") as drivers:
        killed, other = drivers
        killed.wait_for(8)
        killed.kill()
        other.wait_for(1 + COMMITS)
    acknowledged = set.union(*(driver.numbers("acknowledged") for driver in drivers))
    missing = acknowledged - committed(aws, lake)
    assert not missing
    # a commit that the killed driver made and could not tell of is there too; its next attempt finds its transaction
    assert len(committed(aws, lake) - acknowledged) <= 1


def client(service, aws):
    return boto3.client(service, endpoint_url=aws["AWS_ENDPOINT_URL"], region_name=REGION, aws_access_key_id=ACCOUNT,
                        aws_secret_access_key=SECRET_ACCESS_KEY)  # fmt: skip


def committed(aws, lake):
    """The commits that the table's log holds, by driver and number."""
    s3, found = client("s3", aws), set()
    for key in log(aws, lake):
        content = s3.get_object(Bucket=lake, Key=key)["Body"].read()
        for line in content.splitlines():
            if "txn" in (action := json.loads(line)):
                _, run_id, _, _, number = action["txn"]["appId"].split(":")
                found.add((run_id.rsplit("-", 1)[1], int(number)))
    return {(driver, number) for driver, number in found if number}  # the commit that made the table is nobody's turn


def log(aws, lake):
    """The keys of the table's commits."""
    pages = client("s3", aws).get_paginator("list_objects_v2").paginate(Bucket=lake, Prefix=f"{TABLE}/_delta_log/")
    return [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".json")]


def lease(aws, lake):
    table = boto3.resource("dynamodb", endpoint_url=aws["AWS_ENDPOINT_URL"], region_name=REGION,
                           aws_access_key_id=ACCOUNT, aws_secret_access_key=SECRET_ACCESS_KEY).Table(lake)  # fmt: skip
    return table.get_item(Key={"pk": f"lease#{TABLE}", "sk": "lease"})["Item"]
