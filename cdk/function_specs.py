"""The functions of the workflows: what each reads from its environment, and all that each may do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from cdk import grants
from cdk.artifacts import Artifacts
from cdk.functions import FunctionSpec
from cdk.names import ARRIVALS, Names
from cdk.roles import EMR_SERVERLESS
from cdk.settings import Settings
from cdk.sources import systems


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the functions work with; `secret_arns` is by the system whose credentials a secret holds.

    `pii_key_arn` names the secret with the key of the tokens that stand for personal data.
    """

    settings: Settings
    names: Names
    artifacts: Artifacts
    application_id: str
    application_arn: str
    secret_arns: Mapping[str, str]
    pii_key_arn: str
    publish_notices: Sequence[iam.PolicyStatement]


def of_workflows(around: Surroundings) -> list[FunctionSpec]:
    """One entry a function, in the order of the day; what starts and ends beside it comes last."""
    names, code_digest = around.names, {"CODE_DIGEST": around.artifacts.code_digest}
    ledger = {"LEDGER_TABLE": names.ledger_table}
    sources = {"SOURCES": json.dumps(around.settings.sources)}
    lake = {**ledger, "LAKE_BUCKET": names.lake_bucket}
    keep_ledger, look_up = grants.ledger(names.ledger_arn), grants.ledger(names.ledger_arn, writes=False)
    read_receipts = grants.read(names.lake_bucket, ["runs"])
    describe_execution = grants.allow(["states:DescribeExecution"], names.execution_arns)
    return [
        FunctionSpec(
            module="open_run",
            timeout_seconds=50,
            environment={**ledger, **code_digest, **sources},
            statements=[keep_ledger, describe_execution],
        ),
        FunctionSpec(
            module="validate_contracts",
            timeout_seconds=240,
            environment={**lake, **sources},
            statements=[keep_ledger, *grants.read(names.lake_bucket, ["landing"])],
        ),
        FunctionSpec(
            module="launch_job",
            timeout_seconds=50,
            environment={**lake, **code_digest, **_launch_environment(around)},
            statements=[
                keep_ledger,
                *grants.read(names.lake_bucket, ["landing", "requests", "runs"]),
                grants.put(names.lake_bucket, ["requests"]),
                *_start_job_runs(around),
                *_look_after_job_runs(around),
                grants.answer_tasks(names.workflow_arns),
                describe_execution,
            ],
        ),
        FunctionSpec(
            module="job_finished",
            timeout_seconds=50,
            environment={**lake, "APPLICATION_ID": around.application_id},
            statements=[
                keep_ledger,
                *read_receipts,
                grants.allow(["emr-serverless:GetJobRun"], [_job_runs(around)]),
                grants.answer_tasks(names.workflow_arns),
            ],
            asynchronous=True,
        ),
        FunctionSpec(
            module="hold_at_gate",
            timeout_seconds=50,
            environment={**lake, "NOTICE_TOPIC_ARN": names.topic_arn},
            statements=[keep_ledger, *read_receipts, *around.publish_notices],
        ),
        FunctionSpec(
            module="register_catalog",
            timeout_seconds=100,
            environment={**lake, "GLUE_DATABASES": json.dumps(names.databases)},
            statements=[*read_receipts, _register_tables(names)],
        ),
        FunctionSpec(
            module="emit_lineage_and_metrics",
            timeout_seconds=100,
            environment={**lake, "STAGE": names.stage},
            statements=[look_up, *read_receipts, grants.put(names.lake_bucket, ["lineage"])],
        ),
        FunctionSpec(
            module="close_run",
            timeout_seconds=50,
            environment=lake,
            statements=[keep_ledger, *read_receipts, grants.put(names.lake_bucket, ["runs"])],
        ),
        FunctionSpec(
            module="cancel_job_runs",
            timeout_seconds=50,
            environment={**lake, "APPLICATION_ID": around.application_id},
            statements=[keep_ledger, describe_execution, *_look_after_job_runs(around)],
            asynchronous=True,
        ),
        FunctionSpec(
            module="gather_arrivals",
            timeout_seconds=100,
            environment={**lake, **sources, "FILE_ARRIVAL_ARN": names.file_arrival_arn},
            statements=[
                keep_ledger,
                *grants.read(names.lake_bucket, ["landing"]),
                grants.allow(["states:StartExecution"], [names.file_arrival_arn]),
                grants.consume(names.arn("sqs", names.named(ARRIVALS))),
            ],
            in_workflow=False,
        ),
    ]


def _launch_environment(around: Surroundings) -> dict[str, str]:
    names, settings, artifacts = around.names, around.settings, around.artifacts
    secret_arns = {source: around.secret_arns[system] for source, system in systems(settings.sources).items()}
    return {
        "CODE_BUCKET": names.code_bucket,
        "APPLICATION_ID": around.application_id,
        "JOB_ROLES": json.dumps(names.job_role_arns),
        "SECRET_ARNS": json.dumps(secret_arns),
        "PII_KEY_ARN": around.pii_key_arn,
        "SPARK_ENTRY_KEY": artifacts.spark_entry_key,
        "SPARK_CODE_KEY": artifacts.spark_code_key,
        "SPARK_DEPS_KEY": artifacts.spark_deps_key,
        "SPARK_CONF": json.dumps(dict(settings.spark.conf)),
        "FAIL_FROM": json.dumps({severity: str(count) for severity, count in settings.fail_from.items() if count}),
        "JOB_TIMEOUT_MINUTES": str(settings.job.timeout_minutes),
        "LEASE_WAIT_MINUTES": str(settings.job.lease_wait_minutes),
    }


def _start_job_runs(around: Surroundings) -> list[iam.PolicyStatement]:
    """Start job runs under a job role, with the tags that name run and step.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonemrserverless.html
    """
    return [
        grants.allow(["emr-serverless:StartJobRun"], [around.application_arn]),
        grants.allow(["emr-serverless:TagResource"], [_job_runs(around)]),
        grants.pass_roles(list(around.names.job_role_arns.values()), EMR_SERVERLESS),
    ]


def _look_after_job_runs(around: Surroundings) -> list[iam.PolicyStatement]:
    """Find, look at and cancel job runs of the application."""
    return [
        grants.allow(["emr-serverless:ListJobRuns"], [around.application_arn]),
        grants.allow(["emr-serverless:GetJobRun", "emr-serverless:CancelJobRun"], [_job_runs(around)]),
    ]


def _job_runs(around: Surroundings) -> str:
    return f"{around.application_arn}/jobruns/*"


def _register_tables(names: Names) -> iam.PolicyStatement:
    """Glue asks for the catalog, the database and the table of each call.

    Source: https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    databases = names.databases.values()
    return grants.allow(
        ["glue:GetDatabase", "glue:GetTable", "glue:CreateTable", "glue:UpdateTable"],
        [
            names.arn("glue", "catalog"),
            *(names.arn("glue", f"database/{database}") for database in databases),
            *(names.arn("glue", f"table/{database}/*") for database in databases),
        ],
    )
