"""A workflow: its ASL file as it is, with the ARNs of this stage put in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk import grants
from cdk.names import Names
from cdk.roles import role


class Workflow(Construct):
    """A state machine that may invoke these functions, through their aliases, and nothing else.

    It has neither vended logs nor X-Ray tracing: the policies of both need `Resource: "*"`.
    Source: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        actor: str,
        definition: str,
        substitutions: Mapping[str, str],
        function_arns: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=names.named(actor),
            # From a string: from_file hides the states from whoever reads the template.
            definition_body=sfn.DefinitionBody.from_string(definition),
            definition_substitutions=dict(substitutions),
            role=role(
                self,
                "Role",
                name=names.named(actor),
                principal=grants.trusted(
                    "states.amazonaws.com",
                    account=names.account,
                    source_arn=names.arn("states", f"stateMachine:{names.named(actor)}"),
                ),
                statements=[grants.allow(["lambda:InvokeFunction"], function_arns)],
            ),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
