"""The steps of "Add a source" in the README, taken in a copy of the project; leaving one out is refused by name."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import asdict

import pytest
import yaml
from cdk_templates import KEYS, ROOT

ROOMS = ("cdk", "config", "contracts", "lambdas", "local", "ops", "spark_jobs", "state_machines", "tests")
KINDS = {
    "amount": {"type": "string", "pattern": "^[0-9]+[.][0-9]{2}$"},
    "id": {"type": "string", "minLength": 1},
    "noted_at": {"type": "string", "format": "date-time"},
}


def contract(source, title, *, key="id", columns=("id", "amount"), parse=None, **place):
    """A bronze contract: what a person writes in step 1."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:assay:contract:{source}_bronze:1-0-0",
        "title": title,
        "description": title,
        "type": "object",
        "additionalProperties": False,
        "required": list(columns),
        "properties": {name: KINDS[name] for name in columns},
        "x-assay": {
            "layer": "bronze",
            "owner": "data-platform",
            "table": f"bronze/{source}",
            "key": [key],
            "classification": {"pii": []},
            "tolerance": 0,
            "source": {"name": source, **place},
            **({"parse": parse} if parse else {}),
            "expectations": [],
        },
    }


# A kind that the project has not: SQLite. Its module is all that reads it.
READER = '''
"""A table of an SQLite database."""

import sqlite3
from contextlib import closing
from datetime import datetime

from pyspark.sql import functions as sf

from spark_jobs.row_rules import received_schema
from spark_jobs.sources.credentials import signed_in


def read_sqlite(job, contract):
    source, request = contract.source, job.request
    names = ", ".join(field.name for field in contract.fields)
    query = f"SELECT {names} FROM {source['object']} WHERE {source['cursor']} < ?"
    with closing(signed_in(contract.source_name, request.secret_arn, lambda s: sqlite3.connect(s["path"]))) as found:
        rows = found.execute(query, (request.interval_end.isoformat(),)).fetchall()
    if not rows:
        return None
    typed = [(id_, datetime.fromisoformat(noted_at)) for id_, noted_at in rows]
    frame = job.lake.spark.createDataFrame(typed, received_schema(contract))
    return frame.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col(source["cursor"])})
'''
SUPPLIERS = contract(
    "suppliers", "Suppliers", columns=("id", "noted_at"), kind="sqlite", object="suppliers", cursor="noted_at"
)
PARSE = {"null_tokens": [""], "minimum_rows": 1}
EVENTS = contract(
    "events", "Events, as JSON lines", kind="files", prefix="landing/events/", pattern="^[^.]+[.]jsonl$",
    parse={**PARSE, "layout": "json_lines"},
)  # fmt: skip
REBATES = contract(
    "rebates", "Rebates, with semicolons", kind="files", prefix="landing/rebates/", pattern="^[^.]+[.]csv$",
    parse={**PARSE, "layout": "csv", "delimiter": ";", "trailing_empty_column": False},
)  # fmt: skip


class Checkout:
    """A copy of the project, and the steps of the README in it."""

    def __init__(self, folder):
        self.folder = folder
        for room in ROOMS:
            shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "snapshots"))
        shutil.copy(ROOT / "cdk.json", folder)
        (folder / "build").mkdir()
        (folder / "build" / "jars").symlink_to(ROOT / "build" / "jars")
        (folder / "keys.json").write_text(json.dumps(asdict(KEYS)))

    def python(self, *arguments, **more):
        """A program of the copy: exit code, and what it printed."""
        result = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{self.folder}:{self.folder}/tests", "HOME": str(self.folder), **more},
        )  # fmt: skip
        return result.returncode, result.stdout + result.stderr

    def change(self, file, old, new):
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has changed: the README's step names another place now"
        path.write_text(text.replace(old, new))

    def write_contract(self, document):
        dataset = document["$id"].split(":")[3]
        path = self.folder / "contracts" / "schemas" / dataset / "1-0-0.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document, indent=2))

    def write_reader(self):
        (self.folder / "spark_jobs" / "sources" / "sqlite.py").write_text(READER)

    def name_reader(self):
        self.change(
            "spark_jobs/ingest.py", '    "files": _read_files,', '    "files": _read_files,\n    "sqlite": read_sqlite,'
        )
        self.change(
            "spark_jobs/ingest.py",
            "from spark_jobs.sources.snowflake import read_relation",
            "from spark_jobs.sources.snowflake import read_relation\nfrom spark_jobs.sources.sqlite import read_sqlite",
        )

    def name_credentials(self):
        self.change(
            "cdk/sources.py",
            "CREDENTIALS = {",
            'CREDENTIALS = {\n    "sqlite": Credentials(description="A file", keys=("path",), generated="unused"),',
        )

    def release(self, *documents):
        _, said = self.check()
        path = self.folder / "contracts" / "released.json"
        released = json.loads(path.read_text())
        for document in documents:
            name = f"{document['$id'].split(':')[3]}/1-0-0"
            released[name] = json.loads(said)["drafts"][name]
        path.write_text(json.dumps(released))

    def name_in_stage(self, *names):
        path = self.folder / "config" / "dev.yaml"
        values = yaml.safe_load(path.read_text())
        values["sources"] += names
        path.write_text(yaml.safe_dump(values))

    def check(self):
        return self.python("-c", "from ops.main import main; main()", "contract", "check", "--json")

    def synth(self):
        return self.python("cdk/app.py", "dev", "--no-validation", "--artifacts", "keys.json", "--out", "out")

    def template(self, stack):
        return json.loads((self.folder / "out" / "dev" / f"assay-dev-{stack}.template.json").read_text())


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "project")


def test_the_steps_of_the_readme_make_a_new_kind_of_source_run(checkout, tmp_path):
    checkout.write_contract(SUPPLIERS)
    checkout.write_reader()
    checkout.name_reader()
    checkout.name_credentials()
    checkout.write_contract(EVENTS)
    checkout.write_contract(REBATES)
    checkout.release(SUPPLIERS, EVENTS, REBATES)
    checkout.name_in_stage("suppliers", "events", "rebates")

    code, said = checkout.check()
    assert (code, json.loads(said)["problems"], json.loads(said)["drafts"]) == (0, [], {})
    code, said = checkout.synth()
    assert code == 0, said
    lake, pipeline = (checkout.template(stack)["Resources"].values() for stack in ("lake", "pipeline"))
    names = [each["Properties"].get("Name") for each in lake if each["Type"] == "AWS::SecretsManager::Secret"]
    assert "assay/dev/sqlite" in names
    [ingest] = [each for each in pipeline if each["Properties"].get("RoleName") == "assay-dev-ingest"]
    assert "SqliteSecret" in json.dumps(ingest), "the ingest's role may read it"
    [opens] = [each for each in pipeline if each["Properties"].get("FunctionName") == "assay-dev-open-run"]
    assert "suppliers" in json.dumps(opens["Properties"]["Environment"])

    database = tmp_path / "suppliers.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE suppliers (id TEXT, noted_at TEXT)")
        rows = [
            ("1", "2026-07-27T01:00:00+00:00"),
            ("2", "2026-07-28T01:00:00+00:00"),
            ("3", "2031-01-01T00:00:00+00:00"),
        ]
        connection.executemany("INSERT INTO suppliers VALUES (?, ?)", rows)
    code, said = checkout.python(
        "tests/add_a_source_run.py",
        str(tmp_path / "lake"),
        str(database),
        JAVA_HOME=os.environ.get("JAVA_HOME", ""),
        SPARK_LOCAL_IP="127.0.0.1",
    )
    assert code == 0, said
    [line] = [each for each in said.splitlines() if each.startswith('{"suppliers"')]
    found = json.loads(line)
    assert found["suppliers"] == [["1", "2026-07-27 01:00:00"], ["2", "2026-07-28 01:00:00"]]
    assert found["events"] == [["a", "1.50"], ["b", "2.00"]]
    assert found["rebates"] == [["c", "0.10"]]
    assert found["refused"] == "ContractViolationError"


def test_a_source_without_a_contract_is_refused(checkout):
    checkout.name_in_stage("suppliers")
    code, said = checkout.synth()
    assert code == 1
    assert "dev.yaml: sources: no bronze contract has a source 'suppliers'" in said


def test_a_kind_without_a_line_in_readers_is_refused(checkout):
    checkout.write_contract(SUPPLIERS)
    checkout.write_reader()
    code, said = checkout.python(
        "-c", "from spark_jobs import ingest; ingest._read(None, ingest.contracts.of_source('suppliers'))"
    )
    assert code == 1
    assert "InvalidRequestError: suppliers: no reader for a source of kind sqlite; name it in READERS" in said


def test_a_kind_without_credentials_is_refused(checkout):
    checkout.write_contract(SUPPLIERS)
    checkout.write_reader()
    checkout.name_reader()
    checkout.name_in_stage("suppliers")
    code, said = checkout.synth()
    assert code == 1
    assert "suppliers is of kind sqlite" in said
    assert "CREDENTIALS of cdk/sources.py" in said


def test_a_contract_without_its_release_is_named_with_the_line_that_releases_it(checkout):
    checkout.write_contract(EVENTS)
    code, said = checkout.python("-c", "from ops.main import main; main()", "contract", "check")
    assert code == 0
    assert 'events_bronze/1-0-0: not released yet; to release it, pin "events_bronze/1-0-0": "' in said.replace(
        "\n", " "
    )
    checkout.release(EVENTS)
    assert json.loads(checkout.check()[1])["drafts"] == {}
    checkout.write_contract({**EVENTS, "description": "edited after its release"})
    code, said = checkout.check()
    assert code == 1
    assert "events_bronze 1-0-0: was altered after its release" in json.loads(said)["problems"][0]


def test_a_source_that_no_stage_names_is_not_run(checkout):
    checkout.write_contract(EVENTS)
    checkout.release(EVENTS)
    assert checkout.synth()[0] == 0
    assert "events" not in json.dumps(
        [
            each["Properties"]["Environment"]
            for each in checkout.template("pipeline")["Resources"].values()
            if each["Properties"].get("FunctionName") == "assay-dev-open-run"
        ]
    )
