"""One side of parallel text as it is published: plain lines, IWSLT's lines among tags, segments of XML and SGML."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import PurePath
from typing import Literal

from seqloom.errors import DataError
from seqloom.files import lines, locate

Form = Literal["lines", "tags", "segments"]

_SEGMENTED = (".xml", ".sgm", ".sgml")
_METADATA = re.compile(
    r"\s*<[/?!]?(?:url|keywords|speaker|talkid|title|description|reviewer|translator|doc|xml)\b[^<>]*>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(/?)(seg|p|doc)\b[^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def form_of(path: str) -> Form:
    """How a file is read, by its name: segments in .xml, .sgm, .sgml; lines among tags where a part is `tags`."""
    name = PurePath(path).name.lower().removesuffix(".gz")
    if name.endswith(_SEGMENTED):
        return "segments"
    return "tags" if "tags" in name.split(".") else "lines"


def side_texts(path: str, form: Form) -> Iterator[tuple[int, str | None]]:
    """The texts of a file in order, each with its line; None stands for a line of metadata.

    Raises:
        DataError: the file cannot be read, or holds no whole segments where these are asked for.
    """
    if form == "segments":
        yield from _segments(path)
        return
    for number, line in lines(path):
        yield number, None if form == "tags" and _METADATA.match(line) else line


def _segments(path: str) -> Iterator[tuple[int, str]]:
    """The text of each <seg>, and the line that it begins at.

    The files are often not well-formed: bare ampersands, ends left out. So only the tags of segments, paragraphs and
    documents are looked at, and any of them ends a segment. Declarations are not, so none can name a file.
    """
    began, found, text = 0, False, list[str]()
    for number, line in lines(path):
        place = 0
        for tag in _TAG.finditer(line):
            if began:
                yield began, _joined([*text, line[place : tag.start()]])
            began, found, text = 0, True, []
            if tag[2].lower() == "seg" and not tag[1]:
                began = number
            place = tag.end()
        if began:
            text.append(line[place:])
    if began:
        raise DataError("a segment begins here and never ends: the file is cut short", locate(path), began)
    if not found:
        raise DataError("holds no <seg>; with format: lines it is read line by line", locate(path))


def _joined(text: list[str]) -> str:
    return _ENTITY.sub(lambda entity: unescape(entity[0]), " ".join(" ".join(text).split()))
