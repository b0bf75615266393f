import json

import pytest
from cdk_templates import STAGES, allows, listed, properties, resources, statements

from contracts import contract as contracts

FUNCTIONS = (
    "open-run",
    "validate-contracts",
    "launch-job",
    "job-finished",
    "hold-at-gate",
    "register-catalog",
    "emit-lineage-and-metrics",
    "close-run",
    "cancel-job-runs",
    "gather-arrivals",
)
JOBS = ("ingest", "check", "silver", "publish-silver", "gold", "publish", "maintain", "restore")
LAKE = "arn:aws:s3:::assay-dev-lake-111111111111-eu-west-1"
CODE = "arn:aws:s3:::assay-dev-code-111111111111-eu-west-1"


def identity_policies(stage):
    for logical_id, role in resources(stage, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            yield logical_id, policy["PolicyDocument"]["Statement"]
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for logical_id, policy in resources(stage, kind).items():
            yield logical_id, policy["Properties"]["PolicyDocument"]["Statement"]


@pytest.mark.parametrize("stage", STAGES)
def test_no_identity_policy_names_every_resource_or_a_whole_service(stage):
    for logical_id, found in identity_policies(stage):
        for statement in found:
            for resource in listed(statement["Resource"]):
                assert resource != "*", logical_id
                assert not str(resource).endswith(":::*"), logical_id
            for action in listed(statement["Action"]):
                assert "*" not in action, f"{logical_id}: {action}"
            assert "NotAction" not in statement
            assert "NotResource" not in statement


@pytest.mark.parametrize("stage", STAGES)
def test_every_permission_is_written_out_in_its_role(stage):
    assert not resources(stage, "AWS::IAM::Policy")
    assert not resources(stage, "AWS::IAM::ManagedPolicy")
    for role in resources(stage, "AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]


@pytest.mark.parametrize("stage", STAGES)
def test_there_is_one_role_per_actor(stage):
    names = sorted(role["Properties"]["RoleName"] for role in resources(stage, "AWS::IAM::Role").values())
    actors = (
        *FUNCTIONS,
        *JOBS,
        "daily-batch",
        "file-arrival",
        "maintenance",
        "scheduler",
        "maintenance-scheduler",
        "analyst",
        "redshift-unload",
    )
    assert names == sorted(f"assay-{stage}-{actor}" for actor in actors)


@pytest.mark.parametrize("actor", FUNCTIONS)
def test_a_function_writes_its_own_log_only(actor):
    own = f"arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/assay-dev-{actor}:*"
    granted = [each["Resource"] for each in statements("dev", actor) if "logs:PutLogEvents" in listed(each["Action"])]
    assert granted == [own]


@pytest.mark.parametrize(
    ("actor", "writes"),
    [
        (
            "ingest",
            [
                "bronze/fx_rates/x",
                "quarantine/fx_rates/x",
                "quarantine/orders_silver/x",
                "runs/r/ingest/fx_rates/1.json",
            ],
        ),
        ("check", ["quality/results/_delta_log/00000000000000000001.json", "runs/r/check_bronze/all/1.json"]),
        (
            "silver",
            ["candidates/r/silver/orders/1/x", "quarantine/orders_silver/x", "runs/r/bronze_to_silver/all/1.json"],
        ),
        ("publish-silver", ["silver/orders/x", "runs/r/publish_silver/all/1.json"]),
        ("gold", ["candidates/r/gold/fct_daily_revenue/1/x", "runs/r/silver_to_gold/all/1.json"]),
        ("publish", ["silver/orders/x", "gold/fct_daily_revenue/x", "runs/r/publish_gold/all/1.json"]),
        (
            "maintain",
            [
                "bronze/fx_rates/x",
                "silver/orders/x",
                "gold/fct_daily_revenue/x",
                "quality/results/_delta_log/00000000000000000001.json",
                "runs/r/maintain/gold/1.json",
            ],
        ),
        (
            "restore",
            [
                "candidates/r/silver/orders/1/x",
                "quality/results/_delta_log/00000000000000000001.json",
                "silver/orders/x",
                "runs/r/restore_silver/orders/1.json",
            ],
        ),
    ],
)
def test_a_job_writes_only_what_is_its_own(actor, writes):
    places = [
        "landing/fx/x.csv",
        "bronze/fx_rates/x",
        "silver/orders/x",
        "gold/fct_daily_revenue/x",
        "quarantine/fx_rates/x",
        "quarantine/orders_silver/x",
        "candidates/r/silver/orders/1/x",
        "candidates/r/gold/fct_daily_revenue/1/x",
        "requests/r/x.json",
        "quality/results/_delta_log/00000000000000000001.json",
        "quality/other/x",
        f"runs/r/{writes[-1].split('/')[2]}/{writes[-1].split('/')[3]}/1.json",
        "lineage/r.ndjson",
    ]
    assert sorted(place for place in places if allows("dev", actor, "s3:PutObject", f"{LAKE}/{place}")) == sorted(
        writes
    )


def test_the_silver_job_writes_the_quarantine_of_each_silver_dataset_and_no_source_s():
    for contract in contracts.load_all():
        allowed = allows("dev", "silver", "s3:PutObject", f"{LAKE}/{contract.quarantine}/x")
        assert allowed == (contract.layer == "silver")


@pytest.mark.parametrize("actor", JOBS)
def test_a_job_cannot_delete_what_is_evidence_or_touch_the_code(actor):
    for place in ("runs/r/ingest/fx_rates/1.json", "requests/r/x.json", "landing/fx/x.csv", "quality/results/x"):
        assert not allows("dev", actor, "s3:DeleteObject", f"{LAKE}/{place}")
    assert allows("dev", actor, "s3:GetObject", f"{CODE}/spark/0123456789ab/main.py")
    assert not allows("dev", actor, "s3:PutObject", f"{CODE}/spark/0123456789ab/main.py")
    assert not allows("dev", actor, "s3:GetObject", f"{CODE}/lambda/0123456789ab.zip")


@pytest.mark.parametrize("actor", ["check", "silver", "publish-silver", "gold", "publish", "maintain", "restore"])
def test_only_ingest_reads_landing_and_the_secrets_of_sources(actor):
    assert not allows("dev", actor, "s3:GetObject", f"{LAKE}/landing/fx/x.csv")
    assert not [name for name in secrets_of(actor) if "PiiKey" not in name]


def test_only_the_jobs_that_make_silver_read_the_key_of_tokens():
    assert {actor for actor in JOBS if any("PiiKey" in name for name in secrets_of(actor))} == {"silver", "restore"}
    assert len(secrets_of("silver")) == len(secrets_of("restore")) == 1


def secrets_of(actor):
    """The secrets that an actor may read, as the template refers to them."""
    granted = [each for each in statements("dev", actor) if "secretsmanager:GetSecretValue" in listed(each["Action"])]
    return [json.dumps(name) for each in granted for name in listed(each["Resource"])]


def test_redshift_writes_what_it_unloads_and_ingest_alone_reads_it():
    unloaded = f"{LAKE}/unload/r/redshift_order_lines/1/0000_part_00.parquet"
    assert allows("dev", "redshift-unload", "s3:PutObject", unloaded)
    for place in ("bronze/redshift_order_lines/x.parquet", "landing/fx/x.csv", "runs/r/x.json", "unloaded/x"):
        assert not allows("dev", "redshift-unload", "s3:PutObject", f"{LAKE}/{place}")
    for action in ("s3:GetObject", "s3:DeleteObject"):
        assert not allows("dev", "redshift-unload", action, unloaded)
    assert [actor for actor in JOBS if allows("dev", actor, "s3:GetObject", unloaded)] == ["ingest"]


def test_only_this_account_s_database_users_have_redshift_assume_its_role():
    trusted = properties("dev", "AWS::IAM::Role", RoleName="assay-dev-redshift-unload")["AssumeRolePolicyDocument"]
    found = {each["Principal"]["Service"]: each["Condition"]["StringLike"] for each in trusted["Statement"]}
    assert found == {
        f"{service}.amazonaws.com": {"sts:ExternalId": f"arn:aws:{service}:eu-west-1:111111111111:dbuser:*/*"}
        for service in ("redshift", "redshift-serverless")
    }


def test_only_who_appends_to_the_audit_reads_it():
    places = ("quality/results/_delta_log/_last_checkpoint", "quality/results/part-00000.parquet")
    for actor in JOBS:
        assert {allows("dev", actor, "s3:GetObject", f"{LAKE}/{place}") for place in places} == {
            actor in ("check", "maintain", "restore")
        }


@pytest.mark.parametrize("actor", [*JOBS, "launch-job", "validate-contracts"])
def test_who_reads_a_prefix_may_list_it_and_no_other(actor):
    for statement in statements("dev", actor):
        if "s3:ListBucket" in listed(statement["Action"]):
            patterns = statement["Condition"]["StringLike"]["s3:prefix"]
            assert "" not in patterns
            assert "*" not in patterns


def test_launch_job_hands_only_job_roles_and_only_to_emr_serverless():
    [granted] = [each for each in statements("dev", "launch-job") if each["Action"] == "iam:PassRole"]
    assert granted["Resource"] == [f"arn:aws:iam::111111111111:role/assay-dev-{actor}" for actor in JOBS]
    assert granted["Condition"] == {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}


def test_only_launch_job_starts_job_runs():
    starters = [
        actor
        for actor in (*FUNCTIONS, *JOBS)
        if any("emr-serverless:StartJobRun" in listed(each["Action"]) for each in statements("dev", actor))
    ]
    assert starters == ["launch-job"]


def test_tasks_of_these_workflows_are_answered_and_no_others():
    for actor in ("launch-job", "job-finished"):
        [granted] = [each for each in statements("dev", actor) if "states:SendTaskSuccess" in listed(each["Action"])]
        machines = "arn:aws:states:eu-west-1:111111111111:stateMachine:assay-dev-"
        assert granted["Resource"] == [f"{machines}daily-batch", f"{machines}file-arrival", f"{machines}maintenance"]


def test_gathering_starts_the_file_arrival_and_reads_its_own_queue():
    granted = {
        action: each["Resource"] for each in statements("dev", "gather-arrivals") for action in listed(each["Action"])
    }
    machine = "arn:aws:states:eu-west-1:111111111111:stateMachine:assay-dev-file-arrival"
    assert granted["states:StartExecution"] == machine
    assert granted["sqs:ReceiveMessage"] == "arn:aws:sqs:eu-west-1:111111111111:assay-dev-arrivals"
    assert not allows("dev", "gather-arrivals", "s3:PutObject", f"{LAKE}/landing/fx/x.csv")
    assert not allows("dev", "gather-arrivals", "s3:GetObject", f"{LAKE}/bronze/fx_rates/x")
    starters = [
        actor
        for actor in FUNCTIONS
        if any("states:StartExecution" in listed(each["Action"]) for each in statements("dev", actor))
    ]
    assert starters == ["gather-arrivals"]


@pytest.mark.parametrize("workflow", ["daily-batch", "file-arrival", "maintenance"])
def test_a_state_machine_may_only_invoke_aliases(workflow):
    [granted] = statements("dev", workflow)
    aliases = resources("dev", "AWS::Lambda::Alias")
    assert granted["Action"] == "lambda:InvokeFunction"
    assert {resource["Ref"] for resource in granted["Resource"]} <= set(aliases)


@pytest.mark.parametrize(
    ("actor", "service"),
    [
        ("ingest", "emr-serverless"),
        ("daily-batch", "states"),
        ("file-arrival", "states"),
        ("maintenance", "states"),
        ("scheduler", "scheduler"),
        ("maintenance-scheduler", "scheduler"),
        ("open-run", "lambda"),
    ],
)
def test_a_role_trusts_one_service(actor, service):
    trust = properties("dev", "AWS::IAM::Role", RoleName=f"assay-dev-{actor}")["AssumeRolePolicyDocument"]
    [statement] = trust["Statement"]
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
    if service != "lambda":
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "111111111111"}


@pytest.mark.parametrize("stage", STAGES)
def test_no_policy_outgrows_what_a_role_can_hold(stage):
    for role in resources(stage, "AWS::IAM::Role").values():
        size = sum(len(json.dumps(each["PolicyDocument"])) for each in role["Properties"]["Policies"])
        assert size < 10_240
