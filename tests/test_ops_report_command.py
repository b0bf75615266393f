"""`assay report` against the embedded AWS: a real execution, real objects and Delta tables in a bucket."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import report_world as world
from lambdas_world import create_ledger
from report_world import CANARY, DATE, RUN
from typer.testing import CliRunner

from local.home import ACCOUNT, REGION, SECRET_ACCESS_KEY
from local.processes import free_port
from ops import main
from ops.platform import Access, Platform

ROOT = Path(__file__).parent.parent
SERVE = """
import sys
from pathlib import Path
from ministack import app
import local.emr, local.stepfunctions
endpoint_url, state = sys.argv[1:]
local.stepfunctions.install(endpoint_url)
local.emr.install(endpoint_url=endpoint_url, jars=Path(state), state_dir=Path(state))  # its API; no job is run
sys.argv = ["ministack"]
app.main()
"""
LAKE = "lake"
OPENED = {"Type": "Pass", "Output": {"run_id": RUN}, "Next": "IngestSource"}
FAILED = {"Type": "Fail", "Error": "ContractViolationError", "Cause": f"{CANARY} is not a number"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """A stage whose one execution opened the run of `report_world` and failed."""
    folder, port = tmp_path_factory.mktemp("cloud"), free_port()
    endpoint_url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "AUTH": "false", "IOT_MTLS_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT, "MINISTACK_REGION": REGION, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", SERVE, endpoint_url, str(folder)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        serves(port, process, folder / "log")
        yield filled(endpoint_url)
    finally:
        process.terminate()
        process.wait(20)


def serves(port, process, log):
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def filled(endpoint_url):
    keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": SECRET_ACCESS_KEY}
    access = Access(region=REGION, endpoint_url=endpoint_url, credentials=keys)
    access.s3.create_bucket(Bucket=LAKE, CreateBucketConfiguration={"LocationConstraint": REGION})
    for key, receipt in world.receipts().items():
        access.s3.put_object(Bucket=LAKE, Key=key, Body=json.dumps(receipt).encode())
        request = json.dumps({"run_id": RUN, "data_date": DATE}).encode()
        access.s3.put_object(Bucket=LAKE, Key=key.replace("runs/", "requests/"), Body=request)
    access.s3.put_object(Bucket=LAKE, Key=f"runs/{RUN}/run.json", Body=b"{}")
    access.s3.put_object(Bucket=LAKE, Key=f"runs/{RUN}/check_gold/all/3.json", Body=b"{cut")
    options = {"AWS_ENDPOINT_URL": endpoint_url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": REGION}
    world.fill(f"s3://{LAKE}", storage_options=options | {name.upper(): value for name, value in keys.items()})
    create_ledger(access.dynamodb, "ledger")
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "OpenRun",
        "States": {"OpenRun": OPENED, "IngestSource": FAILED},
    }
    machine = access.states.create_state_machine(
        name="daily", definition=json.dumps(definition), roleArn=f"arn:aws:iam::{ACCOUNT}:role/any"
    )["stateMachineArn"]
    application = access.emr.create_application(name="assay", releaseLabel="emr-spark-8.1.0", type="SPARK")
    execution = access.states.start_execution(stateMachineArn=machine, name="day")["executionArn"]
    while access.states.describe_execution(executionArn=execution)["status"] == "RUNNING":
        time.sleep(0.05)
    return Platform(
        stage="local", access=access, lake_bucket=LAKE, code_bucket="code", ledger_table="ledger",
        application_id=application["applicationId"], state_machines={"daily_batch": machine},
    )  # fmt: skip


@pytest.fixture
def assay(platform, monkeypatch, tmp_path):
    """Calls the command in an empty folder: exit code, standard output, the sentence of an error."""
    monkeypatch.setattr(main, "platform", lambda _: platform)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(main.app, ["report", *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return 1, result.stdout, f"{type(result.exception).__name__}: {result.exception}"
        return result.exit_code, result.stdout, ""

    return call


@pytest.mark.parametrize("wanted", ["last", "day", RUN])
def test_a_run_s_report_is_one_file_whose_path_is_printed(assay, tmp_path, wanted):
    assert assay(wanted) == (0, f"build/reports/{RUN}.html\n", "")
    page = (tmp_path / "build" / "reports" / f"{RUN}.html").read_text(encoding="utf-8")
    for words in (
        f"<h1>{DATE} ",
        "FAILED</span>",
        "IngestSource: <code>ContractViolationError</code>",
        "runbooks/ContractViolation.md",
        "26 rows",
        "30 runs, 2026-07-01 to 2026-07-30",
        f"runs/{RUN}/check_gold/all/3.json",
    ):
        assert words in page
    assert CANARY not in page


def test_a_run_whose_execution_is_forgotten_still_has_its_report(assay, platform, tmp_path):
    forgotten = world.run_id(400)
    key, receipt = world.receipt("ingest", "fx_rates", rows={"received": 5, "accepted": 5, "quarantined": 0})
    platform.access.s3.put_object(Bucket=LAKE, Key=key.replace(RUN, forgotten), Body=json.dumps(receipt).encode())
    code, _, _ = assay(forgotten, "--out", tmp_path / "here" / "old.html")
    assert code == 0
    page = (tmp_path / "here" / "old.html").read_text(encoding="utf-8")
    assert "its execution is no longer known" in page
    assert "5 rows received, 5 accepted, 0 quarantined" in page


def test_for_programs_it_is_json_and_masked_alike(assay):
    code, said, _ = assay("last", "--json")
    found = json.loads(said)
    assert (code, found["path"], found["head"]["error"]) == (0, f"build/reports/{RUN}.html", "ContractViolationError")
    assert [gate["layer"] for gate in found["gates"]] == ["bronze", "silver", "gold"]
    assert CANARY not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["nobody"], "OpsError: no execution 'nobody': `assay runs` lists them", id="no such name"),
        pytest.param([world.run_id(7)], f"OpsError: no execution '{world.run_id(7)}': `assay runs` lists them", id="no such run"),
        pytest.param(["arn:aws:states:eu-west-1:000000000000:execution:daily:gone"], "OpsError: execution arn:aws:states:eu-west-1:000000000000:execution:daily:gone: Execution Does Not Exist", id="no such execution"),
        pytest.param(["last", "--out", "/proc/report.html"], "OpsError: --out: /proc/report.html cannot be written: ", id="no such folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_sentence(assay, arguments, sentence):
    code, said, error = assay(*arguments)
    assert (code, said) == (1, "")
    assert error.startswith(sentence)
