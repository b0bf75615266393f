import dataclasses
import json
import shutil

import pytest
import yaml
from cdk_templates import KEYS

from cdk import app, artifacts, settings, sources
from contracts import contract as contracts
from spark_jobs import ingest
from spark_jobs.bronze_to_silver import SILVER_TABLES


@pytest.fixture
def config(tmp_path):
    shutil.copytree(settings.CONFIG, tmp_path / "config")
    return tmp_path / "config"


def change(config, key, value):
    """Set, or with KeyError remove, a dotted key of dev.yaml."""
    path = config / "dev.yaml"
    values = yaml.safe_load(path.read_text())
    *parents, last = key.split(".")
    inner = values
    for parent in parents:
        inner = inner[parent]
    if value is KeyError:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(yaml.safe_dump(values))


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_every_stage_loads(stage):
    assert settings.load(stage).stage == stage


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("fail_from: {error: 0, warn: null}", ["dq.yaml", "fail_from.error", "rule minimum"], id="no-gate"),
        pytest.param("fail_from: {warn: 1}", ["dq.yaml", "fail_from", "'error' is a required"], id="no-error"),
        pytest.param("fail_from: {error: 1, warn: null", ["dq.yaml", "not YAML"], id="not-yaml"),
    ],
)
def test_thresholds_that_cannot_be_meant_are_refused(config, text, words):
    (config / "dq.yaml").write_text(text)
    with pytest.raises(settings.SettingsError) as refused:
        settings.load("dev", config=config)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("arrivals.window_seconds", 0),
        ("arrivals.window_seconds", 301),
        ("arrivals.batch_size", 0),
        ("arrivals", KeyError),
    ],
)
def test_arrivals_that_cannot_be_gathered_so_are_refused(config, key, value):
    change(config, key, value)
    with pytest.raises(settings.SettingsError, match="arrivals"):
        settings.load("dev", config=config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("analysts.principals", [], id="nobody"),
        pytest.param("analysts.principals", ["*"], id="everybody"),
        pytest.param("analysts.principals", ["role/*"], id="every-role"),
        pytest.param("analysts.principals", ["arn:aws:iam::333333333333:root"], id="another-account"),
        pytest.param("analysts.query_limit_gb", 0, id="no-query"),
        pytest.param("analysts.results_days", 0, id="no-result"),
        pytest.param("analysts", KeyError, id="missing"),
    ],
)
def test_analysts_that_cannot_be_meant_are_refused(config, key, value):
    change(config, key, value)
    with pytest.raises(settings.SettingsError, match="analysts"):
        settings.load("dev", config=config)


def test_local_takes_the_architecture_of_the_machine_and_has_no_network():
    local = settings.load("local", host="arm64")
    assert (local.architecture, local.network, local.account) == ("arm64", None, "000000000000")


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_stage_on_aws_runs_on_arm_and_keeps_its_data(stage):
    loaded = settings.load(stage, host="x86_64")
    assert (loaded.architecture, loaded.retain) == ("arm64", True)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        pytest.param("account", 123, ["dev.yaml", "account", "123 is not of type 'string'"], id="account-not-quoted"),
        pytest.param("account", "12", ["dev.yaml", "account", "rule pattern"], id="account-too-short"),
        pytest.param(
            "architecture", "sparc", ["architecture", "'sparc' is not one of", "rule enum"], id="unknown-word"
        ),
        pytest.param("retain", KeyError, ["dev.yaml", "'retain' is a required property"], id="missing"),
        pytest.param("job.typo", 1, ["dev.yaml", "job", "'typo' was unexpected"], id="unknown-key"),
        pytest.param("network.zones", ["eu-west-1a"], ["network.zones", "too short", "rule minItems"], id="one-zone"),
        pytest.param(
            "network.zones",
            ["eu-west-1a", "us-east-1a"],
            ["us-east-1a is not in region eu-west-1"],
            id="zone-elsewhere",
        ),
        pytest.param("spark.conf", {"jars": "x"}, ["spark.conf", "'jars' does not match"], id="not-a-spark-property"),
        pytest.param(
            "job.heartbeat_seconds",
            7200,
            ["heartbeat_seconds", "not below", "task_timeout_seconds 7200"],
            id="heartbeat",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_file_key_and_rule(config, key, value, words):
    change(config, key, value)
    with pytest.raises(settings.SettingsError) as caught:
        settings.load("dev", config=config)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param([], ["sources", "should be non-empty", "rule minItems"], id="none"),
        pytest.param(["fx_rates", "fx_rates"], ["sources", "rule uniqueItems"], id="twice"),
        pytest.param(["../fx_rates"], ["sources.0", "rule pattern"], id="path"),
        pytest.param(["fx'; DROP TABLE x"], ["sources.0", "rule pattern"], id="sql"),
        pytest.param(
            ["fx_rate"], ["sources", "no bronze contract has a source 'fx_rate'; there are fx_rates, "], id="no-such"
        ),
    ],
)
def test_a_source_that_cannot_run_is_refused_at_synthesis(config, value, words):
    change(config, "sources", value)
    with pytest.raises(settings.SettingsError) as caught:
        settings.load("dev", config=config)
    for word in words:
        assert word in str(caught.value)


def test_a_source_of_a_kind_without_a_reader_is_refused_at_synthesis(config, monkeypatch):
    monkeypatch.setattr(sources, "KINDS", ("files",))
    change(config, "sources", ["fx_rates", "hubspot_contacts"])
    words = "dev.yaml: sources: hubspot_contacts is of kind hubspot, which has no reader in spark_jobs/sources/ yet"
    with pytest.raises(settings.SettingsError, match=words):
        settings.load("dev", config=config)


def test_the_kinds_that_a_stage_may_run_are_those_with_a_reader():
    assert set(sources.KINDS) == set(ingest.READERS)
    described = {each.source_name: each.source["kind"] for each in contracts.sources()}
    assert sources.kinds() == described


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_a_stage_runs_every_source_that_silver_is_made_of(stage):
    assert set(settings.load(stage).sources) >= {table.source for table in SILVER_TABLES}


def test_an_unknown_stage_names_the_known_ones():
    with pytest.raises(settings.SettingsError, match=r"no stage 'prd'; known are dev, local, prod"):
        settings.load("prd")


def test_a_file_that_is_not_yaml_is_named(config):
    (config / "dev.yaml").write_text("account: [")
    with pytest.raises(settings.SettingsError, match=r"dev\.yaml: not YAML"):
        settings.load("dev", config=config)


def test_missing_archives_say_how_to_build_them(tmp_path):
    with pytest.raises(settings.SettingsError, match="run `make package`"):
        artifacts.load(tmp_path / "arm64.json")


@pytest.mark.parametrize("text", ["{", '{"code_digest": "a"}', '{"key": 1}'], ids=["broken", "incomplete", "foreign"])
def test_a_list_of_archives_that_is_not_complete_is_refused(tmp_path, text):
    path = tmp_path / "arm64.json"
    path.write_text(text)
    with pytest.raises(settings.SettingsError, match=r"arm64\.json.*run `make package` again"):
        artifacts.load(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "name a stage", id="no-stage"),
        pytest.param(["prd"], "there is no stage 'prd'", id="unknown-stage"),
        pytest.param(
            ["dev", "--artifacts", "/nowhere.json"], "/nowhere.json: the archives are not built", id="no-code"
        ),
    ],
)
def test_the_app_fails_with_one_sentence(monkeypatch, capsys, arguments, words):
    monkeypatch.delenv("CDK_CONTEXT_JSON", raising=False)
    assert app.main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_the_cdk_cli_names_stage_and_archives_in_its_context(monkeypatch, tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(dataclasses.asdict(KEYS)))
    context = {"stage": "local", "artifacts": str(tmp_path / "keys.json")}
    monkeypatch.setenv("CDK_CONTEXT_JSON", json.dumps(context))
    monkeypatch.setenv("CDK_OUTDIR", str(tmp_path / "out"))
    assert app.main(["--no-validation"]) == 0
    written = (tmp_path / "out" / "assay-local-pipeline.template.json").read_text()
    assert KEYS.lambda_key in written
