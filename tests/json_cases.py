"""A contract of JSON lines, lines that keep it, and lines that do not: by name, for the head's check and for Spark."""

import json

from contracts import contract as contracts

PROPERTIES = {
    "id": {"type": "string", "pattern": "^[0-9]+$"},
    "day": {"type": "string", "format": "date"},
    "amount": {"type": "number", "minimum": -1000000000},
    "count": {"type": ["integer", "null"], "minimum": 0},
    "flag": {"type": ["boolean", "null"]},
    "note": {"type": ["string", "null"], "maxLength": 40},
}


def document_of(*, null_tokens=(), minimum_rows=1, pattern="^[^/.]+[.]jsonl$", name="events", **about):
    """What a contract file of JSON lines says; `about` changes its x-assay."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:assay:contract:{name}_bronze:1-0-0",
        "title": "Events",
        "description": "One row an event.",
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "day", "amount"],
        "properties": PROPERTIES,
        "x-assay": {
            "layer": "bronze",
            "table": f"bronze/{name}",
            "owner": "tests",
            "key": ["id"],
            "classification": {"pii": []},
            "tolerance": 0,
            "source": {"name": name, "kind": "files", "prefix": f"landing/{name}/", "pattern": pattern},
            "parse": {"layout": "json_lines", "null_tokens": list(null_tokens), "minimum_rows": minimum_rows},
            "expectations": [],
        }
        | about,
    }


def contract_of(**said):
    return contracts.parse_document("events_bronze", "1-0-0", json.dumps(document_of(**said)).encode())


CONTRACT = contract_of(null_tokens=["-"])
GOOD = {"id": '"7"', "day": '"2026-07-30"', "amount": "1.10"}


def row(**changes):
    """A line whose values are the JSON given here."""
    return ("{" + ",".join(f'"{name}":{value}' for name, value in (GOOD | changes).items()) + "}").encode()


# What is not a flat object of strict JSON.
MALFORMED = {
    "nan": row(amount="NaN"),
    "infinity": row(amount="Infinity"),
    "minus-infinity": row(amount="-Infinity"),
    "key-twice": row()[:-1] + b',"id":"8"}',
    "key-twice-in-escapes": row()[:-1] + b',"\\u0069d":"8"}',
    "key-twice-the-same-value": row()[:-1] + b',"id":"7"}',
    "unknown-key-twice": row()[:-1] + b',"x":1,"x":1}',
    "cut-in-a-string": row()[:8],
    "cut-after-a-comma": b'{"id":"7",',
    "cut-after-a-colon": b'{"id":',
    "cut-before-the-brace": row()[:-1],
    "open-brace": b"{",
    "latin-1": row(note='"caf\u00e9"').decode().encode("latin-1"),
    "cut-in-a-character": row(note='"caf\u00e9"').replace("\u00e9".encode(), b"\xc3"),
    "encoded-surrogate": row(note='"x"').replace(b'"x"', b'"\xed\xa0\x80"'),
    "overlong": row(note='"x"').replace(b'"x"', b'"\xc0\xaf"'),
    "utf-16": '{"id":"7"}'.encode("utf-16-le"),
    "text-after-it": row() + b" x",
    "a-second-object": row() + row(),
    "a-second-object-after-a-comma": row() + b"," + row(),
    "a-bracket-after-it": row() + b"]",
    "a-brace-after-it": row() + b"}",
    "a-bracket-and-more": row() + b"] [" + row(),
    "a-brace-and-more": row() + b"} {",
    "high-surrogate-alone": row(note='"\\ud83d"'),
    "low-surrogate-alone": row(note='"\\ude00"'),
    "surrogates-turned-round": row(note='"\\ude00\\ud83d"'),
    "surrogates-apart": row(note='"\\ud83d\\\\\\ude00"'),
    "three-surrogates": row(note='"\\ud83d\\ude00\\ude00"'),
    "surrogate-in-a-key": b'{"a\\uD800":1}',
    "surrogate-after-an-escaped-backslash": row(note='"\\\\\\ud800"'),
    "number-of-401-characters": row(amount="1" * 401),
    "number-of-5000-characters": row(amount="0." + "1" * 5000),
    "nested-object": row(note='{"a":1}'),
    "nested-array": row(note="[1]"),
    "nested-70-deep": row(note="[" * 70 + "]" * 70),
    "nested-100000-deep": row(note="[" * 100_000 + "]" * 100_000),
    "array": b"[1]",
    "array-of-rows": b"[" + row() + b"]",
    "number": b"5",
    "text": b'"x"',
    "null": b"null",
    "word": b"id",
    "csv": b"7,2026-07-30,1.10",
    "html": b"<html></html>",
    "single-quotes": b"{'id':'7'}",
    "key-without-quotes": b"{id:7}",
    "comma-at-the-end": row()[:-1] + b",}",
    "comma-twice": row()[:-1] + b",,}",
    "comma-first": b"{," + row()[1:],
    "comment": row()[:-1] + b"/* x */}",
    "line-comment": row() + b" // x",
    "leading-zero": row(amount="01"),
    "plus": row(amount="+1"),
    "point-first": row(amount=".5"),
    "point-last": row(amount="1."),
    "hexadecimal": row(amount="0x10"),
    "underscore": row(amount="1_000"),
    "arabic-digits": row(amount="\u0661"),
    "python-none": row(note="None"),
    "python-true": row(flag="True"),
    "undefined": row(note="undefined"),
    "tab-in-text": row(note='"a\tb"'),
    "nul-in-text": row(note='"a\x00b"'),
    "nul-outside": row() + b"\x00",
    "unknown-escape": row(note='"\\x41"'),
    "escape-cut-short": row(note='"\\u12"'),
    "escaped-quote-at-the-end": row(note='"a\\"'),
    "no-break-space": b"\xc2\xa0" + row(),
    "byte-order-mark-in-a-line": b" \xef\xbb\xbf" + row(),
    "value-left-out": b'{"id":}',
    "colon-left-out": b'{"id" "7"}',
}
# Strict JSON, but not a row of the contract: column and rule.
BROKEN = {
    "unknown-key": (row(extra="1"), "*", "additionalProperties"),
    "key-in-capitals": (row(ID='"7"'), "*", "additionalProperties"),
    "empty-key": (row()[:-1] + b',"":1}', "*", "additionalProperties"),
    "key-left-out": (b'{"day":"2026-07-30","amount":1}', "id", "required"),
    "renamed": (b'{"id":"7","date":"2026-07-30","amount":1}', "*", "additionalProperties"),
    "no-key": (b"{}", "id", "required"),
    "number-in-text": (row(amount='"1.10"'), "amount", "type"),
    "text-in-number": (row(id="7"), "id", "type"),
    "boolean-in-number": (row(amount="true"), "amount", "type"),
    "boolean-in-text": (row(note="true"), "note", "type"),
    "number-in-boolean": (row(flag="1"), "flag", "type"),
    "text-in-boolean": (row(flag='"true"'), "flag", "type"),
    "null": (row(id="null"), "id", "type"),
    "null-number": (row(amount="null"), "amount", "type"),
    "null-token": (row(id='"-"'), "id", "type"),
    "number-beyond-a-double": (row(amount="1e400"), "amount", "type"),
    "integer-beyond-64-bits": (row(count="9223372036854775808"), "count", "type"),
    "integer-of-400-digits": (row(count="1" * 400), "count", "type"),
    "integer-with-a-point": (row(count="1.0"), "count", "type"),
    "integer-with-an-exponent": (row(count="1e2"), "count", "type"),
    "integer-below": (row(count="-1"), "count", "minimum"),
    "no-such-day": (row(day='"2026-02-30"'), "day", "format"),
    "pattern": (row(id='"x"'), "id", "pattern"),
    "too-long": (row(note='"' + "x" * 41 + '"'), "note", "maxLength"),
    "escaped-nul": (row(note='"a\\u0000b"'), "note", "encoding"),
    "replacement-character": (row(note='"a\ufffdb"'), "note", "encoding"),
}
OTHER_LAYOUT = {name: line for name, (line, _, _) in BROKEN.items()}
WELL_FORMED = {
    "least": row(),
    "all": row(count="3", flag="false", note='"x"'),
    "nulls": row(count="null", flag="null", note="null"),
    "null-token": row(note='"-"', count='"-"', flag='"-"'),
    "spaces": b' { "id" : "7" ,\t"day":"2026-07-30" , "amount" : 1.10 } ',
    "carriage-return": row() + b"\r",
    "escaped-key": row().replace(b'"id"', b'"\\u0069\\u0064"'),
    "escapes": row(note='"\\b\\f\\n\\r\\t\\/\\\\\\"\\u00e9"'),
    "surrogate-pair": row(note='"\\ud83d\\ude00"'),
    "escaped-backslash-before-ud800": row(note='"\\\\ud800"'),
    "braces-in-text": row(note='"}{][,:"'),
    "beyond-the-plane": row(note='"\U0001f600"'),
    "line-separator": row(note='"a\u2028b"'),
    "exponent": row(amount="1E+2"),
    "minus-zero": row(amount="-0.0"),
    "tiny": row(amount="1e-400"),
    "number-of-400-characters": row(amount="0." + "1" * 398),
    "eighteen-digits": row(count="9" * 18),
    "other-order": b'{"amount":1,"day":"2026-07-30","id":"7"}',
}
