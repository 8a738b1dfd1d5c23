"""Files of word vectors that other programs wrote, read in blocks: memory does not grow with the file."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase, BufferedReader, RawIOBase
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from seqloom.data.vector_format import Format, Header, sniff, unpacked
from seqloom.data.vector_lines import Lines, Matrix, Rows, Undecodable, decoded
from seqloom.data.vector_numbers import BACK, FRONT, Parser, Positions, Text
from seqloom.errors import DataError
from seqloom.files import locate
from seqloom.progress import Bar, bar

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 19  # bytes: more would leave the processor's cache, less would spend its time between the chunks
_BUFFER, _LINES = 1 << 17, 64  # bytes, and lines: likewise where files are read line by line
_LONGEST_LINE = 1 << 24
_CONTROLS = bytes(range(ord(" ")))
_FIRST_FIELD = re.compile(rb"[\x00-\x09\x0b-\x20]*([^\x00-\x20]*)")

Hint = Callable[[Sequence[str]], Sequence[int]]


class Block(NamedTuple):
    """Some rows of a source: their words, their ranks (0 for the source's first row), a reader of their vectors.

    The vectors are read before the next block is asked for, or not at all.
    """

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


class _Watched(RawIOBase):
    """A file that moves a bar as it is read."""

    def __init__(self, file: IO[bytes], running: Bar) -> None:
        self._file: Any = file
        self._running, self._done = running, 0
        self._disk = getattr(file, "fileobj", file)  # a gzip file's own place is that in what it unpacks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count: int = self._file.readinto(buffer)
        before, self._done = self._done, self._disk.tell()
        self._running.advance(self._done - before)
        return count


class _File:
    def __init__(self, path: Path, form: Format, undecodable: Undecodable) -> None:
        self.name, self.size = path.name, form.size
        self._path, self._form, self._undecodable = path, form, undecodable

    @contextmanager
    def _opened(self) -> Iterator[BufferedIOBase]:
        """What is behind the header; a bar moves over the bytes on disk."""
        total = self._path.stat().st_size
        with unpacked(self._path) as file, bar(f"reading {self.name}", total) as running:
            opened = BufferedReader(_Watched(file, running), _BUFFER)
            opened.read(self._form.skip)
            yield opened

    def _check_count(self, rows: int) -> None:
        if self._form.count not in (None, rows):
            what = f"the header says {self._form.count} words, the file has {rows}"
            remedy = 'fetch it again if it was cut short; if the header is wrong, open it with header="skip"'
            raise DataError(f"{what}; {remedy}", self._path, 1)


class TextFile(_File):
    """GloVe's text format, word2vec's (with a header) and fastText's .vec, plain or gzipped."""

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The rows in blocks; with a hint, only lines that it picks are looked at beyond their first field."""
        parser, rows = Parser(), 0
        for text, numbers in self._texts() if hint is None else self._sifted(hint):
            lines = Lines(text, numbers, self.size, self._path, self._undecodable, parser)
            rows += len(lines.numbers)
            yield Block(lines.words, lines.numbers - self._form.header - 1, lines.rows)
        if hint is None:
            self._check_count(rows)

    def _texts(self) -> Iterator[tuple[Text, Positions]]:
        """The file as texts of whole lines, with the lines' numbers."""
        number = self._form.header + 1
        with self._opened() as file:
            for text in _texts(file, self._path):
                yield text, np.arange(number, number + text.count)
                number += text.count

    def _sifted(self, hint: Hint) -> Iterator[tuple[Text, Positions]]:
        """The lines that the hint picks, gathered to texts of about a chunk, for which parsing them pays."""
        picked: dict[int, bytes] = {}
        rows = weight = 0
        with self._opened() as file:
            for first, lines in _lines(file, self._path, self._form.header + 1):
                fields = _first_fields(lines)
                rows += len(fields) - fields.count(b"")
                every = range(first, first + len(lines))
                for place in hint(decoded(fields, every, self._path, self._undecodable)):
                    picked[every[place]] = lines[place]
                    weight += len(lines[place])
                if weight >= CHUNK:
                    yield Text.of([*picked.values()]), np.array([*picked])
                    picked, weight = {}, 0
        if picked:
            yield Text.of([*picked.values()]), np.array([*picked])
        self._check_count(rows)


def _texts(file: BufferedIOBase, path: Path) -> Iterator[Text]:
    """Everything that is still to be read as texts of whole lines; a last line without an end is given one.

    A text is good until the next is asked for: they share a buffer, which so stays in the processor's cache.
    """
    buffer, start = bytearray(FRONT + CHUNK + BACK), FRONT
    while count := file.readinto(memoryview(buffer)[start:-BACK]):
        stop = start + count
        end = buffer.rfind(b"\n", start, stop) + 1
        if end:
            yield Text(buffer, end)
        rest = buffer[end or FRONT : stop]
        start = FRONT + len(rest)
        if len(rest) >= _LONGEST_LINE:
            raise _too_long(path)
        if len(buffer) - start - BACK <= CHUNK // 2:
            buffer = bytearray(2 * len(buffer))
        buffer[FRONT:start] = rest
    if start > FRONT:
        yield Text.of([bytes(buffer[FRONT:start])])


def _lines(file: BufferedIOBase, path: Path, number: int) -> Iterator[tuple[int, list[bytes]]]:
    """Everything that is still to be read as lists of lines, each with the number of its first."""
    read = iter(partial(file.readline, _LONGEST_LINE), b"")
    while lines := list(islice(read, _LINES)):
        if max(map(len, lines)) == _LONGEST_LINE:
            raise _too_long(path)
        yield number, lines
        number += len(lines)


def _too_long(path: Path) -> DataError:
    return DataError(f"a line of more than {_LONGEST_LINE >> 20} MB: no text of word vectors", path)


def _first_fields(lines: Sequence[bytes]) -> list[bytes]:
    """What each line holds before its first blank, if anything."""
    gaps = [line.find(b" ") for line in lines]
    if min(gaps) > 0:
        fields = [line[:gap] for line, gap in zip(lines, gaps, strict=True)]
        joined = b"".join(fields)
        if len(joined.translate(None, _CONTROLS)) == len(joined):
            return fields
    return [match[1] for match in map(_FIRST_FIELD.match, lines) if match]


class BinaryFile(_File):
    """word2vec's binary format: a header, then for each word its text, a space and its float32 numbers."""

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The rows in blocks, which no hint makes smaller: numbers are only read when asked for."""
        rank, rest, promised = 0, b"", self._form.count or 0
        buffer = memoryview(bytearray(CHUNK))
        with self._opened() as file:
            while rank < promised and (count := file.readinto(buffer)):
                data = rest + buffer[:count]
                words, places, used = self._entries(data, rank, promised - rank)
                rest = data[used:]
                if words:
                    ranks = np.arange(rank, rank + len(words))
                    rank += len(words)
                    names = decoded(words, ranks + 1, self._path, self._undecodable)
                    yield Block(names, ranks, self._reader(data, np.array(places)))
                elif len(rest) > _LONGEST_LINE:
                    raise self._misfit(rank + 1)
            rest += buffer[: file.readinto(buffer)]
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
                raise self._misfit(rank + len(words))
            places.append(place)
            start = place + 4 * self.size
        return words, places, start

    def _misfit(self, entry: int) -> DataError:
        what = f"no word before the numbers of entry {entry}"
        return DataError(f"{what}; the file is damaged, or its header wrong", self._path)

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
