"""What starts the platform's parts: the daily schedule, files that arrive, and the rules for state changes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk import grants
from cdk.functions import Function
from cdk.names import ARRIVALS, Names
from cdk.notices import Notices
from cdk.queues import dead_letters, work
from cdk.roles import role
from cdk.settings import ArrivalSettings

RETRY_HOURS = 6
RETRIES = 24
LANDING = "landing/"
GATHERERS = 2  # the fewest that AWS lets a mapping have: the more gather at once, the more runs they start


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """What a schedule starts.

    Attributes:
        name: of the schedule, which is its workflow's.
        description: what it says in the console.
        actor: names its role; `letters` names its dead letter queue.
        page, meaning: of the alarm when it could not be started; see `Notices.alarm_on_letters`.
    """

    name: str
    description: str
    actor: str
    letters: str
    page: str
    meaning: str


class Schedule(Construct):
    """Starts a workflow and tells it the time it was scheduled for, never the time it happened to start.

    Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        scheduled: Scheduled,
        expression: str,
        enabled: bool,
        target_arn: str,
        notices: Notices,
    ) -> None:
        super().__init__(scope, construct_id)
        queue = dead_letters(self, "DeadLetters", names=names, actor=scheduled.letters)
        notices.alarm_on_letters(queue, names=names, page=scheduled.page, meaning=scheduled.meaning)
        scheduler_role = role(
            self,
            "Role",
            name=names.named(scheduled.actor),
            principal=grants.trusted(
                "scheduler.amazonaws.com",
                account=names.account,
                source_arn=names.arn("scheduler", "schedule-group/default"),
            ),
            statements=[
                grants.allow(["states:StartExecution"], [target_arn]),
                grants.allow(["sqs:SendMessage"], [queue.queue_arn]),
            ],
        )
        scheduler.CfnSchedule(
            self,
            "Schedule",
            name=scheduled.name,
            description=scheduled.description,
            state="ENABLED" if enabled else "DISABLED",
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=target_arn,
                role_arn=scheduler_role.role_arn,
                input=json.dumps({"scheduled_time": "<aws.scheduler.scheduled-time>"}),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=RETRY_HOURS * 3600, maximum_retry_attempts=RETRIES
                ),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=queue.queue_arn),
            ),
        )


class FileArrivals(Construct):
    """Events of objects in the landing prefix, gathered in a queue, start one run for all that a window brings.

    A rule, not a filter of the bucket's, chooses the prefix: S3 tells EventBridge of every object.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        settings: ArrivalSettings,
        gather_arrivals: Function,
        notices: Notices,
    ) -> None:
        super().__init__(scope, construct_id)
        failed = dead_letters(self, "QueueDeadLetters", names=names, actor=ARRIVALS)
        notices.alarm_on_letters(
            failed,
            names=names,
            page="ArrivalNotGathered",
            meaning="Files arrived that gather_arrivals failed to start a run for, however often it was tried.",
        )
        queue = work(
            self,
            "Queue",
            names=names,
            failed=failed,
            actor=ARRIVALS,
            timeout_seconds=gather_arrivals.timeout_seconds,
            window_seconds=settings.window_seconds,
        )
        rule = events.Rule(
            self,
            "ObjectArrived",
            rule_name=names.named("object-arrived"),
            description="An object was created in the landing prefix: gather it",
            enabled=settings.enabled,
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [names.lake_bucket]}, "object": {"key": [{"prefix": LANDING}]}},
            ),
        )
        undelivered = dead_letters(self, "RuleDeadLetters", names=names, actor="object-arrived")
        notices.alarm_on_letters(
            undelivered,
            names=names,
            page="ArrivalNotQueued",
            meaning="Files arrived whose events EventBridge could not put into the queue of arrivals.",
        )
        rule.add_target(
            targets.SqsQueue(
                queue,
                dead_letter_queue=undelivered,
                max_event_age=cdk.Duration.hours(RETRY_HOURS),
                retry_attempts=RETRIES,
            )
        )
        lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=gather_arrivals.alias,
            event_source_arn=queue.queue_arn,
            enabled=settings.enabled,
            batch_size=settings.batch_size,
            max_batching_window=cdk.Duration.seconds(settings.window_seconds),
            max_concurrency=GATHERERS,
            report_batch_item_failures=True,
        )


class StateChangeRules(Construct):
    """Who hears of a job run that ended, and of an execution that did not succeed.

    A job run's end answers the task that waits for it. An execution that fails is told to people; one that was
    stopped or ran out of time also has its job runs cancelled. One that FAILED keeps them: a redrive adopts them.
    Source: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-eventbridge.html
    Source: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        application_id: str,
        notices: Notices,
        job_finished: Function,
        cancel_job_runs: Function,
    ) -> None:
        super().__init__(scope, construct_id)
        self._names = names
        self._invoke(
            "JobRunEnded",
            function=job_finished,
            description="An EMR Serverless job run ended: answer the task that waits for it",
            pattern=events.EventPattern(
                source=["aws.emr-serverless"],
                detail_type=["EMR Serverless Job Run State Change"],
                detail={"applicationId": [application_id], "state": ["SUCCESS", "FAILED", "CANCELLED"]},
            ),
        )
        self._invoke(
            "ExecutionStopped",
            function=cancel_job_runs,
            description="An execution was aborted or timed out: cancel its live job runs",
            pattern=self._executions("ABORTED", "TIMED_OUT"),
        )
        self._tell(notices)

    def _executions(self, *statuses: str) -> events.EventPattern:
        return events.EventPattern(
            source=["aws.states"],
            detail_type=["Step Functions Execution Status Change"],
            detail={"stateMachineArn": self._names.workflow_arns, "status": list(statuses)},
        )

    def _invoke(self, construct_id: str, *, function: Function, description: str, pattern: events.EventPattern) -> None:
        target = targets.LambdaFunction(
            function.alias,
            dead_letter_queue=function.dead_letters,
            max_event_age=cdk.Duration.hours(RETRY_HOURS),
            retry_attempts=RETRIES,
        )
        name = self._names.named(_dashed(construct_id))
        events.Rule(
            self, construct_id, rule_name=name, description=description, event_pattern=pattern, targets=[target]
        )

    def _tell(self, notices: Notices) -> None:
        queue = dead_letters(self, "NoticeDeadLetters", names=self._names, actor="notices")
        rule = events.Rule(
            self,
            "ExecutionNotSucceeded",
            rule_name=self._names.named("execution-not-succeeded"),
            description="An execution failed, timed out or was aborted: tell people",
            event_pattern=self._executions("FAILED", "TIMED_OUT", "ABORTED"),
        )
        notices.allow_rule(rule.rule_arn)
        field = events.EventField.from_path
        rule.add_target(
            targets.SnsTopic(
                # By its ARN: with the topic itself CDK would let every rule of every account publish to it.
                sns.Topic.from_topic_arn(self, "Topic", self._names.topic_arn),
                message=events.RuleTargetInput.from_text(
                    f"A run of stage {self._names.stage} ended {field('$.detail.status')} at "
                    f"{field('$.time')}: execution {field('$.detail.name')}. What failed and what to do: "
                    f"assay explain {field('$.detail.executionArn')}"
                ),
                dead_letter_queue=queue,
                max_event_age=cdk.Duration.hours(RETRY_HOURS),
                retry_attempts=RETRIES,
            )
        )


def _dashed(words: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in words).lstrip("-")
