"""JSON lines in Spark get the verdict that the head's check gives them, and lose nothing on the way."""

import json

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from json_cases import CONTRACT, GOOD, MALFORMED, OTHER_LAYOUT, WELL_FORMED, row
from pyspark.sql import functions as sf
from spark_session import quiet, spark  # noqa: F401

from contracts import json_lines
from contracts.errors import ContractViolationError
from contracts.text import judge_row, row_judge
from spark_jobs.row_rules import row_rules
from spark_jobs.sources.json_lines import rows_of_lines

pytestmark = quiet

JUDGE = row_judge(CONTRACT)
NAMES = [field.name for field in CONTRACT.fields]


def by_python(line):
    """The rule that a line breaks and its column, or None, as the head's check says."""
    try:
        judge_row(CONTRACT, JUDGE, "k", 1, json_lines.parse_line(CONTRACT, "k", 1, line))
    except ContractViolationError as error:
        return error.column, error.rule
    return None


def by_spark(spark, lines):  # noqa: F811
    """The same for all lines, as the job says; and what it would write of each."""
    compiled = row_rules(CONTRACT)
    given_ = spark.createDataFrame([(n, bytearray(line)) for n, line in enumerate(lines)], "n int, line binary")
    frame = rows_of_lines(CONTRACT, given_.select("n", sf.col("line").cast("string").alias("value")))
    found = frame.select("n", compiled.first_broken.alias("broken"), *NAMES, "_layout").collect()
    verdicts = {}
    for each in found:
        rule = None if each["broken"] is None else compiled.rules[each["broken"]]
        verdicts[each["n"]] = (rule and (rule.column, rule.rule), {name: each[name] for name in NAMES}, each["_layout"])
    return verdicts


def assert_alike(spark, lines):  # noqa: F811
    lines = [line for line in lines if line.strip(json_lines.BLANK)]
    judged = by_spark(spark, lines)
    assert sorted(judged) == list(range(len(lines)))
    for number, line in enumerate(lines):
        expected, (found, _, layout) = by_python(line), judged[number]
        assert (found is None) == (expected is None), (line, expected, found)
        assert (found == ("*", "layout")) == (expected == ("*", "layout")), (line, expected, found)
        assert (layout is not None) == (found == ("*", "layout"))


def test_every_case_is_judged_as_the_head_s_check_judges_it(spark):  # noqa: F811
    assert_alike(spark, [*MALFORMED.values(), *OTHER_LAYOUT.values(), *WELL_FORMED.values()])


def test_values_are_kept_as_they_are_written(spark):  # noqa: F811
    lines = [
        row(amount="1.10", note='"a\\u00e9\\n\\"b\\\\"'),
        row(amount="1E+2", id='"007"', note="null"),
        row(amount="-0.0", flag="true"),
        b'{"note" : "{\\"id\\": 1, [}" , "day":"2026-07-30","\\u0069d":"8","amount":12.50\t}\r',
        row(amount="123456789.123456789123456789", note='"N/A"'),
    ]
    kept = [kept for _, kept, _ in dict(sorted(by_spark(spark, lines).items())).values()]
    assert [each["amount"] for each in kept] == ["1.10", "1E+2", "-0.0", "12.50", "123456789.123456789123456789"]
    assert [each["id"] for each in kept] == ["7", "007", "7", "8", "7"]
    assert [each["note"] for each in kept] == ['aé\n"b\\', None, None, '{"id": 1, [}', "N/A"]
    assert [each["flag"] for each in kept] == [None, None, "true", None, None]


KEYS = st.sampled_from([*NAMES, *NAMES, "extra", "ID", "", "i\\u0064", "a\\ud800", "é"])
TEXTS = st.one_of(
    st.sampled_from(["", "1", "abc", "N/A", "2026-07-30", "2026-02-30", "true", "null", "\\ud83d\\ude00", "\\ude00\\ud83d",
                     "\\\\ud800", "\\\\\\ud800", "\\ud83d\\\\\\ude00", "\\u0000", "\\/", "\\x", "\ufffd", "}", "{", "]", ",",
                     "\\\"", "\\", "\t", "😀", "\u2028", "\\n"]),
    st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)[1:-1]),
)  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from(["0", "-0", "01", "1.", ".5", "+1", "1e5", "1E-3", "1e400", "-1e400", "1e", "0x1", "1_0", "NaN", "-NaN",
                     "Infinity", "-Infinity", "9223372036854775808", "1" * 399, "1" * 401, "0." + "1" * 1100, "1.0", "\u0661"]),
    st.integers().map(str),
    st.floats().map(str),
)  # fmt: skip
SCALARS = st.one_of(
    TEXTS.map(lambda text: f'"{text}"'), NUMBERS, st.sampled_from(["true", "false", "null", "tru", "None"])
)
VALUES = st.one_of(SCALARS, SCALARS, SCALARS, st.sampled_from(["[]", "{}", "[1]", '{"a":1}', "[" * 70 + "]" * 70]))
BLANKS = st.sampled_from(["", "", "", " ", "\t", "\r", "\u00a0", "\x0b", "/**/"])
ENDS = st.sampled_from([*[""] * 12, " ", "\r", "]", "}", ",", "{}", ' {"id":1}', "x", '"', "//", "}{", "] {"])


@st.composite
def lines(draw):
    """A line near enough to a row of the contract to be one, or to be nearly one."""
    if draw(st.integers(0, 3)) == 0:
        members = dict(GOOD) | {draw(st.sampled_from(NAMES)): draw(VALUES)}
        pairs = [f'"{name}":{value}' for name, value in members.items()]
    else:
        pairs = [f'"{draw(KEYS)}"{draw(BLANKS)}:{draw(BLANKS)}{draw(VALUES)}' for _ in range(draw(st.integers(0, 4)))]
    line = (draw(BLANKS) + "{" + draw(BLANKS) + ",".join(pairs) + draw(BLANKS) + "}" + draw(ENDS)).encode(
        errors="replace"
    )
    cut = draw(st.integers(0, 9))
    if cut == 0:
        line = line[: draw(st.integers(0, len(line)))]
    if cut == 1:
        place = draw(st.integers(0, len(line)))
        line = line[:place] + draw(st.binary(max_size=2)) + line[place:]
    return line.replace(b"\n", b"")


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(st.lists(lines(), min_size=150, max_size=150))
def test_spark_and_the_head_s_check_never_differ_on_a_line(spark, many):  # noqa: F811
    assert_alike(spark, many)
