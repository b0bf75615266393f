"""The repairs of moto's interpreter, one by one, and a contract with the private names they replace."""

from __future__ import annotations

import inspect
import json
import threading
import time
from functools import partial
from typing import Any

import ministack.services.stepfunctions
import moto
import pytest
from executions import Execution, Machines, items, machine, sequence, task
from ministack.core import iam_actions, lambda_runtime
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from local.seams import ministack_states, moto_asl, moto_asl_repair, moto_asl_tasks

# Class, method and parameters, as they are in moto 5.2.5.
REPLACED = """
Preprocessor.__init__(self args kwargs)
Preprocessor._inner_string_of(parser_rule_context)
StringJSONata._eval_body(self env)
StringVariableSample._eval_body(self env)
VariableStore.get_assigned_variables(self)
CustomErrorName.__init__(self error_name)
ErrorEqualsDecl._eval_body(self env)
StateTask._from_error(self env ex)
StateChoice._eval_state(self env)
StateChoice._eval_state_output(self env)
Timestamp._get_wait_seconds(self env)
parser.TMP_THREADS()
Environment.__init__(self aws_execution_details execution_type context event_history_context
    cloud_watch_logging_session activity_store variable_store mock_test_case)
Environment.as_inner_frame_of(env variable_store event_history_frame_cache)
Environment.set_stop(self stop_date cause error)
EvalComponent.eval(self env)
EvalComponent.heap_key(self)
RetrierDecl._eval_body(self env)
WaitFunction._wait_interval(self env wait_seconds)
Program.eval(self env)
ExecutionState._evaluate_with_timeout(self env)
BranchesDecl._eval_body(self env)
InlineIterationComponent._eval_body(self env)
DistributedIterationComponent._map_run(self env eval_input)
ContextObject.update_task_token(self)
CallbackPoolManager.add(self callback_id)
StateTaskServiceCallback._eval_body(self env)
StateTaskServiceCallback._eval_execution(self env)
StateTaskServiceCallback._eval_wait_for_task_token(self env timeout_seconds callback_endpoint heartbeat_endpoint)
StateTaskServiceCallback._eval_sync(self env sync_resolver timeout_seconds callback_endpoint heartbeat_endpoint)
StateTaskServiceLambda._from_error(self env ex)
StateTaskService._get_boto_service_name(self boto_service_name)
StateTaskService._normalise_parameters(self parameters boto_service_name service_action_name)
StateTaskService._normalise_response(self response boto_service_name service_action_name)
parser.boto_client_for(region service state_credentials)
"""
FAST = {"IntervalSeconds": 1, "JitterStrategy": "FULL", "BackoffRate": 1}


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    return Machines(monkeypatch)


def keep_token(machines: Machines, name: str = "launch") -> list[str]:
    tokens: list[str] = []
    machines.function(name, lambda event: tokens.append(event["token"]))
    return tokens


def test_the_versions_are_those_the_seams_were_written_against() -> None:
    advice = "read the release's changes of the names below, run the recorded cases, then move the version here"
    assert moto.__version__ == moto_asl_repair.MOTO_VERSION == "5.2.5", advice
    found = __import__("importlib.metadata").metadata.version("ministack")
    assert found == ministack_states.MINISTACK_VERSION == "1.5.33", advice


def test_moto_has_what_is_replaced() -> None:
    expected = sorted(" ".join(REPLACED.split()).replace(") ", ")\n").split("\n"))
    found = sorted(f"{r.owner.rsplit('.', 1)[-1]}.{r.name}({' '.join(r.parameters)})" for r in moto_asl_repair.REPAIRS)
    assert found == expected, "moto's private methods changed: see each repair's docstring for what it must still do"
    assert all(repair.why for repair in moto_asl_repair.REPAIRS)


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (ministack.services.stepfunctions, "handle_request", "method path headers body query_params"),
        (ministack.services.stepfunctions, "reset", ""),
        (ministack.services.stepfunctions, "_start_execution", "data"),
        (ministack.services.stepfunctions, "_stop_execution", "data"),
        (ministack.services.stepfunctions, "_describe_execution", "data"),
        (ministack.services.stepfunctions, "_describe_state_machine_for_execution", "data"),
        (ministack.services.stepfunctions, "_list_executions", "data"),
        (ministack.services.stepfunctions, "_get_execution_history", "data"),
        (ministack.services.stepfunctions, "_send_task_success", "data"),
        (ministack.services.stepfunctions, "_send_task_failure", "data"),
        (ministack.services.stepfunctions, "_send_task_heartbeat", "data"),
        (ministack.services.stepfunctions, "_run_execution", "exec_arn"),
        (ministack.services.stepfunctions, "_resolve_state_machine_arn", "arn"),
        (ministack.services.stepfunctions, "_execution_version_arn", "arn"),
        (ministack.services.stepfunctions, "_validate_definition_jsonata", "definition_str"),
        (ministack.services.stepfunctions, "_finalize_response", "response"),
        (provisioners, "_sfn_definition", "props"),
        (provisioners, "_sfn_state_machine_create", "logical_id props stack_name"),
        (iam_actions, "extract_resource_arn", "service method path headers body query_params region account_id"),
        (iam_actions, "_safe_json_field", "body field"),
        (lambda_svc, "_execute_function_warm", "func event request_id"),
        (lambda_runtime.Worker, "invoke", "self event request_id trace_id depth durable invoked_function_arn"),
    ],
)
def test_ministack_has_what_is_replaced(owner: Any, name: str, parameters: str) -> None:
    hook = getattr(owner, name, None)
    assert hook is not None, f"ministack has no {owner.__name__}.{name} any more: see local/seams/ministack_states.py"
    if "local." not in hook.__module__:  # not yet replaced by another test of this process
        assert " ".join(inspect.signature(hook).parameters) == parameters


def test_ministack_keeps_its_records_and_workers_where_they_were() -> None:
    for name in ("_executions", "_state_machines", "_state_machine_versions"):
        assert hasattr(ministack.services.stepfunctions, name)
    assert "AWS::StepFunctions::StateMachine" in provisioners._RESOURCE_HANDLERS
    if "_MarshalError" not in lambda_runtime._PYTHON_WORKER_SCRIPT:
        for line in ministack_states._WORKER_LINES:
            assert lambda_runtime._PYTHON_WORKER_SCRIPT.count(line) == 1, line


def test_a_bad_definition_does_not_spoil_the_next() -> None:
    path = {"StartAt": "P", "States": {"P": {"Type": "Pass", "ResultPath": "$.a", "End": True}}}
    with pytest.raises(moto_asl.InvalidDefinitionError, match="ResultPath"):
        moto_asl.parse(json.dumps({"QueryLanguage": "JSONata", **path}))
    moto_asl.parse(json.dumps({"Comment": "the same without JSONata", **path}))


@pytest.mark.parametrize(
    ("value", "expression", "expected"),
    [
        pytest.param('a "quoted" \\ word', "{% $value %}", 'a "quoted" \\ word', id="quotes"),
        pytest.param("naïve \u2028 🙂", "{% $value %}", "naïve \u2028 🙂", id="unicode"),
        pytest.param(None, "{% $value = null %}", True, id="null"),
        pytest.param([1, None], "{% $count($value) %}", 2, id="null in a list"),
        pytest.param([1], "{% $value %}", [1], id="a list of one stays a list"),
        pytest.param({"a": [{"k": 1}, {"k": 2}]}, "{% $value.a[k = 2].k %}", 2, id="a filter"),
        pytest.param([1, 2, 3], "{% $value[$ > 1] %}", [2, 3], id="the context in a filter"),
        pytest.param("x", "{% $hash($value, 'SHA-1') %}", "11f6ad8ec52a2984abaafd7c3b516503785c2072", id="hash"),
        pytest.param('{"a": [1]}', "{% $parse($value).a %}", [1], id="parse"),
        pytest.param([1, 2, 3], "{% $partition($value, 2) %}", [[1, 2], [3]], id="partition"),
        pytest.param(1, "{% $range($value, 5, 2) %}", [1, 3, 5], id="range"),
        pytest.param(7, "{% $random($value) = $random($value) %}", True, id="random with a seed"),
        pytest.param(1, "{% $length($uuid()) %}", 36, id="uuid"),
        pytest.param("PASS", "{% $value in ['PASS', 'WARN'] %}", True, id="in"),
    ],
)
def test_jsonata(machines: Machines, value: Any, expression: str, expected: Any) -> None:
    literal = machine(
        "A",
        A={"Type": "Pass", "Assign": {"value": value}, "Next": "B"},
        B={"Type": "Pass", "Output": expression, "End": True},
    )
    assert machines.start(literal).output() == expected
    taken = machine(
        "A",
        A={"Type": "Pass", "Assign": {"value": "{% $states.input.value %}"}, "Next": "B"},
        B={"Type": "Pass", "Output": expression, "End": True},
    )
    execution = machines.start(taken, {"value": value})
    assert execution.output() == expected
    exited = next(event for event in execution.events if event["type"] == "PassStateExited")
    assert json.loads(exited["stateExitedEventDetails"]["assignedVariables"]["value"]) == value


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        pytest.param(
            "{% $states.input.nope %}",
            "The JSONata expression '$states.input.nope' specified for the field 'Arguments/Payload/x' returned "
            "nothing (undefined).",
            id="undefined",
        ),
        pytest.param(
            "{% 1 + 'a' %}",
            "The JSONata expression '1 + 'a'' specified for the field 'Arguments/Payload/x' threw an error during "
            "evaluation. T2002: The right side of the + operator must evaluate to a number",
            id="type error",
        ),
        pytest.param(
            "{% function($x) { $x } %}",
            "The JSONata expression 'function($x) { $x }' specified for the field 'Arguments/Payload/x' returned an "
            "unsupported result type.",
            id="a function",
        ),
    ],
)
def test_a_jsonata_error_says_where_and_can_be_caught(machines: Machines, expression: str, cause: str) -> None:
    arguments = {"FunctionName": "f", "Payload": {"x": expression}}
    execution = machines.start(machine("T", T=task("f", Arguments=arguments)))
    outcome = execution.wait()
    assert outcome.error == "States.QueryEvaluationError"
    assert outcome.cause == f"An error occurred while executing the state 'T' (entered at the event id #2). {cause}"
    assert execution.types() == ["ExecutionStarted", "TaskStateEntered", "EvaluationFailed", "ExecutionFailed"]
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Ok"}]
    caught = machine("T", T=task("f", Arguments=arguments, Catch=catch), Ok={"Type": "Succeed"})
    assert machines.start(caught).wait().status == "SUCCEEDED"


def test_the_item_is_in_the_context_of_a_task_of_its_iteration(machines: Machines) -> None:
    machines.function("f", lambda event: event)
    arguments = {
        "FunctionName": "f",
        "Payload": "{% [$states.context.Map.Item.Index, $states.context.Map.Item.Value] %}",
    }
    processor = sequence("T", T=task("f", Arguments=arguments, TimeoutSeconds="{% 5 %}"))
    execution = machines.start(machine("M", M=items(processor)), ["fx", "orders"])
    assert execution.output() == [[0, "fx"], [1, "orders"]]


@pytest.mark.parametrize("kind", ["Map", "Parallel"])
def test_a_timeout_inside_map_and_parallel_can_be_caught(machines: Machines, kind: str) -> None:
    keep_token(machines)
    branch = sequence("T", T=task("launch", waits=True, TimeoutSeconds=1))
    catch = {"Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Bad"}, *_catch("States.Timeout")], "Next": "Bad"}
    inside = items(branch, **catch) if kind == "Map" else {"Type": "Parallel", "Branches": [branch], **catch}
    definition = machine("S", S=inside, Ok={"Type": "Pass", "Output": "ok", "End": True}, Bad={"Type": "Fail"})
    assert machines.start(definition, [1]).output() == "ok"


@pytest.mark.parametrize("error", ["States.Timeout", "States.HeartbeatTimeout"])
def test_a_missed_heartbeat_answers_to_both_names(machines: Machines, error: str) -> None:
    keep_token(machines)
    state = task("launch", waits=True, TimeoutSeconds="{% 20 %}", HeartbeatSeconds="{% 1 %}", Catch=_catch(error))
    execution = machines.start(machine("T", T=state, Ok={"Type": "Pass", "Output": "ok", "End": True}))
    assert execution.output() == "ok"
    timed_out = next(event for event in execution.events if event["type"] == "TaskTimedOut")
    assert timed_out["taskTimedOutEventDetails"]["error"] == "States.Timeout"


def test_heartbeats_keep_a_task_alive(machines: Machines) -> None:
    tokens = keep_token(machines)
    state = task("launch", waits=True, TimeoutSeconds=60, HeartbeatSeconds=4)
    execution = machines.start(machine("T", T=state))
    execution.wait_for("TaskSubmitted")
    for _ in range(3):
        time.sleep(1.5)
        moto_asl.beat(tokens[0])
    moto_asl.succeed(tokens[0], '{"rows": 1}')
    assert execution.output() == {"rows": 1}


@pytest.mark.parametrize("heartbeat", [{}, {"HeartbeatSeconds": 3}])
def test_a_callback_may_come_before_the_function_returns(machines: Machines, heartbeat: dict[str, int]) -> None:
    machines.function("launch", lambda event: moto_asl.succeed(event["token"], '"early"'))
    execution = machines.start(machine("T", T=task("launch", waits=True, TimeoutSeconds=6, **heartbeat)))
    assert execution.output() == "early"


def test_each_attempt_has_a_token_that_closes_with_it(machines: Machines) -> None:
    tokens = keep_token(machines)
    retry = [{"ErrorEquals": ["Again"], "MaxAttempts": 1, **FAST}]
    execution = machines.start(machine("T", T=task("launch", waits=True, TimeoutSeconds=20, Retry=retry)))
    execution.wait_for("TaskSubmitted")
    moto_asl.fail(tokens[0], "Again", "first")
    execution.wait_for("TaskSubmitted", 2)
    assert tokens[0] != tokens[1]
    with pytest.raises(moto_asl.TaskTimedOut):
        moto_asl.succeed(tokens[0], "{}")
    assert execution.outcome is None
    moto_asl.succeed(tokens[1], "2")
    assert execution.output() == 2
    for token in tokens:
        with pytest.raises(moto_asl.TaskTimedOut):
            moto_asl.beat(token)


def test_a_late_callback_finds_its_task_closed(machines: Machines) -> None:
    tokens = keep_token(machines)
    execution = machines.start(machine("T", T=task("launch", waits=True, TimeoutSeconds=1)))
    assert execution.wait().error == "States.Timeout"
    for answer in (moto_asl.beat, partial(moto_asl.succeed, output="{}")):
        with pytest.raises(moto_asl.TaskTimedOut):
            answer(tokens[0])
    assert moto_asl.state_machine_of(tokens[0]) == "arn:aws:states:eu-west-1:000000000000:stateMachine:m"


@pytest.mark.parametrize("token", ["", "x", "e30=.00000000", "%%%.0"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(moto_asl.InvalidToken):
        moto_asl.fail(token, None, None)


@pytest.mark.parametrize(
    ("error", "cause"),
    [("ContractViolationError", "USD is N/A"), (None, None), ("States.TaskFailed", "odd but allowed")],
)
def test_the_cause_of_a_failed_callback_arrives(machines: Machines, error: str | None, cause: str | None) -> None:
    tokens = keep_token(machines)
    execution = machines.start(machine("T", T=task("launch", waits=True, TimeoutSeconds=20)))
    execution.wait_for("TaskSubmitted")
    moto_asl.fail(tokens[0], error, cause)
    outcome = execution.wait()
    assert (outcome.status, outcome.error, outcome.cause) == ("FAILED", error, cause)


def test_siblings_of_a_failed_iteration_stop(machines: Machines) -> None:
    keep_token(machines, "wait")

    def boom(_: Any) -> None:
        execution.wait_for("TaskSubmitted", 2)
        raise ZeroDivisionError

    machines.function("boom", boom)
    by_item = {
        "Type": "Choice",
        "Choices": [{"Condition": "{% $states.input = 'bad' %}", "Next": "Boom"}],
        "Default": "Wait",
    }
    processor = sequence(
        "By",
        By=by_item,
        Boom=task("boom"),
        Wait=task("wait", waits=True, TimeoutSeconds=60, Next="After"),
        After=task("after"),
    )
    execution = machines.start(machine("M", M=items(processor)), ["good", "bad", "good"])
    assert execution.wait().error == "ZeroDivisionError"
    ended = len(execution.events)
    time.sleep(0.2)
    assert len(execution.events) == ended
    assert sorted(machines.calls) == ["boom:bad", "wait", "wait"]
    assert execution.types().count("MapIterationFailed") == 1


@pytest.mark.parametrize(
    ("state", "until"),
    [
        pytest.param({"Type": "Wait", "Seconds": 60, "End": True}, "WaitStateEntered", id="waiting"),
        pytest.param(task("launch", waits=True, TimeoutSeconds=60), "TaskSubmitted", id="waiting for a token"),
        pytest.param(task("launch", waits=True), "TaskSubmitted", id="waiting without a timeout"),
        pytest.param(
            task("boom", Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60}]),
            "TaskFailed",
            id="between retries",
        ),
        pytest.param(
            items(sequence("W", W={"Type": "Wait", "Seconds": 60, "End": True})), "WaitStateEntered", id="in a Map"
        ),
    ],
)
def test_stopping_ends_at_once_and_leaves_no_thread(machines: Machines, state: dict[str, Any], until: str) -> None:
    keep_token(machines)
    machines.function("boom", lambda _: 1 / 0)
    before = threading.active_count()
    executions = [machines.start(machine("S", S=state), [1, 2]) for _ in range(5)]
    for execution in executions:
        execution.wait_for(until)
        started = time.monotonic()
        assert execution.run.stop("Stopped", "by hand")
        outcome = execution.wait()
        assert (outcome.status, outcome.error, outcome.cause) == ("ABORTED", "Stopped", "by hand")
        assert time.monotonic() - started < 10  # of a minute
        assert execution.types()[-1] == "ExecutionAborted"
        assert not execution.run.stop(None, None)
    _expect_threads(before)


def test_a_function_that_returns_after_the_stop_changes_nothing(machines: Machines) -> None:
    gate, returned = threading.Event(), threading.Event()

    def slow(event: Any) -> Any:
        gate.wait(5)
        returned.set()
        return event

    machines.function("slow", slow)
    before = threading.active_count()
    execution = machines.start(machine("T", T=task("slow", TimeoutSeconds=60)), 1)
    execution.wait_for("TaskStarted")
    execution.run.stop(None, None)
    events = execution.types()
    gate.set()
    assert returned.wait(5)
    _expect_threads(before)
    assert execution.types() == events


def test_threads_do_not_pile_up(machines: Machines) -> None:
    machines.function("f", lambda event: event)
    definition = machine("M", M=items(sequence("T", T=task("f", TimeoutSeconds=5)), MaxConcurrency=3))
    before = threading.active_count()
    for execution in [machines.start(definition, list(range(10))) for _ in range(10)]:
        assert execution.output() == list(range(10))
    _expect_threads(before)


def test_a_map_of_more_items_than_python_nests_calls(machines: Machines) -> None:
    processor = sequence("P", P={"Type": "Pass", "End": True})
    execution = machines.start(machine("M", M=items(processor, MaxConcurrency=1)), list(range(1500)))
    assert len(execution.output()) == 1500


@pytest.mark.parametrize(
    ("given", "expected"),
    [pytest.param("in", ["rule", "same"], id="rule"), pytest.param("out", ["default", "same"], id="default")],
)
def test_default_is_not_taken_for_a_rule_with_the_same_target(
    machines: Machines, given: str, expected: list[str]
) -> None:
    choice = {
        "Type": "Choice",
        "Choices": [{"Condition": "{% $states.input = 'in' %}", "Assign": {"by": "rule"}, "Next": "Same"}],
        "Default": "Same",
        "Assign": {"by": "default"},
    }
    same = {"Type": "Pass", "Output": "{% [$by, 'same'] %}", "End": True}
    assert machines.start(machine("C", C=choice, Same=same), given).output() == expected


def test_wait_counts_in_utc(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # fourteen hours ahead
    time.tzset()
    try:
        past = machine("W", W={"Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z", "Next": "S"}, S={"Type": "Succeed"})
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        future = machine("W", W={"Type": "Wait", "Timestamp": soon, "End": True})
        assert machines.start(past).wait().status == "SUCCEEDED"
        started = time.monotonic()
        assert machines.start(future).wait().status == "SUCCEEDED"
        assert 0.5 < time.monotonic() - started < 60
    finally:
        monkeypatch.undo()
        time.tzset()


def test_waits_of_centuries_are_refused(machines: Machines) -> None:
    execution = machines.start(machine("W", W={"Type": "Wait", "Timestamp": "2999-01-01T00:00:00Z", "End": True}))
    assert execution.wait().error == "States.Runtime"


def test_names_with_escapes_are_read_as_json_means_them(machines: Machines) -> None:
    states = {'Say "hi" é': {"Type": "Pass", "Result": 1, "Next": "back\\slash"}, "back\\slash": {"Type": "Succeed"}}
    execution = machines.start({"StartAt": 'Say "hi" é', "States": states})
    assert execution.wait().status == "SUCCEEDED"
    entered = [event["stateEnteredEventDetails"]["name"] for event in execution.events if "Entered" in event["type"]]
    assert entered == ['Say "hi" é', "back\\slash"]


@pytest.mark.parametrize(
    ("name", "service"),
    [("emrserverless", "emr-serverless"), ("sfn", "stepfunctions"), ("eventbridge", "events"), ("s3", "s3")],
)
def test_services_have_botocores_names(name: str, service: str) -> None:
    assert moto_asl_tasks._botocore_name(name) == service


def test_parameters_and_answers_of_the_aws_sdk_are_cast(machines: Machines) -> None:
    sent: list[dict[str, Any]] = []

    def start_job_run(**parameters: Any) -> dict[str, Any]:
        sent.append(parameters)
        return {"applicationId": "a", "jobRunId": "j", "arn": "arn"}

    machines.functions.start_job_run = start_job_run
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:emrserverless:startJobRun",
        "Arguments": {"ApplicationId": "a", "JobDriver": {"SparkSubmit": {"EntryPoint": "main.py"}}},
        "End": True,
    }
    assert machines.start(machine("T", T=state)).output() == {"ApplicationId": "a", "JobRunId": "j", "Arn": "arn"}
    assert sent == [{"applicationId": "a", "jobDriver": {"sparkSubmit": {"entryPoint": "main.py"}}}]


def test_an_execution_ends_once(machines: Machines) -> None:
    ends: list[moto_asl.Outcome] = []
    execution: Execution = machines.start(machine("W", W={"Type": "Wait", "Seconds": 60, "End": True}))
    execution.run.on_end = ends.append
    stoppers = [threading.Thread(target=execution.run.stop, args=(None, None)) for _ in range(8)]
    for stopper in stoppers:
        stopper.start()
    for stopper in stoppers:
        stopper.join()
    assert [end.status for end in ends] == ["ABORTED"]
    assert execution.types().count("ExecutionAborted") == 1


def _catch(error: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": [error], "Next": "Ok"}]


def _expect_threads(count: int) -> None:
    for _ in range(200):
        if threading.active_count() <= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"threads left over: {[thread.name for thread in threading.enumerate()]}")
