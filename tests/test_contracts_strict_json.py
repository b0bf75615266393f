"""A contract file is read strictly: what two readers could read in two ways is refused with its line."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import contract as contracts
from contracts import strict_json
from contracts.errors import ContractError
from contracts.strict_json import RawNumber, StrictJsonError

TEXT = (contracts._schemas() / "orders_silver" / "1-0-0.json").read_text()


def with_line(number, line):
    """The text of a contract with one line more."""
    lines = TEXT.splitlines()
    return "\n".join([*lines[: number - 1], line, *lines[number - 1 :]]).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(with_line(3, '"title": "x",'), 'line 5: the key "title" is there twice', id="key-twice"),
        pytest.param(with_line(3, '"a": {"b": 1, "\\u0062": 2},'), 'line 3: the key "b" is there twice', id="escaped"),
        pytest.param(with_line(4, '"a": NaN,'), "line 4: NaN is not JSON", id="nan"),
        pytest.param(with_line(4, '"a": [1, -Infinity],'), "line 4: -Infinity is not JSON", id="infinity"),
        pytest.param(with_line(4, '"a": "\\ud800",'), "line 4: half a surrogate pair", id="half-a-pair"),
        pytest.param(
            with_line(4, '"a": 1' + "0" * 5000 + ","), "line 4: a number of 5001 characters", id="long-number"
        ),
        pytest.param(with_line(5, '"a": ' + "[" * 70 + "]" * 70 + ","), "line 5: nested deeper than 64", id="deep"),
        pytest.param(with_line(5, '"a": ' + "[" * 99999 + "]" * 99999 + ","), "line 5: nested deeper", id="very-deep"),
        pytest.param(TEXT[: len(TEXT) // 2].encode(), "line ", id="cut"),
        pytest.param(TEXT.encode() + b"}", "Extra data", id="brace-after-it"),
        pytest.param(TEXT.encode() + TEXT.encode(), "Extra data", id="twice"),
        pytest.param(b"\xef\xbb\xbf" + TEXT.encode(), "line 1: Unexpected UTF-8 BOM", id="byte-order-mark"),
        pytest.param(with_line(6, "// why").replace(b"why", b"\xff"), "line 6: not UTF-8", id="not-utf-8"),
        pytest.param(with_line(6, "// why"), "line 6: Expecting property name", id="comment"),
        pytest.param(b"", "line 1: Expecting value", id="empty"),
    ],
)
def test_a_contract_that_is_not_strict_json_is_refused_with_its_line(content, words):
    for read in (contracts.parse_document, lambda *_: contracts.check_document("orders_silver 1-0-0", content)):
        with pytest.raises(ContractError) as caught:
            read("orders_silver", "1-0-0", content)
        assert str(caught.value).startswith("orders_silver 1-0-0: not JSON: line ")
        assert words in str(caught.value)


def test_what_is_shown_of_a_key_is_short_and_on_one_line():
    key = json.dumps("a\n" * 500)
    with pytest.raises(StrictJsonError) as caught:
        strict_json.load(f"{{{key}: 1, {key}: 2}}".encode())
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_numbers_may_be_kept_as_written():
    found = strict_json.load(b'{"a": 1.10, "b": 1e400, "c": "1.10", "d": -0}', raw_numbers=True)
    assert found == {"a": "1.10", "b": "1e400", "c": "1.10", "d": "-0"}
    assert [isinstance(value, RawNumber) for value in found.values()] == [True, True, False, True]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_json_writes_is_read_as_json_reads_it(value, ascii_):
    text = json.dumps(value, ensure_ascii=ascii_).encode()
    assert strict_json.load(text) == json.loads(text)


@given(st.text(alphabet='{}[]:,"\\ \n\t0123eE+-.truefalsnNaIy\ud800'))
def test_any_text_is_read_or_refused(text):
    content = text.encode(errors="surrogatepass")
    with contextlib.suppress(StrictJsonError):
        assert strict_json.load(content) == json.loads(text)
