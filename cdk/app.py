"""Synthesizes the stacks of a stage.

python cdk/app.py local dev prod       writes build/synth/<stage>/*.template.json, one process for all
cdk deploy -c stage=dev --all          the CDK CLI; it names the stage in its context
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cdk import settings, stages

SYNTH = settings.ROOT / "build" / "synth"


def main(argv: Sequence[str] | None = None) -> int:
    """Synthesize the stages named as arguments or, run by the CDK CLI, the one in its context."""
    parser = argparse.ArgumentParser(description="Write the CloudFormation templates of stages.")
    parser.add_argument("stages", nargs="*", help="local, dev, prod")
    parser.add_argument("--out", type=Path, default=SYNTH, help="templates go to <out>/<stage>")
    parser.add_argument("--artifacts", type=Path, help="the list of built archives")
    parser.add_argument("--no-validation", action="store_true", help="skip CDK's own rules, for the laptop's sake")
    arguments = parser.parse_args(argv)
    flags = json.loads((settings.ROOT / "cdk.json").read_text())["context"]
    context = flags | json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    keys = arguments.artifacts or (Path(context["artifacts"]) if "artifacts" in context else None)
    try:
        if not arguments.stages and "stage" not in context:
            raise settings.SettingsError("name a stage: `python cdk/app.py dev`, or `cdk synth -c stage=dev`")
        for stage in arguments.stages or [context["stage"]]:
            # The CDK CLI reads what it deploys from a folder of its own.
            out = arguments.out / stage if arguments.stages else Path(os.environ.get("CDK_OUTDIR", SYNTH / stage))
            validate = not arguments.no_validation
            stages.synthesize(stage, out=out, context=context, keys=keys, validate=validate)
    except settings.SettingsError as error:
        print(f"cdk/app.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
