"""The app of a stage: its two stacks and where their templates go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from cdk import artifacts, settings
from cdk.lake_stack import LakeStack
from cdk.names import Names
from cdk.pipeline_stack import PipelineStack

WORKFLOWS = ("daily_batch", "file_arrival", "maintenance")
ARTIFACTS = settings.ROOT / "build" / "artifacts"


def build(
    stage: settings.Settings,
    *,
    keys: artifacts.Artifacts,
    definitions: Mapping[str, str],
    out: Path,
    context: Mapping[str, Any],
    validate: bool = True,
) -> cdk.App:
    """The app of one stage: the stack of what must be kept, and the stack of what runs.

    Args:
        stage: its settings.
        keys: where its code lies in the code bucket.
        definitions: workflow to its ASL file's text.
        out: the folder for the templates.
        context: feature flags.
        validate: apply CDK's own rules to the templates, which takes as long as all the rest.
    """
    app = cdk.App(
        outdir=str(out),
        context=context,
        analytics_reporting=False,
        tree_metadata=False,
        builtin_cloud_formation_validation=validate,
    )
    names = Names.of(stage)
    environment = cdk.Environment(account=stage.account, region=stage.region)
    lake = LakeStack(
        app,
        f"{names.prefix}-lake",
        settings=stage,
        names=names,
        env=environment,
        synthesizer=_synthesizer(),
        description=f"Assay {stage.stage}: data that outlives its deployment",
    )
    pipeline = PipelineStack(
        app,
        f"{names.prefix}-pipeline",
        settings=stage,
        names=names,
        artifacts=keys,
        definitions=definitions,
        secret_arns=lake.secret_arns,
        pii_key_arn=lake.pii_key_arn,
        env=environment,
        synthesizer=_synthesizer(),
        description=f"Assay {stage.stage}: the daily batch, code {keys.code_digest}",
    )
    pipeline.add_stack_dependency(lake)
    cdk.Tags.of(app).add("project", "assay")
    cdk.Tags.of(app).add("stage", stage.stage)
    return app


def definitions() -> dict[str, str]:
    """Workflow to the text of its ASL file."""
    folder = settings.ROOT / "state_machines"
    return {workflow: (folder / f"{workflow}.asl.json").read_text() for workflow in WORKFLOWS}


def _synthesizer() -> cdk.DefaultStackSynthesizer:
    """No stack has file assets, so no template asks for a bootstrapped account."""
    return cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False)


def synthesize(
    stage_name: str, *, out: Path, context: Mapping[str, Any], keys: Path | None, validate: bool = True
) -> None:
    """Write the templates of a stage.

    Raises:
        SettingsError: the stage, its settings, or the list of built archives is not as it must be.
    """
    stage = settings.load(stage_name)
    loaded = artifacts.load(keys or ARTIFACTS / f"{stage.architecture}.json")
    build(stage, keys=loaded, definitions=definitions(), out=out, context=context, validate=validate).synth()
