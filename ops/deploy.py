"""Deploys the synthesized `local` template to the laptop cloud, through CloudFormation as on AWS."""

from __future__ import annotations

import hashlib
import json
import platform as host
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from botocore.exceptions import ClientError, WaiterError

from local import standins
from ops import package
from ops.errors import OpsError
from ops.platform import Access, outputs

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

ROOT = package.ROOT
SYNTH = ROOT / "build" / "synth"
LAKE, PIPELINE = "assay-local-lake", "assay-local-pipeline"


def host_architecture() -> str:
    """This machine's architecture in AWS's words: x86_64 or arm64."""
    return {"aarch64": "arm64", "arm64": "arm64"}.get(host.machine(), "x86_64")


def synthesize(stage: str) -> Path:
    """The folder of `stage`'s templates, synthesized anew when something that goes into them has changed.

    CDK's own rules are left to `make synth`.

    Raises:
        OpsError: the app does not synthesize; the sentence ends with what it printed last.
    """
    folder = SYNTH / stage
    stamp, digest = folder / ".digest", _inputs_digest()
    if not stamp.exists() or stamp.read_text() != digest:
        result = subprocess.run(
            [sys.executable, "cdk/app.py", stage, "--no-validation"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            last = (result.stderr.strip().splitlines() or ["no output"])[-1]
            raise OpsError(f"the templates of stage {stage} do not synthesize: {last}")
        stamp.write_text(digest)
    return folder


def _inputs_digest() -> str:
    digest = hashlib.sha256()
    folders = ("cdk", "config", "state_machines", "build/artifacts")
    files = [ROOT / "cdk.json", ROOT / "uv.lock"]
    files += [path for name in folders for path in sorted((ROOT / name).glob("*.*")) if path.is_file()]
    for path in files:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def prepare() -> Path:
    """Build the archives for this machine and synthesize the local templates; returns their folder."""
    package.build(host_architecture())
    return synthesize("local")


def deploy(access: Access, folder: Path, standin_ports: Mapping[str, int], say: Callable[[str], None]) -> None:
    """Create or update both stacks, upload the archives between them, and fill in the secrets.

    Args:
        access: the laptop cloud.
        folder: where the local templates are.
        standin_ports: where each source's stand-in listens.
        say: told what is being done, a few words a step.
    Raises:
        OpsError: a stack does not come up; the sentence names the first resource that failed and why.
    """
    say("stack of the lake")
    _put(access, LAKE, TemplateBody=(folder / f"{LAKE}.template.json").read_text())
    lake = outputs(access, LAKE)
    say("archives")
    ship(access, "local", host_architecture())
    for name, port in standin_ports.items():
        secret = json.dumps(standins.secret(name, port))
        access.secrets.put_secret_value(SecretId=lake[f"{name.capitalize()}SecretArn"], SecretString=secret)
    say("stack of the pipeline")
    # A template over 51,200 bytes must come from S3.
    template = f"{PIPELINE}.template.json"
    access.s3.upload_file(str(folder / template), lake["CodeBucketName"], f"templates/{template}")
    url = f"{access.endpoint_url}/{lake['CodeBucketName']}/templates/{template}"
    _put(access, PIPELINE, TemplateURL=url)


def ship(access: Access, stage: str, architecture: str) -> list[str]:
    """Upload a stage's archives into its code bucket, and return their keys; what lies there already stays.

    Raises:
        OpsError: the archives are not built, or the stage's lake stack is not deployed.
    """
    bucket = outputs(access, f"assay-{stage}-lake")["CodeBucketName"]
    there = {item["Key"] for page in _pages(access, bucket) for item in page.get("Contents", [])}
    archives = package.files(architecture)
    for key, path in archives.items():
        if key not in there:
            access.s3.upload_file(str(path), bucket, key)
    return list(archives)


def _pages(access: Access, bucket: str) -> Iterable[ListObjectsV2OutputTypeDef]:
    return access.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)


def architecture_of(stage: str) -> str:
    """The architecture that `config/<stage>.yaml` names.

    Raises:
        OpsError: there is no such stage.
    """
    path = ROOT / "config" / f"{stage}.yaml"
    if not path.is_file():
        raise OpsError(f"stage {stage!r}: there is no {path.relative_to(ROOT)}")
    named = str(yaml.safe_load(path.read_text())["architecture"])
    return host_architecture() if named == "host" else named


def _put(access: Access, stack: str, **template: str) -> None:
    cloudformation, acknowledged = access.cloudformation, ["CAPABILITY_NAMED_IAM"]
    try:
        cloudformation.create_stack(StackName=stack, Capabilities=acknowledged, **template)  # type: ignore[arg-type]
        waiter: Any = cloudformation.get_waiter("stack_create_complete")
    except cloudformation.exceptions.AlreadyExistsException:
        try:
            cloudformation.update_stack(StackName=stack, Capabilities=acknowledged, **template)  # type: ignore[arg-type]
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return
            raise
        waiter = cloudformation.get_waiter("stack_update_complete")
    try:
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except WaiterError:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in reversed(events) if event["ResourceStatus"].endswith("_FAILED")]
        why = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed[:1]]
        raise OpsError(f"stack {stack} did not come up: {why[0] if why else 'no resource failed'}") from None
