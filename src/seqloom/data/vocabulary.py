"""Vocabularies: frozen lists of symbols, one text file each; fitted on training data or taken from a model."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from seqloom.errors import ModelError
from seqloom.files import write_text

PADDING, UNKNOWN = "<pad>", "<unk>"
SPECIALS = (PADDING, UNKNOWN)
START, END = "<s>", "</s>"
PRODUCED = (*SPECIALS, START, END)
"""What the vocabulary of a text that is to be produced begins with."""
Order = Literal["frequency", "appearance"]
"""How symbols are listed after the special ones: from frequent to rare, or as they appear in training."""


class Vocabulary:
    """A frozen list of distinct symbols.

    A text's vocabulary begins with `<pad>` (0) and `<unk>` (1), so any symbol has an id, and goes on with `<s>` (2)
    and `</s>` (3) where the text is to be produced; a label vocabulary has none of them, and an unlisted label no id.

    Args:
        symbols: in order.
        written: which of the special symbols the training text has itself, as others are words.
    """

    def __init__(self, symbols: Iterable[str], written: Iterable[str] = ()) -> None:
        self.symbols = tuple(symbols)
        self.written = frozenset(PRODUCED).intersection(written)
        self._ids = {symbol: number for number, symbol in enumerate(self.symbols)}
        if len(self._ids) != len(self.symbols):
            twice = next(one for one, count in Counter(self.symbols).items() if count > 1)
            raise ModelError(f'the vocabulary lists "{twice}" twice')
        self.unknown = self._ids.get(UNKNOWN)

    @classmethod
    def fit(
        cls,
        counts: Mapping[str, int],
        *,
        minimum: int = 1,
        most: int | None = None,
        specials: tuple[str, ...] = SPECIALS,
        order: Order = "frequency",
    ) -> "Vocabulary":
        """List the `most` frequent symbols seen at least `minimum` times, ties in code-point order.

        In order of "appearance" they are listed as `counts` has them.
        """
        barred = {*SPECIALS, *specials}
        kept = [symbol for symbol, count in counts.items() if count >= minimum and symbol not in barred]
        by_frequency = sorted(kept, key=lambda symbol: (-counts[symbol], symbol))[:most]
        listed = set(by_frequency)
        ordered = by_frequency if order == "frequency" else (symbol for symbol in kept if symbol in listed)
        return cls((*specials, *ordered), written=counts)

    @property
    def pinned(self) -> int:
        """How many symbols it begins with that stand for no word: special ones that the text has not itself."""
        added = {*PRODUCED} - self.written
        return next((place for place, one in enumerate(self.symbols) if one not in added), len(self))

    def __len__(self) -> int:
        return len(self.symbols)

    def __iter__(self) -> Iterator[str]:
        return iter(self.symbols)

    def __getitem__(self, number: int) -> str:
        return self.symbols[number]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} symbols)"

    def id(self, symbol: str) -> int:
        """The number of a symbol; that of `<unk>` if it is unlisted, or -1 where there is no `<unk>`."""
        found = self._ids.get(symbol, self.unknown)
        return -1 if found is None else found

    def save(self, path: str | Path) -> None:
        """Write one symbol a line; a line end or backslash inside is escaped, and a special symbol that is written."""
        marked = ("\\" * (symbol in self.written) + _escape(symbol) for symbol in self.symbols)
        write_text(path, "".join(f"{one}\n" for one in marked))

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read what `save` wrote; raises ModelError if the file is missing, cut short or not UTF-8."""
        try:
            text = Path(path).read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise ModelError(
                f"the vocabulary cannot be read ({fault}); restore the model folder", path
            ) from None
        if not text.endswith("\n"):
            raise ModelError("the vocabulary is cut short; restore the model folder", path)
        listed = text.split("\n")[:-1]
        return cls(map(_unescape, listed), written=(line[1:] for line in listed if line.startswith("\\")))


def _escape(symbol: str) -> str:
    return symbol.replace("\\", "\\\\").replace("\n", "\\n")


def _unescape(line: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], line) if "\\" in line else line


_ESCAPED = re.compile(r"\\(.)")


Vocabularies = Mapping[str, Vocabulary]
"""Vocabularies by name."""
