"""`assay contract`: the contract files checked, compared, shown to people and handed to other tools."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from contracts import contract as contracts
from contracts import docs as site
from contracts import odcs, releases
from contracts.changes import Change, Level
from contracts.contract import Contract
from contracts.diff import diff, needed, raised, shortfall
from contracts.downstream import Lineage, tables_from_columns, tables_from_table
from contracts.errors import AssayError
from ops import show
from ops.errors import OpsError

app = typer.Typer(help="Check, compare, document and export the data contracts.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Version = Annotated[str, typer.Argument(help="<dataset>/<version>, such as orders_silver/1-0-0, or a file.")]
STYLES = {Level.MODEL: "red", Level.REVISION: "yellow", Level.ADDITION: "green"}
_VERSION = re.compile(r"(?P<dataset>[a-z][a-z0-9_]*)/(?P<version>[0-9]+-[0-9]+-[0-9]+)")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Verify every version: well formed, unchanged since its release, raised enough."""
    released = releases.pinned()
    problems = releases.problems(released)
    drafts = {} if problems else releases.drafts(released)
    if as_json:
        print(show.as_json({"problems": problems, "drafts": drafts, "released": len(released)}))
    else:
        for problem in problems:
            show.CONSOLE.print(Text(problem, style="red"), soft_wrap=True)
        for name, digest in drafts.items():
            line = f'{name}: not released yet; to release it, pin "{name}": "{digest}" in contracts/released.json'
            show.CONSOLE.print(Text(line), soft_wrap=True)
        if not problems:
            show.CONSOLE.print(f"contracts: {len(released)} released versions are what they were", highlight=False)
    if problems:
        raise typer.Exit(1)


@app.command(name="diff")
def diff_command(old: Version, new: Version, as_json: AsJson = False) -> None:
    """Say what changed between two versions, and whether the version was raised enough."""
    with _one_sentence():
        before, after = read(old), read(new)
        changes = diff(before, after)
    lineages = lineage()
    felt = [tables_that_feel(lineages, before.table, change) for change in changes]
    problem = shortfall(before, after, changes)
    if as_json:
        print(show.as_json(_as_record(before, after, changes, felt, problem)))
    elif changes:
        show.CONSOLE.print(_as_table(changes, felt))
    if not as_json:
        level = needed(changes)
        needs = f"{before.version} to {after.version}: " + (f"{level.name} is needed" if level else "nothing changed")
        show.CONSOLE.print(Text(problem or needs, style="red" if problem else "green"), soft_wrap=True)
    if problem:
        raise typer.Exit(1)


@app.command(name="docs")
def docs_command(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("build/contracts"),
) -> None:
    """Write the contracts as a static site."""
    with _one_sentence():
        versions = [
            contracts.load(dataset, each) for dataset in contracts.datasets() for each in contracts.versions(dataset)
        ]
        pages = site.site(versions, lineage(), releases.pinned())
    for name, page in pages.items():
        write(out / name, page)
    show.CONSOLE.print(f"{len(pages)} pages: {out / 'index.html'}", soft_wrap=True, highlight=False)


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(help="A dataset, or <dataset>/<version>; its latest version by default.")],
    as_odcs: Annotated[bool, typer.Option("--odcs", help="As Open Data Contract Standard 3.1, in YAML.")] = False,
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output by default.")] = None,
) -> None:
    """Write a contract in the form of another standard."""
    if not as_odcs:
        raise OpsError("say in which form: --odcs is the one there is")
    with _one_sentence():
        contract = contracts.load(*dataset.split("/", 1))
    text = odcs.to_yaml(contract, released=f"{contract.dataset}/{contract.version}" in releases.pinned())
    if out is None:
        print(text, end="")
    else:
        write(out, text)


def read(name: str) -> Contract:
    """The contract named `<dataset>/<version>`, or that of a file, which is held to the meta-schema first.

    Raises:
        OpsError: no such file.
        ContractError: no such version, or the file is not a contract.
    """
    if named := _VERSION.fullmatch(name):
        return contracts.load(named["dataset"], named["version"])
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise OpsError(f"{name}: neither <dataset>/<version> nor a file that can be read: {error.strerror}") from error
    document = contracts.check_document(name, content)
    dataset, version = document["$id"].split(":")[-2:]
    return contracts.parse_document(dataset, version, content)


def lineage() -> tuple[Lineage, ...]:
    """The lineage of every table of silver and gold; imported when it is asked for, as the transforms need pyspark."""
    from spark_jobs.bronze_to_silver import SILVER_TABLES
    from spark_jobs.gold_tables import GOLD_TABLES

    said = [table.lineage for table in (*SILVER_TABLES, *GOLD_TABLES)]
    return tuple(Lineage(output=each["output"], inputs=tuple(each["inputs"]), columns=each["columns"]) for each in said)


def tables_that_feel(lineages: Sequence[Lineage], table: str, change: Change) -> tuple[str, ...]:
    """The tables downstream that a change reaches: those made from its columns, or all when it is of the dataset."""
    if change.wording:
        return ()
    if change.columns:
        return tables_from_columns(lineages, table, change.columns)
    return tables_from_table(lineages, table)


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it.

    Raises:
        OpsError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OpsError(f"--out: {path} cannot be written: {error.strerror}") from error


@contextmanager
def _one_sentence() -> Iterator[None]:
    """What is wrong with a contract is for a person to put right."""
    try:
        yield
    except AssayError as error:
        raise OpsError(str(error)) from error


def _as_record(
    old: Contract, new: Contract, changes: Sequence[Change], felt: Sequence[tuple[str, ...]], problem: str | None
) -> dict[str, Any]:
    level, given = needed(changes), raised(old.version, new.version)
    return {
        "dataset": old.dataset,
        "old": old.version,
        "new": new.version,
        "needed": level.name if level else None,
        "raised": given.name if given else None,
        "enough": problem is None,
        "problem": problem,
        "changes": [
            {
                "level": change.level.name,
                "columns": change.columns,
                "what": change.what,
                "words": change.words,
                "wording": change.wording,
                "tables": tables,
            }
            for change, tables in zip(changes, felt, strict=True)
        ],
    }


def _as_table(changes: Sequence[Change], felt: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("level", "column", "change", "felt by"):
        table.add_column(name, overflow="fold")
    for change, tables in sorted(zip(changes, felt, strict=True), key=lambda pair: -pair[0].level):
        table.add_row(
            Text(change.level.name, style=STYLES[change.level]),
            Text(", ".join(change.columns) or "the dataset"),
            Text(change.sentence),
            Text(", ".join(tables) or "no table"),
        )
    return table
