"""Sentences of running text."""

import re
from collections.abc import Iterator

_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*(?=\s+[\"'“‘«(\[¿¡—_]*(\w))")
_TITLES = {
    "mr",
    "mrs",
    "ms",
    "dr",
    "st",
    "rev",
    "capt",
    "col",
    "gen",
    "lieut",
    "prof",
    "jr",
    "messrs",
    "vs",
    "etc",
}
_LAST = re.compile(r"(\w+)\.$")


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a text, each with the place where it begins.

    One ends at a full stop, a question or an exclamation mark, with the quotes and brackets that close behind it, where
    a capital letter or a digit follows, and not at titles such as Mr. or at single letters. That is right for most of
    prose and needs no model; where it is not enough, cut the text beforehand and give a sentence a line.
    """
    start = 0
    for mark in _END.finditer(text):
        if not _ends(text[start : mark.end()], mark[1]):
            continue
        yield from _stripped(text, start, mark.end())
        start = mark.end()
    yield from _stripped(text, start, len(text))


def _ends(before: str, following: str) -> bool:
    last = _LAST.search(before)
    if following.islower() or following == "_":
        return False
    return last is None or not ((len(last[1]) == 1 and last[1].isalpha()) or last[1].lower() in _TITLES)


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    part = text[start:end]
    if part.strip():
        yield start + len(part) - len(part.lstrip()), " ".join(part.split())
