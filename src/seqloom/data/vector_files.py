"""Files of word vectors that other programs wrote, read in blocks: memory does not grow with the file."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import lt
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from seqloom.data.vector_format import Format, Header, sniff, unpacked
from seqloom.data.vector_lines import Lines, Matrix, Rows, Undecodable, decoded
from seqloom.data.vector_numbers import BACK, BLANK, FRONT, Positions, Text
from seqloom.errors import DataError
from seqloom.files import locate
from seqloom.progress import bar

CHUNK = 1 << 18  # bytes: a chunk and what is made of it stay in a core's own cache
_LONGEST_LINE = 1 << 24
_BLANKS = bytes(range(ord(" ") + 1))
_CONTROLS = _BLANKS.translate(None, b"\n ")
_FIRST_FIELD = re.compile(rb"[\x00-\x09\x0b-\x20]*([^\x00-\x20]*)")

Hint = Callable[[Sequence[str]], Sequence[int]]
Read = Callable[[], bytes]


class Block(NamedTuple):
    """Some rows of a source: their words, their ranks (0 for the source's first row), a reader of their vectors."""

    words: Sequence[str]
    ranks: Positions
    rows: Callable[[Rows], Matrix]


class Source(Protocol):
    """Where words and vectors come from."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int:
        """How many numbers a vector has."""

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The rows, in order and in blocks.

        A hint tells by their first fields (up to a blank) which of some words may be needed; rows of the others
        may be left out.
        """


def foreign(path: str | Path, header: Header, undecodable: Undecodable) -> "TextFile | BinaryFile":
    """The source over a file that another program wrote; `sniff` says which these are and what is raised."""
    path = locate(path)
    form = sniff(path, header)
    return (TextFile if form.kind == "text" else BinaryFile)(path, form, undecodable)


class _File:
    def __init__(self, path: Path, form: Format, undecodable: Undecodable) -> None:
        self.name, self.size = path.name, form.size
        self._path, self._form, self._undecodable = path, form, undecodable

    @contextmanager
    def _opened(self) -> Iterator[Read]:
        """A reader of what is behind the header, chunk by chunk, which moves a bar over the bytes on disk."""
        total = self._path.stat().st_size
        with unpacked(self._path) as file, bar(f"reading {self.name}", total) as running:
            done, disk = 0, getattr(file, "fileobj", file)  # a gzip file's own place is that in what it unpacks

            def read() -> bytes:
                nonlocal done
                data = file.read(CHUNK)
                before, done = done, disk.tell()
                running.advance(done - before)
                return data

            file.read(self._form.skip)
            yield read

    def _check_count(self, rows: int) -> None:
        if self._form.count not in (None, rows):
            what = f"the header says {self._form.count} words, the file has {rows}"
            remedy = 'fetch it again if it was cut short; if the header is wrong, open it with header="skip"'
            raise DataError(f"{what}; {remedy}", self._path, 1)


class TextFile(_File):
    """GloVe's text format, word2vec's (with a header) and fastText's .vec, plain or gzipped."""

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The rows in blocks; with a hint, only lines that it picks are looked at beyond their first field."""
        for text, numbers in self._texts() if hint is None else self._sifted(hint):
            lines = Lines(text, numbers, self.size, self._path, self._undecodable)
            yield Block(lines.words, lines.numbers - self._form.header - 1, lines.rows)

    def _texts(self) -> Iterator[tuple[Text, Positions]]:
        """The file as texts of whole lines, with the lines' numbers."""
        rows, number = 0, self._form.header + 1
        with self._opened() as read:
            for text in _texts(read, self._path):
                numbers = np.arange(number, number + len(text.begins))
                number += len(numbers)
                rows += len(numbers) - _blank_lines(text)
                yield text, numbers
        self._check_count(rows)

    def _sifted(self, hint: Hint) -> Iterator[tuple[Text, Positions]]:
        """The lines that the hint picks, gathered to texts of about a chunk, for which parsing them pays."""
        lines: list[bytes] = []
        numbers: list[int] = []
        weight = 0
        for text, every in self._texts():
            for place in hint(decoded(_first_fields(text), every, self._path, self._undecodable)):
                lines.append(text.buffer[text.begins[place] : text.newlines[place]])
                numbers.append(int(every[place]))
                weight += len(lines[-1])
            if weight >= CHUNK:
                yield Text.of(lines), np.array(numbers)
                lines, numbers, weight = [], [], 0
        if lines:
            yield Text.of(lines), np.array(numbers)


def _texts(read: Read, path: Path) -> Iterator[Text]:
    """Everything that is still to be read as texts of whole lines; a last line without an end is given one."""
    rest, front, back = b"", bytes(FRONT), bytes(BACK)
    while more := read():
        buffer = b"".join((front, rest, more, back))
        end = buffer.rfind(b"\n") + 1
        rest = buffer[end or FRONT : -BACK]
        if end:
            yield Text(buffer, end)
        elif len(rest) > _LONGEST_LINE:
            raise DataError(f"a line of more than {_LONGEST_LINE >> 20} MB: no text of word vectors", path)
    if rest:
        yield Text.of([rest])


def _first_fields(text: Text) -> list[bytes]:
    """What stands in each line before the first blank, or nothing in a line of blanks."""
    if all(map(lt, text.begins, text.gaps)):
        fields = text.cut(text.begins, text.gaps)
        joined = b"".join(fields)
        if len(joined.translate(None, _CONTROLS)) == len(joined):
            return fields
    matches = (_FIRST_FIELD.match(text.buffer, begin) for begin in text.begins)
    return [match[1] for match in matches if match]


def _blank_lines(text: Text) -> int:
    bare = [place for place, begin in enumerate(text.begins) if text.buffer[begin] <= BLANK]
    return sum(not text.buffer[text.begins[place] : text.newlines[place]].strip(_BLANKS) for place in bare)


class BinaryFile(_File):
    """word2vec's binary format: a header, then for each word its text, a space and its float32 numbers."""

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The rows in blocks, which no hint makes smaller: numbers are only read when asked for."""
        rank, rest, promised = 0, b"", self._form.count or 0
        with self._opened() as read:
            while rank < promised and (more := read()):
                data = rest + more
                words, places, used = self._entries(data, rank, promised - rank)
                rest = data[used:]
                if words:
                    ranks = np.arange(rank, rank + len(words))
                    rank += len(words)
                    names = decoded(words, ranks + 1, self._path, self._undecodable)
                    yield Block(names, ranks, self._reader(data, np.array(places)))
            rest += read()
        self._check_end(rank, rest)

    def _entries(self, data: bytes, rank: int, most: int) -> tuple[list[bytes], list[int], int]:
        """The words in the data, where their numbers begin, and how many bytes of the data that makes."""
        words: list[bytes] = []
        places: list[int] = []
        start = 0
        while len(words) < most and (place := data.find(b" ", start) + 1):
            if place + 4 * self.size > len(data):
                break
            words.append(data[start : place - 1].lstrip(b"\n"))
            if not words[-1] or b"\n" in words[-1]:
                what = f"no word before the numbers of entry {rank + len(words)}"
                raise DataError(f"{what}; the file is damaged, or its header wrong", self._path)
            places.append(place)
            start = place + 4 * self.size
        return words, places, start

    def _reader(self, data: bytes, places: Positions) -> Callable[[Rows], Matrix]:
        def rows(which: Rows) -> Matrix:
            vectors = [np.frombuffer(data, "<f4", self.size, place) for place in places[which].tolist()]
            return np.array(vectors, np.float32).reshape(-1, self.size)

        return rows

    def _check_end(self, rank: int, rest: bytes) -> None:
        self._check_count(rank)
        if rest.strip():
            what = f"{len(rest)} bytes follow the {rank} words that the header promises"
            raise DataError(f"{what}; the header is wrong, or the file damaged", self._path)
