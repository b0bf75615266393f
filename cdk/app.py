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
    arguments = parser.parse_args(argv)
    # While it is imported jsonschema builds a grammar of URIs, for as long as all the rest takes; no setting is a URI.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from_cli = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    keys = arguments.artifacts or (Path(from_cli["artifacts"]) if "artifacts" in from_cli else None)
    try:
        if arguments.stages:
            flags = json.loads((settings.ROOT / "cdk.json").read_text())["context"]
            for stage in arguments.stages:
                stages.synthesize(stage, out=arguments.out / stage, context=flags, keys=keys)
        elif "stage" in from_cli:
            stages.synthesize(from_cli["stage"], out=None, context=None, keys=keys)
        else:
            raise settings.SettingsError("name a stage: `python cdk/app.py dev`, or `cdk synth -c stage=dev`")
    except settings.SettingsError as error:
        print(f"cdk/app.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
