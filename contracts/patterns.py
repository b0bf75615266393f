"""The regular expressions that a contract may use: Python and Java agree on them, and no text keeps either busy.

Both engines try one way after another to match. Here the next character decides, so there is nothing to try again: what
follows an open-ended repeat cannot be matched by the repeat itself, and a pattern with such a repeat begins with `^`. A
repeat with an upper bound may compete with what follows it, as long as there are few ways to share out the text.

Source: Glushkov's one-unambiguous expressions; java.util.regex.Pattern (possessive quantifiers, UNIX_LINES).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

LARGEST_COUNT = 1000
MOST_WAYS = 1000
# Outside this subset the two disagree: \d is Unicode only in Python, `&&` is an intersection only in Java, and so on.
_TOKEN = re.compile(
    r"""
    (?P<plain>[A-Za-z0-9 _\-/,:;@&%=~'"<>\#!])
    | (?P<escaped>\\[.\\\-/^$|?*+()\[\]{}])
    | (?P<any>[.])
    | (?P<anchor>[\^$])
    | (?P<open>\((?:\?:)?(?!\?))
    | (?P<close>\))
    | (?P<or>\|)
    | (?P<repeat>[?*+]|\{(?P<low>[0-9]{1,4})(?P<comma>,(?P<high>[0-9]{1,4})?)?\})
    | (?P<class>\[\^?(?:[A-Za-z0-9 _/,:;@%=~'"<>\#!.*+?()|$-]|\\[\]\[\\^.\-])+\])
    """,
    re.VERBOSE,
)
_SET_OPERATIONS = ("--", "||", "~~")  # Python reserves them
_SAMPLES = [*map(chr, range(128)), "\u20ac"]  # the last stands for every character that is not ASCII
_EVERYTHING = (1 << len(_SAMPLES)) - 1


class PatternError(ValueError):
    """A pattern is outside the subset; says where, why and what to write instead."""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A piece of a pattern: the characters it can begin with, as a bit set, and whether it can match nothing."""

    first: int = 0
    empty: bool = False
    anchored: bool = False
    kind: str = "one"  # or sequence, choice, repeat
    parts: tuple[_Part, ...] = ()
    low: int = 1
    high: int | None = 1
    at: int = 0  # where the text ends that says so, for a repeat


@dataclass
class _Findings:
    ways: int = 1
    open_ended: bool = False
    decided: list[int] = field(default_factory=list)


@cache
def java_pattern(pattern: str) -> str:
    """The pattern for Java's engine, with the verdict that Python's `re.search` gives on every text.

    Java remembers each round of a repeated group on its stack, which a long text overflows. Where the next character
    decides, a possessive repeat matches the same and remembers nothing.

    Raises:
        PatternError: the pattern is outside the subset.
    """
    part = _Parser(pattern).read()
    found = _Findings()
    _judge(pattern, part, 0, repeated=False, found=found)
    if found.open_ended and not part.anchored:
        raise PatternError("an open-ended repeat is tried at each character of a text: begin the pattern with ^")
    if found.ways > MOST_WAYS:
        raise PatternError(
            f"its bounded repeats and alternatives can share out a text in {found.ways:,} ways, and {MOST_WAYS:,} are"
            " allowed: lower a bound, or let each begin with a character that the one before cannot match"
        )
    text = pattern
    for position in sorted(found.decided, reverse=True):
        text = f"{text[:position]}+{text[position:]}"
    # (?d): only \n ends a line, as in Python; Java alone would also stop at \r and Unicode line ends
    return f"(?d){text}"


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._tokens = _tokens(pattern)
        self._index = 0

    def read(self) -> _Part:
        try:
            re.compile(self._pattern)
        except re.error as error:
            raise PatternError(str(error)) from error
        return self._choice()

    def _peek(self) -> str | None:
        return self._tokens[self._index].name if self._index < len(self._tokens) else None

    def _choice(self) -> _Part:
        found = [self._sequence()]
        while self._peek() == "or":
            self._index += 1
            found.append(self._sequence())
        if len(found) == 1:
            return found[0]
        return _Part(
            kind="choice",
            parts=tuple(found),
            first=_union(found),
            empty=any(each.empty for each in found),
            anchored=all(each.anchored for each in found),
        )

    def _sequence(self) -> _Part:
        found: list[_Part] = []
        while (name := self._peek()) not in (None, "or", "close"):
            found.append(self._repeated(self._one(str(name))))
        first, empty = 0, True
        for each in reversed(found):
            first, empty = each.first | (first if each.empty else 0), each.empty and empty
        anchored = bool(found) and found[0].anchored
        return _Part(kind="sequence", parts=tuple(found), first=first, empty=empty, anchored=anchored)

    def _one(self, name: str) -> _Part:
        token = self._tokens[self._index]
        self._index += 1
        if name == "open":
            inner = self._choice()
            self._index += 1  # the closing parenthesis: re.compile found it
            return inner
        if name == "anchor":
            return _Part(empty=True, anchored=token.text == "^")
        return _Part(first=_characters(token.text))

    def _repeated(self, part: _Part) -> _Part:
        if self._peek() != "repeat":
            return part
        token = self._tokens[self._index]
        self._index += 1
        low, high = token.bounds
        where = f"{token.text!r} at {token.start}"
        if self._peek() == "repeat":
            raise PatternError(f"{where} is followed by another repeat: write one")
        if max(low, high or 0) > LARGEST_COUNT:
            raise PatternError(f"{where}: no more than {LARGEST_COUNT:,} can be counted")
        if part.empty:
            raise PatternError(f"{where} repeats what can be empty: leave out the one or the other")
        return _Part(kind="repeat", parts=(part,), first=part.first, empty=low == 0, low=low, high=high, at=token.end)


@dataclass(frozen=True, kw_only=True)
class _Token:
    name: str
    text: str
    start: int
    end: int
    bounds: tuple[int, int | None] = (1, 1)


def _tokens(pattern: str) -> list[_Token]:
    found, position = [], 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        text = match.group() if match else ""
        name = next((each for each, value in match.groupdict().items() if value is not None), "") if match else ""
        if match is None or (name == "class" and any(each in text for each in _SET_OPERATIONS)):
            raise PatternError(
                f"{pattern[position : position + 4]!r} at {position} is outside the subset on which Python and Java"
                " agree: ASCII characters, escaped punctuation, . ^ $ | ( ) (?: ), [ ] classes, ? * + {n} {n,} {n,m}"
            )
        found.append(_Token(name=name, text=text, start=position, end=match.end(), bounds=_bounds(match, text)))
        position = match.end()
    return found


def _bounds(match: re.Match[str], text: str) -> tuple[int, int | None]:
    if match["low"] is None:
        return {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(text, (1, 1))
    low = int(match["low"])
    if match["comma"] is None:
        return low, low
    return low, int(match["high"]) if match["high"] else None


@cache
def _characters(text: str) -> int:
    matches = re.compile(text).fullmatch
    return sum(1 << index for index, sample in enumerate(_SAMPLES) if matches(sample))


def _judge(pattern: str, part: _Part, follow: int, *, repeated: bool, found: _Findings) -> None:
    """Adds to `found` what a part followed by `follow` costs.

    Raises:
        PatternError: the part can be matched in ways without bound.
    """
    if part.kind == "sequence":
        for each in reversed(part.parts):
            _judge(pattern, each, follow, repeated=repeated, found=found)
            follow = each.first | (follow if each.empty else 0)
    elif part.kind == "choice":
        for each in part.parts:
            _judge(pattern, each, follow, repeated=repeated, found=found)
        firsts = [each.first | (follow if each.empty else 0) for each in part.parts]
        if _overlap(firsts):
            if repeated:
                raise PatternError(
                    "alternatives inside a repeat can begin alike, so that a text can be matched in ways without end:"
                    " let each begin with another character"
                )
            found.ways *= len(firsts)
    elif part.kind == "repeat":
        _judge_repeat(pattern, part, follow, repeated=repeated, found=found)


def _judge_repeat(pattern: str, part: _Part, follow: int, *, repeated: bool, found: _Findings) -> None:
    [body] = part.parts
    again = part.high is None or part.high > 1
    found.open_ended |= part.high is None
    inner = follow | (body.first if again else 0)
    _judge(pattern, body, inner, repeated=repeated or again, found=found)
    if part.low == part.high or not body.first & follow:
        if again:
            found.decided.append(part.at)
    elif repeated or part.high is None:
        raise PatternError(
            f"the repeat that ends at {part.at} ({pattern[max(part.at - 8, 0) : part.at]!r}) can match what follows"
            f"{' in another repeat' if repeated else ''}, so a text can be matched in ways without end: let what"
            f" follows begin with another character{'' if repeated else ', or give the repeat an upper bound'}"
        )
    else:
        found.ways *= part.high - part.low + 1


def _union(parts: Sequence[_Part]) -> int:
    union = 0
    for each in parts:
        union |= each.first
    return union


def _overlap(sets: Sequence[int]) -> bool:
    seen = 0
    for each in sets:
        if seen & each:
            return True
        seen |= each
    return False
