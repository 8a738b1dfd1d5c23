"""Sides of parallel text: how their files are read, and which pairs are worth learning from."""

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from typing import Literal

from seqloom.errors import DataError
from seqloom.files import lines, locate

Form = Literal["lines", "tags", "segments"]

TAGGED = re.compile(
    r"\s*</?(?:doc|url|keywords|speaker|talkid|title|description|reviewer|translator|content)\b"
)
"""A line of IWSLT's training files that says what a talk is, rather than what is said in it."""
SEGMENT = re.compile(r"<seg\b[^>]*>(.*?)</seg\s*>", re.IGNORECASE | re.DOTALL)
OPENED = re.compile(r"<seg\b", re.IGNORECASE)
SCRIPTLESS = ("DIGIT", "COMBINING", "MODIFIER", "FULLWIDTH")


def form_of(path: str) -> Form:
    """How a file is read if nothing else is said: `.sgm` and `.xml` hold segments, all others lines."""
    name = path.removesuffix(".gz").lower()
    return "segments" if name.endswith((".sgm", ".sgml", ".xml")) else "lines"


def side(path: str, form: Form) -> Iterator[tuple[int, str | None]]:
    """The texts of one side with the lines that they began at; None for a line that is a tag.

    Raises:
        DataError: the file cannot be read, or a segment has no end.
    """
    if form == "segments":
        return _segments(path)
    return ((number, None if form == "tags" and TAGGED.match(line) else line) for number, line in lines(path))


def _segments(path: str) -> Iterator[tuple[int, str | None]]:
    """What stands in `seg` elements: a tolerant scan, as the published files are not all well-formed."""
    held, begun = "", 0
    for number, line in lines(path):
        begun = begun if held else number
        held = f"{held} {line}" if held else line
        past = 0
        for found in SEGMENT.finditer(held):
            yield begun if not past else number, html.unescape(found[1]).strip()
            past = found.end()
        begun = number if past else begun
        opened = OPENED.search(held, past)
        held = held[opened.start() :] if opened else ""
    if held:
        raise DataError(
            "a segment begins here and has no end </seg>; is the file cut short?", locate(path), begun
        )


def in_step(first: str, second: str, form: Form | None) -> Iterator[tuple[int, str, str]]:
    """The pairs of two files, line by line or segment by segment; tags are left out of both.

    Raises:
        DataError: one file has more than the other, or a tag stands in one alone.
    """
    both = zip_longest(side(first, form or form_of(first)), side(second, form or form_of(second)))
    for count, (source, target) in enumerate(both):
        if source is None or target is None:
            _refuse_uneven(first, second, count, count + 1 + sum(1 for _ in both), source is not None)
        assert source is not None
        assert target is not None
        if (source[1] is None) != (target[1] is None):
            what = f"a tag stands in one file and not at line {target[0]} of {locate(second)}; they should go in step"
            raise DataError(what, locate(first), source[0])
        if source[1] is not None and target[1] is not None:
            yield source[0], source[1], target[1]


def _refuse_uneven(first: str, second: str, fewer: int, most: int, source_longer: bool) -> None:
    longer, shorter = (first, second) if source_longer else (second, first)
    unit = "segment" if form_of(longer) == "segments" else "line"
    what = f"has {most:,} {unit}s, but {locate(shorter)} has {fewer:,}; {unit} by {unit} they should be translations"
    raise DataError(what, locate(longer))


@cache
def script(letter: str) -> str:
    """The script of a letter in lower case, as Unicode names it (`latin`, `cyrillic`, `cjk`); "" for any other sign."""
    if not letter.isalpha():
        return ""
    name = unicodedata.name(letter, "").split(" ")[0]
    return "" if name in SCRIPTLESS else name.lower()


@cache
def scripts() -> frozenset[str]:
    """The scripts of the letters of living languages, those of Unicode's first plane."""
    return frozenset(map(script, map(chr, range(0x10000)))) - {""}


def unfit(source: list[str], target: list[str], expected: list[str] | None, ratio: float | None) -> str:
    """Why a pair is not worth learning from, or "".

    Args:
        source: its tokens.
        target: its tokens.
        expected: the scripts of the source and of the target; a side with a letter of another is left out.
        ratio: how many times longer one side may be.
    """
    if expected and source == target:
        return "whose sides are equal"
    for tokens, one in zip((source, target), expected or (), strict=False):
        if any(script(letter) not in ("", one) for token in tokens for letter in token):
            return f"with letters that are not {one}"
    if ratio and max(len(source), len(target)) > ratio * min(len(source), len(target)):
        return f"of which one side is over {ratio:g} times longer"
    return ""
