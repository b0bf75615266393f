"""Contracts as values: what `contracts/schemas/<dataset>/<version>.json` says, read once and frozen.

Files are read with importlib.resources, so the package works from a zip (Lambda, Spark's --py-files) as from a folder.

Source: contracts/x-assay.schema.json.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from contracts import strict_json
from contracts.errors import ContractError, UnknownContractError
from contracts.expectation_types import GX_TYPES, PIPELINE_TYPES, REFERENCE
from contracts.expected_days import ExpectedDays
from contracts.keywords import RULES, check_row, column_types
from contracts.patterns import PatternError, java_pattern
from contracts.shapes import Shape, json_type, shape_of
from contracts.strict_json import StrictJsonError

CSV, JSON_LINES = "csv", "json_lines"

RUN_COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "bronze": (
        ("_run_id", "string"),
        ("_attempt", "int"),
        ("_source", "string"),
        ("_ingested_at", "timestamp"),
        ("_file", "string"),
        ("_received_at", "timestamp"),
    ),
    "silver": (("_run_id", "string"),),
    "gold": (("_run_id", "string"),),
    "quality": (),  # every column of an audit is its contract's own
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_VERSION = re.compile(r"[0-9]+-[0-9]+-[0-9]+")


@dataclass(frozen=True, kw_only=True)
class ParseSpec:
    """The lossless parse that comes before judging: null tokens become null, number columns become numbers.

    Attributes:
        layout: csv, or json_lines: one object a line, its values text, numbers, booleans and null.
        delimiter, trailing_empty_column: of csv.
        minimum_rows: of a file for a day that must bring one.
    """

    layout: str
    null_tokens: tuple[str, ...]
    minimum_rows: int
    delimiter: str = ","
    trailing_empty_column: bool = False


@dataclass(frozen=True, kw_only=True)
class Field:
    """One column: how it is stored (`type`, in the words that Spark and Glue share) and what its values must keep."""

    name: str
    type: str
    shape: Shape
    json_type: str
    nullable: bool
    required: bool
    format: str | None
    rules: Mapping[str, Any]
    description: str
    pii: bool


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One statement about a whole table, as Great Expectations writes it; `mostly` is taken out of kwargs."""

    type: str
    kwargs: Mapping[str, Any]
    severity: str
    mostly: float

    @property
    def column(self) -> str | None:
        """The column it speaks of; the list, joined, for a compound one; None for the table."""
        columns = self.kwargs.get("column_list")
        return ", ".join(columns) if columns else self.kwargs.get("column")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What one version of one dataset promises."""

    dataset: str
    version: str
    layer: str
    table: str
    source: Mapping[str, Any] | None
    owner: str
    key: tuple[str, ...]
    schema: Mapping[str, Any]
    parse: ParseSpec | None
    fields: tuple[Field, ...]
    expectations: tuple[Expectation, ...]
    tolerance: float
    digest: str
    classification: Mapping[str, Any]

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Name and stored type of every column of the table, those that the pipeline adds last."""
        return tuple((field.name, field.type) for field in self.fields) + RUN_COLUMNS[self.layer]

    @property
    def source_name(self) -> str:
        """The name of the source that feeds a bronze dataset."""
        if self.source is None:
            raise ContractError(f"{self.dataset} {self.version}: a {self.layer} dataset has no source")
        return str(self.source["name"])

    @property
    def quarantine(self) -> str:
        """The table of the rows that were refused."""
        return f"quarantine/{self.dataset if self.source is None else self.source_name}"

    @property
    def location(self) -> str:
        """Where the source keeps its data, in words for a person: a prefix or a relation."""
        if self.source is None:
            return self.table
        return str(self.source.get("prefix") or self.source.get("relation") or self.source.get("object"))

    @property
    def expected_days(self) -> ExpectedDays | None:
        """The days that must bring a file; None when none must."""
        said = (self.source or {}).get("expected")
        return ExpectedDays.read(said) if said else None

    def field(self, name: str) -> Field:
        """The column of that name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise ContractError(f"{self.dataset} {self.version}: no column {name}")


def load(dataset: str, version: str | None = None) -> Contract:
    """The contract of a dataset, its latest version unless one is named.

    Raises:
        UnknownContractError: no such dataset or version.
        ContractError: the file is not a contract; UnsupportedKeywordError when it uses a keyword that is not judged.
    """
    if not _NAME.fullmatch(dataset) or (version is not None and not _VERSION.fullmatch(version)):
        raise UnknownContractError(f"{dataset!r} {version or ''}: not the name of a dataset and version")
    available = versions(dataset)
    if not available or (version is not None and version not in available):
        raise UnknownContractError(f"{dataset} {version or ''}: no such contract; there are {available or 'none'}")
    return _read(dataset, version or available[-1])


@cache
def load_all() -> tuple[Contract, ...]:
    """The latest contract of every dataset, by name."""
    return tuple(load(dataset) for dataset in datasets())


def sources() -> tuple[Contract, ...]:
    """The contracts that a source must keep: those of the bronze layer."""
    return tuple(contract for contract in load_all() if contract.layer == "bronze")


def of_table(table: str) -> Contract:
    """The contract that rules a table, such as silver/orders."""
    for contract in load_all():
        if contract.table == table:
            return contract
    raise UnknownContractError(f"{table!r}: no contract claims this table")


def of_source(name: str) -> Contract:
    """The contract that rules a source, such as fx_rates."""
    for contract in sources():
        if contract.source_name == name:
            return contract
    raise UnknownContractError(f"{name!r}: no contract claims this source")


@cache
def digest() -> str:
    """One digest over the latest contract of every dataset."""
    lines = "".join(f"{each.dataset} {each.version} {each.digest}\n" for each in load_all())
    return hashlib.sha256(lines.encode()).hexdigest()


def datasets() -> tuple[str, ...]:
    """The names of all datasets that have a contract."""
    return tuple(sorted(folder.name for folder in _schemas().iterdir() if _NAME.fullmatch(folder.name)))


def versions(dataset: str) -> tuple[str, ...]:
    """The released versions of a dataset, oldest first; empty when there is no such dataset."""
    folder = _schemas().joinpath(dataset)
    if not folder.is_dir():
        return ()
    names = [file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json")]
    return tuple(sorted(filter(_VERSION.fullmatch, names), key=lambda name: tuple(map(int, name.split("-")))))


def parse_document(dataset: str, version: str, content: bytes) -> Contract:
    """A contract from the bytes of its file.

    Raises:
        ContractError: it is not JSON, with the line, or not a contract.
    """
    document = _document(f"{dataset} {version}", content)
    try:
        check_row(dataset, document)
        return _contract(dataset, version, document, hashlib.sha256(content).hexdigest())
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ContractError(f"{dataset} {version}: not a contract: {type(error).__name__} {error}") from error


def meta_schema() -> dict[str, Any]:
    """The JSON Schema that a contract file itself must keep."""
    content = resources.files("contracts").joinpath("x-assay.schema.json").read_bytes()
    document: dict[str, Any] = strict_json.load(content)
    return document


def check_document(name: str, content: bytes) -> dict[str, Any]:
    """The document of a contract file that keeps the meta-schema.

    Kept apart from `load`, because a job should not pay for jsonschema's import to read a released file.

    Raises:
        ContractError: names the file as `name`, the place in it and the rule.
    """
    from contracts.judging import Draft202012Validator, best_match

    document = _document(name, content)
    problem = best_match(Draft202012Validator(meta_schema()).iter_errors(document))
    if problem is not None:
        raise ContractError(f"{name}: {problem.json_path}: {problem.message[:300]}")
    checked: dict[str, Any] = document
    return checked


def verify(dataset: str, version: str) -> None:
    """Nothing, when the file keeps the meta-schema, names only columns that it has, and agrees with itself.

    Raises:
        ContractError: names the place in the file and the rule.
    """
    document = check_document(f"{dataset} {version}", _file(dataset, version).read_bytes())
    contract = load(dataset, version)
    if document["$id"] != f"urn:assay:contract:{dataset}:{version}":
        raise ContractError(f"{dataset} {version}: $id is {document['$id']}")
    known = {field.name for field in contract.fields}
    named = {*contract.key, *document["required"], *document["x-assay"]["classification"]["pii"]}
    for expectation in contract.expectations:
        if expectation.type not in GX_TYPES | PIPELINE_TYPES:
            raise ContractError(f"{dataset} {version}: {expectation.type}: no check can judge this expectation")
        columns = (expectation.kwargs.get(name) for name in ("column", "column_A", "column_B"))
        named |= {*expectation.kwargs.get("column_list", ()), *filter(None, columns)}
    if contract.source is not None:
        named |= {*filter(None, [contract.source.get("cursor")])}
    if unknown := sorted(named - known):
        raise ContractError(f"{dataset} {version}: names columns that it does not have: {', '.join(unknown)}")
    _verify_files(contract)


def verify_tables() -> None:
    """Nothing, when no two datasets claim one table, and every reference leads to a column of a table.

    Raises:
        ContractError: names the datasets and the table.
    """
    claimed: dict[str, str] = {}
    for dataset in datasets():
        table = load(dataset).table
        if table in claimed:
            raise ContractError(f"{dataset} and {claimed[table]} both claim table {table}")
        claimed[table] = dataset
    for contract in load_all():
        for expectation in contract.expectations:
            if expectation.type == REFERENCE:
                _verify_reference(contract, expectation, claimed)


def _verify_reference(contract: Contract, expectation: Expectation, claimed: Mapping[str, str]) -> None:
    where = f"{contract.dataset} {contract.version}: {expectation.type} on {expectation.column}"
    table, column = (str(expectation.kwargs.get(name)) for name in ("table", "table_column"))
    if table not in claimed:
        raise ContractError(f"{where}: no contract claims the table {table}")
    day = expectation.kwargs.get("same_day")
    for held_by, names in ((load(claimed[table]), (column, day)), (contract, (day,))):
        for name in names:
            if name is not None and name not in {each for each, _ in held_by.columns}:
                raise ContractError(f"{where}: {held_by.table} has no column {name}")


def _verify_files(contract: Contract) -> None:
    """Nothing, when what the contract says of a source's files goes together.

    Raises:
        ContractError: names the column or the setting.
    """
    where = f"{contract.dataset} {contract.version}"
    source = contract.source or {}
    if (source.get("kind") == "files") != (contract.parse is not None):
        raise ContractError(f"{where}: x-assay.parse goes with a source of files, and with no other")
    if contract.parse is None:
        return
    try:
        # it is asked of every key that lands, whoever names it
        java_pattern(source["pattern"])
    except PatternError as error:
        raise ContractError(f"{where}: source.pattern {source['pattern']}: {error}") from error
    if contract.parse.delimiter in '"\r\n':
        raise ContractError(f"{where}: parse.delimiter {contract.parse.delimiter!r} quotes a cell or ends a line")
    for field in contract.fields:
        if not field.required and not field.nullable:
            raise ContractError(f"{where}: column {field.name} may be left out of a file, so it must allow null")
    expected = contract.expected_days
    if expected is not None and not re.fullmatch(source["pattern"], expected.name_of(date(2024, 2, 29))):
        raise ContractError(f"{where}: source.expected.file: {expected.file} does not match source.pattern")


def _document(name: str, content: bytes) -> Any:
    try:
        return strict_json.load(content)
    except StrictJsonError as error:
        raise ContractError(f"{name}: not JSON: {error}") from error


@cache  # a zip's list of files is read once
def _schemas() -> Traversable:
    return resources.files("contracts").joinpath("schemas")


def _file(dataset: str, version: str) -> Traversable:
    return _schemas().joinpath(dataset).joinpath(f"{version}.json")


@cache
def _read(dataset: str, version: str) -> Contract:
    return parse_document(dataset, version, _file(dataset, version).read_bytes())


def _contract(dataset: str, version: str, document: Mapping[str, Any], content_digest: str) -> Contract:
    about = document["x-assay"]
    parse = about.get("parse")
    required = set(document["required"])
    pii = set(about["classification"]["pii"])
    return Contract(
        dataset=dataset,
        version=version,
        layer=about["layer"],
        table=about["table"],
        source=about.get("source"),
        owner=about["owner"],
        key=tuple(about["key"]),
        schema={key: value for key, value in document.items() if key != "x-assay"},
        parse=ParseSpec(**{**parse, "null_tokens": tuple(parse["null_tokens"])}) if parse else None,
        fields=tuple(
            _field(name, rules, required=name in required, pii=name in pii, raw=parse is not None)
            for name, rules in document["properties"].items()
        ),
        expectations=tuple(_expectation(each) for each in about["expectations"]),
        tolerance=about["tolerance"],
        digest=content_digest,
        classification=about["classification"],
    )


def _field(name: str, rules: Mapping[str, Any], *, required: bool, pii: bool, raw: bool) -> Field:
    # a parsed layout keeps its raw text in bronze, whatever the text means
    shape = shape_of(name, rules, raw=raw)
    return Field(
        name=name,
        type=shape.stored,
        shape=shape,
        json_type=json_type(name, rules),
        nullable="null" in column_types(rules),
        required=required,
        format=rules.get("format"),
        rules={keyword: rules[keyword] for keyword in RULES if keyword in rules},
        description=rules.get("description", ""),
        pii=pii,
    )


def _expectation(document: Mapping[str, Any]) -> Expectation:
    kwargs = dict(document["kwargs"])
    mostly = float(kwargs.pop("mostly", 1.0))
    return Expectation(type=document["type"], kwargs=kwargs, severity=document["severity"], mostly=mostly)
