"""The topic through which people are told, and the alarms that tell them."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk import grants
from cdk.names import Names

EVENTS, ALARMS = "events.amazonaws.com", "cloudwatch.amazonaws.com"


class Notices(Construct):
    """A topic that a rule, the gates and alarms publish to, encrypted with a key of our own where the stage says so.

    Neither EventBridge nor CloudWatch can publish to a topic under the AWS-managed key, whose policy nobody can change.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, names: Names, emails: Sequence[str], encrypted: bool
    ) -> None:
        super().__init__(scope, construct_id)
        self.key = self._key(names) if encrypted else None
        self.topic = sns.Topic(self, "Topic", topic_name=names.named("notices"), master_key=self.key, enforce_ssl=True)
        self._allow_alarms(names)
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))

    def publish_statements(self) -> list[iam.PolicyStatement]:
        """What a role needs to publish."""
        statements = [grants.allow(["sns:Publish"], [self.topic.topic_arn])]
        if self.key is not None:
            statements.append(grants.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.key.key_arn]))
        return statements

    def allow_rule(self, rule_arn: str) -> None:
        """Let one rule of this account publish."""
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetRulePublish",
                principals=[iam.ServicePrincipal(EVENTS)],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
            )
        )

    def alarm_on_letters(self, queue: sqs.IQueue, *, names: Names, page: str, meaning: str) -> None:
        """Tell people when a dead letter queue has a message, and when it is empty again.

        Args:
            queue: the queue.
            names: the stage's.
            page: the symptom; the alarm's name, and that of its page in runbooks/.
            meaning: what it says, in a sentence.
        """
        alarm = cloudwatch.Alarm(
            self,
            page,
            alarm_name=names.named(page),
            alarm_description=f"{meaning} What to do: runbooks/{page}.md",
            metric=queue.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=cdk.Duration.minutes(5)
            ),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            # a queue that nobody uses sends no metric
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)

    def _allow_alarms(self, names: Names) -> None:
        """Let the alarms of this stage publish."""
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetAlarmsPublish",
                principals=[iam.ServicePrincipal(ALARMS)],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "ArnLike": {"aws:SourceArn": names.arn("cloudwatch", f"alarm:{names.named('*')}")},
                    "StringEquals": {"aws:SourceAccount": names.account},
                },
            )
        )

    def _key(self, names: Names) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{names.named('notices')}",
            description="Notices of failed and held runs",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,  # no message is kept, so nothing is lost with the key
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetEventBridgePublish",
                principals=[iam.ServicePrincipal(EVENTS)],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # in a key policy this means the key itself
                conditions={"StringEquals": {"aws:SourceAccount": names.account}},
            )
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetAlarmsPublish",
                principals=[iam.ServicePrincipal(ALARMS)],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                # AWS shows it without a condition; which alarms may publish says the topic's own policy
            )
        )
        return key
