"""Changes of a contract are classed as SchemaVer does, with jsonschema as the judge of what an addition may do."""

import copy
import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import contract as contracts
from contracts.changes import Level
from contracts.diff import diff, needed, raised, shortfall, smallest
from contracts.downstream import Lineage, tables_from_columns, tables_from_table
from contracts.errors import ContractError
from contracts.judging import Draft202012Validator, FormatChecker

DOCUMENT = {
    "title": "Odd rows",
    "description": "Rows for tests.",
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "amount", "status"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "amount": {"type": "number", "minimum": 0, "maximum": 100, "x-assay": {"type": "decimal(15,2)"}},
        "status": {"type": "string", "enum": ["F", "O"], "description": "where it stands"},
        "day": {"type": ["string", "null"], "format": "date", "x-assay": {"type": "string"}},
        "note": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^[a-z]*$"},
    },
    "x-assay": {
        "layer": "bronze",
        "table": "bronze/odd",
        "owner": "tests",
        "key": ["id"],
        "classification": {"pii": ["note"]},
        "tolerance": 0.1,
        "source": {"name": "odd", "kind": "files", "prefix": "landing/odd/", "pattern": "x"},
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "amount", "min_value": 1, "max_value": 9, "mostly": 0.9},
                "severity": "error",
            },
            {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "warn"},
        ],
    },
}
PARSE = {
    "layout": "csv",
    "delimiter": ",",
    "null_tokens": ["N/A", ""],
    "trailing_empty_column": True,
    "minimum_rows": 1,
}


def contract_of(document, version="1-0-0"):
    return contracts.parse_document("odd", version, json.dumps(document).encode())


def edited(*edits, base=DOCUMENT):
    """The document with each (path, value) put in place; a value of None takes the member away."""
    document = copy.deepcopy(base)
    for path, value in edits:
        *folders, name = path.split("/")
        place = document
        for folder in folders:
            place = place[int(folder) if isinstance(place, list) else folder]
        name = int(name) if isinstance(place, list) else name
        if value is None:
            del place[name]
        else:
            place[name] = value
    return document


MODEL, REVISION, ADDITION = Level.MODEL, Level.REVISION, Level.ADDITION
COLUMN, ABOUT, FIRST = "properties/", "x-assay/", "x-assay/expectations/0/"


@pytest.mark.parametrize(
    ("edits", "level", "backwards", "columns", "what"),
    [
        pytest.param([(COLUMN + "more", {"type": "string"})], ADDITION, MODEL, ("more",), "column", id="optional-column"),
        pytest.param([(COLUMN + "more", {"type": "string"}), ("required", ["id", "amount", "status", "more"])], MODEL, MODEL, ("more",), "column", id="required-column"),
        pytest.param([(COLUMN + "id/type", "number"), (COLUMN + "id/x-assay", {"type": "bigint"})], ADDITION, REVISION, ("id",), "type", id="integer-to-number"),
        pytest.param([(COLUMN + "id/x-assay", {"type": "int"})], MODEL, REVISION, ("id",), "stored type", id="bigint-to-int"),
        pytest.param([(COLUMN + "id/x-assay", {"type": "decimal(20,0)"})], REVISION, MODEL, ("id",), "stored type", id="bigint-to-decimal"),
        pytest.param([(COLUMN + "amount/x-assay/type", "decimal(18,4)")], REVISION, MODEL, ("amount",), "stored type", id="wider-decimal"),
        pytest.param([(COLUMN + "amount/x-assay/type", "decimal(15,4)")], MODEL, MODEL, ("amount",), "stored type", id="more-decimals-fewer-digits"),
        pytest.param([(COLUMN + "status/type", ["string", "null"])], ADDITION, REVISION, ("status",), "null", id="nullable"),
        pytest.param([("required", ["id", "amount"])], ADDITION, REVISION, ("status",), "required", id="optional"),
        pytest.param([(COLUMN + "status/enum", ["F", "O", "P"])], ADDITION, REVISION, ("status",), "enum", id="enum-grows"),
        pytest.param([(COLUMN + "status/enum", ["F", "P"])], REVISION, REVISION, ("status",), "enum", id="enum-moves"),
        pytest.param([(COLUMN + "status/enum", ["X"])], MODEL, MODEL, ("status",), "enum", id="enum-shares-nothing"),
        pytest.param([(COLUMN + "status/enum", None)], ADDITION, REVISION, ("status",), "enum", id="enum-gone"),
        pytest.param([(COLUMN + "status/const", "F")], REVISION, ADDITION, ("status",), "const", id="const"),
        pytest.param([(COLUMN + "id/minimum", 0)], ADDITION, REVISION, ("id",), "minimum", id="minimum"),
        pytest.param([(COLUMN + "id/minimum", None), (COLUMN + "id/exclusiveMinimum", 1)], REVISION, ADDITION, ("id",), "minimum", id="exclusive-minimum"),
        pytest.param([(COLUMN + "amount/maximum", 99)], REVISION, ADDITION, ("amount",), "maximum", id="maximum"),
        pytest.param([(COLUMN + "amount/maximum", None)], ADDITION, REVISION, ("amount",), "maximum", id="no-maximum"),
        pytest.param([(COLUMN + "note/minLength", 2)], REVISION, ADDITION, ("note",), "minLength", id="min-length"),
        pytest.param([(COLUMN + "note/maxLength", 10)], ADDITION, REVISION, ("note",), "maxLength", id="max-length"),
        pytest.param([(COLUMN + "note/pattern", "^[a-y]*$")], REVISION, REVISION, ("note",), "pattern", id="pattern"),
        pytest.param([(COLUMN + "note/pattern", None)], ADDITION, REVISION, ("note",), "pattern", id="no-pattern"),
        pytest.param([(COLUMN + "day/format", "date-time")], MODEL, MODEL, ("day",), "format", id="format"),
        pytest.param([(COLUMN + "day/format", None)], ADDITION, REVISION, ("day",), "format", id="no-format"),
        pytest.param([(ABOUT + "classification/pii", ["note", "id"])], REVISION, ADDITION, ("id",), "pii", id="personal"),
        pytest.param([(ABOUT + "key", ["id", "status"])], MODEL, MODEL, (), "key", id="key"),
        pytest.param([(ABOUT + "table", "bronze/odder")], MODEL, MODEL, (), "table", id="table"),
        pytest.param([(ABOUT + "layer", "silver")], MODEL, MODEL, (), "layer", id="layer"),
        pytest.param([(ABOUT + "tolerance", 0.2)], ADDITION, REVISION, (), "tolerance", id="tolerance"),
        pytest.param([(ABOUT + "source/prefix", "landing/odder/")], REVISION, REVISION, (), "source prefix", id="source-prefix"),
        pytest.param([(ABOUT + "source/name", "odder")], MODEL, MODEL, (), "source name", id="source-name"),
        pytest.param([(ABOUT + "expectations/1", None)], ADDITION, REVISION, (), "expectation expect_table_row_count_to_be_between", id="no-expectation"),
        pytest.param([(FIRST + "severity", "warn")], ADDITION, REVISION, ("amount",), "expectation expect_column_values_to_be_between", id="severity"),
        pytest.param([(FIRST + "kwargs/mostly", 0.95)], REVISION, ADDITION, ("amount",), "expectation expect_column_values_to_be_between", id="mostly"),
        pytest.param([(FIRST + "kwargs/min_value", 2)], REVISION, ADDITION, ("amount",), "expectation expect_column_values_to_be_between", id="min-value"),
        pytest.param([(FIRST + "kwargs/max_value", None)], ADDITION, REVISION, ("amount",), "expectation expect_column_values_to_be_between", id="no-max-value"),
        pytest.param([(FIRST + "kwargs/max_value", {"$run": "data_date"})], REVISION, REVISION, ("amount",), "expectation expect_column_values_to_be_between", id="max-value-of-the-run"),
    ],
)  # fmt: skip
def test_each_change_has_a_level_in_both_directions(edits, level, backwards, columns, what):
    old, new = contract_of(DOCUMENT), contract_of(edited(*edits))
    [change] = [each for each in diff(old, new) if not each.wording and each.level is needed(diff(old, new))]
    assert (change.level, change.columns, change.what) == (level, columns, what)
    assert needed(diff(new, old)) is backwards


@pytest.mark.parametrize(
    ("edits", "level", "what"),
    [
        pytest.param([("delimiter", ";")], MODEL, "parse delimiter", id="delimiter"),
        pytest.param([("null_tokens", ["N/A"])], REVISION, "parse null_tokens", id="null-token-gone"),
        pytest.param([("null_tokens", ["N/A", "", "-"])], REVISION, "parse null_tokens", id="null-token-more"),
        pytest.param([("trailing_empty_column", False)], REVISION, "parse trailing_empty_column", id="trailing"),
        pytest.param([("minimum_rows", 0)], ADDITION, "parse minimum_rows", id="fewer-rows"),
        pytest.param([("minimum_rows", 2)], REVISION, "parse minimum_rows", id="more-rows"),
    ],
)
def test_a_change_of_the_parse_has_a_level(edits, level, what):
    before = edited((ABOUT + "parse", PARSE))
    after = edited((ABOUT + "parse", edited(*edits, base=PARSE)))
    [change] = diff(contract_of(before), contract_of(after))
    assert (change.level, change.what) == (level, what)


def test_another_type_is_stored_in_another_way():
    changes = diff(contract_of(DOCUMENT), contract_of(edited((COLUMN + "id/type", "string"))))
    assert {(change.level, change.what) for change in changes} == {(MODEL, "type"), (MODEL, "stored type")}


def test_rules_that_are_not_told_apart_further_ask_more_or_less_or_something_else():
    def levels(old, new):
        pair = [contract_of(edited(*each)) for each in (old, new)]
        return [(change.level, change.what) for change in diff(*pair)]

    whole = [(COLUMN + "amount/multipleOf", 2)]
    half = [(COLUMN + "amount/multipleOf", 1)]
    across = [("anyOf", [{"properties": {"id": {"const": 1}}}])]
    assert levels([], whole) == [(REVISION, "multipleOf")]
    assert levels(whole, []) == [(ADDITION, "multipleOf")]
    assert levels(whole, half) == [(REVISION, "multipleOf")]
    assert levels([], across) == [(REVISION, "anyOf")]
    assert levels(across, []) == [(ADDITION, "anyOf")]
    tags = {"type": "array", "items": {"type": "string"}}
    few, more = ([(COLUMN + "tags", {**tags, "maxItems": count})] for count in (2, 3))
    assert levels(few, more) == [(ADDITION, "maxItems")]
    assert levels(more, few) == [(REVISION, "maxItems")]


def test_columns_of_text_are_stored_as_text_so_a_wider_type_is_an_addition():
    before = edited((ABOUT + "parse", PARSE))
    after = edited((COLUMN + "id/type", "number"), base=before)
    [change] = diff(contract_of(before), contract_of(after))
    assert (change.level, change.what) == (ADDITION, "type")


def test_to_parse_text_or_not_breaks_everything():
    assert needed(diff(contract_of(DOCUMENT), contract_of(edited((ABOUT + "parse", PARSE))))) is MODEL


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param([("title", "Odder rows")], id="title"),
        pytest.param([("description", "Rows.")], id="description"),
        pytest.param([(COLUMN + "status/description", None)], id="column"),
        pytest.param([(ABOUT + "owner", "others")], id="owner"),
        pytest.param([(COLUMN + "status/enum", ["O", "F"])], id="enum-order"),
        pytest.param([(COLUMN + "id/x-assay", {"type": "bigint"})], id="declared-type-as-stored"),
    ],
)
def test_wording_is_an_addition_both_ways(edits):
    old, new = contract_of(DOCUMENT), contract_of(edited(*edits))
    for changes in (diff(old, new), diff(new, old)):
        assert [(change.level, change.wording) for change in changes] == [(ADDITION, True)]


def test_a_renamed_column_is_one_removed_and_one_added():
    after = edited(
        (COLUMN + "remark", DOCUMENT["properties"]["note"]),
        (COLUMN + "note", None),
        (ABOUT + "classification/pii", ["remark"]),
    )
    found = {(change.columns, change.level, change.words) for change in diff(contract_of(DOCUMENT), contract_of(after))}
    assert found == {(("note",), MODEL, "removed"), (("remark",), ADDITION, "added, optional, string")}


def test_columns_in_another_order_are_named():
    swapped = edited(("properties", dict(reversed(DOCUMENT["properties"].items()))))
    [change] = diff(contract_of(DOCUMENT), contract_of(swapped))
    assert (change.level, change.what) == (REVISION, "columns")


def test_true_is_not_one_among_allowed_values():
    old = edited((COLUMN + "note", {"type": "integer", "enum": [1, 2]}))
    assert diff(contract_of(old), contract_of(edited((COLUMN + "note/enum", [1.0, 2]), base=old)))[0].wording
    assert needed(diff(contract_of(old), contract_of(edited((COLUMN + "note/enum", [True, 2]), base=old)))) is REVISION


def test_two_datasets_are_not_compared():
    with pytest.raises(ContractError, match="only versions of one dataset"):
        diff(contract_of(DOCUMENT), contracts.load("orders_silver"))


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("1-0-0", "1-0-1", ADDITION),
        ("1-0-9", "1-1-0", REVISION),
        ("1-9-9", "2-0-0", MODEL),
        ("1-0-0", "1-0-0", None),
        ("1-0-10", "1-0-9", None),
        ("2-0-0", "1-9-9", None),
    ],
)
def test_what_a_version_raised(old, new, level):
    assert raised(old, new) is level


@pytest.mark.parametrize(
    ("edits", "version", "sentence"),
    [
        pytest.param([("title", "New")], "1-0-1", None, id="wording"),
        pytest.param([], "1-0-0", None, id="nothing"),
        pytest.param([(ABOUT + "key", ["status"])], "2-0-0", None, id="model"),
        pytest.param([(COLUMN + "id/minimum", 2)], "1-0-1", "odd 1-0-1: after 1-0-0 it is only an ADDITION, but a REVISION is needed (column id minimum: asks more: minimum 1 is now minimum 2); name it 1-1-0", id="too-small"),
        pytest.param([(COLUMN + "note", None), (ABOUT + "classification/pii", [])], "1-1-0", "odd 1-1-0: after 1-0-0 it is only a REVISION, but a MODEL is needed (column note removed); name it 2-0-0", id="breaking"),
        pytest.param([("title", "New")], "1-0-0", "odd 1-0-0: after 1-0-0 it is not a later version, but an ADDITION is needed (title: \"Odd rows\" is now \"New\"); name it 1-0-1", id="same-version"),
    ],
)  # fmt: skip
def test_a_version_raised_too_little_is_told_the_next_one(edits, version, sentence):
    old, new = contract_of(DOCUMENT), contract_of(edited(*edits), version)
    assert shortfall(old, new, diff(old, new)) == sentence


@given(st.tuples(*[st.integers(0, 20)] * 3), st.sampled_from(Level))
def test_the_smallest_next_version_raises_just_that(numbers, level):
    old = "-".join(map(str, numbers))
    assert raised(old, smallest(old, level)) is level


LINEAGES = (
    Lineage(output="silver/a", inputs=("bronze/a",), columns={"x": ["bronze/a.p"], "y": ["bronze/a.q"]}),
    Lineage(output="silver/b", inputs=("bronze/b",), columns={"z": ["bronze/b.*"]}),
    Lineage(output="gold/f", inputs=("silver/a", "silver/b"), columns={"s": ["silver/a.x", "silver/b.z"]}),
)


@pytest.mark.parametrize(
    ("table", "columns", "reached"),
    [
        pytest.param("bronze/a", ["p"], ("silver/a", "gold/f"), id="by-way-of-another"),
        pytest.param("bronze/a", ["q"], ("silver/a",), id="ends-there"),
        pytest.param("bronze/a", ["r"], (), id="used-by-none"),
        pytest.param("bronze/b", ["anything"], ("silver/b", "gold/f"), id="wildcard"),
        pytest.param("bronze/a", None, ("silver/a", "gold/f"), id="table"),
        pytest.param("gold/f", None, (), id="end"),
    ],
)
def test_only_tables_made_from_a_column_feel_it(table, columns, reached):
    found = tables_from_table(LINEAGES, table) if columns is None else tables_from_columns(LINEAGES, table, columns)
    assert found == reached


def test_a_circle_of_tables_ends():
    circle = [
        Lineage(output="b", inputs=("a",), columns={"x": ["a.x"]}),
        Lineage(output="a", inputs=("b",), columns={"x": ["b.x"]}),
    ]
    assert tables_from_table(circle, "a") == ("b", "a")
    assert tables_from_columns(circle, "a", ["x"]) == ("b", "a")


# Small pools, so that every value can be tried and each rule both passes and refuses some.
VALUES = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    1.0,
    0.5,
    "",
    "a",
    "ab",
    "abc",
    "2024-02-29",
    "2024-02-30",
    "2024-02-29T23:59:59Z",
]
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 1.5])
RULES = {
    "string": {
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 20),
        "pattern": st.sampled_from(["^[a-c]*$", "a", "^[0-9T:Z-]*$"]),
        "format": st.sampled_from(["date", "date-time"]),
    },
    "number": dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], NUMBERS),
    "boolean": {},
}
RULES["integer"] = RULES["number"]
ALLOWED = {"enum": st.lists(st.sampled_from(VALUES), min_size=1, max_size=12), "const": st.sampled_from(VALUES)}


@st.composite
def columns(draw, kinds):
    kind = draw(st.sampled_from(kinds))
    rules = draw(st.one_of(st.fixed_dictionaries({}, optional=each) for each in (RULES[kind], ALLOWED)))
    # one stored type for integer and number, or it would be a change of its own
    stored = {"x-assay": {"type": {"integer": "double", "number": "double"}.get(kind, kind)}}
    return {"type": draw(st.sampled_from([kind, [kind, "null"]])), **rules, **stored}


@st.composite
def families(draw):
    """Contracts of one column or two, each with the rules of one parent or the other: many accept more than others."""
    kinds = draw(st.sampled_from([["string"], ["boolean"], ["integer", "number"]]))
    left, right = draw(columns(kinds)), draw(columns(kinds))
    family = []
    for _ in range(draw(st.integers(4, 8))):
        inherited = {keyword: draw(st.sampled_from([left, right])).get(keyword) for keyword in {**left, **right}}
        properties = {"a": {keyword: value for keyword, value in inherited.items() if value is not None}}
        if draw(st.integers(0, 7)) == 0:
            properties["b"] = {"type": "string"}
        required = [name for name in properties if draw(st.integers(0, 7)) == 0]
        family.append(odd(properties, required))
    return [contract_of(each) for each in family]


def odd(properties, required):
    about = DOCUMENT["x-assay"] | {"classification": {"pii": []}, "key": ["a"], "expectations": []}
    return DOCUMENT | {"properties": properties, "required": required, "x-assay": about}


ROWS = [*({"a": value} for value in VALUES), *({"a": value, "b": "b"} for value in VALUES), {"b": "b"}, {}]


def accepted(contract):
    judge = Draft202012Validator(contract.schema, format_checker=FormatChecker())
    return {index for index, row in enumerate(ROWS) if judge.is_valid(row)}


def check_additions(family):
    passing = [accepted(each) for each in family]
    for (old, before), (new, after) in product(zip(family, passing, strict=True), repeat=2):
        there = diff(old, new)
        if needed(there) in (None, ADDITION):
            assert [(old.schema, new.schema, ROWS[index]) for index in before - after] == []
            if there and needed(diff(new, old)) is ADDITION:
                assert all(change.wording for change in there)


@given(families())
@settings(deadline=None, max_examples=60)
def test_an_addition_accepts_every_row_that_was_accepted_and_its_reverse_is_none(family):
    check_additions(family)


@pytest.mark.parametrize("kinds", [("string",), ("boolean",), ("integer", "number")], ids="-".join)
def test_so_does_every_change_of_a_single_rule(kinds):
    limits = {
        "minLength": [0, 2],
        "maxLength": [0, 2, 20],
        "pattern": ["^[a-c]*$", "a"],
        "format": ["date", "date-time"],
    }
    bounds = {keyword: [0, 0.5, 1] for keyword in RULES["number"]}
    allowed = {"enum": [[1], [True], [1.0, 2], [None, "a"], ["a", "ab"]], "const": [1, True, "a"]}
    family = []
    for kind, nullable in product(kinds, [False, True]):
        rules = (limits if kind == "string" else bounds if kind in ("integer", "number") else {}) | allowed
        column = {"type": [kind, "null"] if nullable else kind}
        column |= {"x-assay": {"type": {"integer": "double", "number": "double"}.get(kind, kind)}}
        family += [column, *({**column, keyword: value} for keyword, values in rules.items() for value in values)]
    check_additions([contract_of(odd({"a": column}, ["a"])) for column in family])


@given(families())
@settings(deadline=None, max_examples=30)
def test_a_contract_does_not_differ_from_itself(family):
    assert [diff(each, each) for each in family] == [()] * len(family)
