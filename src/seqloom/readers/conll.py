"""CoNLL files: a token a line with its columns, an empty line between sentences; CoNLL-U by its column names."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.errors import DataError
from seqloom.files import lines, locate
from seqloom.metrics import convert, outside
from seqloom.readers import Example, Reader, ReaderTable

UNIVERSAL = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

Place = Annotated[int | Literal[UNIVERSAL], Field(union_mode="left_to_right")]  # type: ignore[valid-type]
_BLANKS = re.compile(r"[ \t]+")  # and no other blank: a token may hold a non-breaking one
_MULTIWORD = re.compile(r"\d+[-.]\d+")
TRACE = "-NONE-"
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}
_BRACKETS |= {"``": '"', "''": '"', "/.": "."}


class CoNLL(Reader):
    """Tokens and their tags.

    A file is taken as CoNLL-U when a column is named: then multiword ranges (`3-4`) and empty nodes (`8.1`) are
    skipped, as they are not tokens of their own.
    """

    class Config(ReaderTable):
        """`tokens`, `tags`: a column number (from 0; -1 the last) or a CoNLL-U name such as `upos`.

        `traces`: whether tokens stay whose tag is `-NONE-`, the traces of treebanks, which nobody ever said.
        `written`: whether the tags are a text to be written, the `target` of a `source`, as `translate` reads them.
        """

        type: Literal["conll"] = "conll"
        tokens: Place | None = None
        tags: Place = -1
        prefix: str = ""
        scheme: Literal["iob", "bio", "bioes"] | None = None
        separator: Literal["auto", "tab", "blank"] = "auto"
        comments: Literal["auto", "skip", "keep"] = "auto"
        brackets: bool = False
        traces: bool = True
        written: bool = False
        tokenizer: Tokenizer = "words"

    def __init__(self, config: Any, texts: tuple[str, ...], targets: tuple[str, ...] = ()) -> None:
        super().__init__(config, texts, targets)
        self.universal = isinstance(config.tokens, str) or isinstance(config.tags, str)
        self.token = _number(config.tokens, 1 if self.universal else 0)
        self.tag = _number(config.tags, -1)

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """`text` and `tags`, or `source` and `target`."""
        return frozenset({"source", "target"} if config.written else {"text", "tags"})

    def read(self, path: str) -> Iterator[Example]:
        """Sentences with at least one token."""
        tokens: list[str] = []
        tags: list[str] = []
        places: list[int] = []
        for number, line in lines(path):
            if line.strip():
                if self._skipped(line, inside=bool(tokens)):
                    continue
                token, tag = self._cells(line, path, number)
                if tag == TRACE and not self.config.traces:
                    continue
                tokens.append(token)
                tags.append(tag)
                places.append(number)
            elif tokens:
                yield self._example(tokens, tags, path, places)
                tokens, tags, places = [], [], []
        if tokens:
            yield self._example(tokens, tags, path, places)

    def parse(self, text: str) -> Example:
        """A line of text, cut into tokens by `tokenizer`."""
        return {"source" if self.config.written else "text": tokenize(text, self.config.tokenizer)}

    def _skipped(self, line: str, inside: bool) -> bool:
        if line.startswith("-DOCSTART-"):
            return True
        if self.universal and _MULTIWORD.fullmatch(line.split("\t", 1)[0]):
            return True
        return line.startswith("#") and self._comment(line, inside)

    def _comment(self, line: str, inside: bool) -> bool:
        if self.config.comments != "auto":
            return bool(self.config.comments == "skip")
        return self.universal or (not inside and "\t" not in line)

    def _cells(self, line: str, path: str, number: int) -> tuple[str, str]:
        tab = (
            self.universal
            or self.config.separator == "tab"
            or (self.config.separator == "auto" and "\t" in line)
        )
        cells = line.split("\t") if tab else _BLANKS.split(line.strip(" \t"))
        need = max(2, self.token + 1, self.tag + 1, -self.token, -self.tag)
        if len(cells) < need:
            what = f"{len(cells)} {'tab' if tab else 'blank'}-separated columns, at least {need} are needed"
            raise DataError(f'{what}: "{line[:60]}"', locate(path), number)
        token, tag = cells[self.token].strip(" "), cells[self.tag].strip()
        if not token.strip() or not tag:
            raise DataError(
                f'an empty {"tag" if token.strip() else "token"}: "{line[:60]}"', locate(path), number
            )
        token = token.removeprefix(self.config.prefix) or token
        return (_BRACKETS.get(token, token) if self.config.brackets else token), _mended(tag)

    def _example(self, tokens: list[str], tags: list[str], path: str, places: list[int]) -> Example:
        if self.config.scheme:
            if (place := outside(tags, self.config.scheme)) is not None:
                what = f'the tag "{tags[place]}" is outside the scheme "{self.config.scheme}"'
                raise DataError(what, locate(path), places[place])
            tags = convert(tags, self.config.scheme, "bio")
        names = ("source", "target") if self.config.written else ("text", "tags")
        return dict(zip(names, (tokens, tags), strict=True)) | {"line": places[0]}


def _number(place: int | str | None, default: int) -> int:
    if place is None:
        return default
    return UNIVERSAL.index(place) if isinstance(place, str) else place


def _mended(tag: str) -> str:
    """`B-O`, `I-O` and so on, which some converters write, are `O`."""
    return "O" if tag in ("B-O", "I-O", "E-O", "S-O") else tag
