"""Tables: rows with named columns, from tab- or comma-separated text or JSON lines."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import model_validator

from seqloom.config import Count, shown, unknown
from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.errors import DataError
from seqloom.files import lines, locate
from seqloom.progress import notice
from seqloom.readers import Example, Reader, ReaderTable


class Rows(Reader):
    """Rows of a tsv, csv or jsonl file.

    `columns` maps a head's column (`text`, `label`, `premise`, ...) to a name in the header or JSON, or to a number
    (from 0) where there is no header; without it, columns go by their own names.
    """

    class Config(ReaderTable):
        """`rest`: the last column takes what is left of the line (for `LABEL some sentence`).

        `cut`: of a column, what stands before a mark; `skip`: values of a column whose rows are left out; `crop`: of
        each text, its first so many tokens.
        """

        type: Literal["table"] = "table"
        format: Literal["auto", "tsv", "csv", "jsonl"] = "auto"
        columns: dict[str, str | int] = {}
        header: bool = True
        separator: str | None = None
        rest: bool = False
        cut: dict[str, str] = {}
        skip: dict[str, list[str]] = {}
        tokenizer: Tokenizer = "words"
        crop: Count | None = None

        @model_validator(mode="after")
        def _numbered(self) -> "Rows.Config":
            if (
                self.format != "jsonl"
                and not self.header
                and any(isinstance(one, str) for one in self.columns.values())
            ):
                raise ValueError(
                    "without a header, columns go by number: write for instance {label: 0, text: 1}"
                )
            if not self.header and not self.columns:
                raise ValueError("without a header, say which column is which: columns: {label: 0, text: 1}")
            return self

        @model_validator(mode="after")
        def _known(self) -> "Rows.Config":
            for key in ("cut", "skip"):
                for name in getattr(self, key):
                    if self.columns and name not in self.columns:
                        raise ValueError(f"{key}: {unknown('column', name, self.columns)}")
            return self

    @classmethod
    def gives(cls, config: Any) -> frozenset[str] | None:
        """The mapped columns, or, unmapped, what the file has."""
        return frozenset(config.columns) or None

    def read(self, path: str) -> Iterator[Example]:
        """A row an example; rows whose value is listed in `skip` are left out, and it is told how many they are."""
        left_out = Counter[str]()
        for number, row in self._rows(path):
            example = {
                name: self._value(row, name, place, path, number) for name, place in self._places(row).items()
            }
            if skipped := self._skipped(example):
                left_out[skipped] += 1
                continue
            texts = {
                name: self._tokens(example[name], name, path, number)
                for name in (*self.texts, *self.targets)
                if name in example
            }
            yield {**example, **texts, "line": number}
        for skipped, count in left_out.items():
            notice(f"{locate(path)}: {count:,} rows with the {skipped} are left out (reader key `skip`)")

    def _skipped(self, example: Example) -> str:
        """The column and the value that a row is left out for, if any."""
        # A whole number of JSON is its digits, as it is among labels.
        found = (
            (name, str(one) if type(one := example.get(name)) is int else one) for name in self.config.skip
        )
        return next((f'{name} "{value}"' for name, value in found if value in self.config.skip[name]), "")

    def parse(self, text: str) -> Example:
        """A line of raw text: the head's one text, or its texts separated by tabs."""
        names = self.texts
        cells = text.split("\t") if len(names) > 1 else [text]
        if len(cells) != len(names):
            raise DataError(
                f"{len(cells)} texts in a line, {len(names)} are needed ({', '.join(names)}), tabs between"
            )
        return {name: self._cropped(cell) for name, cell in zip(names, cells, strict=True)}

    def _cropped(self, text: str) -> list[str]:
        return tokenize(text, self.config.tokenizer)[: self.config.crop]

    def _tokens(self, value: Any, name: str, path: str, number: int) -> list[str]:
        """Text cut into tokens; what JSON has as a list of words is taken as it is."""
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return value[: self.config.crop]
        if not isinstance(value, str):
            what = f"{name} should be text or a list of words, found {shown(value)}"
            raise DataError(what, locate(path), number)
        return self._cropped(value)

    def _places(self, row: dict[str | int, Any]) -> dict[str, str | int]:
        return self.config.columns or {str(name): name for name in row}

    def _value(self, row: dict[str | int, Any], name: str, place: str | int, path: str, number: int) -> Any:
        if place not in row:
            what = unknown("column", str(place), map(str, row))
            raise DataError(f"{what} for {name}", locate(path), number)
        value, mark = row[place], self.config.cut.get(name)
        if not isinstance(value, str):
            return value
        value = value.partition(mark)[0] if mark else value
        # Of a text blanks mean nothing either, but its tokenizer decides that.
        return value if name in (*self.texts, *self.targets) else value.strip()

    def _rows(self, path: str) -> Iterator[tuple[int, dict[str | int, Any]]]:
        kind = self.config.format if self.config.format != "auto" else _kind(path)
        if kind == "jsonl":
            yield from _objects(path)
        elif kind == "csv":
            yield from self._named(_quoted(path, self.config.separator or ","), path)
        else:
            yield from self._named(self._plain(path), path)

    def _plain(self, path: str) -> Iterator[tuple[int, list[str]]]:
        separator = self.config.separator or "\t"
        places = [place for place in self.config.columns.values() if isinstance(place, int)]
        most = max(places) if self.config.rest and places else -1
        for number, line in lines(path):
            if line.strip():
                yield number, line.split(separator, most)

    def _named(
        self, rows: Iterator[tuple[int, list[str]]], path: str
    ) -> Iterator[tuple[int, dict[str | int, Any]]]:
        names: list[str] | None = None
        for number, cells in rows:
            if self.config.header and names is None:
                names = cells
                if twice := [name for name, times in Counter(names).items() if times > 1]:
                    raise DataError(f'the header has "{twice[0]}" twice', locate(path), number)
                continue
            if names is not None and len(cells) != len(names):
                what = f"{len(cells)} columns, the header has {len(names)}"
                raise DataError(what, locate(path), number)
            named: dict[str | int, Any] = dict(enumerate(cells))
            yield number, named if names is None else dict(zip(names, cells, strict=True))


def _kind(path: str) -> str:
    name = path.removesuffix(".gz")
    for kind in ("csv", "jsonl"):
        if name.endswith(f".{kind}"):
            return kind
    return "jsonl" if name.endswith(".json") else "tsv"


def _objects(path: str) -> Iterator[tuple[int, dict[str | int, Any]]]:
    for number, line in lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if "\\ud" in line.lower():
                json.dumps(row, ensure_ascii=False).encode()
        except json.JSONDecodeError as fault:
            what = f"not JSON: {fault.msg} at position {fault.pos + 1}"
            raise DataError(what, locate(path), number) from None
        except UnicodeEncodeError:
            what = "holds half a character: a surrogate such as \\ud83d without its other half"
            raise DataError(what, locate(path), number) from None
        if not isinstance(row, dict):
            raise DataError("should be a JSON object with a key for each column", locate(path), number)
        yield number, row


def _quoted(path: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Comma-separated rows, quoted as RFC 4180 says; a quoted cell may run over several lines."""
    reader = csv.reader((f"{line}\n" for _, line in lines(path)), delimiter=separator, strict=True)
    try:
        before = 1
        for cells in reader:
            if cells:
                yield before, cells
            before = reader.line_num + 1
    except csv.Error as fault:
        raise DataError(f"not comma-separated values: {fault}", locate(path), reader.line_num) from None
