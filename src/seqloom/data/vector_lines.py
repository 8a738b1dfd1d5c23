"""Lines of text vectors: where in them the words and the numbers stand, and what is wrong with those that do not fit.

A line is a word, then as many numbers as the vectors have; blanks (any byte up to the space) stand between them
and may stand at its end. A word may have blanks inside, as in ". . .": the last numbers of the line are its vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import lt
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqloom.data.vector_numbers import (
    BLANK,
    NotANumber,
    Positions,
    Text,
    parse,
)
from seqloom.errors import DataError

Rows = Sequence[int] | slice
Matrix = NDArray[np.float32]
Undecodable = Literal["error", "replace"]
ALL = slice(None)


@dataclass(frozen=True, slots=True)
class _Layout:
    """For the lines that are not blank: their number, their word, the bytes around each number."""

    numbers: Positions
    words: list[bytes]
    befores: Positions  # (lines, size): the byte before each number
    ends: Positions


class Lines:
    """Some lines of a text file as words and vectors of `size` numbers; `numbers` are the lines' in the file.

    Raises:
        DataError: a line with too few numbers, or with too many, or a word that is not UTF-8.
    """

    def __init__(self, text: Text, numbers: Positions, size: int, path: Path, undecodable: Undecodable) -> None:
        self._text, self._path, self._size = text, path, size
        self._layout = self._even(numbers) or self._uneven(numbers)
        self.numbers = self._layout.numbers
        self.words = decoded(self._layout.words, self.numbers, path, undecodable)

    def rows(self, which: Rows = ALL) -> Matrix:
        """The vectors of the lines chosen by their place here, shape (lines, size), parsed now.

        Raises:
            DataError: a text where a number should be.
        """
        try:
            return self._parsed(which)
        except NotANumber:
            self._layout = self._uneven(self.numbers)  # tells two blanks side by side from a missing number
        try:
            return self._parsed(which)
        except NotANumber as fault:
            raise self._refusal(fault.index, which) from None

    def _parsed(self, which: Rows) -> Matrix:
        befores, ends = self._layout.befores[which], self._layout.ends[which]
        return parse(self._text, befores.ravel(), ends.ravel()).reshape(ends.shape)

    def _refusal(self, index: int, which: Rows) -> DataError:
        row, column = divmod(index, self._size)
        before, end = self._layout.befores[which][row, column], self._layout.ends[which][row, column]
        token = _shown(self._text.buffer[before + 1 : end])
        what = (
            f'"{token}" is not a number; after the word {self._size} numbers are expected, and this is number'
        )
        return DataError(f"{what} {column + 1}", self._path, int(self.numbers[which][row]))

    def _even(self, numbers: Positions) -> _Layout | None:
        """The layout if every line is a word without blanks, one space, `size` numbers; else None."""
        text = self._text
        if not all(map(lt, text.begins, text.gaps)):
            return None
        count = len(text.gaps) * self._size
        ends = text.stops(count)
        if len(ends) != count:
            return None
        if not (
            (ends[:: self._size] > text.gaps) & (ends[self._size - 1 :: self._size] <= text.newlines)
        ).all():
            return None
        befores = np.empty_like(ends)
        befores[1:] = ends[:-1]
        befores[:: self._size] = text.gaps
        words = text.cut(text.begins, text.gaps)
        return _Layout(numbers, words, befores.reshape(-1, self._size), ends.reshape(-1, self._size))

    def _uneven(self, numbers: Positions) -> _Layout:
        """The layout of any lines, told from where each run of visible bytes starts and ends."""
        text, size = self._text, self._size
        blank = text.octets[: text.end] <= BLANK
        starts = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1
        ends = np.flatnonzero(~blank[:-1] & blank[1:]) + 1
        upto = np.searchsorted(ends, text.newlines, side="right")
        fields = np.diff(upto, prepend=0)
        self._refuse_short(fields, numbers)
        kept = fields > 0
        upto, fields, numbers = upto[kept], fields[kept], numbers[kept]
        begins, last, stops = starts[upto - fields], starts[upto - size - 1], ends[upto - size - 1]
        self._refuse_long(fields, text.cut(last.tolist(), stops.tolist()), numbers)
        vector = upto[:, None] + np.arange(-size, 0)
        words = text.cut(begins.tolist(), stops.tolist())
        return _Layout(numbers, words, starts[vector] - 1, ends[vector])

    def _refuse_short(self, fields: Positions, numbers: Positions) -> None:
        for place in np.flatnonzero((fields > 0) & (fields <= self._size))[:1].tolist():
            what = f"a word and {self._size} numbers are expected, found {fields[place]} fields"
            raise DataError(f"{what}; is the file cut short?", self._path, int(numbers[place]))

    def _refuse_long(self, fields: Positions, last: list[bytes], numbers: Positions) -> None:
        """Refuse a line whose word, having blanks, ends in a number: it has a number too many."""
        for place in np.flatnonzero(fields > self._size + 1).tolist():
            if is_number(last[place]):
                what = (
                    f"more than {self._size} numbers, or a word that ends in the number {_shown(last[place])}"
                )
                raise DataError(what, self._path, int(numbers[place]))


def is_number(field: bytes) -> bool:
    """Whether `float()` takes the text."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def decoded(words: list[bytes], numbers: Positions, path: Path, undecodable: Undecodable) -> list[str]:
    """The words as strings; no word holds a line end.

    Raises:
        DataError: a word is not UTF-8 and `undecodable` is "error"; it names the first such byte.
    """
    joined = b"\n".join(words)
    try:
        return joined.decode().split("\n") if words else []
    except UnicodeDecodeError as fault:
        if undecodable == "replace":
            return joined.decode(errors="replace").split("\n")
        place = joined.count(b"\n", 0, fault.start)
        word = _shown(words[place])
        what = f'byte 0x{joined[fault.start]:02x} in the word "{word}" is not UTF-8; convert the file, for instance'
        remedy = 'with iconv, or open it with undecodable="replace" if few words are damaged'
        raise DataError(f"{what} {remedy}", path, int(numbers[place])) from None


def _shown(field: bytes) -> str:
    text = field.decode(errors="replace")
    return text if len(text) <= 40 else f"{text[:39]}…"
