"""The topic through which people are told."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cdk import grants
from cdk.names import Names

EVENTS = "events.amazonaws.com"


class Notices(Construct):
    """A topic that a rule and the gates publish to, encrypted with a key of our own where the stage says so.

    EventBridge cannot publish to a topic under the AWS-managed key, whose policy nobody can change.
    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, names: Names, emails: Sequence[str], encrypted: bool
    ) -> None:
        super().__init__(scope, construct_id)
        self.key = self._key(names) if encrypted else None
        self.topic = sns.Topic(self, "Topic", topic_name=names.named("notices"), master_key=self.key, enforce_ssl=True)
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
        return key
