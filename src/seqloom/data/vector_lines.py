"""Lines of text vectors: where in them the words and the numbers stand, and what is wrong with those that do not fit.

A line is a word, then as many numbers as the vectors have; blanks (any byte up to the space) stand between them
and may stand at its end. A word may have blanks inside, as in ". . .": the last numbers of the line are its vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqloom.data.vector_numbers import (
    BLANK,
    FRONT,
    NEWLINE,
    NotANumber,
    Parser,
    Positions,
    Text,
)
from seqloom.errors import DataError

Rows = Sequence[int] | slice
Matrix = NDArray[np.float32]
Undecodable = Literal["error", "replace"]
ALL = slice(None)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Of the lines that are not blank, the numbers and words; and around each field from the word's last the bytes."""

    numbers: Positions
    words: list[bytes]
    befores: Positions  # (lines, 1 + size)
    ends: Positions


class Lines:
    """Some lines of a text file as words and vectors of `size` numbers; `numbers` are the lines' in the file.

    Raises:
        DataError: a line with too few numbers, or with too many, or a word that is not UTF-8.
    """

    def __init__(
        self, text: Text, numbers: Positions, size: int, path: Path, undecodable: Undecodable, parser: Parser
    ) -> None:
        self._text, self._path, self._size, self._parser = text, path, size, parser
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
        return self._parser.parse(self._text, self._layout.befores[which], self._layout.ends[which])

    def _refusal(self, index: int, which: Rows) -> DataError:
        row, column = divmod(index, 1 + self._size)
        before, end = self._layout.befores[which][row, column], self._layout.ends[which][row, column]
        token = _shown(self._text.cut([before + 1], [end])[0])
        what = f'"{token}" is not a number; after the word {self._size} numbers are expected'
        return DataError(f"{what}, and this is number {column}", self._path, int(self.numbers[which][row]))

    def _even(self, numbers: Positions) -> _Layout | None:
        """The layout if every line is a word without blanks and `size` numbers, with blanks only behind; else None."""
        text, fields = self._text, 1 + self._size
        edges = text.edges(fields)
        if edges is None:
            return None
        newlines, behind = edges[fields::fields], edges[1::fields]
        if (text.octets[newlines] != NEWLINE).any():
            newlines = text.newlines
            if (edges[fields::fields] > newlines).any() or (behind[1:] < newlines[:-1]).any():
                return None
        begins = np.append(FRONT, newlines[:-1] + 1)
        if (text.octets[begins] <= BLANK).any():
            return None
        befores, ends = edges[:-1].reshape(-1, fields), edges[1:].reshape(-1, fields)
        return _Layout(numbers, text.cut(begins.tolist(), behind.tolist()), befores, ends)

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
        vector = upto[:, None] + np.arange(-size - 1, 0)
        befores, ends = starts[vector] - 1, ends[vector]
        self._refuse_long(fields, text.cut((befores[:, 0] + 1).tolist(), ends[:, 0].tolist()), numbers)
        words = text.cut(starts[upto - fields].tolist(), ends[:, 0].tolist())
        return _Layout(numbers, words, befores, ends)

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


def decoded(
    words: list[bytes], numbers: Sequence[int] | Positions, path: Path, undecodable: Undecodable
) -> list[str]:
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
