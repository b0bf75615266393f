"""Names and keys that reach for something else: each is refused in one sentence, before anything is looked up."""

import json

import pytest

from contracts import contract as contracts
from contracts.errors import ContractError, InvalidRequestError, UnknownContractError
from lambdas.names import JobName, check_step
from spark_jobs.request import parse_request

RUN = "20260731T060012Z-" + "a" * 32
HOSTILE = {
    "empty": "",
    "parent": "../fx_rates",
    "parents": "../../etc/passwd",
    "encoded-parent": "%2e%2e%2ffx_rates",
    "absolute": "/etc/passwd",
    "folder": "bronze/fx_rates",
    "backslash": "..\\fx_rates",
    "sql": "fx_rates; DROP TABLE x",
    "sql-quote": "fx' OR '1'='1",
    "sql-comment": "fx--",
    "backtick": "fx`rates",
    "shell": "$(id)",
    "space": "fx rates",
    "line-feed": "fx_rates\n",
    "nul": "fx\x00rates",
    "capitals": "FX_RATES",
    "digit-first": "1fx",
    "underscore-first": "_fx",
    "dot": ".",
    "unicode": "fx_r\u00e4tes",
    "look-alike": "f\u0445_rates",
    "full-width": "\uff46\uff58_rates",
    "right-to-left": "\u202efx_rates",
    "arabic-digit": "fx_\u0661",
    "long": "f" * 64,
    "template": "${fx}",
    "jsonata": "{% $x %}",
    "glob": "fx_*",
}
each_name = pytest.mark.parametrize("name", [pytest.param(name, id=which) for which, name in HOSTILE.items()])


@each_name
def test_a_dataset_table_or_source_of_such_a_name_is_not_known(name):
    for find, wanted in ((contracts.load, name), (contracts.of_source, name), (contracts.of_table, f"silver/{name}")):
        with pytest.raises(UnknownContractError) as caught:
            find(wanted)
        assert str(caught.value).isprintable()


@each_name
def test_a_version_of_such_a_name_is_not_looked_up(name):
    with pytest.raises(UnknownContractError):
        contracts.load("fx_rates_bronze", name)


@each_name
def test_a_step_subject_or_run_of_such_a_name_is_refused(name):
    for run, step, subject in ((name, "ingest", "fx_rates"), (RUN, name, "fx_rates"), (RUN, "ingest", name)):
        with pytest.raises(InvalidRequestError) as caught:
            check_step(run, step, subject)
        assert str(caught.value).isprintable()
        with pytest.raises(InvalidRequestError):
            JobName.parse(f"{run}:{step}:{subject}:0:1")


@each_name
def test_a_request_with_such_a_name_is_refused(name):
    whole = {
        "run_id": RUN, "step": "ingest", "subject": "fx_rates", "attempt": 1, "round": 0, "redrive_count": 0,
        "data_date": "2026-07-30", "interval": {"start": None, "end": "2026-07-31T00:00:00Z"}, "lake": "s3://x",
        "receipt_key": "runs/x.json", "inputs": {}, "input_digest": "d", "fail_from": {"error": 1},
    }  # fmt: skip
    parse_request(json.dumps(whole).encode())
    for key in ("run_id", "step", "subject"):
        with pytest.raises(InvalidRequestError) as caught:
            parse_request(json.dumps(whole | {key: name}).encode())
        assert str(caught.value).isprintable()


def altered(path, value):
    document = json.loads((contracts._schemas() / "fx_rates_bronze" / "1-1-0.json").read_bytes())
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(document).encode()


PLACES = {
    "table": (("x-assay", "table"), "bronze/{}"),
    "source": (("x-assay", "source", "name"), "{}"),
    "prefix": (("x-assay", "source", "prefix"), "landing/{}/"),
    "dataset": (("$id",), "urn:assay:contract:{}:1-1-0"),
}
A_FOLDER = {"1fx", "_fx", "f" * 64}  # may be called so


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(path, around.format(name), id=f"{place}-{which}")
        for place, (path, around) in PLACES.items()
        for which, name in HOSTILE.items()
        if not (place == "prefix" and name in A_FOLDER)
    ],
)
def test_a_contract_that_gives_such_a_name_is_refused(path, value):
    with pytest.raises(ContractError) as caught:
        contracts.check_document("x.json", altered(path, value))
    assert str(caught.value).startswith("x.json: $")
    assert "does not match" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_table_that_no_contract_claims_is_said_so():
    with pytest.raises(UnknownContractError, match="'silver/nothing': no contract claims this table"):
        contracts.of_table("silver/nothing")
