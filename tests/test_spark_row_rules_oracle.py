"""Row rules in Spark against jsonschema with its FormatChecker: generated schemas and values, never another verdict.

Hypothesis only collects; one Spark job then judges every example.
"""

import json
import random
import re
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pyspark.sql import functions as sf
from spark_session import quiet, spark  # noqa: F401
from test_spark_row_rules import contract_of

from contracts.errors import UnsupportedKeywordError
from contracts.keywords import FORMATS
from contracts.patterns import PatternError, java_pattern
from contracts.text import parse_cell
from spark_jobs.row_rules import row_rules

pytestmark = quiet

CHECKER = FormatChecker()
TEXTS = [
    "", "a", "ab", "aab", "EUR", "eur", "EUR\n", "EUR\r", "EUR\u2028", "1", "1.0", "true", "😀", "😀😀", "ä\u0308", "a\nb", "٣",
    "2024-02-29", "0000-01-01", "24:00:00Z", "23:59:59z", "23:59:60Z", "2024-02-29T23:59:59+00:00", "a@b", "::1", "1.2.3.4",
    "x" * 300, "ab" * 2000, "a" * 3000 + "!",
]  # fmt: skip
INTEGERS = [0, 1, -1, 2, 3, 7, 10, 100, 2**53 + 1, 2**63 - 1, -(2**63) + 1, 999999999999999999]
DOUBLES = [
    0.0, -0.0, 1.0, -1.0, 0.1, 0.3, 0.30000000000000004, 0.29, 19.99, 4.35, 1e15, 1e16, 9007199254740992.0, 9007199254740994.0,
    1.7e308, -1.7e308, 5e-324, 2.5, 1e-9, 123456.78, 1e22, 3.0,
]  # fmt: skip
DECIMALS = [
    Decimal(each) for each in ("0.00", "0.10", "-0.10", "1.00", "19.99", "9999999.99", "-9999999.99", "0.30", "2.50")
]
DAYS = [date(1, 1, 1), date(2024, 2, 29), date(9999, 12, 31), date(1970, 1, 1)]
MOMENTS = [datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
# name: how it is stored, the contract's own words for it, values to be judged
COLUMNS = {
    "text": ("string", {"type": "string"}, TEXTS),
    "whole": ("bigint", {"type": "integer"}, INTEGERS),
    "small": ("int", {"type": "integer", "x-assay": {"type": "int"}}, [0, 1, -1, 6, 2**31 - 1, -(2**31)]),
    "real": ("double", {"type": "number"}, DOUBLES),
    "price": ("decimal(9,2)", {"type": "number", "x-assay": {"type": "decimal(9,2)"}}, DECIMALS),
    "flag": ("boolean", {"type": "boolean"}, [True, False]),
    "day": ("date", {"type": "string", "format": "date"}, DAYS),
    "moment": ("timestamp", {"type": "string", "format": "date-time"}, MOMENTS),
    "wholes": (
        "array<bigint>",
        {"type": "array", "items": {"type": ["integer", "null"]}},
        [[], [1], [1, 2], [1, 1], [None], [None, None], [0, 1, 2, 3], [2**63 - 1]],
    ),
    "reals": (
        "array<double>",
        {"type": "array", "items": {"type": ["number", "null"]}},
        [[], [0.0, -0.0], [1.0, 1.5], [0.1, 0.1], [None, 0.1], [2.5]],
    ),
    "words": (
        "array<string>",
        {"type": "array", "items": {"type": "string"}},
        [[], ["a"], ["a", "a"], ["a", "A"], ["", "ab", "EUR"], ["😀"]],
    ),
    "matrix": (
        "array<array<double>>",
        {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        [[], [[]], [[0.0], [-0.0]], [[1.0], [2.0]], [[1.0, 2.0], [1.0, 2.0]]],
    ),
    "place": (
        "struct<city:string,zip:bigint>",
        {
            "type": "object",
            "required": ["city", "zip"],
            "additionalProperties": False,
            "properties": {"city": {"type": ["string", "null"]}, "zip": {"type": ["integer", "null"]}},
        },
        [{"city": "a", "zip": 1}, {"city": None, "zip": 0}, {"city": "EUR", "zip": None}, {"city": "", "zip": 7}],
    ),
    "places": (
        "array<struct<city:string,zip:double>>",
        {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["city", "zip"],
                "additionalProperties": False,
                "properties": {"city": {"type": "string"}, "zip": {"type": "number"}},
            },
        },
        [[], [{"city": "a", "zip": 1.0}], [{"city": "a", "zip": 0.0}, {"city": "a", "zip": -0.0}]],
    ),
}  # fmt: skip
PATTERNS = [
    "^[A-Z]{3}$",
    "a",
    "^a",
    "b$",
    "^$",
    "^(?:a|b)+$",
    "^(?:ab)*$",
    "^.{2,5}$",
    "^[^a]*$",
    "^a{0,3}a$",
    "E|U",
    "(a+)+$",
]


def numbers():
    return st.sampled_from([*INTEGERS, *DOUBLES, 0.01, 1.5, -7, 2**63, 10**30, 1e300, 0.005, 12345.678])


def json_values():
    plain = st.one_of(st.none(), st.booleans(), numbers(), st.sampled_from(TEXTS[:24]))
    lists = st.lists(plain, max_size=3)
    objects = st.fixed_dictionaries({"city": plain, "zip": plain})
    return st.one_of(plain, lists, objects, st.lists(lists, max_size=2), st.lists(objects, max_size=2))


def keywords(inner):
    """A few keywords with values, sensible or not."""
    sizes = st.integers(0, 4)
    types = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(types, st.lists(types, min_size=1, max_size=3, unique=True)),
            "enum": st.lists(json_values(), min_size=1, max_size=14),
            "const": json_values(),
            "minimum": numbers(),
            "maximum": numbers(),
            "exclusiveMinimum": numbers(),
            "exclusiveMaximum": numbers(),
            "multipleOf": st.sampled_from([1, 2, 3, 0.01, 0.1, 2.5, 1e-9, 1.0, 5e-324, 7]),
            "minLength": sizes,
            "maxLength": sizes,
            "pattern": st.sampled_from(PATTERNS),
            "format": st.sampled_from(FORMATS),
            "minItems": sizes,
            "maxItems": sizes,
            "uniqueItems": st.booleans(),
            "items": inner,
            "properties": st.fixed_dictionaries({}, optional={"city": inner, "zip": inner}),
            "required": st.lists(st.sampled_from(["city", "zip"]), unique=True),
            "additionalProperties": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "oneOf": st.lists(inner, min_size=1, max_size=3),
            "allOf": st.lists(inner, min_size=1, max_size=3),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    ).map(lambda drawn: few(drawn))


def few(drawn):
    """At most four of the keywords, or nothing would be left that breaks none."""
    kept = random.Random(json.dumps(drawn, sort_keys=True)).sample(sorted(drawn), min(len(drawn), 4))  # noqa: S311
    if "if" not in kept:
        kept = [each for each in kept if each not in ("then", "else")]
    return {each: drawn[each] for each in kept}


def schemas():
    return st.recursive(st.one_of(st.booleans(), keywords(st.booleans())), keywords, max_leaves=6)


def collected(strategy, count):
    """So many examples of a strategy, the same in each run."""
    found = []

    @settings(
        max_examples=count, derandomize=True, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example):
        found.append(example)

    collect()
    return found


def as_json(value, stored):
    """What a stored value is in JSON, as Python knows it."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def exact(schema):
    """The schema with every float as the decimal that it is written as: decimals are compared by their digits."""
    return json.loads(json.dumps(schema), parse_float=Decimal)


def verdicts(frame, compiled, limit=100):
    """For each compiled rule set, whether each row of the frame keeps it, in the order of its column `index`."""
    kept = []
    for start in range(0, len(compiled), limit):
        part = compiled[start : start + limit]
        columns = [each.first_broken.isNull().alias(f"k{place}") for place, each in enumerate(part)]
        rows = sorted(frame.select("index", *columns).collect())
        kept += [[row[place + 1] for row in rows] for place in range(len(part))]
    return kept


def differing(frame, judged, values):
    """What Spark and jsonschema say differently: the schema and the value.

    Args:
        frame: a row for each value, in its column `index`.
        judged: contract, the column's schema as the oracle reads it, and the values by `index`.
        values: the values of a contract.
    """
    found, refused = [], 0
    kept = verdicts(frame, [row_rules(contract) for contract, *_ in judged])
    for (contract, oracle, name), verdict in zip(judged, kept, strict=True):
        for value, spark_keeps in zip(values(name, contract), verdict, strict=True):
            keeps = oracle.is_valid(value)
            refused += not keeps
            if keeps != spark_keeps:
                found.append((name, contract.schema["properties"].get(name, contract.schema), value, f"oracle {keeps}"))
    return found, refused


def typed_frame(spark):  # noqa: F811
    length = max(len(values) for *_, values in COLUMNS.values()) + 1
    padded = {name: [*values, *[None] * (length - len(values))] for name, (_, _, values) in COLUMNS.items()}
    rows = [(index, *(padded[name][index] for name in COLUMNS)) for index in range(length)]
    names = ", ".join(f"{name} {stored}" for name, (stored, *_) in COLUMNS.items())
    return spark.createDataFrame(rows, f"index int, {names}").coalesce(1).cache(), padded


def typed_cases(count):
    cases = []
    for name, nullable, drawn in collected(st.tuples(st.sampled_from(list(COLUMNS)), st.booleans(), schemas()), count):
        if isinstance(drawn, bool):
            continue
        _, own, _ = COLUMNS[name]
        types = [own["type"], "null"] if nullable else own["type"]
        # what the column is stored as stays; the drawn schema is asked beside it
        schema = {**own, "type": types, "allOf": [drawn]}
        try:
            contract = contract_of({name: schema}, parse=False)
        except UnsupportedKeywordError:
            continue
        plain = {key: value for key, value in schema.items() if key != "x-assay"}
        oracle = Draft202012Validator(exact(plain) if name == "price" else plain, format_checker=CHECKER)
        cases.append((contract, oracle, name))
    return cases


def typed_columns_are_judged_alike(spark, count):  # noqa: F811
    frame, padded = typed_frame(spark)
    cases = typed_cases(count)
    found, refused = differing(frame, cases, lambda name, _: [as_json(each, COLUMNS[name][0]) for each in padded[name]])
    assert found == []
    assert len(cases) > count / 3
    assert refused > len(cases)


def test_typed_columns_are_judged_as_jsonschema_judges_them(spark):  # noqa: F811
    typed_columns_are_judged_alike(spark, 40)


@pytest.mark.slow
def test_thousands_of_schemas_are_judged_as_jsonschema_judges_them(spark):  # noqa: F811
    typed_columns_are_judged_alike(spark, 6000)


CELLS = [
    *TEXTS, "N/A", "n/a", "0", "-0", "-1", "0.1", "0.30", "19.99", "1e3", "1E-400", "1e400", "NaN", "Infinity", " 1", "01", "007", "2.50",
    "999999999999999999", "9999999999999999999", "9007199254740993", "false", "TRUE", "\t", "a,b", "é", "\u2028",
]  # fmt: skip
CELL_TYPES = ["string", "integer", "number", "boolean"]


def test_cells_of_text_are_judged_as_jsonschema_judges_them(spark):  # noqa: F811
    frame = spark.createDataFrame(
        [(index, cell, None) for index, cell in enumerate(CELLS)], "index int, cell string, _layout string"
    ).coalesce(1)
    cases = []
    for kind, nullable, drawn in collected(st.tuples(st.sampled_from(CELL_TYPES), st.booleans(), schemas()), 40):
        schema = {"type": [kind, "null"] if nullable else kind, "allOf": [drawn]}
        try:
            contract = contract_of({"cell": schema})
        except UnsupportedKeywordError:
            continue
        cases.append((contract, Draft202012Validator(schema, format_checker=CHECKER), "cell"))
    found, refused = differing(
        frame, cases, lambda name, contract: [parse_cell(contract, name, cell) for cell in CELLS]
    )
    assert found == []
    assert refused > len(cases) > 25


ORDERS = {
    "currency": {"type": ["string", "null"]},
    "rate": {"type": ["number", "null"]},
    "rush": {"type": "boolean"},
    "shipped": {"type": ["string", "null"], "format": "date"},
}
ORDER_ROWS = [
    (currency, rate, rush, shipped)
    for currency in ("EUR", "USD", "", None)
    for rate in (1.0, 1.5, 0.0, None)
    for rush in (True, False)
    for shipped in (date(2024, 2, 29), None)
]


def rules_across():
    """Rules on a whole row, nested in each other."""
    inner = {
        "currency": st.sampled_from([{"const": "EUR"}, {"enum": ["EUR", None]}, {"minLength": 1}, {"type": "string"}, True]),
        "rate": st.sampled_from([{"const": 1}, {"exclusiveMinimum": 1}, {"type": "null"}, {"not": {"const": 0}}, False]),
        "rush": st.sampled_from([{"const": True}, {"const": 1}, {"enum": [False, 1]}]),
        "shipped": st.sampled_from([{"type": "null"}, {"const": "2024-02-29"}, {"type": ["string"]}]),
    }  # fmt: skip
    parts = st.fixed_dictionaries(
        {},
        optional={
            "properties": st.fixed_dictionaries({}, optional=inner),
            "required": st.lists(st.sampled_from(list(ORDERS)), unique=True),
            "additionalProperties": st.sampled_from([True, {"type": ["boolean", "number"]}, {"not": {"type": "null"}}]),
            "type": st.sampled_from(["object", ["object", "null"], "string"]),
        },
    )

    def combined(part):
        several = st.lists(part, min_size=1, max_size=3)
        return st.fixed_dictionaries(
            {}, optional={"allOf": several, "anyOf": several, "oneOf": several, "not": part, "if": part, "then": part, "else": part}
        ).map(few)  # fmt: skip

    return combined(st.recursive(st.one_of(parts, st.booleans()), combined, max_leaves=5))


def test_rules_across_columns_are_judged_as_jsonschema_judges_them(spark):  # noqa: F811
    frame = spark.createDataFrame(
        [(index, *row) for index, row in enumerate(ORDER_ROWS)],
        "index int, currency string, rate double, rush boolean, shipped date",
    ).coalesce(1)
    given_rules = [each for each in collected(rules_across(), 25) if each]
    hand_written = {
        "if": {"properties": {"currency": {"const": "EUR"}}, "required": ["currency"]},
        "then": {"properties": {"rate": {"const": 1}}},
    }
    cases = []
    for across in [hand_written, *given_rules]:
        contract = contract_of(ORDERS, parse=False, **across)
        cases.append((contract, Draft202012Validator(contract.schema, format_checker=CHECKER), "*"))
    rows = [dict(zip(ORDERS, (as_json(each, None) for each in row), strict=True)) for row in ORDER_ROWS]
    found, refused = differing(frame, cases, lambda *_: rows)
    assert found == []
    assert len(cases) > 20
    assert len(cases) < refused < len(cases) * len(rows)


GOOD_TEXTS = {
    "date": ["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0001-01-01", "0000-01-01", "9999-12-31", "20240229", "2024-2-9"],
    "date-time": [
        "2024-02-29T23:59:59Z", "2024-02-29t23:59:59.123456789z", "2024-02-29T23:59:59+00:00", "2024-02-29T23:59:60Z",
        "2024-02-29T24:00:00Z", "2023-02-29T00:00:00Z", "2024-02-29T00:00:00-23:59", "2024-02-29T00:00:00+24:00", "0000-02-29T00:00:00Z",
        "2024-02-29 00:00:00Z", "2024-02-29T00:00:00",
    ],
    "time": ["23:59:59Z", "23:59:59z", "00:00:00.0+00:00", "24:00:00Z", "23:59:60Z", "23:59:59", "1:00:00Z", "23:59:60", "1:2:3", "24:00:00", "9:5\u0663:\u0663", "1:2:61", "00:00:00\n"],
    "email": ["a@b", "@", "ab", ""],
    "uuid": [
        "123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000", "{23e4567-e89b-12d3-a456-42661417400}",
        "123e4567e89b12d3a456426614174000", "urn:uuid:123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-42661417400_",
        "1_3e4567-e89b-12d3-a456-426614174000", "0x3e4567-e89b-12d3-a456-426614174000", "0x_e4567-e89b-12d3-a456-426614174000",
        "0X3e4567-e89b-12d3-a456-42661417400\n", " +3e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-42661417400\u2003",
        "\u0663\u066623e456-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-{26614174000}", "urn:4567-e89b-12d3-a456-426614174000abcd",
        "\x1c23e4567-e89b-12d3-a456-426614174000", "{}{}4567-e89b-12d3-a456-426614174000abcd",
    ],
    "uri": [
        "http://a.b/c?d=e#f", "urn:a:b", "a:", "//a/b", "http://[::1]:80/", "http://[v1.a:b]/", "http://[::1%25eth0]/", "http://a b/", "http://ä/",
        "http://u:p@h:1/", "http://u@p@h/", "http://[1:2:3:4:5:6:1.2.3.4]/", "http://[::01.2.3.4]/", "http://a/%zz", "http://a/%41", "1a:b",
        "a+-.:/b//c", "mailto:a@b", "http://a:b/", "file:///etc", "a:?#", "a:#b#c", "http://h\n", "a:" + "b" * 20000, "a:/" + "/b%41" * 9000,
        "http://" + "a%41" * 9000 + "@h", "a:?" + "%41?" * 9000, "http://[1::2:3:4:5:6:7:8]/", "http://[1:2:3:4:5:6:7::]/", "http://[::2:3:4:5:6:7:8]/",
    ],
    "ipv4": ["1.2.3.4", "255.255.255.255", "256.1.1.1", "01.2.3.4", "0.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.4/8", "\u0661.2.3.4", "1..2.3", "1.2.3.4\n"],
    "ipv6": [
        "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "1:2:3:4:5:6:1.2.3.4",
        "::1.2.3.4", "::ffff:01.2.3.4", "fe80::1%eth0", "fe80::1%", "1:::2", ":1", "1:", "12345::", "::g", "1:2:3:4:5::1.2.3.4", "1:2:3:4:5:6::1.2.3.4",
        "::1/64", "1::2::3", ":", "1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1\n", "1::1.2.3.4", "1:2::1.2.3.4:5",
    ],
    "hostname": [
        "a", "a.b", "a.b.", "a..b", ".a", "-a", "a-", "a-b", "a_b", "a" * 63, "a" * 64, ".".join(["a" * 49] * 5) + ".abc", ".".join(["a" * 49] * 5) + ".abcd",
        ".".join(["a" * 49] * 5) + ".abc.", "xn--nxasmq6b", "b\u00fccher.de", "\u212a.de", "\u017f", "\u0131", "\u0130", "\u0663.de", "a.b\n", "a.\n", "\n", "",
        "a" * 253, "a." * 126 + "a", "a." * 127, "1.2.3.4", "A.B", "a b", "\U00016ac0",
    ],
}  # fmt: skip
HOSTILE = ["\n", "\r", "\x00", "\u0085", "\u2028", "\u0660", "\uff11", "\u0131", "😀", "%", "%4", ":", "::", ".", "-", "_", "@", "/", "[", "]", "0", "Z", " ", "{", "g"]  # fmt: skip


def changed_texts():
    """Texts of each format and, changed in a place or two, texts that are nearly so."""
    good = st.sampled_from([text for texts in GOOD_TEXTS.values() for text in texts if len(text) < 300])
    edits = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2), st.sampled_from(HOSTILE)), max_size=2)

    def change(drawn):
        text, changes = drawn
        for place, gone, come in changes:
            text = text[:place] + come + text[place + gone :]
        return text

    return st.tuples(good, edits).map(change)


def formats_agree(spark, count):  # noqa: F811
    odd = [chr(code) for code in range(0xD800) if chr(code).isdecimal() or chr(code).isspace() or code in range(0x250)]
    host = [f"{each}a.{each}" for each in odd]
    texts = sorted(
        {*(text for each in GOOD_TEXTS.values() for text in each), *odd, *host, *collected(changed_texts(), count)}
        | {f"{each}23e4567-e89b-12d3-a456-426614174000" for each in odd}
        | {each + text for text in ("a.b", "::1", "a:b", "00:00:00Z") for each in ("\n", " ", "\u0660", "İ")}
    )
    frame = spark.createDataFrame(list(enumerate([*texts, None])), "index int, text string").coalesce(1)
    rules = [row_rules(contract_of({"text": {"type": ["string", "null"], "format": name, "x-assay": {"type": "string"}}}, parse=False)) for name in FORMATS]  # fmt: skip
    found = {}
    for name, kept in zip(FORMATS, verdicts(frame, rules), strict=True):
        expected = [CHECKER.conforms(text, name) for text in texts]
        assert kept[-1] is True
        wrong = [
            (text, said) for text, said, spark_said in zip(texts, expected, kept, strict=False) if said != spark_said
        ]
        if wrong:
            found[name] = wrong[:20]
        assert {True, False} == set(expected)
    assert found == {}


def test_formats_are_judged_as_the_checker_judges_them(spark):  # noqa: F811
    formats_agree(spark, 1500)


@pytest.mark.slow
def test_many_formats_are_judged_as_the_checker_judges_them(spark):  # noqa: F811
    formats_agree(spark, 40_000)


def patterns():
    """Patterns of a few characters, with every operator of the subset; many would backtrack for ever."""
    ones = st.sampled_from(["a", "b", "ab", ".", "[ab]", "[^a]", "[^,]", "\\.", "-"])
    repeats = st.sampled_from(["", "", "?", "*", "+", "{2}", "{0,3}", "{1,}", "{2,4}"])

    def grown(inner):
        alternatives = st.lists(inner, min_size=1, max_size=3).map("|".join)
        return st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.tuples(alternatives, st.sampled_from(["(", "(?:"]), repeats).map(lambda drawn: f"{drawn[1]}{drawn[0]}){drawn[2]}"),
        )  # fmt: skip

    body = st.recursive(st.tuples(ones, repeats).map("".join), grown, max_leaves=7)
    return st.tuples(st.sampled_from(["", "^", "^"]), body, st.sampled_from(["", "$"])).map("".join)


PATTERN_TEXTS = [
    "", "a", "b", "aa", "ab", "ba", "aab", "abab", "abba", "a.b", "a-a-a", "-", ".", "a\n", "\n", "ab\n", "a\r", "a\u2028", "😀", "a😀b", ",",
    "a" * 20_000, "ab" * 10_000, "a-" * 10_000, "😀a" * 10_000, "a" * 20_000 + ",", "ab" * 10_000 + "!\n", "aab" * 7_000 + "\u2028",
]  # fmt: skip


def test_patterns_are_matched_alike_and_in_a_short_time(spark):  # noqa: F811
    accepted = []
    for pattern in sorted(set(collected(patterns(), 600))):
        try:
            accepted.append((pattern, java_pattern(pattern)))
        except PatternError:
            continue
    accepted = accepted[:120]
    assert len(accepted) > 60
    frame = spark.createDataFrame(list(enumerate(PATTERN_TEXTS)), "index int, text string").coalesce(1)
    columns = [sf.col("text").rlike(java).alias(f"m{index}") for index, (_, java) in enumerate(accepted)]
    matched = [row[1:] for row in sorted(frame.select("index", *columns).collect())]
    for index, (pattern, java) in enumerate(accepted):
        start = time.process_time()
        expected = [re.search(pattern, text) is not None for text in PATTERN_TEXTS]
        assert time.process_time() - start < 5, pattern
        assert [row[index] for row in matched] == expected, (pattern, java)
