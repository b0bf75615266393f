"""A contract as the Open Data Contract Standard 3.1 writes it, for catalogs and other tools.

What the standard has no word for (layer, parse, source, tolerance) is kept in customProperties, so nothing is lost.

Source: https://bitol-io.github.io/open-data-contract-standard/v3.1.0/
"""

from __future__ import annotations

import json
from typing import Any

from contracts.contract import CSV, Contract, Expectation, Field
from contracts.keywords import BRANCHES, COMPOSITES
from contracts.shapes import Shape

API_VERSION = "v3.1.0"
_STORED = {"string": "string", "int": "integer", "timestamp": "timestamp"}
_FORMATS = {"date": "date", "date-time": "timestamp"}
_LOGICAL = {"decimal": "number"}
_NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_OPTIONS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": _NUMERIC,
    "number": _NUMERIC,
    "array": ("minItems", "maxItems", "uniqueItems"),
}


def document(contract: Contract, *, released: bool) -> dict[str, Any]:
    """The contract as an ODCS document of plain values, the columns that the pipeline adds included."""
    own = {field.name for field in contract.fields}
    properties = [_property(contract, field) for field in contract.fields]
    properties += [
        {"name": name, "logicalType": _STORED[kind], "physicalType": kind, "tags": ["added by the pipeline"]}
        for name, kind in contract.columns
        if name not in own
    ]
    table = {
        "name": contract.table.split("/")[1],
        "physicalName": contract.table,
        "logicalType": "object",
        "physicalType": "table",
        "businessName": contract.schema["title"],
        "description": contract.schema["description"],
        "properties": properties,
    }
    if quality := [_quality(each) for each in contract.expectations if each.kwargs.get("column") is None]:
        table["quality"] = quality
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"urn:assay:contract:{contract.dataset}",
        "name": contract.dataset,
        "version": contract.version,
        "status": "active" if released else "draft",
        "description": {"purpose": contract.schema["description"]},
        "tags": [contract.layer],
        "team": {"name": contract.owner},
        "schema": [table],
        "customProperties": _custom(contract),
    }


def to_yaml(contract: Contract, *, released: bool) -> str:
    """The document of `document` as YAML 1.1, keys in the standard's order."""
    import yaml

    text: str = yaml.safe_dump(document(contract, released=released), sort_keys=False, allow_unicode=True, width=100)
    return text


def _property(contract: Contract, field: Field) -> dict[str, Any]:
    logical = _FORMATS.get(field.format or "", field.json_type)
    found: dict[str, Any] = {
        "name": field.name,
        **_stored(field.shape, logical),
        # in ODCS, required says that there is no null
        "required": field.required and not field.nullable,
    }
    if field.description:
        found["description"] = field.description
    if field.name in contract.key:
        found |= {"primaryKey": True, "primaryKeyPosition": contract.key.index(field.name) + 1}
    if field.pii:
        found["classification"] = "pii"
    if options := {name: field.rules[name] for name in _OPTIONS.get(logical, ()) if name in field.rules}:
        found["logicalTypeOptions"] = options
    quality = [_quality(each) for each in contract.expectations if each.kwargs.get("column") == field.name]
    if (allowed := _allowed(field)) is not None:
        quality.insert(0, allowed)
    if quality:
        found["quality"] = quality
    return found


def _stored(shape: Shape, logical: str) -> dict[str, Any]:
    """How values are stored, down to what arrays and objects hold."""
    found: dict[str, Any] = {"logicalType": logical, "physicalType": shape.stored}
    if shape.items is not None:
        found["items"] = _stored(shape.items, _LOGICAL.get(shape.items.kind, shape.items.kind))
    if shape.properties:
        found["properties"] = [
            {"name": name, **_stored(each, _LOGICAL.get(each.kind, each.kind))}
            for name, each in shape.properties.items()
        ]
    return found


def _allowed(field: Field) -> dict[str, Any] | None:
    """The row rules enum and const, as the library metric that ODCS has for them."""
    values = [field.rules["const"]] if "const" in field.rules else field.rules.get("enum")
    if values is None:
        return None
    return {
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"validValues": list(values)},
        "mustBe": 0,
        "severity": "error",
    }


def _quality(expectation: Expectation) -> dict[str, Any]:
    kwargs = json.loads(json.dumps(dict(expectation.kwargs)))  # plain values, whatever mapping they came in
    if expectation.mostly < 1:
        kwargs["mostly"] = expectation.mostly
    return {
        "type": "custom",
        "engine": "great-expectations",
        "implementation": {"type": expectation.type, "kwargs": kwargs},
        "severity": "error" if expectation.severity == "error" else "warning",
    }


def _custom(contract: Contract) -> list[dict[str, Any]]:
    said: dict[str, Any] = {"layer": contract.layer, "tolerance": contract.tolerance, "sha256": contract.digest}
    if across := {each: contract.schema[each] for each in (*COMPOSITES, *BRANCHES) if each in contract.schema}:
        said["rowRules"] = across
    if contract.source is not None:
        said["source"] = dict(contract.source)
    if contract.parse is not None:
        said["parse"] = {
            "layout": contract.parse.layout,
            "nullTokens": list(contract.parse.null_tokens),
            "minimumRows": contract.parse.minimum_rows,
        }
        if contract.parse.layout == CSV:
            said["parse"] |= {
                "delimiter": contract.parse.delimiter,
                "trailingEmptyColumn": contract.parse.trailing_empty_column,
            }
    return [{"property": name, "value": value} for name, value in said.items()]
