"""What EMR Serverless needs of ministack 1.5.33's IAM beyond its public API.

Source: ministack 1.5.33, core/iam_actions.py (extract_resource_arn), core/iam_evaluator.py (enforce, caller_arn,
_service_principal_matches, _conditions_met), services/iam.py (roles). AWS, Service Authorization Reference, "Actions,
resources, and condition keys for Amazon EMR Serverless".
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from ministack import app as ministack_app
from ministack.core import iam_actions, iam_evaluator, router
from ministack.services import iam

SERVICE = "emr-serverless"
PRINCIPAL = "emr-serverless.amazonaws.com"


def resource_arn(path: str, region: str, account: str) -> str:
    """The resource that IAM judges a request by: a job run, an application, or `*` where AWS knows none."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["tags"]:
        return unquote("/".join(parts[1:]))
    if len(parts) < 2:
        return "*"
    application = f"arn:aws:{SERVICE}:{region}:{account}:/applications/{parts[1]}"
    return f"{application}/jobruns/{parts[3]}" if len(parts) > 3 else application


def judge_by_resource() -> None:
    """Let IAM judge requests to EMR Serverless by the resource they name; ministack knows only `*` for them."""
    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        if service == SERVICE:
            return resource_arn(path, region, account_id)
        return str(extract(service, method, path, headers, body, query_params, region, account_id))

    iam_actions.extract_resource_arn = extract_resource_arn


def caller_arn() -> str:
    """Who signed the present request."""
    return str(iam_evaluator.caller_arn())


def may_pass_role(role_arn: str, headers: dict[str, str], query_params: dict[str, Any], region: str) -> bool:
    """Whether the present request's caller has iam:PassRole on the role for EMR Serverless."""
    if not ministack_app.AUTH:
        return True
    denied = iam_evaluator.enforce(
        router.extract_access_key_id(headers, query_params),
        "iam:PassRole",
        "iam",
        region,
        resource_arn=role_arn,
        service_context={"iam:PassedToService": PRINCIPAL},
    )
    return denied is None


def may_assume_role(role_arn: str, application_arn: str) -> bool:
    """Whether the role exists and its trust policy lets EMR Serverless assume it; call it in a scope.

    ministack judges trust policies of callers only, so the statements are matched here.
    """
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None or role["Arn"] != role_arn:
        return False
    account, region = application_arn.split(":")[4], application_arn.split(":")[3]
    context = iam_evaluator.EvalContext(
        principal_arn=PRINCIPAL,
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=region,
        service_context={"aws:sourceaccount": account, "aws:sourcearn": application_arn},
    )
    policy = json.loads(role["AssumeRolePolicyDocument"])
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    effects = {
        statement["Effect"]
        for statement in statements
        if iam_evaluator._service_principal_matches(statement.get("Principal"), PRINCIPAL)
        and iam_evaluator._action_matches("sts:AssumeRole", _listed(statement.get("Action")), [])
        and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
