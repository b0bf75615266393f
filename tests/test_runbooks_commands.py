"""Every command on a page of the runbooks exists, with the options that it is given there."""

import re
import shlex

import botocore.session
import pytest
from botocore import xform_name
from cdk_templates import ROOT
from typer.main import get_command

from ops.main import app

PAGES = sorted((ROOT / "runbooks").glob("*.md"))
OF_EVERY_COMMAND = {"--query", "--output", "--region"}
OF_S3 = {"cp": {"--metadata-directive"}, "ls": set()}  # the CLI's own commands, which no model describes


def commands(page, program):
    """The commands of a program: in blocks, their continued lines joined, and in running text."""
    text = page.read_text().replace("\\\n", " ")
    found = re.findall(rf"^\s*({program} [^\n]+)$", text, re.M) + re.findall(rf"`({program} [^`\n]+)`", text)
    return [shlex.split(re.sub(r"<[^>]+>", "value", each.split(" | ")[0])) for each in found]


def options(words):
    return {word.split("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_aws_cli_exist(page):
    session = botocore.session.get_session()
    for _, service, command, *rest in commands(page, "aws"):
        if service == "s3":
            assert options(rest) <= OF_S3[command]
            continue
        model = session.get_service_model(service)
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        members = model.operation_model(operations[command]).input_shape.members
        assert options(rest) - OF_EVERY_COMMAND <= {f"--{xform_name(name, '-')}" for name in members}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_assay_exist(page):
    for _, *words in commands(page, "assay"):
        command = get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), words
        assert options(words) <= {option for each in command.params for option in each.opts}, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_to_type(page):
    assert len(commands(page, "aws") + commands(page, "assay")) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_that_a_page_names_exist(page):
    for name in re.findall(r"\]\((\w+\.md)\)", page.read_text()):
        assert (page.parent / name).is_file()
