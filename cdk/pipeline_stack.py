"""What runs the workflows; it can be deployed anew at any time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk import function_specs
from cdk.artifacts import Artifacts
from cdk.functions import Function, FunctionDefaults
from cdk.names import Names
from cdk.network import Network
from cdk.notices import Notices
from cdk.roles import JobRoles, UnloadRole
from cdk.settings import Settings
from cdk.spark_application import SparkApplication
from cdk.triggers import FileArrivals, Schedule, Scheduled, StateChangeRules
from cdk.workflow import Workflow

# Source: https://github.com/aws-cloudformation/cfn-lint#metadata
LINT_IGNORES = (
    "W3005",  # CDK writes DependsOn for a role that Fn::GetAtt names already
    "W3010",  # zones are a stage setting, so that a subnet never moves
    "E3601",  # wants a number where JSONata may stand: TimeoutSeconds; `ops.workflow_lint` reads the definition
)


class PipelineStack(cdk.Stack):
    """Network, Spark, functions, state machines and what triggers them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        names: Names,
        artifacts: Artifacts,
        definitions: Mapping[str, str],
        secret_arns: Mapping[str, str],
        pii_key_arn: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.template_options.metadata = {"cfn-lint": {"config": {"ignore_checks": list(LINT_IGNORES)}}}
        network = Network(self, "Network", settings=settings.network, names=names) if settings.network else None
        spark = SparkApplication(
            self,
            "Spark",
            names=names,
            settings=settings.spark,
            architecture=settings.architecture,
            network=network,
        )
        JobRoles(self, "JobRoles", names=names, secret_arns=list(secret_arns.values()), pii_key_arn=pii_key_arn)
        if "redshift" in secret_arns:
            unload = UnloadRole(self, "Unload", names=names)
            cdk.CfnOutput(self, "RedshiftUnloadRoleArn", value=unload.role_arn)
        notices = Notices(
            self, "Notices", names=names, emails=settings.notice_emails, encrypted=settings.encrypt_notices
        )
        specs = function_specs.of_workflows(
            function_specs.Surroundings(
                settings=settings,
                names=names,
                artifacts=artifacts,
                application_id=spark.application_id,
                application_arn=spark.application_arn,
                secret_arns=secret_arns,
                pii_key_arn=pii_key_arn,
                publish_notices=notices.publish_statements(),
            )
        )
        defaults = FunctionDefaults(
            names=names,
            code_bucket=s3.Bucket.from_bucket_name(self, "CodeBucket", names.code_bucket),
            artifacts=artifacts,
            settings=settings,
            environment={"POWERTOOLS_METRICS_NAMESPACE": "Assay", "POWERTOOLS_LOG_LEVEL": settings.log_level},
        )
        functions = {spec.module: Function(self, spec.construct_id, spec=spec, defaults=defaults) for spec in specs}
        in_workflow = {spec.construct_id: functions[spec.module].alias for spec in specs if spec.is_called_by_states}
        workflows = {
            workflow: self._workflow(workflow, names, definitions[workflow], settings, in_workflow)
            for workflow in ("daily_batch", "file_arrival", "maintenance")
        }
        Schedule(
            self,
            "DailySchedule",
            names=names,
            scheduled=Scheduled(
                name=names.daily_batch,
                description="One run a day, for the UTC day before",
                actor="scheduler",
                letters="schedule",
                page="DayNotStarted",
                meaning="The schedule could not start the daily batch.",
            ),
            expression=settings.schedule_expression,
            enabled=settings.schedule_enabled,
            target_arn=workflows["daily_batch"],
            notices=notices,
        )
        Schedule(
            self,
            "MaintenanceSchedule",
            names=names,
            scheduled=Scheduled(
                name=names.maintenance,
                description="Packs, sorts and vacuums the tables",
                actor="maintenance-scheduler",
                letters="maintenance-schedule",
                page="MaintenanceNotStarted",
                meaning="The schedule could not start the maintenance of the tables.",
            ),
            expression=settings.maintenance.expression,
            enabled=settings.maintenance.enabled,
            target_arn=workflows["maintenance"],
            notices=notices,
        )
        FileArrivals(
            self,
            "Arrivals",
            names=names,
            settings=settings.arrivals,
            gather_arrivals=functions["gather_arrivals"],
            notices=notices,
        )
        StateChangeRules(
            self,
            "Rules",
            names=names,
            application_id=spark.application_id,
            notices=notices,
            job_finished=functions["job_finished"],
            cancel_job_runs=functions["cancel_job_runs"],
        )

        cdk.CfnOutput(self, "ApplicationId", value=spark.application_id)
        for workflow, arn in workflows.items():
            cdk.CfnOutput(self, f"{_pascal(workflow)}Arn", value=arn)
        cdk.CfnOutput(self, "NoticeTopicArn", value=notices.topic.topic_arn)

    def _workflow(
        self,
        workflow: str,
        names: Names,
        definition: str,
        settings: Settings,
        functions: Mapping[str, lambda_.IAlias],
    ) -> str:
        """Make a workflow, which may call the functions that its definition names; its ARN."""
        called = {f"{name}Function": alias.function_arn for name, alias in functions.items()}
        called = {name: arn for name, arn in called.items() if f"${{{name}}}" in definition}
        made = Workflow(
            self,
            _pascal(workflow),
            names=names,
            actor=workflow.replace("_", "-"),
            definition=definition,
            substitutions={
                **called,
                "JobTimeoutSeconds": str(settings.job.task_timeout_seconds),
                "JobHeartbeatSeconds": str(settings.job.heartbeat_seconds),
            },
            function_arns=list(called.values()),
        )
        return made.state_machine.state_machine_arn


def _pascal(workflow: str) -> str:
    return "".join(word.capitalize() for word in workflow.split("_"))
