"""The Lambda functions: each with its own role, log group, and the alias `live` that others call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk import grants
from cdk.artifacts import Artifacts
from cdk.names import Names
from cdk.queues import dead_letters
from cdk.roles import role
from cdk.settings import Settings

ALIAS = "live"
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """One function.

    Attributes:
        module: of the package `lambdas`; it holds `lambda_handler`.
        timeout_seconds: below the time-out of every state that calls it, so that the error's name is Lambda's.
        environment: only what its code reads.
        statements: what it may do besides writing its own log.
        asynchronous: called by a rule; what it cannot handle goes to a dead letter queue.
        in_workflow: whether states call it; not so when it is asynchronous.
    """

    module: str
    timeout_seconds: int
    environment: Mapping[str, str]
    statements: Sequence[iam.PolicyStatement]
    asynchronous: bool = False
    in_workflow: bool = True

    @property
    def is_called_by_states(self) -> bool:
        """Whether the workflows name it."""
        return self.in_workflow and not self.asynchronous

    @property
    def actor(self) -> str:
        """The module in the words of physical names: open-run."""
        return self.module.replace("_", "-")

    @property
    def construct_id(self) -> str:
        """The module in the words of logical ids and of the ASL's placeholders: OpenRun."""
        return "".join(word.capitalize() for word in self.module.split("_"))


@dataclass(frozen=True, kw_only=True)
class FunctionDefaults:
    """What all functions of a stage share."""

    names: Names
    code_bucket: s3.IBucket
    artifacts: Artifacts
    settings: Settings
    environment: Mapping[str, str] = field(default_factory=dict)


class Function(Construct):
    """A function behind its alias; with new code or settings the alias moves to a new version at once."""

    def __init__(self, scope: Construct, construct_id: str, *, spec: FunctionSpec, defaults: FunctionDefaults) -> None:
        super().__init__(scope, construct_id)
        names, settings, artifacts = defaults.names, defaults.settings, defaults.artifacts
        function_name = names.named(spec.actor)
        log_group_name = f"/aws/lambda/{function_name}"
        self.timeout_seconds = spec.timeout_seconds
        self.dead_letters: sqs.Queue | None = None
        statements = [
            grants.allow(
                ["logs:CreateLogStream", "logs:PutLogEvents"], [names.arn("logs", f"log-group:{log_group_name}:*")]
            ),
            *spec.statements,
        ]
        if spec.asynchronous:
            self.dead_letters = dead_letters(self, "DeadLetters", names=names, actor=spec.actor)
            statements.append(grants.allow(["sqs:SendMessage"], [self.dead_letters.queue_arn]))
        function = lambda_.Function(
            self,
            "Function",
            function_name=function_name,
            runtime=lambda_.Runtime.PYTHON_3_11,
            architecture=ARCHITECTURES[settings.architecture],
            handler=f"lambdas.{spec.module}.lambda_handler",
            code=lambda_.Code.from_bucket(defaults.code_bucket, artifacts.lambda_key),
            memory_size=settings.lambda_memory_mb,
            timeout=cdk.Duration.seconds(spec.timeout_seconds),
            environment={
                **defaults.environment,
                "POWERTOOLS_SERVICE_NAME": spec.module,
                **spec.environment,
            },
            # X-Ray needs a policy on every resource, so tracing stays off.
            tracing=lambda_.Tracing.DISABLED,
            role=role(
                self,
                "Role",
                name=function_name,
                principal=iam.ServicePrincipal("lambda.amazonaws.com"),
                statements=statements,
            ),
            log_group=self._log_group(log_group_name, retention_days=settings.log_retention_days),
        )
        # The version's logical id is a hash over the function's properties, the key of its code among them.
        self.alias = lambda_.Alias(self, "Alias", alias_name=ALIAS, version=function.current_version)
        if self.dead_letters is not None:
            self.alias.configure_async_invoke(
                on_failure=destinations.SqsDestination(self.dead_letters),
                retry_attempts=2,
                max_event_age=cdk.Duration.hours(6),
            )

    def _log_group(self, name: str, *, retention_days: int) -> logs.LogGroup:
        group = logs.LogGroup(self, "Log", log_group_name=name, removal_policy=cdk.RemovalPolicy.DESTROY)
        cast(logs.CfnLogGroup, group.node.default_child).retention_in_days = retention_days
        return group
