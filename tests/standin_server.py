"""A source's stand-in as a server of its own, for the tests of its reader: a test file names the module `standin`."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws
from spark_session import spark  # noqa: F401

from local.home import ROOT
from local.processes import free_port, wait_for_port
from spark_jobs.lake import Lake
from spark_jobs.sources.rest import told_by_a_task

TPCH = ROOT / "build" / "tpch"


@contextmanager
def server(standin):
    """A server of a stand-in: its port and its process."""
    port = free_port()
    command = [sys.executable, "-m", standin.__name__, "--port", str(port), "--tpch", str(TPCH)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        assert wait_for_port(port, 120)
        yield port, process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def port(request):
    """The port of the stand-in."""
    with server(request.module.standin) as (port, _):
        yield port


@pytest.fixture
def secret_arn(request, port, monkeypatch):
    """The ARN of a secret that lets in."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("secretsmanager")
        yield client.create_secret(Name="source", SecretString=json.dumps(request.module.standin.secret(port)))["ARN"]


@pytest.fixture
def fault(port):
    """Switches a fault on for some requests; all are off when the test is over."""
    names = []

    def switch(name, times):
        names.append(name)
        answered(port, "/faults", json.dumps({"name": name, "times": times}).encode())

    yield switch
    for name in set(names):
        switch(name, 0)


@pytest.fixture
def lake(spark):  # noqa: F811
    """A lake for a reader, which writes nothing."""
    return Lake(spark, store=None, request=None)


def rows_of(reader, on_part=lambda: None):
    """What a reader's tasks read, in this process instead of in Spark's workers; `on_part` comes before each."""
    rows = []
    for partition in reader.partitions():
        on_part()
        try:
            rows += [row for batch in reader.read(partition) for row in batch.to_pylist()]
        except RuntimeError as error:
            raise told_by_a_task(error) or error from None
    return rows


def with_secret(read_part, secret):
    """`read_part` for Spark's workers, processes without this one's Secrets Manager: the secret travels with it."""

    def read(wanted, part):
        from spark_jobs.sources import credentials

        credentials._current = lambda _: secret
        return read_part(wanted, part)

    return read


def answered(port, path, data=None, token=""):
    """The body of a stand-in's answer, an error's too."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def shape(value):
    """Names, and lists by their first element; texts and nulls are alike."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return "text" if value is None or isinstance(value, str) else type(value).__name__
