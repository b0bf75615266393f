"""Every template as it was when somebody last looked at it: `UPDATE_SNAPSHOTS=1 pytest tests/test_cdk_templates.py`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cdk_templates import ROOT, STACKS, STAGES, folder, template

SNAPSHOTS = Path(__file__).parent / "snapshots"
VERSION_DIGEST = re.compile(r"(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}")


def masked(found):
    """A template without what changes with every edit elsewhere: digests of versions, and the text of the ASL file."""
    text = VERSION_DIGEST.sub(r"\1<digest>", json.dumps(found))
    result = json.loads(text)
    for resource in result["Resources"].values():
        if "DefinitionString" in resource.get("Properties", {}):
            resource["Properties"]["DefinitionString"] = "<its file in state_machines>"
    return json.dumps(result, indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("stack", STACKS)
def test_the_template_is_as_last_reviewed(stage, stack):
    path, now = SNAPSHOTS / f"cdk_{stage}_{stack}.json", masked(template(stage, stack))
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(now)
    assert now == path.read_text(), "if it is meant to change: UPDATE_SNAPSHOTS=1 pytest tests/test_cdk_templates.py"


@pytest.mark.parametrize("stage", STAGES)
def test_no_template_needs_assets_or_a_bootstrapped_account(stage):
    for stack in STACKS:
        assets = json.loads((folder(stage) / f"assay-{stage}-{stack}.assets.json").read_text())
        assert [each["source"]["path"] for each in assets["files"].values()] == [f"assay-{stage}-{stack}.template.json"]
        assert "Parameters" not in template(stage, stack)
        assert "Rules" not in template(stage, stack)


def test_cfn_lint_finds_nothing_in_any_template():
    lint = Path(sys.executable).with_name("cfn-lint")
    templates = [str(folder(stage) / f"assay-{stage}-{stack}.template.json") for stage in STAGES for stack in STACKS]
    result = subprocess.run([lint, "--template", *templates], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
