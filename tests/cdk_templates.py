"""The synthesized templates of every stage, once per test process, and small questions to ask of them."""

import atexit
import fnmatch
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

from cdk import artifacts, settings, stages

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("local", "dev", "prod")
STACKS = ("lake", "pipeline")
KEYS = artifacts.Artifacts(
    code_digest="0123456789ab",
    lambda_key="lambda/0123456789ab.zip",
    spark_entry_key="spark/0123456789ab/main.py",
    spark_code_key="spark/0123456789ab/code.zip",
    spark_deps_key="spark/deps-0123456789ab.tar.gz",
)


def synthesize(stage: str, out: Path, keys: artifacts.Artifacts = KEYS) -> dict[str, dict]:
    """Write the templates of a stage to a folder; returns them by stack."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    definitions = stages.definitions()
    loaded = settings.load(stage, host="x86_64")
    # CDK's own rules are left to `make synth`; cfn-lint has a test of its own
    stages.build(loaded, keys=keys, definitions=definitions, out=out, context=flags, validate=False).synth()
    return {stack: json.loads((out / f"assay-{stage}-{stack}.template.json").read_text()) for stack in STACKS}


@cache
def folder(stage: str) -> Path:
    out = tempfile.mkdtemp(prefix="assay-synth-")
    atexit.register(shutil.rmtree, out)
    synthesize(stage, Path(out))
    return Path(out)


@cache
def template(stage: str, stack: str) -> dict:
    return json.loads((folder(stage) / f"assay-{stage}-{stack}.template.json").read_text())


def resources(stage: str, kind: str, stack: str | None = None) -> dict[str, dict]:
    """Logical id to resource, of a type such as AWS::IAM::Role."""
    return {
        logical_id: found
        for name in ([stack] if stack else STACKS)
        for logical_id, found in template(stage, name)["Resources"].items()
        if found["Type"] == kind
    }


def properties(stage: str, kind: str, **wanted: object) -> dict:
    """The properties of the one resource of a type that has these."""
    found = [
        resource["Properties"]
        for resource in resources(stage, kind).values()
        if all(resource["Properties"].get(name) == value for name, value in wanted.items())
    ]
    assert len(found) == 1, f"{len(found)} of {kind} with {wanted}"
    return found[0]


def statements(stage: str, actor: str) -> list[dict]:
    """The identity policy of an actor's role."""
    role = properties(stage, "AWS::IAM::Role", RoleName=f"assay-{stage}-{actor}")
    return [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def listed(value: object) -> list:
    return value if isinstance(value, list) else [value]


def allows(stage: str, actor: str, action: str, resource: str) -> bool:
    """Whether an actor's role allows an action on a resource; conditions are left out."""
    return any(
        action in listed(statement["Action"])
        and any(isinstance(arn, str) and fnmatch.fnmatchcase(resource, arn) for arn in listed(statement["Resource"]))
        for statement in statements(stage, actor)
    )
