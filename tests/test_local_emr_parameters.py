from __future__ import annotations

from typing import Any

import pytest

from local.emr.parameters import SparkSubmit, SubmitParametersError, read_spark_submit


def read(parameters: str, *defaults: dict[str, Any]) -> SparkSubmit:
    job_driver = {
        "sparkSubmit": {
            "entryPoint": "s3://code/main.py",
            "entryPointArguments": ["--request", "s3://lake/request.json"],
            "sparkSubmitParameters": parameters,
        }
    }
    return read_spark_submit(job_driver, defaults)


def test_code_settings_and_environments_are_told_apart() -> None:
    submit = read(
        "--py-files s3://code/code.zip,s3://code/more.zip --archives s3://code/deps.tar.gz#deps "
        "--conf spark.emr-serverless.driverEnv.PYTHONPATH=./deps --conf spark.executorEnv.PYTHONPATH=./deps "
        "--conf spark.hadoop.fs.s3a.paging.maximum=10 --conf spark.sql.shuffle.partitions=3 --executor-memory 4g"
    )
    assert submit.entry_point == "s3://code/main.py"
    assert submit.arguments == ("--request", "s3://lake/request.json")
    assert submit.py_files == ("s3://code/code.zip", "s3://code/more.zip")
    assert submit.archives == (("s3://code/deps.tar.gz", "deps"),)
    assert submit.driver_env == {"PYTHONPATH": "./deps"}
    assert submit.worker_env == {"PYTHONPATH": "./deps"}
    assert submit.hadoop_conf == {"fs.s3a.paging.maximum": "10"}
    assert submit.conf == {"spark.sql.shuffle.partitions": "3", "spark.executor.memory": "4g"}


def test_an_archive_without_a_name_keeps_its_own() -> None:
    assert read("--archives s3://code/deps.tar.gz").archives == (("s3://code/deps.tar.gz", "deps.tar.gz"),)


def test_quoted_settings_keep_their_spaces() -> None:
    assert read("--conf 'spark.app.name=a b' --conf=spark.x=1=2").conf == {"spark.app.name": "a b", "spark.x": "1=2"}


def test_parameters_win_over_spark_defaults() -> None:
    defaults = {"classification": "spark-defaults", "properties": {"spark.x": "default", "spark.y": "default"}}
    logging = {"classification": "spark-driver-log4j2", "properties": {"rootLogger.level": "debug"}}
    assert read("--conf spark.x=own", defaults, logging).conf == {"spark.x": "own", "spark.y": "default"}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        pytest.param("--class Main", "--class is not supported", id="scala-job"),
        pytest.param("--packages a:b:1", "--packages is not supported", id="packages"),
        pytest.param("--turbo on", "--turbo is no option", id="unknown-option"),
        pytest.param("--conf spark.x", "is not name=value", id="setting-without-value"),
    ],
)
def test_what_cannot_run_is_refused_by_name(parameters: str, named: str) -> None:
    with pytest.raises(SubmitParametersError, match=named):
        read(parameters)
