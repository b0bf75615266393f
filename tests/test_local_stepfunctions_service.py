"""The Step Functions service over HTTP, with plain boto3 and IAM enforced."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from executions import machine, task

ACCOUNT, REGION = "000000000000", "eu-west-1"
MACHINES = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine"
ROOT = Path(__file__).parent.parent
CODE = """
import boto3, json, os

class ContractViolationError(Exception):
    pass

calls = []

def echo(event, context):
    return {**event, "calls": len(calls.append(1) or calls)} if isinstance(event, dict) else event

def violate(event, context):
    calls.append(1)
    raise ContractViolationError(f"fx_rates_bronze 1-0-0: USD\\nminimum, call {len(calls)}")

def answer(event, context):
    client = boto3.client("stepfunctions", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.send_task_success(taskToken=event["token"], output='"early"')

def unwritable(event, context):
    return object()
"""
PASS = machine("P", P={"Type": "Pass", "End": True})
WAIT = machine("W", W={"Type": "Wait", "Seconds": 300, "End": True})


class Service:
    """A running service and clients of it."""

    def __init__(self, endpoint_url: str) -> None:
        self.options = {
            "endpoint_url": endpoint_url,
            "region_name": REGION,
            "aws_access_key_id": ACCOUNT,
            "aws_secret_access_key": "test",
        }
        self.states: Any = self.client("stepfunctions")
        self.role = self._role("machine", "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:*")
        self.poor_role = self._role("poor", "s3:GetObject", "arn:aws:s3:::nothing/*")
        function_role = self._role("function", "states:SendTaskSuccess", f"{MACHINES}:allowed")
        for name in ("echo", "violate", "answer", "unwritable"):
            self._deploy(name, function_role)

    def client(self, name: str) -> Any:
        return boto3.client(name, **self.options)

    def function(self, name: str) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:live"

    def create(self, name: str, definition: dict[str, Any], **rest: Any) -> str:
        return self.states.create_state_machine(
            **{"name": name, "definition": json.dumps(definition), "roleArn": self.role, **rest}
        )["stateMachineArn"]

    def start(self, state_machine_arn: str, **rest: Any) -> str:
        return self.states.start_execution(stateMachineArn=state_machine_arn, **rest)["executionArn"]

    def run(self, name: str, definition: dict[str, Any], given: Any = None, **rest: Any) -> dict[str, Any]:
        arn = self.start(self.create(name, definition, **rest), input=json.dumps({} if given is None else given))
        return self.wait(arn)

    def wait(self, arn: str) -> dict[str, Any]:
        for _ in range(400):
            found = self.states.describe_execution(executionArn=arn)
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.05)
        raise AssertionError(f"still running: {self.types(arn)}")

    def types(self, arn: str) -> list[str]:
        return [event["type"] for event in self.states.get_execution_history(executionArn=arn)["events"]]

    def _role(self, name: str, action: str, resource: str) -> str:
        def policy(**statement: Any) -> str:
            return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})

        services = {"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]}
        trust = policy(Action="sts:AssumeRole", Principal=services)
        iam = self.client("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        document = policy(Action=action, Resource=resource)
        iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=document)
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def _deploy(self, name: str, role: str) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("functions.py", CODE)
        client = self.client("lambda")
        client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler=f"functions.{name}",
            Role=role,
            Code={"ZipFile": archive.getvalue()},
            Timeout=20,
            Environment={"Variables": {"AWS_ENDPOINT_URL": self.options["endpoint_url"]}},
        )
        version = client.publish_version(FunctionName=name)["Version"]
        client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served(tmp_path_factory.mktemp("service") / "log", "--auth") as endpoint_url:
        yield Service(endpoint_url)


class served:  # noqa: N801  a context manager
    """The service in a process of its own."""

    def __init__(self, log: Path, *arguments: str, state: Path | None = None) -> None:
        self.environment = {**os.environ, "IOT_MTLS_ENABLED": "0"}
        if state is not None:
            self.environment |= {"PERSIST_STATE": "1", "STATE_DIR": str(state)}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log, self.arguments = log, arguments

    def __enter__(self) -> str:
        command = [sys.executable, "-m", "local.stepfunctions", "--port", str(self.port), *self.arguments]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=output, stderr=output)
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_ministack/health", timeout=5):
                    return f"http://127.0.0.1:{self.port}"
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return str(raised.value.response["Error"]["Code"])


def test_a_function_is_invoked_by_its_alias(service: Service) -> None:
    found = service.run("echo", machine("T", T=task(service.function("echo"))), {"day": "2026-07-30"})
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["output"]) == {"day": "2026-07-30", "calls": 1}
    assert (found["redriveCount"], found["redriveStatus"]) == (0, "NOT_REDRIVABLE")
    assert found["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"


def test_an_error_keeps_its_name_and_its_process(service: Service) -> None:
    retry = [{"ErrorEquals": ["ContractViolationError"], "MaxAttempts": 1, "IntervalSeconds": 1}]
    found = service.run("violate", machine("T", T=task(service.function("violate"), Retry=retry)))
    assert (found["status"], found["error"]) == ("FAILED", "ContractViolationError")
    cause = json.loads(found["cause"])
    assert cause["errorMessage"] == "fx_rates_bronze 1-0-0: USD\nminimum, call 2"  # one process had both calls
    assert cause["errorType"] == "ContractViolationError"
    assert len(cause["stackTrace"]) == 1


def test_what_a_function_cannot_write_is_a_marshal_error(service: Service) -> None:
    found = service.run("unwritable", machine("T", T=task(service.function("unwritable"))))
    assert found["error"] == "Runtime.MarshalError"


def test_the_machines_role_is_enforced(service: Service) -> None:
    found = service.run("poor", machine("T", T=task(service.function("echo"))), roleArn=service.poor_role)
    assert found["error"] == "Lambda.AWSLambdaException"
    assert "is not authorized to perform: lambda:InvokeFunction" in found["cause"]


def test_a_policy_names_the_machine_whose_tasks_may_be_answered(service: Service) -> None:
    definition = machine("T", T=task(service.function("answer"), waits=True, TimeoutSeconds=20, HeartbeatSeconds=10))
    assert service.run("allowed", definition)["output"] == '"early"'
    other = service.run("other", definition)
    assert other["error"] == "ClientError"
    assert "not authorized to perform: states:SendTaskSuccess" in other["cause"]


def test_the_same_start_twice_is_one_execution(service: Service) -> None:
    arn = service.create("names", WAIT)
    first = service.states.start_execution(stateMachineArn=arn, name="day-1", input='{"a": 1}')
    again = service.states.start_execution(stateMachineArn=arn, name="day-1", input='{"a": 1}')
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    start = service.states.start_execution
    assert refusal(start, stateMachineArn=arn, name="day-1", input='{"a": 2}') == "ExecutionAlreadyExists"
    service.states.stop_execution(executionArn=first["executionArn"])
    assert refusal(start, stateMachineArn=arn, name="day-1", input='{"a": 1}') == "ExecutionAlreadyExists"


@pytest.mark.parametrize("name", ["2026-07-31T06:00:00Z", "a b", "x" * 81, "a/b", "a*"])
def test_names_that_aws_refuses(service: Service, name: str) -> None:
    assert refusal(service.states.start_execution, stateMachineArn=f"{MACHINES}:names", name=name) in (
        "InvalidName",
        "ParamValidationError",
    )


@pytest.mark.parametrize(
    ("given", "error"), [("{", "InvalidExecutionInput"), ('"' + "x" * 262_143 + '"', "ValidationException")]
)
def test_inputs_that_aws_refuses(service: Service, given: str, error: str) -> None:
    assert refusal(service.states.start_execution, stateMachineArn=f"{MACHINES}:names", input=given) == error


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        pytest.param("{", "INVALID_JSON", id="no JSON"),
        pytest.param("[]", "not a JSON object", id="no object"),
        pytest.param(json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pess"}}}), "SCHEMA", id="unknown type"),
        pytest.param(
            json.dumps(machine("Q", P={"Type": "Pass", "End": True})), "Missing 'StartAt' target: Q", id="StartAt"
        ),
        pytest.param(
            json.dumps(machine("P", P={"Type": "Pass", "Next": "Q"})),
            "Missing 'Next' target: Q at /States/P/Next",
            id="Next",
        ),
        pytest.param(
            json.dumps(machine("C", C={"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "Q"}]})),
            "/States/C/Choices[0]/Next",
            id="Choice",
        ),
        pytest.param(
            json.dumps(machine("P", P={"Type": "Parallel", "Branches": [{"StartAt": "X", "States": {}}], "End": True})),
            "SCHEMA",
            id="a branch without states",
        ),
        pytest.param(
            json.dumps(machine("P", P={"Type": "Pass", "Output": "{% 1 + %}", "End": True})),
            "INVALID_JSONATA_EXPRESSION",
            id="JSONata",
        ),
    ],
)
def test_definitions_that_aws_refuses(service: Service, definition: str, words: str) -> None:
    create = {"name": "invalid", "definition": definition, "roleArn": service.role}
    with pytest.raises(ClientError, match="InvalidDefinition") as refused:
        service.states.create_state_machine(**create)
    assert words in str(refused.value)
    assert service.states.validate_state_machine_definition(definition=definition)["result"] == "FAIL"
    with pytest.raises(ClientError, match="InvalidDefinition"):
        service.states.update_state_machine(
            stateMachineArn=service.create(f"valid{abs(hash(definition))}", PASS), definition=definition
        )


def test_cloudformation_refuses_them_too(service: Service) -> None:
    def template(definition: str) -> str:
        properties = {
            "StateMachineName": "from-template",
            "RoleArn": service.role,
            "DefinitionString": definition,
            "DefinitionSubstitutions": {"Next": "Q"},
        }
        machine_resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
        return json.dumps({"Resources": {"Machine": machine_resource}})

    cloudformation = service.client("cloudformation")
    dangling = machine("P", P={"Type": "Pass", "Next": "${Next}"})
    cloudformation.create_stack(StackName="bad", TemplateBody=template(json.dumps(dangling)))
    events = _settled(cloudformation, "bad")
    assert any("Missing 'Next' target: Q" in event.get("ResourceStatusReason", "") for event in events)
    good = machine("P", P={"Type": "Pass", "Next": "${Next}"}, Q={"Type": "Succeed"})
    cloudformation.create_stack(StackName="good", TemplateBody=template(json.dumps(good)))
    _settled(cloudformation, "good")
    assert service.wait(service.start(f"{MACHINES}:from-template"))["status"] == "SUCCEEDED"


def test_history_pages_forwards_and_backwards(service: Service) -> None:
    states = {f"P{n}": {"Type": "Pass", "Next": f"P{n + 1}"} for n in range(5)}
    arn = service.run("pages", machine("P0", **states, P5={"Type": "Succeed"}))["executionArn"]
    pages = service.states.get_paginator("get_execution_history")
    forwards = [
        event["id"]
        for page in pages.paginate(executionArn=arn, PaginationConfig={"PageSize": 5})
        for event in page["events"]
    ]
    assert forwards == list(range(1, 15))
    backwards = service.states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=2)["events"]
    assert [event["type"] for event in backwards] == ["ExecutionSucceeded", "SucceedStateExited"]
    assert [event["previousEventId"] for event in backwards] == [13, 12]


def test_stop_aborts_and_redrive_goes_on(service: Service) -> None:
    arn = service.start(service.create("stopped", machine("W", W={"Type": "Wait", "Seconds": 1, "End": True})))
    service.states.stop_execution(executionArn=arn, error="Stopped", cause="by hand")
    found = service.states.describe_execution(executionArn=arn)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Stopped", "by hand")
    assert (found["redriveStatus"], "redriveDate" in found) == ("REDRIVABLE", False)
    first = service.states.redrive_execution(executionArn=arn, clientToken="once")
    again = service.states.redrive_execution(executionArn=arn, clientToken="once")
    assert first["redriveDate"] == again["redriveDate"]
    found = service.wait(arn)
    assert (found["status"], found["redriveCount"], found["redriveDate"]) == ("SUCCEEDED", 1, first["redriveDate"])
    assert "error" not in found
    assert service.types(arn).count("ExecutionRedriven") == 1


def test_what_cannot_be_redriven(service: Service) -> None:
    redrive = service.states.redrive_execution
    running = service.start(service.create("running", WAIT))
    assert refusal(redrive, executionArn=running) == "ExecutionNotRedrivable"
    service.states.stop_execution(executionArn=running)
    succeeded = service.run("succeeded", PASS)["executionArn"]
    assert refusal(redrive, executionArn=succeeded) == "ExecutionNotRedrivable"
    assert refusal(redrive, executionArn=f"{succeeded}x") == "ExecutionDoesNotExist"
    fails = machine("F", F={"Type": "Fail"})
    express = service.run("express", fails, type="EXPRESS")["executionArn"]
    assert refusal(redrive, executionArn=express) == "ExecutionNotRedrivable"


def test_a_redrive_keeps_the_definition_it_was_started_with(service: Service) -> None:
    arn = service.create("moving", machine("F", F={"Type": "Fail", "Error": "Old"}))
    execution = service.start(arn)
    assert service.wait(execution)["error"] == "Old"
    service.states.update_state_machine(stateMachineArn=arn, definition=json.dumps(PASS))
    service.states.redrive_execution(executionArn=execution)
    assert service.wait(execution)["error"] == "Old"
    pinned = service.states.describe_state_machine_for_execution(executionArn=execution)
    assert json.loads(pinned["definition"])["StartAt"] == "F"
    assert service.wait(service.start(arn))["status"] == "SUCCEEDED"


def test_executions_are_listed_by_status_and_redrive(service: Service) -> None:
    arn = service.create("listed", machine("F", F={"Type": "Fail"}))
    executions = [service.start(arn, name=f"n{number}") for number in range(3)]
    for execution in executions:
        service.wait(execution)
    service.states.redrive_execution(executionArn=executions[0])
    service.wait(executions[0])

    def names(**filters: Any) -> list[str]:
        pages = service.states.get_paginator("list_executions").paginate(
            stateMachineArn=arn, PaginationConfig={"PageSize": 2}, **filters
        )
        return [execution["name"] for page in pages for execution in page["executions"]]

    assert names() == ["n2", "n1", "n0"]
    assert names(statusFilter="SUCCEEDED") == []
    assert names(redriveFilter="REDRIVEN") == ["n0"]
    assert names(redriveFilter="NOT_REDRIVEN") == ["n2", "n1"]


def test_status_changes_reach_a_rule(service: Service) -> None:
    queue = service.client("sqs")
    url = queue.create_queue(QueueName="changes")["QueueUrl"]
    events = service.client("events")
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [f"{MACHINES}:told"]}}
    events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="changes", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:changes"}])
    found = service.run("told", machine("F", F={"Type": "Fail", "Error": "Nope", "Cause": "because"}), {"a": 1})
    service.states.redrive_execution(executionArn=found["executionArn"])
    service.wait(found["executionArn"])
    received: list[dict[str, Any]] = []
    for _ in range(50):
        answer = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        received += [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        if len(received) == 4:
            break
        time.sleep(0.1)
    assert [event["detail"]["status"] for event in received] == ["RUNNING", "FAILED", "RUNNING", "FAILED"]
    assert [event["detail"]["redriveCount"] for event in received] == [0, 0, 1, 1]
    failed = received[1]
    assert failed["detail-type"] == "Step Functions Execution Status Change"
    assert failed["resources"] == [found["executionArn"]]
    detail = failed["detail"]
    assert {name: detail[name] for name in ("input", "output", "error", "cause", "redriveStatus")} == {
        "input": '{"a": 1}',
        "output": None,
        "error": "Nope",
        "cause": "because",
        "redriveStatus": "REDRIVABLE",
    }
    assert detail["startDate"] == int(found["startDate"].timestamp() * 1000)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"taskToken": "nonsense", "output": "{}"}, "InvalidToken", id="no token"),
        pytest.param({"taskToken": "nonsense", "output": "{"}, "InvalidOutput", id="no JSON"),
        pytest.param({"taskToken": "x", "output": '"' + "x" * 262_143 + '"'}, "ValidationException", id="too large"),
    ],
)
def test_callbacks_that_aws_refuses(service: Service, arguments: dict[str, str], error: str) -> None:
    assert refusal(service.states.send_task_success, **arguments) == error


def test_a_synchronous_start_answers_with_the_output(service: Service) -> None:
    arn = service.create("sync", machine("P", P={"Type": "Pass", "Output": {"rows": 1}, "End": True}), type="EXPRESS")
    states = boto3.client("stepfunctions", **service.options, config=boto3.session.Config(inject_host_prefix=False))
    found = states.start_sync_execution(stateMachineArn=arn, input="{}")
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"rows": 1})


def test_executions_recorded_on_aws(tmp_path: Path) -> None:
    cases = os.environ.get("ASSAY_CASES")
    if not cases:
        pytest.skip("set ASSAY_CASES to a folder with run_cases.py and step_functions_recorded.json to run them")
    results = tmp_path / "results.json"
    with served(tmp_path / "log") as endpoint_url:
        runner = [sys.executable, f"{cases}/run_cases.py", "--endpoint", endpoint_url, "--tiers", "A"]
        files = ["--cases", f"{cases}/step_functions_recorded.json", "--out", str(results)]
        subprocess.run([*runner, *files], check=True, timeout=500, stdout=subprocess.DEVNULL)
    failed = [result["id"] for result in json.loads(results.read_text()) if not result["full"]]
    assert len(failed) <= 2, failed


def _settled(cloudformation: Any, stack: str) -> list[dict[str, Any]]:
    for _ in range(100):
        status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            break
        time.sleep(0.1)
    events: list[dict[str, Any]] = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return events


def test_a_redrive_after_the_cloud_was_down_and_up_goes_on_where_it_was(tmp_path: Path) -> None:
    def remembers(seconds: int | str) -> dict[str, Any]:
        remember = {"Type": "Pass", "Assign": {"day": "2026-07-30"}, "Next": "W"}
        return machine("P", P=remember, W={"Type": "Wait", "Seconds": seconds, "Output": "{% $day %}", "End": True})

    slow = remembers("{% $states.context.Execution.RedriveCount > 0 ? 0 : 300 %}")
    with served(tmp_path / "first.log", state=tmp_path / "state") as endpoint_url:
        service = Service(endpoint_url)
        ended = service.run("ends", remembers(0))
        arn = service.start(service.create("waits", slow))
        for _ in range(400):
            if "WaitStateEntered" in service.types(arn):
                break
            time.sleep(0.05)
        before = service.states.describe_execution(executionArn=arn)
        assert before["status"] == "RUNNING"
    with served(tmp_path / "second.log", state=tmp_path / "state") as endpoint_url:
        service.states = boto3.client("stepfunctions", **{**service.options, "endpoint_url": endpoint_url})
        found = service.states.describe_execution(executionArn=arn)
        assert (found["status"], found["error"], found["redriveStatus"]) == (
            "FAILED",
            "States.ServiceRestart",
            "REDRIVABLE",
        )
        assert service.types(arn)[-1] == "ExecutionFailed"
        assert service.states.describe_execution(executionArn=ended["executionArn"])["output"] == '"2026-07-30"'
        service.states.redrive_execution(executionArn=arn)
        redriven = service.wait(arn)
        assert (redriven["status"], redriven["output"], redriven["redriveCount"]) == ("SUCCEEDED", '"2026-07-30"', 1)
        assert redriven["startDate"] == before["startDate"]
        assert service.types(arn).count("PassStateEntered") == 1
