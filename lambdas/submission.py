"""What StartJobRun is asked for."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lambdas.names import JobName
from lambdas.settings import LaunchSettings

if TYPE_CHECKING:
    from types_boto3_emr_serverless.type_defs import StartJobRunRequestTypeDef

ACTOR_OF_STEP = {
    "ingest": "ingest",
    "check_bronze": "check",
    "bronze_to_silver": "silver",
    "check_silver": "check",
    "publish_silver": "publish_silver",
    "silver_to_gold": "gold",
    "check_gold": "check",
    "publish_gold": "publish",
    "maintain": "maintain",
    "restore_silver": "restore",
}
DELTA_CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# Native code does not load from --py-files, so the dependencies come as an unpacked archive.
DEPENDENCY_CONF = {
    "spark.emr-serverless.driverEnv.PYTHONPATH": "./deps",
    "spark.executorEnv.PYTHONPATH": "./deps",
}


def start_job_run(settings: LaunchSettings, name: JobName) -> StartJobRunRequestTypeDef:
    """The arguments of StartJobRun for one attempt at a step.

    Source: https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html
    """
    return {
        "applicationId": settings.application_id,
        "clientToken": name.client_token,
        "executionRoleArn": settings.job_roles[ACTOR_OF_STEP[name.step]],
        "name": str(name),
        "executionTimeoutMinutes": settings.job_timeout_minutes,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": f"s3://{settings.code_bucket}/{settings.spark_entry_key}",
                "entryPointArguments": ["--request", f"s3://{settings.lake_bucket}/{name.request_key}"],
                "sparkSubmitParameters": spark_submit_parameters(settings),
            }
        },
        "tags": {"run_id": name.run_id, "step": name.step, "subject": name.subject},
    }


def spark_submit_parameters(settings: LaunchSettings) -> str:
    """The parameters as spark-submit's command line takes them; the stage's own settings come last and win."""
    code = f"s3://{settings.code_bucket}/{settings.spark_code_key}"
    deps = f"s3://{settings.code_bucket}/{settings.spark_deps_key}#deps"
    words = ["--py-files", code, "--archives", deps]
    for conf, value in {**DEPENDENCY_CONF, **DELTA_CONF, **settings.spark_conf}.items():
        words += ["--conf", f"{conf}={value}"]
    return " ".join(shlex.quote(word) if any(mark in word for mark in " '\"") else word for word in words)
