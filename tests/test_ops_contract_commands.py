"""`assay contract`, as a person or a program calls it."""

import json
import sys

import pytest
import yaml
from contracts_anew import read_contracts_anew
from typer.testing import CliRunner

from contracts import contract as contracts
from contracts import releases
from ops import main
from ops.contract_commands import lineage

ORDERS = "snowflake_orders_bronze"
FROM_PRICES = [
    "silver/orders",
    "gold/customer_segments",
    "gold/fct_daily_revenue",
    "gold/fct_orders",
    "gold/kpi_daily",
]


def assay(*arguments):
    """Exit code, standard output and the sentence of an error."""
    read_contracts_anew()
    result = CliRunner().invoke(main.app, ["contract", *map(str, arguments)], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return 1, result.stdout, str(result.exception)
    return result.exit_code, result.stdout, ""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The first version of every contract, as released files in a folder that may be altered."""
    folder = tmp_path / "schemas"
    for dataset in contracts.datasets():
        (folder / dataset).mkdir(parents=True, exist_ok=True)
        (folder / dataset / "1-0-0.json").write_bytes(contracts._file(dataset, "1-0-0").read_bytes())
    first = {name: digest for name, digest in releases.pinned().items() if name.endswith("/1-0-0")}
    monkeypatch.setattr(releases, "pinned", lambda: first)
    monkeypatch.setattr(contracts, "_schemas", lambda: folder)
    yield folder
    read_contracts_anew()


def release(tree, version, edit, dataset=ORDERS):
    """A further version of a dataset, `edit` applied to its first one."""
    document = json.loads((tree / dataset / "1-0-0.json").read_text())
    edit(document)
    document["$id"] = f"urn:assay:contract:{dataset}:{version}"
    path = tree / dataset / f"{version}.json"
    path.write_text(json.dumps(document))
    return path


def more(document):
    document["properties"]["channel"] = {"type": ["string", "null"]}


def dearer(document):
    document["properties"]["total_price"]["minimum"] = 1


def expects(name, **kwargs):
    return lambda document: document["x-assay"]["expectations"].append(
        {"type": name, "kwargs": kwargs, "severity": "warn"}
    )


def refers(table, column, **more):
    return expects(
        "expect_column_values_to_exist_in_table", column="currency", table=table, table_column=column, **more
    )


def no_price(document):
    del document["properties"]["total_price"]
    document["required"].remove("total_price")
    document["x-assay"]["expectations"].pop()


def test_check_passes_on_what_is_released():
    code, said, _ = assay("check")
    assert (code, said) == (0, f"contracts: {len(releases.pinned())} released versions are what they were\n")


def test_check_names_a_version_that_is_not_released_yet(tree):
    path = release(tree, "1-0-1", more)
    code, said, _ = assay("check")
    assert code == 0
    assert f"{ORDERS}/1-0-1: not released yet" in said
    digest = contracts.load(ORDERS, "1-0-1").digest
    assert f'"{ORDERS}/1-0-1": "{digest}"' in said
    assert json.loads(assay("check", "--json")[1])["drafts"] == {f"{ORDERS}/1-0-1": digest}
    assert path.exists()


def put(path, text):
    path.write_text(text)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        pytest.param(lambda tree: release(tree, "1-0-0", dearer), f"{ORDERS} 1-0-0: was altered after its release; put it back and write a new version instead", id="altered"),
        pytest.param(lambda tree: (tree / ORDERS / "1-0-0.json").rename(tree / ORDERS / "1-0-1.json"), f"{ORDERS} 1-0-0: is released, but its file is gone; put it back", id="gone"),
        pytest.param(lambda tree: put(tree / ORDERS / "1-0-1.json", "{"), f"{ORDERS} 1-0-1: not JSON: line 1: Expecting property name", id="not-json"),
        pytest.param(lambda tree: release(tree, "1-0-1", lambda document: document.pop("title")), f"{ORDERS} 1-0-1: $: 'title' is a required property", id="meta-schema"),
        pytest.param(lambda tree: release(tree, "1-0-1", dearer), f"{ORDERS} 1-0-1: after 1-0-0 it is only an ADDITION, but a REVISION is needed (column total_price minimum: asks more: minimum 0 is now minimum 1); name it 1-1-0", id="raised-too-little"),
        pytest.param(lambda tree: release(tree, "1-0-1", lambda document: document["x-assay"].update(table="silver/orders")), f"{ORDERS} and orders_silver both claim table silver/orders", id="one-table-twice"),
        pytest.param(lambda tree: release(tree, "1-1-0", refers("silver/nothing", "currency")), f"{ORDERS} 1-1-0: expect_column_values_to_exist_in_table on currency: no contract claims the table silver/nothing", id="refers-to-no-table"),
        pytest.param(lambda tree: release(tree, "1-1-0", refers("silver/fx_rates", "nothing")), f"{ORDERS} 1-1-0: expect_column_values_to_exist_in_table on currency: silver/fx_rates has no column nothing", id="refers-to-no-column"),
        pytest.param(lambda tree: release(tree, "1-1-0", refers("silver/fx_rates", "currency", same_day="order_date")), f"{ORDERS} 1-1-0: expect_column_values_to_exist_in_table on currency: silver/fx_rates has no column order_date", id="refers-to-no-day-there"),
        pytest.param(lambda tree: release(tree, "1-1-0", refers("silver/fx_rates", "currency", same_day="rate_date")), f"{ORDERS} 1-1-0: expect_column_values_to_exist_in_table on currency: bronze/snowflake_orders has no column rate_date", id="refers-on-no-day-here"),
        pytest.param(lambda tree: release(tree, "1-1-0", expects("expect_miracles")), f"{ORDERS} 1-1-0: expect_miracles: no check can judge this expectation", id="unknown-expectation"),
    ],
)  # fmt: skip
def test_check_fails_with_one_sentence_a_problem(tree, break_it, sentence):
    break_it(tree)
    code, said, _ = assay("check")
    assert code == 1
    assert sentence in said
    found = json.loads(assay("check", "--json")[1])["problems"]
    assert [each for each in found if each.startswith(sentence)]


def test_check_says_every_problem_not_only_the_first(tree):
    release(tree, "1-0-1", lambda document: document.pop("title"))
    put(tree / "orders_silver" / "1-0-1.json", "{")
    assert len(json.loads(assay("check", "--json")[1])["problems"]) == 2


def test_diff_names_the_tables_that_feel_a_column(tree):
    release(tree, "1-1-0", dearer)
    code, said, _ = assay("diff", f"{ORDERS}/1-0-0", f"{ORDERS}/1-1-0")
    assert code == 0
    assert "REVISION" in said
    [change] = json.loads(assay("diff", f"{ORDERS}/1-0-0", f"{ORDERS}/1-1-0", "--json")[1])["changes"]
    assert change["tables"] == FROM_PRICES
    assert "1-0-0 to 1-1-0: REVISION is needed" in said


def test_diff_fails_on_a_breaking_change_without_a_model(tree):
    path = release(tree, "1-1-0", no_price)
    code, said, _ = assay("diff", f"{ORDERS}/1-0-0", path, "--json")
    found = json.loads(said)
    assert code == 1
    assert (found["needed"], found["raised"], found["enough"]) == ("MODEL", "REVISION", False)
    [removed] = [change for change in found["changes"] if change["what"] == "column"]
    assert (removed["columns"], removed["level"], removed["tables"]) == (
        ["total_price"],
        "MODEL",
        FROM_PRICES,
    )
    assert assay("diff", f"{ORDERS}/1-0-0", path)[0] == 1
    release(tree, "2-0-0", no_price)
    assert assay("diff", f"{ORDERS}/1-0-0", f"{ORDERS}/2-0-0")[0] == 0


def test_diff_of_a_version_with_itself_is_empty():
    code, said, _ = assay("diff", "orders_silver/1-0-0", "orders_silver/1-0-0")
    assert (code, said) == (0, "1-0-0 to 1-0-0: nothing changed\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("diff", "orders_silver/1-0-0", "fx_rates_silver/1-0-0"), "only versions of one dataset", id="two-datasets"),
        pytest.param(("diff", "orders_silver/1-0-0", "orders_silver/9-0-0"), "no such contract", id="version"),
        pytest.param(("diff", "orders_silver", "orders_silver/1-0-0"), "orders_silver: neither <dataset>/<version> nor a file", id="no-file"),
        pytest.param(("export", "orders_silver"), "--odcs", id="no-form"),
        pytest.param(("export", "nothing", "--odcs"), "no such contract", id="dataset"),
        pytest.param(("export", "../../x", "--odcs"), "not the name of a dataset", id="path"),
        pytest.param(("export", "orders_silver", "--odcs", "--out", f"{__file__}/x"), "cannot be written", id="out"),
    ],
)  # fmt: skip
def test_what_a_person_can_put_right_is_one_sentence(monkeypatch, capsys, arguments, sentence):
    monkeypatch.setattr(sys, "argv", ["assay", "contract", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    said = str(ended.value.code)
    assert said.startswith("assay: ")
    assert sentence in said
    assert "\n" not in said


@pytest.mark.parametrize(("content", "sentence"), [("{", "not JSON"), ('{"type": "object"}', "is a required property")])
def test_a_file_that_is_not_a_contract_is_refused(tmp_path, content, sentence):
    put(tmp_path / "x.json", content)
    code, _, said = assay("diff", "orders_silver/1-0-0", tmp_path / "x.json")
    assert code == 1
    assert sentence in said


def test_docs_writes_a_page_for_each_version(tmp_path):
    code, said, _ = assay("docs", "--out", tmp_path / "site")
    pages = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert code == 0
    assert pages == {"index.html", *(f"{name}.html" for name in releases.pinned())}
    assert "index.html" in said


def test_export_prints_or_writes_the_same(tmp_path):
    code, said, _ = assay("export", "orders_silver", "--odcs")
    assert code == 0
    assert yaml.safe_load(said)["status"] == "active"
    assert assay("export", "orders_silver/1-1-0", "--odcs", "--out", tmp_path / "new" / "orders.odcs.yaml")[0] == 0
    assert (tmp_path / "new" / "orders.odcs.yaml").read_text() == said


def test_the_lineage_speaks_of_tables_and_columns_that_contracts_have():
    for each in lineage():
        made = contracts.of_table(each.output)
        assert set(each.columns) == {field.name for field in made.fields}
        for source in {source for sources in each.columns.values() for source in sources}:
            table, column = source.split(".")
            assert table in each.inputs
            assert column == "*" or column in dict(contracts.of_table(table).columns)
