"""Models of fastText (`.bin`), mapped: words' vectors, and those of new words from their character n-grams."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqloom.data.tokens import ngram_hashes
from seqloom.data.vector_files import Block, Hint
from seqloom.data.vector_lines import Matrix, Rows, Undecodable, decoded
from seqloom.errors import DataError
from seqloom.progress import bar

MAGIC = struct.pack("<i", 793712314)
END = "</s>"
"""The end of a line: the one word that has no n-grams."""

_VERSION = 12
_BLOCK = 1 << 12  # words
_LONGEST = 1 << 16  # bytes of a word
_ARGUMENTS, _SIZES = struct.Struct("<14i d"), struct.Struct("<3i 2q")
_ENTRY, _SHAPE = struct.Struct("<q b"), struct.Struct("<? 2q")


class Arguments(NamedTuple):
    """Of a model's arguments, those that vectors depend on: size, hashed rows, lengths of n-grams in characters."""

    size: int
    buckets: int
    smallest: int
    largest: int


def is_fasttext(path: Path) -> bool:
    """Whether a file begins as fastText's models do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class FastTextModel:
    """The source over a model: a word's vector is the mean of its own row and those of its n-grams.

    Args:
        path: the file, as fastText wrote it, neither quantised nor packed.
        undecodable: what becomes of a word that is not UTF-8.

    Raises:
        DataError: the file is damaged, quantised, pruned, or of another version.
    """

    def __init__(self, path: Path, undecodable: Undecodable) -> None:
        self.name, self._path, self._undecodable = path.name, path, undecodable
        with path.open("rb") as file:
            # An array below keeps the mapping open.
            self._data = mmap(file.fileno(), 0, access=ACCESS_READ)
        with self._reading():
            self._arguments = self._checked_arguments()
            self._words, place = self._dictionary(_ARGUMENTS.size)
            self._matrix = self._mapped(place)
        self.size = self._arguments.size

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The words in blocks, which no hint makes smaller: vectors are made only when asked for."""
        with bar(f"reading {self.name}", len(self._words)) as running:
            for start in range(0, len(self._words), _BLOCK):
                raw = self._words[start : start + _BLOCK]
                ranks = np.arange(start, start + len(raw))
                names = decoded(raw, ranks + 1, self._path, self._undecodable)
                yield Block(names, ranks, partial(self._known, start, raw))
                running.advance(len(raw))

    def spelt(self, words: Sequence[str]) -> tuple[Matrix, list[bool]]:
        """Vectors of words that the model lacks, shape (words, size), and which words have any n-gram to make one of.

        Each is the mean of its n-grams' rows, as in the original, and zero without any.
        """
        rows = [self._hashed(word.encode(errors="replace")) for word in words]
        return self._means(rows), [bool(row) for row in rows]

    def __len__(self) -> int:
        return len(self._words)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except struct.error:
            raise self._damaged("the file is cut short") from None

    def _damaged(self, what: str) -> DataError:
        return DataError(f"this is no whole fastText model: {what}; fetch it again", self._path)

    def _checked_arguments(self) -> Arguments:
        _, version, size, *rest, _rate = _ARGUMENTS.unpack_from(self._data)
        if version != _VERSION:
            what = f"a fastText model of version {version}; {_VERSION} is read"
            raise DataError(f"this is {what}: use the .vec file that comes with it", self._path)
        buckets, smallest, largest = rest[7:10]
        if min(size - 1, buckets, smallest, largest) < 0:
            raise self._damaged(
                f"vectors of {size} numbers, {buckets} buckets, n-grams of {smallest} to {largest}"
            )
        return Arguments(size, buckets, smallest, largest)

    def _dictionary(self, place: int) -> tuple[list[bytes], int]:
        """The words, labels left out, and where the dictionary ends."""
        entries, words, labels, _, pruned = _SIZES.unpack_from(self._data, place)
        if pruned >= 0:
            raise DataError("its dictionary is pruned: it lacks n-grams; use the model before that", self._path)
        if min(words - 1, labels) < 0 or entries != words + labels:
            raise self._damaged(f"{entries} entries should be {words} words and {labels} labels")
        found, place = list[bytes](), place + _SIZES.size
        for entry in range(entries):
            end = self._data.find(b"\0", place, place + _LONGEST)
            if end < 0:
                raise self._damaged(f"entry {entry + 1} never ends")
            word = self._data[place:end]
            _, kind = _ENTRY.unpack_from(self._data, end + 1)
            if b"\n" in word or kind != (entry >= words):
                raise self._damaged(f"entry {entry + 1} is neither a word nor a label in its place")
            if not kind:
                found.append(word)
            place = end + 1 + _ENTRY.size
        return found, place

    def _mapped(self, place: int) -> Matrix:
        quantised, rows, columns = _SHAPE.unpack_from(self._data, place)
        if quantised:
            raise DataError("the model is quantised; use the one before that", self._path)
        if (rows, columns) != (len(self._words) + self._arguments.buckets, self._arguments.size):
            what = f"{len(self._words)} words and {self._arguments.buckets} buckets of {self._arguments.size} numbers"
            raise self._damaged(f"its matrix is {rows} x {columns}, for {what}")
        if place + _SHAPE.size + 4 * rows * columns > len(self._data):
            raise self._damaged("the file is cut short")
        numbers = np.frombuffer(self._data, "<f4", rows * columns, place + _SHAPE.size)
        return numbers.reshape(rows, columns)

    def _hashed(self, word: bytes) -> list[int]:
        """The rows of a word's n-grams."""
        _, buckets, smallest, largest = self._arguments
        if not buckets or word == END.encode():
            return []
        return [len(self._words) + value % buckets for value in ngram_hashes(word, smallest, largest)]

    def _known(self, start: int, words: list[bytes], which: Rows) -> Matrix:
        places = np.arange(len(words))[which].tolist()
        return self._means([[start + place, *self._hashed(words[place])] for place in places])

    def _means(self, rows: Sequence[list[int]]) -> Matrix:
        means = np.zeros((len(rows), self._arguments.size), np.float32)
        for mean, row in zip(means, rows, strict=True):
            if row:
                self._matrix[row].mean(0, out=mean)
        return means
