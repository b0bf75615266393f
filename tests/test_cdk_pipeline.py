import ast
import dataclasses
import json
import re

import pytest
from cdk_templates import KEYS, ROOT, STAGES, properties, resources, synthesize, template

from lambdas import settings as lambda_settings

ASL = {
    name: (ROOT / "state_machines" / f"{name.replace('-', '_')}.asl.json").read_text()
    for name in ("daily-batch", "file-arrival")
}
MODULES = (
    "open_run",
    "validate_contracts",
    "launch_job",
    "job_finished",
    "hold_at_gate",
    "register_catalog",
    "emit_lineage_and_metrics",
    "close_run",
    "cancel_job_runs",
    "gather_arrivals",
)
OF_ALL_FUNCTIONS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}


def functions(stage):
    return {found["Properties"]["Handler"].split(".")[1]: found for found in _functions(stage).values()}


def _functions(stage):
    return resources(stage, "AWS::Lambda::Function")


def states(definition):
    for name, state in definition["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


@pytest.mark.parametrize("stage", STAGES)
def test_every_handler_is_in_the_code(stage):
    for function in _functions(stage).values():
        package, module, name = function["Properties"]["Handler"].split(".")
        tree = ast.parse((ROOT / package / f"{module}.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("module", MODULES)
def test_a_function_is_given_exactly_what_its_code_reads(module):
    source = (ROOT / "lambdas" / f"{module}.py").read_text()
    [kind] = set(re.findall(r"runtime\.settings\((\w+)\)", source))
    read = {field.name.upper() for field in dataclasses.fields(getattr(lambda_settings, kind))}
    assert set(functions("dev")[module]["Properties"]["Environment"]["Variables"]) == read | OF_ALL_FUNCTIONS


@pytest.mark.parametrize("stage", STAGES)
def test_json_in_the_environment_can_be_read(stage):
    for function in _functions(stage).values():
        for name, value in function["Properties"]["Environment"]["Variables"].items():
            if name in {"JOB_ROLES", "SPARK_CONF", "FAIL_FROM", "GLUE_DATABASES"}:
                assert isinstance(json.loads(value), dict)
            if name == "SOURCES":
                assert json.loads(value) == [
                    "fx_rates",
                    "snowflake_orders",
                    "salesforce_opportunities",
                    "salesforce_accounts",
                    "hubspot_contacts",
                ]


@pytest.mark.parametrize(("stage", "architecture"), [("local", "x86_64"), ("dev", "arm64"), ("prod", "arm64")])
def test_functions_run_python_3_11_on_the_stages_architecture(stage, architecture):
    assert sorted(functions(stage)) == sorted(MODULES)
    for function in _functions(stage).values():
        assert function["Properties"]["Runtime"] == "python3.11"
        assert function["Properties"]["Architectures"] == [architecture]
        assert function["Properties"]["Code"]["S3Key"] == KEYS.lambda_key


@pytest.mark.parametrize("stage", STAGES)
def test_every_function_has_a_role_and_a_log_of_its_own(stage):
    roles = [function["Properties"]["Role"]["Fn::GetAtt"][0] for function in _functions(stage).values()]
    logs = [function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] for function in _functions(stage).values()]
    assert len(set(roles)) == len(set(logs)) == len(MODULES)
    for log in logs:
        assert template(stage, "pipeline")["Resources"][log]["Properties"]["RetentionInDays"] >= 7


@pytest.mark.parametrize("stage", STAGES)
def test_every_function_is_called_through_its_alias(stage):
    aliases = resources(stage, "AWS::Lambda::Alias")
    assert {alias["Properties"]["Name"] for alias in aliases.values()} == {"live"}
    assert sorted(alias["Properties"]["FunctionName"]["Ref"] for alias in aliases.values()) == sorted(_functions(stage))


def test_new_code_makes_new_versions_and_the_same_code_none(tmp_path):
    def versions(folder, keys):
        found = synthesize("local", tmp_path / folder, keys)["pipeline"]["Resources"]
        return {logical_id for logical_id, each in found.items() if each["Type"] == "AWS::Lambda::Version"}

    before = set(resources("local", "AWS::Lambda::Version"))
    assert versions("same", KEYS) == before
    new = versions("new", dataclasses.replace(KEYS, lambda_key="lambda/fedcba987654.zip"))
    assert len(new) == len(MODULES)
    assert not new & before


@pytest.mark.parametrize("workflow", ASL)
@pytest.mark.parametrize("stage", STAGES)
def test_a_state_machine_is_its_file_with_the_placeholders_filled(stage, workflow):
    machine = properties(stage, "AWS::StepFunctions::StateMachine", StateMachineName=f"assay-{stage}-{workflow}")
    assert machine["DefinitionString"] == ASL[workflow]
    placeholders = set(re.findall(r"\$\{(\w+)\}", ASL[workflow]))
    assert set(machine["DefinitionSubstitutions"]) == placeholders
    aliases = resources(stage, "AWS::Lambda::Alias")
    for name, value in machine["DefinitionSubstitutions"].items():
        if name.endswith("Function"):
            function = aliases[value["Ref"]]["Properties"]["FunctionName"]["Ref"]
            module = _functions(stage)[function]["Properties"]["Handler"].split(".")[1]
            assert name == "".join(word.capitalize() for word in module.split("_")) + "Function"
        else:
            assert int(value) > 0
    assert "LoggingConfiguration" not in machine, "its policy needs every resource"


@pytest.mark.parametrize("workflow", ASL)
@pytest.mark.parametrize("stage", STAGES)
def test_a_function_times_out_before_the_state_that_calls_it(stage, workflow):
    for name, state in states(json.loads(ASL[workflow])):
        if state["Type"] == "Task" and isinstance(state["TimeoutSeconds"], int):
            placeholder = state["Arguments"]["FunctionName"]
            module = re.sub(r"(?<!^)(?=[A-Z])", "_", placeholder[2 : -len("Function}")]).lower()
            assert functions(stage)[module]["Properties"]["Timeout"] < state["TimeoutSeconds"], name


@pytest.mark.parametrize("workflow", ASL)
@pytest.mark.parametrize("stage", STAGES)
def test_a_job_run_ends_before_its_state_stops_asking(stage, workflow):
    machine = properties(stage, "AWS::StepFunctions::StateMachine", StateMachineName=f"assay-{stage}-{workflow}")
    heartbeat_seconds = int(machine["DefinitionSubstitutions"]["JobHeartbeatSeconds"])
    minutes = functions(stage)["launch_job"]["Properties"]["Environment"]["Variables"]["JOB_TIMEOUT_MINUTES"]
    for _, state in states(json.loads(ASL[workflow])):
        retries = [each for each in state.get("Retry", []) if "States.HeartbeatTimeout" in each["ErrorEquals"]]
        for retry in retries:
            assert int(minutes) * 60 < heartbeat_seconds * (1 + retry["MaxAttempts"])


@pytest.mark.parametrize(
    ("stage", "architecture", "warm"), [("local", "X86_64", False), ("dev", "ARM64", True), ("prod", "ARM64", True)]
)
def test_the_application_stops_itself_and_has_a_limit(stage, architecture, warm):
    application = properties(stage, "AWS::EMRServerless::Application", Name=f"assay-{stage}")
    assert application["ReleaseLabel"] == "emr-spark-8.1.0"
    assert (application["Type"], application["Architecture"]) == ("Spark", architecture)
    assert application["AutoStartConfiguration"] == {"Enabled": True}
    assert application["AutoStopConfiguration"] == {"Enabled": True, "IdleTimeoutMinutes": 5}
    assert set(application["MaximumCapacity"]) == {"Cpu", "Memory", "Disk"}
    assert [each["Key"] for each in application.get("InitialCapacity", [])] == (["Driver", "Executor"] if warm else [])


def test_local_has_no_network():
    assert "NetworkConfiguration" not in properties("local", "AWS::EMRServerless::Application")
    assert not [each for each in template("local", "pipeline")["Resources"].values() if "::EC2::" in each["Type"]]


@pytest.mark.parametrize(("stage", "nat_gateways"), [("dev", 1), ("prod", 2)])
def test_workers_live_in_private_subnets_of_two_zones(stage, nat_gateways):
    network = properties(stage, "AWS::EMRServerless::Application")["NetworkConfiguration"]
    subnets = resources(stage, "AWS::EC2::Subnet")
    own = [subnets[subnet["Ref"]]["Properties"] for subnet in network["SubnetIds"]]
    assert [subnet["AvailabilityZone"] for subnet in own] == ["eu-west-1a", "eu-west-1b"]
    assert [subnet["MapPublicIpOnLaunch"] for subnet in own] == [False, False]
    assert len(resources(stage, "AWS::EC2::NatGateway")) == nat_gateways
    endpoints = [str(each["Properties"]["ServiceName"]) for each in resources(stage, "AWS::EC2::VPCEndpoint").values()]
    assert [service for service in ("s3", "dynamodb") for name in endpoints if f".{service}" in name] == [
        "s3",
        "dynamodb",
    ]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_workers_reach_out_to_known_ports_only_and_nothing_reaches_in(stage):
    [group] = resources(stage, "AWS::EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group["Properties"]
    egress = [
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in group["Properties"]["SecurityGroupEgress"]
    ]
    assert egress == [("tcp", 443, 443), ("tcp", 80, 80)]


@pytest.mark.parametrize(("stage", "state"), [("local", "DISABLED"), ("dev", "ENABLED"), ("prod", "ENABLED")])
def test_the_day_starts_with_its_scheduled_time(stage, state):
    schedule = properties(stage, "AWS::Scheduler::Schedule", Name=f"assay-{stage}-daily-batch")
    assert schedule["State"] == state
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert json.loads(schedule["Target"]["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert schedule["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] in resources(stage, "AWS::SQS::Queue")


def rule(stage, name):
    return properties(stage, "AWS::Events::Rule", Name=f"assay-{stage}-{name}")


@pytest.mark.parametrize("stage", STAGES)
def test_the_end_of_a_job_run_reaches_job_finished(stage):
    ended = rule(stage, "job-run-ended")
    [application] = resources(stage, "AWS::EMRServerless::Application")
    assert ended["EventPattern"] == {
        "source": ["aws.emr-serverless"],
        "detail-type": ["EMR Serverless Job Run State Change"],
        "detail": {
            "applicationId": [{"Fn::GetAtt": [application, "ApplicationId"]}],
            "state": ["SUCCESS", "FAILED", "CANCELLED"],
        },
    }
    assert ended["Targets"][0]["Arn"]["Ref"].startswith("JobFinishedAlias")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("name", "statuses", "target"),
    [
        ("execution-not-succeeded", ["FAILED", "TIMED_OUT", "ABORTED"], "notices"),
        ("execution-stopped", ["ABORTED", "TIMED_OUT"], "CancelJobRunsAlias"),
    ],
)
def test_an_execution_that_ended_badly_is_heard_of(stage, name, statuses, target):
    found = rule(stage, name)
    assert found["EventPattern"]["detail"]["status"] == statuses
    machines = found["EventPattern"]["detail"]["stateMachineArn"]
    assert [machine.rsplit(":", 1)[1] for machine in machines] == [f"assay-{stage}-{workflow}" for workflow in ASL]
    assert target in json.dumps(found["Targets"][0]["Arn"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_notice_is_a_sentence_with_the_command_to_run(stage):
    [target] = rule(stage, "execution-not-succeeded")["Targets"]
    text = target["InputTransformer"]["InputTemplate"]
    for name in target["InputTransformer"]["InputPathsMap"]:
        text = text.replace(f"<{name}>", name)
    assert json.loads(text) == (
        f"A run of stage {stage} ended detail-status at time: execution detail-name. "
        "What failed and what to do: assay explain detail-executionArn"
    )


@pytest.mark.parametrize(("stage", "enabled"), [("local", False), ("dev", True), ("prod", True)])
def test_a_file_in_the_landing_prefix_is_gathered(stage, enabled):
    arrived = rule(stage, "object-arrived")
    assert arrived["State"] == ("ENABLED" if enabled else "DISABLED")
    lake = properties(stage, "AWS::S3::Bucket", BucketName=arrived["EventPattern"]["detail"]["bucket"]["name"][0])
    assert lake["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert arrived["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [lake["BucketName"]]}, "object": {"key": [{"prefix": "landing/"}]}},
    }
    queues = resources(stage, "AWS::SQS::Queue")
    queue = arrived["Targets"][0]["Arn"]["Fn::GetAtt"][0]
    [mapping] = (each["Properties"] for each in resources(stage, "AWS::Lambda::EventSourceMapping").values())
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}
    named = json.dumps(mapping["FunctionName"])
    assert "GatherArrivalsAlias" in named
    assert ":live" in named
    assert mapping["Enabled"] is enabled
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (1000, 60)
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    timeout = functions(stage)["gather_arrivals"]["Properties"]["Timeout"]
    assert queues[queue]["Properties"]["VisibilityTimeout"] >= 6 * timeout
    redrive = queues[queue]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] >= 5
    assert redrive["deadLetterTargetArn"]["Fn::GetAtt"][0] in queues


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_rule_may_send_to_the_queue_of_arrivals(stage):
    rules = resources(stage, "AWS::Events::Rule")
    [arrived] = (
        logical_id for logical_id, each in rules.items() if each["Properties"]["Name"].endswith("object-arrived")
    )
    [queue] = (each["Arn"]["Fn::GetAtt"][0] for each in rules[arrived]["Properties"]["Targets"])
    policies = [each["Properties"] for each in resources(stage, "AWS::SQS::QueuePolicy").values()]
    [policy] = (each["PolicyDocument"] for each in policies if each["Queues"] == [{"Ref": queue}])
    [allowed] = (each for each in policy["Statement"] if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [arrived, "Arn"]}}}


@pytest.mark.parametrize("stage", STAGES)
def test_what_cannot_be_delivered_is_kept(stage):
    queues = resources(stage, "AWS::SQS::Queue")
    for each in resources(stage, "AWS::Events::Rule").values():
        for target in each["Properties"]["Targets"]:
            assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] in queues
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    for queue in queues.values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    asynchronous = resources(stage, "AWS::Lambda::EventInvokeConfig")
    assert len(asynchronous) == 2
    for config in asynchronous.values():
        assert config["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] in queues


@pytest.mark.parametrize("stage", STAGES)
def test_only_this_stages_rule_and_alarms_publish_to_the_topic(stage):
    [policy] = resources(stage, "AWS::SNS::TopicPolicy").values()
    allowed = [each for each in policy["Properties"]["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
    by_service = {statement["Principal"]["Service"]: statement["Condition"] for statement in allowed}
    assert set(by_service) == {"events.amazonaws.com", "cloudwatch.amazonaws.com"}
    assert by_service["events.amazonaws.com"]["ArnEquals"]["aws:SourceArn"]["Fn::GetAtt"][0] in resources(
        stage, "AWS::Events::Rule"
    )
    [account] = by_service["cloudwatch.amazonaws.com"]["StringEquals"].values()
    alarms = f"arn:aws:cloudwatch:eu-west-1:{account}:alarm:assay-{stage}-*"
    assert by_service["cloudwatch.amazonaws.com"]["ArnLike"] == {"aws:SourceArn": alarms}


@pytest.mark.parametrize(
    ("name", "queue"),
    [
        ("ArrivalNotGathered", "arrivals-dead-letters"),
        ("ArrivalNotQueued", "object-arrived-dead-letters"),
        ("DayNotStarted", "schedule-dead-letters"),
    ],
)
@pytest.mark.parametrize("stage", STAGES)
def test_people_are_told_of_what_could_not_start_a_run(stage, name, queue):
    alarm = properties(stage, "AWS::CloudWatch::Alarm", AlarmName=f"assay-{stage}-{name}")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    [dimension] = alarm["Dimensions"]
    watched = resources(stage, "AWS::SQS::Queue")[dimension["Value"]["Fn::GetAtt"][0]]
    assert watched["Properties"]["QueueName"] == f"assay-{stage}-{queue}"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
    assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "notBreaching")
    [(topic, _)] = resources(stage, "AWS::SNS::Topic").items()
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}]
    assert alarm["AlarmDescription"].endswith(f"runbooks/{name}.md")


@pytest.mark.parametrize("stage", STAGES)
def test_every_alarm_has_a_page_of_its_name(stage):
    names = [each["Properties"]["AlarmName"] for each in resources(stage, "AWS::CloudWatch::Alarm").values()]
    assert len(names) >= 3
    for name in names:
        page = (ROOT / "runbooks" / f"{name.removeprefix(f'assay-{stage}-')}.md").read_text()
        parts = ("## Meaning\n", "## Impact\n", "## Diagnosis\n", "## Mitigation\n")
        assert sorted(parts, key=page.index) == list(parts)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_eventbridge_alarms_and_the_gates_can_use_the_topics_key(stage):
    topic = properties(stage, "AWS::SNS::Topic", TopicName=f"assay-{stage}-notices")
    [(logical_id, key)] = resources(stage, "AWS::KMS::Key").items()
    assert topic["KmsMasterKeyId"]["Fn::GetAtt"][0] == logical_id
    services = [each["Principal"].get("Service") for each in key["Properties"]["KeyPolicy"]["Statement"]]
    assert {"events.amazonaws.com", "cloudwatch.amazonaws.com"} <= set(filter(None, services))
    gate = properties(stage, "AWS::IAM::Role", RoleName=f"assay-{stage}-hold-at-gate")
    assert "kms:GenerateDataKey" in json.dumps(gate)
