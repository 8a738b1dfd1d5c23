"""Fields: one column of a task, from values to stored symbols or numbers to tensors."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seqloom.data.batch import Text
from seqloom.data.columns import Column
from seqloom.data.counted import Counted
from seqloom.data.tokens import Index
from seqloom.data.vocabulary import END, PRODUCED, START, Vocabularies, Vocabulary

UNLISTED = -1
"""The id of padding and of a label that training never showed; losses leave it out."""


class Field(ABC):
    """One column: `store` what a value holds, `fit` vocabularies, `table` the ids once, `collate` rows."""

    numeric: ClassVar[bool] = False
    text: ClassVar[bool] = False
    """Whether its values are lists of tokens, which the reader cuts and whose length is limited."""
    runs: ClassVar[bool] = False
    """Whether its texts follow on one another and are read as one."""
    gold: ClassVar[bool] = True
    """Whether it is what is to be predicted, and so left out when predicting."""
    of: ClassVar[str] = ""
    """The column whose values it reads, where that is not its own."""

    @abstractmethod
    def store(self, value: Any) -> Sequence[str] | Sequence[float]:
        """What is kept of a value; raises ValueError if the value is not of this field's form."""

    def counted(self, column: Column) -> dict[str, "Counted"]:
        """The symbols of a training column by the vocabularies that this field reads; none by default."""
        return {}

    @abstractmethod
    def tables(self, column: Column, vocabularies: Vocabularies) -> Any:
        """What `collate` looks ids up in, made once for a column."""

    @abstractmethod
    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Text | Tensor:
        """The tensors of some rows."""

    @abstractmethod
    def sample(self, random: Random, length: int) -> Any:
        """A made-up value, `length` tokens long where that means something, for the contract tests."""


@dataclass(frozen=True)
class TextField(Field):
    """A text: a list of tokens; `indexes`, filled in from the task's embedder, say how it is looked up."""

    indexes: tuple[Index, ...] = ()
    text: ClassVar[bool] = True
    gold: ClassVar[bool] = False

    def reading(self, indexes: Sequence[Index]) -> "TextField":
        """The same field, read through these indexes."""
        return replace(self, indexes=tuple(indexes))

    def store(self, value: Any) -> Sequence[str]:
        """The tokens; an empty text is refused, an empty token stands as a blank."""
        return _tokens(value)

    def counted(self, column: Column) -> dict[str, Counted]:
        """The symbols of every index with their counts."""
        forms = column.counts()
        counted = {}
        for index in self.indexes:
            counts = dict.fromkeys(index.view.given, index.minimum)
            for form, count in forms.items():
                for symbol in index.view.symbols(form):
                    counts[symbol] = counts.get(symbol, 0) + count
            counted[index.vocabulary] = Counted(counts, index.minimum, index.most, order=index.order)
        return counted

    def tables(self, column: Column, vocabularies: Vocabularies) -> dict[str, "FormTable"]:
        """By vocabulary, the ids of every form that the column holds."""
        return {
            one.vocabulary: FormTable(column.forms, one, vocabularies[one.vocabulary]) for one in self.indexes
        }

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Text:
        """A padded text."""
        forms, lengths = column.padded(rows)
        ids = {name: torch.from_numpy(table.ids(forms)) for name, table in tables.items()}
        return Text(ids, torch.from_numpy(lengths), lambda row: column.row(rows[row]))

    def sample(self, random: Random, length: int) -> list[str]:
        """Tokens of a few letters."""
        return ["".join(random.choices("abcdeABC1-", k=random.randint(1, 6))) for _ in range(length)]


def _words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _tokens(value: Any) -> list[str]:
    if not _words(value):
        raise ValueError(f"a text should be a list of tokens, found {value!r:.40}")
    if not len(value):
        raise ValueError("the text has no tokens")
    return [token if token else " " for token in value]


@dataclass(frozen=True)
class TargetField(Field):
    """A text to be produced, looked up in a vocabulary of the task's own.

    `minimum`: how often a word must occur in training to be listed; `most`: how many may be.
    """

    vocabulary: str = "target"
    minimum: int = 1
    most: int | None = None
    text: ClassVar[bool] = True

    def store(self, value: Any) -> Sequence[str]:
        """The tokens; an empty text is refused."""
        return _tokens(value)

    def counted(self, column: Column) -> dict[str, Counted]:
        """The words with their counts."""
        counted = Counted(column.counts(), self.minimum, self.most, PRODUCED, private=True)
        return {self.vocabulary: counted}

    def tables(self, column: Column, vocabularies: Vocabularies) -> np.ndarray:
        """The id of every word that the column holds, then those of padding, start and end."""
        vocabulary = vocabularies[self.vocabulary]
        ids = [vocabulary.id(form) for form in column.forms]
        return np.array([*ids, vocabulary.id(START), vocabulary.id(END), 0], dtype=np.int64)

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Text:
        """The words between `<s>` and `</s>`: (batch, time + 2) ids."""
        forms, lengths = column.padded(rows)
        edge = np.full((len(rows), 1), -1)
        framed = np.concatenate([edge - 2, forms, edge], 1)
        framed[np.arange(len(rows)), lengths + 1] = -2
        return Text({self.vocabulary: torch.from_numpy(tables[framed])}, torch.from_numpy(lengths + 2))

    def sample(self, random: Random, length: int) -> list[str]:
        """Words of a few letters."""
        return [random.choice(["one", "two", "three", "four"]) for _ in range(length)]


class FormTable:
    """The ids of a list of forms under one index: a flat table, with offsets where a form has several."""

    def __init__(self, forms: Sequence[str], index: Index, vocabulary: Vocabulary) -> None:
        symbols = [index.view.symbols(form) for form in forms]
        self.deep = index.view.deep
        flat = [vocabulary.id(symbol) for one in symbols for symbol in one]
        self.flat = np.array([*flat, 0], dtype=np.int64)
        self.offsets = np.zeros(len(symbols) + 2, dtype=np.int64)
        np.cumsum([len(one) for one in symbols], out=self.offsets[1:-1])
        self.offsets[-1] = self.offsets[-2]

    def ids(self, forms: np.ndarray) -> np.ndarray:
        """Ids of padded forms (batch, time), -1 being padding: (batch, time), or (batch, time, characters)."""
        if not self.deep:
            found: np.ndarray = self.flat[forms]
            return found
        starts = self.offsets[forms]
        lengths = np.where(forms < 0, 0, self.offsets[forms + 1] - starts)
        places = np.arange(max(1, int(lengths.max(initial=1))))
        inside = places < lengths[..., None]
        ids: np.ndarray = np.where(inside, self.flat[np.where(inside, starts[..., None] + places, -1)], 0)
        return ids


@dataclass(frozen=True)
class TagsField(Field):
    """One label for each token of the text in column `along`."""

    vocabulary: str = "tags"
    along: str = "text"

    def store(self, value: Any) -> Sequence[str]:
        """The labels as they are."""
        if not _words(value) or not all(value):
            raise ValueError(f"tags should be a list of words, one for each token, found {value!r:.40}")
        return list(value)

    def counted(self, column: Column) -> dict[str, Counted]:
        """The labels with their counts."""
        return {self.vocabulary: Counted.labels(column)}

    def tables(self, column: Column, vocabularies: Vocabularies) -> np.ndarray:
        """The id of every label that the column holds; UNLISTED for one that training never showed."""
        return _label_ids(column, vocabularies[self.vocabulary])

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch, time) ids, UNLISTED past the end of a row."""
        forms, _ = column.padded(rows)
        return torch.from_numpy(tables[forms])

    def sample(self, random: Random, length: int) -> list[str]:
        """Tags that are right in any scheme."""
        return [random.choice(["O", "B-PER", "B-LOC"]) for _ in range(length)]


@dataclass(frozen=True)
class LabelField(Field):
    """One label for the whole row."""

    vocabulary: str = "label"

    def store(self, value: Any) -> Sequence[str]:
        """The label; a whole number, as JSON may have it, stands as its digits."""
        value = str(value) if type(value) is int else value
        if not isinstance(value, str) or not value:
            raise ValueError(f'a label should be a word, found "{value}"')
        return [value]

    def counted(self, column: Column) -> dict[str, Counted]:
        """The labels with their counts."""
        return {self.vocabulary: Counted.labels(column)}

    def tables(self, column: Column, vocabularies: Vocabularies) -> np.ndarray:
        """The id of every label that the column holds; UNLISTED for one that training never showed."""
        return _label_ids(column, vocabularies[self.vocabulary])

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch,) ids."""
        return torch.from_numpy(tables[column.values[column.offsets[rows]]])

    def sample(self, random: Random, length: int) -> str:
        """One of three labels."""
        return random.choice(["yes", "no", "perhaps"])


def _label_ids(column: Column, vocabulary: Vocabulary) -> np.ndarray:
    return np.array([*(vocabulary.id(form) for form in column.forms), UNLISTED], dtype=np.int64)


@dataclass(frozen=True)
class NumberField(Field):
    """One number for the whole row."""

    numeric: ClassVar[bool] = True

    def store(self, value: Any) -> Sequence[float]:
        """The number, from a number or its text."""
        try:
            return [float(value)]
        except (TypeError, ValueError):
            raise ValueError(f'should be a number, found "{value}"') from None

    def tables(self, column: Column, vocabularies: Vocabularies) -> None:
        """Nothing to look up."""

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch,) float32."""
        return torch.from_numpy(column.values[column.offsets[rows]].astype(np.float32))

    def sample(self, random: Random, length: int) -> float:
        """A number from 0 to 1."""
        return random.random()


@dataclass(frozen=True)
class KeyField(Field):
    """What tells groups of rows apart, such as the name of an image; nothing is learnt of it."""

    def store(self, value: Any) -> Sequence[str]:
        """The name; a whole number stands as its digits."""
        if not isinstance(value, str | int) or value == "":
            raise ValueError(f'should be a name or a whole number, found "{value}"')
        return [str(value)]

    def tables(self, column: Column, vocabularies: Vocabularies) -> None:
        """Nothing to look up: names are numbered within their column."""

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch,) numbers, equal where names are."""
        return torch.from_numpy(column.values[column.offsets[rows]].astype(np.int64))

    def sample(self, random: Random, length: int) -> str:
        """One of many numbers."""
        return str(random.randrange(1_000_000))
