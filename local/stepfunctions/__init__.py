"""Step Functions of the laptop cloud: ministack's records and API around an interpreter that runs like AWS's.

ministack's own interpreter ignores heartbeats, loses the names of Lambda errors, lets a missing path succeed and has
no redrive.
"""

from __future__ import annotations

_installed: set[str] = set()


def install(endpoint_url: str) -> None:
    """Put the service into the ministack of this process, before it serves; again only to move the endpoint.

    Args:
        endpoint_url: where Task states send their calls: the laptop cloud itself.
    """
    # Not at the top: ministack reads its environment when it is imported, which is for who serves to set first.
    from local.seams import ministack_cloud, ministack_states, moto_asl
    from local.stepfunctions import callbacks, definitions, executions

    def credentials_of(role_arn: str) -> dict[str, str]:
        if ministack_states.is_role_enforced():
            return ministack_cloud.role_credentials(role_arn, "step-functions")
        return {"aws_access_key_id": ministack_cloud.account(), "aws_secret_access_key": "test"}

    moto_asl.connect(endpoint_url, credentials_of)
    if _installed:
        return
    _installed.add("stepfunctions")
    for name, action in {
        "StartExecution": executions.start,
        "StopExecution": executions.stop,
        "DescribeExecution": executions.describe,
        "DescribeStateMachineForExecution": executions.describe_state_machine,
        "ListExecutions": executions.list_executions,
        "SendTaskSuccess": callbacks.send_success,
        "SendTaskFailure": callbacks.send_failure,
        "SendTaskHeartbeat": callbacks.send_heartbeat,
        "ValidateStateMachineDefinition": definitions.validate,
    }.items():
        ministack_states.replace_action(name, action)
    ministack_states.add_actions({"RedriveExecution": executions.redrive})
    ministack_states.run_sync_executions(executions.run_to_end)
    ministack_states.check_definitions(definitions.find_problem)
    ministack_states.authorize_callbacks(moto_asl.state_machine_of)
    ministack_states.tell_true_lambda_errors()
    ministack_states.on_reset(executions.forget_runs)
    ministack_states.before_saving(executions.end_runs)
