"""The handlers as Lambda calls them, on real events."""
# ruff: noqa: F811  # fixtures that are imported are asked for by their names

import importlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from handlers_cloud import Cloud, cloud, land, logged  # noqa: F401
from lambdas_world import BUCKET, EXECUTION, event

from contracts import contract as contracts
from contracts import releases
from contracts.errors import (
    ContractError,
    ContractViolationError,
    InvalidRequestError,
    QualityGateClosedError,
    SourceUnavailableError,
)
from lambdas import aws, runtime

HANDLERS = (
    "open_run",
    "validate_contracts",
    "launch_job",
    "job_finished",
    "hold_at_gate",
    "register_catalog",
    "emit_lineage_and_metrics",
    "close_run",
    "cancel_job_runs",
)


@pytest.mark.parametrize("name", HANDLERS)
def test_every_function_has_its_handler(name: str) -> None:
    assert callable(importlib.import_module(f"lambdas.{name}").lambda_handler)


def test_scheduled_run_is_opened_for_the_day_before(cloud: Cloud) -> None:
    payload = {"execution_arn": EXECUTION + "day1", "request": event("scheduler_input")}
    first = cloud.call("open_run", payload)
    assert (first["disposition"], first["data_date"]) == ("OPENED", "2026-07-30")
    assert cloud.call("open_run", payload) == first
    again = cloud.call("open_run", {**payload, "execution_arn": EXECUTION + "again"})
    assert (again["disposition"], again["run_id"]) == ("ALREADY_DONE", first["run_id"])


def test_landed_files_are_judged_and_odd_ones_counted(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = cloud.open()
    land("eurofxref-2026-07-30.csv", "1.1")
    land("notes.txt", "x")
    assert cloud.call("validate_contracts", {"run_id": run_id}) == {
        "sources": {"fx_rates": {"files": 1, "rows_judged": 1}}
    }
    assert '"FilesRefused":[1.0]' in capsys.readouterr().out


def test_a_contract_altered_after_its_release_stops_the_run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = cloud.open()
    pins = {**releases.pinned(), "orders_silver/1-0-0": "0" * 64}
    monkeypatch.setattr(releases, "pinned", lambda: pins)
    releases.problems_as_released.cache_clear()
    with pytest.raises(ContractError, match="orders_silver 1-0-0: was altered after its release"):
        cloud.call("validate_contracts", {"run_id": run_id})
    releases.problems_as_released.cache_clear()


def test_a_warm_function_verifies_its_contracts_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = cloud.open()
    land("eurofxref-2026-07-30.csv", "1.1")
    verified: list[str] = []
    verify = contracts.verify
    monkeypatch.setattr(contracts, "verify", lambda *name: (verified.append("/".join(name)), verify(*name)))
    releases.problems_as_released.cache_clear()
    for _ in range(2):
        cloud.call("validate_contracts", {"run_id": run_id})
    assert sorted(verified) == sorted(releases.pinned())


def test_a_working_day_without_its_file_fails_until_it_is_delivered(cloud: Cloud) -> None:
    run_id = cloud.open()
    land("eurofxref-2026-07-29.csv", "1.1")
    for _ in range(2):
        with pytest.raises(ContractViolationError) as caught:
            cloud.call("validate_contracts", {"run_id": run_id})
        assert (caught.value.dataset, caught.value.rule) == ("fx_rates_bronze", "expected_file")
        assert caught.value.detail == (
            "no file came for 2026-07-30 (Thursday): landing/fx/eurofxref-2026-07-30.csv is missing."
            " Have the vendor deliver it under landing/fx/, then redrive the execution."
        )
    land("eurofxref-2026-07-30.csv", "1.1")
    assert cloud.call("validate_contracts", {"run_id": run_id})["sources"]["fx_rates"]["files"] == 2


def test_a_weekend_needs_no_file_and_takes_one_without_rows(cloud: Cloud) -> None:
    payload = {"execution_arn": EXECUTION + "saturday", "request": {"data_date": "2026-08-01"}}
    run_id = cloud.call("open_run", payload)["run_id"]
    nothing = {"sources": {"fx_rates": {"files": 0, "rows_judged": 0}}}
    assert cloud.call("validate_contracts", {"run_id": run_id}) == nothing
    header = ",".join(field.name for field in contracts.of_source("fx_rates").fields) + "\n"
    aws.s3().put_object(Bucket=BUCKET, Key="landing/fx/eurofxref-2026-08-01.csv", Body=header)
    taken = cloud.call("validate_contracts", {"run_id": run_id})
    assert taken == {"sources": {"fx_rates": {"files": 1, "rows_judged": 0}}}
    aws.s3().put_object(Bucket=BUCKET, Key="landing/fx/eurofxref-2026-07-31.csv", Body=header)
    with pytest.raises(ContractViolationError, match=r"2026-07-31\.csv: 0 rows after the header, the contract wants 1"):
        cloud.call("validate_contracts", {"run_id": run_id})


def test_a_file_that_an_earlier_run_took_counts_for_its_day(cloud: Cloud) -> None:
    first = cloud.open()
    land("eurofxref-2026-07-30.csv", "1.1")
    land("eurofxref-2026-07-31.csv", "1.1")
    assert cloud.call("validate_contracts", {"run_id": first})["sources"]["fx_rates"]["files"] == 2
    payload = {"execution_arn": EXECUTION + "friday", "request": {"data_date": "2026-07-31"}}
    friday = cloud.call("open_run", payload)["run_id"]
    assert cloud.call("validate_contracts", {"run_id": friday})["sources"]["fx_rates"]["files"] == 0


def test_a_stage_runs_its_own_sources_only(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES", '["snowflake_orders"]')
    payload = {"execution_arn": EXECUTION + "day1", "request": event("scheduler_input")}
    opened = cloud.call("open_run", payload)
    assert opened["sources"] == ["snowflake_orders"]
    land("eurofxref-2026-07-30.csv", "not a rate")
    assert cloud.call("validate_contracts", {"run_id": opened["run_id"]}) == {"sources": {}}
    monkeypatch.setenv("SOURCES", '{"fx_rates": 1}')
    with pytest.raises(InvalidRequestError, match="SOURCES is not a JSON array of strings"):
        cloud.call("open_run", payload)


ODD_NAMES = {
    "space": "eurofxref-2026-07 30.csv",
    "plus": "eurofxref-2026+07+30.csv",
    "unicode": "eurofxref-\u00fc\U0001f600.csv",
    "decomposed": "eurofxref-u\u0308.csv",
    "encoded-slash": "eurofxref-%2F.csv",
    "encoded-dots": "eurofxref-%2e%2e.csv",
    "parent": "../fx/eurofxref-1.csv",
    "folder": "2026/eurofxref-1.csv",
    "hidden": "_eurofxref-1.csv",
    "star": "eurofxref-*.csv",
    "quote": "eurofxref-'; DROP TABLE rates; --.csv",
    "line-feed": "eurofxref-1\n.csv",
    "long": "eurofxref-" + "x" * 1000 + ".txt",
    "markup": "eurofxref-<script>.csv",
}


def test_odd_keys_are_listed_as_they_are_refused_and_counted(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = cloud.open()
    land("eurofxref-2026-07-30.csv", "1.1")
    for name in ODD_NAMES.values():
        land(name, "not a rate")
    answer = cloud.call("validate_contracts", {"run_id": run_id})
    assert answer["sources"]["fx_rates"] == {"files": 1, "rows_judged": 1}
    assert f'"FilesRefused":[{len(ODD_NAMES)}.0]' in capsys.readouterr().out
    assert list(runtime.ledger().arrivals("fx_rates")) == ["landing/fx/eurofxref-2026-07-30.csv"]


def test_job_run_is_started_in_the_application_with_what_the_stage_wants(cloud: Cloud) -> None:
    run_id = cloud.open()
    land("eurofxref-2026-07-30.csv", "1.1")
    assert cloud.launch(run_id, "ingest", "fx_rates") == {"action": "START"}
    (job,) = cloud.job_runs()
    assert job.name == f"{run_id}:ingest:fx_rates:0:1"
    parameters = job.job_driver["sparkSubmit"]["sparkSubmitParameters"]
    assert parameters.startswith(
        "--py-files s3://assay-test-code/spark/1/code.zip --archives s3://assay-test-code/spark/deps-1.tar.gz#deps "
        "--conf spark.emr-serverless.driverEnv.PYTHONPATH=./deps --conf spark.executorEnv.PYTHONPATH=./deps "
        "--conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension "
    )
    assert parameters.endswith("--conf 'spark.driver.extraJavaOptions=-Da=1 -Db=2'")


def test_event_of_an_ended_job_run_settles_its_step(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "TaskTimedOut"}}, "SendTaskSuccess")

    monkeypatch.setattr(aws.stepfunctions(), "send_task_success", refuse)
    run_id = cloud.open()
    cloud.launch(run_id, "check_bronze")
    (job,) = cloud.job_runs()
    job.state = "SUCCESS"
    cloud.receipt(run_id, "check_bronze", verdict="PASS")
    changed = event("emr_job_run_state_change", jobRunId=job.id, applicationId=cloud.application_id)
    assert cloud.call("job_finished", changed) == {"action": "ANSWERED"}
    step = runtime.ledger().step(run_id, "check_bronze", "all")
    assert step is not None
    assert (step.status, step.job_run_id) == ("SUCCEEDED", job.id)
    assert "LateAnswers" in capsys.readouterr().out


def hold(cloud: Cloud, run_id: str, redrive_count: int, measured_at: int, round_: int = 0) -> dict[str, Any]:
    check = {
        "verdict": "FAIL",
        "verdict_redrive_count": measured_at,
        "receipt": f"runs/{run_id}/check_silver/all/1.json",
    }
    return cloud.call(
        "hold_at_gate",
        {"run_id": run_id, "layer": "silver", "round": round_, "redrive_count": redrive_count, "check": check},
    )


def test_closed_gate_names_what_failed_and_tells_people_once(cloud: Cloud) -> None:
    run_id = cloud.open()
    failed = {
        "dataset": "fx_rates_silver", "expectation": "expect_column_values_to_be_between", "column": "rate",
        "severity": "error", "observed": 10.8, "expected": "0.5 to 2.0", "success": False,
    }  # fmt: skip
    cloud.receipt(run_id, "check_silver", verdict="FAIL", results=[failed])
    for _ in range(2):
        with pytest.raises(
            QualityGateClosedError, match=r"SilverGate is closed .* observed 10\.8, expected 0\.5 to 2\.0"
        ):
            hold(cloud, run_id, redrive_count=0, measured_at=0)
    (notice,) = cloud.notices()
    assert (notice["kind"], notice["gate"], notice["run_id"]) == ("QualityGateClosed", "SilverGate", run_id)
    assert "observed 10.8" in notice["cause"]


def test_redriven_gate_opens_one_round_and_only_one(cloud: Cloud) -> None:
    run_id = cloud.open()
    with pytest.raises(QualityGateClosedError):
        hold(cloud, run_id, redrive_count=0, measured_at=0)
    assert hold(cloud, run_id, redrive_count=1, measured_at=0) == {"round": 1}
    assert hold(cloud, run_id, redrive_count=1, measured_at=0) == {"round": 1}
    with pytest.raises(QualityGateClosedError):
        hold(cloud, run_id, redrive_count=1, measured_at=1, round_=1)
    with pytest.raises(QualityGateClosedError):  # a check without its count must not send the run round for ever
        hold(cloud, run_id, redrive_count=1, measured_at=0, round_=1)
    assert hold(cloud, run_id, redrive_count=2, measured_at=1, round_=1) == {"round": 2}


def publish(cloud: Cloud, run_id: str) -> list[str]:
    table = {"table": "gold/fct_daily_revenue", "version_after": 3, "rows": 2, "path": "gold/fct_daily_revenue"}
    return [cloud.receipt(run_id, "publish_gold", tables=[table])]


def test_published_table_is_registered_as_athena_and_trino_read_delta(cloud: Cloud) -> None:
    run_id = cloud.open()
    payload = {"run_id": run_id, "receipts": publish(cloud, run_id)}
    registered = ["gold/fct_daily_revenue", "quality/results"]
    assert cloud.call("register_catalog", payload) == {"tables": registered, "changed": 2}
    assert cloud.call("register_catalog", payload) == {"tables": registered, "changed": 0}
    table = cloud.glue.tables["assay_test_gold", "fct_daily_revenue"]
    assert table["Parameters"]["table_type"] == "DELTA"
    assert table["Parameters"]["spark.sql.sources.provider"] == "delta"
    storage = table["StorageDescriptor"]
    assert (
        storage["Location"]
        == storage["SerdeInfo"]["Parameters"]["path"]
        == "s3://assay-test-lake/gold/fct_daily_revenue"
    )
    assert [(column["Name"], column["Type"]) for column in storage["Columns"]] == [
        ("revenue_date", "date"),
        ("currency", "string"),
        ("orders", "bigint"),
        ("revenue", "decimal(18,2)"),
        ("rate", "decimal(18,8)"),
        ("rate_date", "date"),
        ("revenue_eur", "decimal(18,2)"),
        ("_run_id", "string"),
    ]


def test_audit_of_the_checks_is_registered_in_its_own_database(cloud: Cloud) -> None:
    run_id = cloud.open()
    cloud.call("register_catalog", {"run_id": run_id, "receipts": publish(cloud, run_id)})
    storage = cloud.glue.tables["assay_test_quality", "results"]["StorageDescriptor"]
    assert storage["Location"] == "s3://assay-test-lake/quality/results"
    assert [(column["Name"], column["Type"]) for column in storage["Columns"]] == [
        ("run_id", "string"),
        ("data_date", "date"),
        ("step", "string"),
        ("round", "int"),
        ("attempt", "int"),
        ("dataset", "string"),
        ("version", "string"),
        ("expectation", "string"),
        ("column", "string"),
        ("severity", "string"),
        ("success", "boolean"),
        ("waived", "boolean"),
        ("verdict", "string"),
        ("observed", "string"),
        ("expected", "string"),
        ("measured_at", "timestamp"),
    ]


def test_changed_table_definition_is_put_right(cloud: Cloud) -> None:
    run_id = cloud.open()
    key = ("assay_test_gold", "fct_daily_revenue")
    cloud.glue.tables[key] = {"Name": "fct_daily_revenue", "Parameters": {"table_type": "HIVE"}}
    assert cloud.call("register_catalog", {"run_id": run_id, "receipts": publish(cloud, run_id)})["changed"] == 2
    assert cloud.glue.tables[key]["Parameters"]["table_type"] == "DELTA"


def test_run_is_closed_once_and_says_what_it_wrote(cloud: Cloud) -> None:
    run_id = cloud.open()
    payload = {"run_id": run_id, "receipts": publish(cloud, run_id)}
    answer = cloud.call("close_run", payload)
    assert answer["status"] == "SUCCEEDED"
    assert answer["rows"] == {"gold/fct_daily_revenue": 2}
    assert answer["summary"] == f"runs/{run_id}/run.json"
    assert cloud.call("close_run", payload) == answer
    again = {"execution_arn": EXECUTION + "again", "request": {"data_date": "2026-07-30"}}
    assert cloud.call("open_run", again)["run_status"] == "SUCCEEDED"


def test_lineage_and_metrics_come_out(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = cloud.open()
    answer = cloud.call("emit_lineage_and_metrics", {"run_id": run_id, "receipts": publish(cloud, run_id)})
    assert answer == {"lineage": f"lineage/{run_id}.ndjson", "events": 2}
    lines = aws.s3().get_object(Bucket=BUCKET, Key=answer["lineage"])["Body"].read().decode().splitlines()
    assert len(lines) == 2
    emitted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    (rows,) = [each for each in emitted if "RowsOut" in each]
    assert (rows["RowsOut"], rows["table"], rows["stage"]) == ([2.0], "gold/fct_daily_revenue", "test")
    assert rows["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Assay"


def test_execution_that_is_not_ours_cancels_nothing(cloud: Cloud) -> None:
    assert cloud.call("cancel_job_runs", event("execution_status_change")) == {"cancelled": []}


def test_stopped_execution_cancels_its_job_runs(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = cloud.open()
    cloud.launch(run_id, "check_bronze")
    cloud.job_runs()[0].state = "RUNNING"
    described = {"status": "ABORTED", "redriveCount": 0}
    monkeypatch.setattr(aws.stepfunctions(), "describe_execution", lambda **_: described)
    assert cloud.call("cancel_job_runs", event("execution_status_change")) == {"cancelled": ["check_bronze/all"]}
    described["redriveCount"] = 1
    assert cloud.call("cancel_job_runs", event("execution_status_change")) == {"cancelled": []}


@pytest.mark.parametrize(
    ("function", "payload", "words"),
    [
        pytest.param("open_run", {"request": {}}, "execution_arn", id="no-execution"),
        pytest.param("validate_contracts", {"run_id": "nobody"}, "not in the ledger", id="unknown-run"),
        pytest.param(
            "launch_job", {"run_id": "../x", "step": "ingest", "subject": "fx_rates"}, "run_id", id="odd-run-id"
        ),
        pytest.param(
            "hold_at_gate", {"run_id": "nobody", "layer": "silver"}, "not in the ledger", id="hold-unknown-run"
        ),
        pytest.param("close_run", {"run_id": "nobody", "receipts": "x"}, "receipts", id="receipts-not-a-list"),
        pytest.param("job_finished", {"detail": {}}, "jobRunId", id="event-without-job-run"),
    ],
)
def test_bad_event_is_refused_by_what_is_missing(
    cloud: Cloud, function: str, payload: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        cloud.call(function, payload)


def test_missing_variable_is_named(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = cloud.open()
    monkeypatch.delenv("JOB_ROLES")
    monkeypatch.setenv("JOB_TIMEOUT_MINUTES", "an hour")
    with pytest.raises(InvalidRequestError, match="JOB_ROLES is not set; JOB_TIMEOUT_MINUTES invalid literal"):
        cloud.launch(run_id, "check_bronze")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"), SourceUnavailableError, id="load"
        ),
        pytest.param(ReadTimeoutError(endpoint_url="x"), SourceUnavailableError, id="no-answer"),
        pytest.param(ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutItem"), ClientError, id="denied"),
    ],
)
def test_only_what_may_pass_is_left_to_the_states_to_retry(error: Exception, expected: type[Exception]) -> None:
    @runtime.handler
    def work(event: Any) -> dict[str, Any]:
        raise error

    with pytest.raises(expected):
        work({}, object())


def test_log_lines_carry_the_run_and_no_value_that_is_not_allowed(logged: io.StringIO) -> None:
    @runtime.handler
    def work(event: Any) -> dict[str, Any]:
        runtime.log(
            "looked", step="ingest", token=event["token"], password="canary-secret", row={"clerk": "canary-name"}
        )
        return {}

    work({"run_id": "r1", "token": "canary-token"}, object())
    line = json.loads(logged.getvalue())
    assert (line["run_id"], line["step"], line["message"]) == ("r1", "ingest", "looked")
    assert line["location"].startswith("work:")
    assert "canary" not in logged.getvalue()


def test_no_token_or_value_of_a_row_is_in_the_log_of_a_day(
    cloud: Cloud, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    run_id = cloud.open()
    land("eurofxref-2026-07-30.csv", "98.7654")
    cloud.call("validate_contracts", {"run_id": run_id})
    cloud.launch(run_id, "ingest", "fx_rates", token="canary-token")
    printed = capfd.readouterr()
    everything = logged.getvalue() + printed.out + printed.err
    assert "job run started" in everything
    assert "canary-token" not in everything
    assert "98.7654" not in everything


def test_handlers_are_thin() -> None:
    folder = Path(__file__).parent.parent / "lambdas"
    long = {path.name: len(path.read_text().splitlines()) for path in folder.glob("*.py")}
    assert {name: lines for name, lines in long.items() if lines >= 400} == {}
