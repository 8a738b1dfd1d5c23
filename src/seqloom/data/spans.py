"""Fields of texts whose spans answer questions: what was written, where its tokens stand, which span is sought."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqloom.data.columns import Column
from seqloom.data.fields import UNLISTED, Field
from seqloom.data.vocabulary import Vocabularies


class Answer(NamedTuple):
    """A stretch of tokens, `end` excluded, and its text; both are `UNLISTED` where it is not within the row."""

    start: int
    end: int
    text: str


def places(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Where tokens that were cut from a text stand in it, in characters: text[start:end] is the token.

    Raises:
        ValueError: a token is not there as it is written.
    """
    found, end = [], 0
    for token in tokens:
        start = text.find(token, end)
        if start < 0:
            raise ValueError(f"its token {token!r:.40} does not stand in it; does it hold control characters?")
        end = start + len(token)
        found.append((start, end))
    return found


def _made_up(length: int) -> list[str]:
    """The tokens that the samples of all fields here are about, so that they fit together."""
    return [f"t{number}" for number in range(length)]


@dataclass(frozen=True)
class CharactersField(Field):
    """A text as it was written, for what is cut from it."""

    gold: ClassVar[bool] = False

    def store(self, value: Any) -> Sequence[str]:
        """The text."""
        if not isinstance(value, str) or not value:
            raise ValueError(f"should be text, found {value!r:.40}")
        return [value]

    def tables(self, column: Column, vocabularies: Vocabularies) -> Sequence[str]:
        """The texts themselves."""
        return column.forms

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch, characters) code points, int32, 0 past the end of a text."""
        texts = [tables[number] for number in column.values[column.offsets[rows]]]
        codes = np.zeros((len(texts), max(map(len, texts))), dtype=np.int32)
        for row, text in zip(codes, texts, strict=True):
            row[: len(text)] = np.frombuffer(text.encode("utf-32-le"), dtype="<i4")
        return torch.from_numpy(codes)

    def sample(self, random: Random, length: int) -> str:
        """Made-up tokens with blanks between."""
        return " ".join(_made_up(length))


@dataclass(frozen=True)
class IdField(CharactersField):
    """A name that rows which belong together share, such as that of their question."""

    def sample(self, random: Random, length: int) -> str:
        """A name of its own."""
        return f"{random.getrandbits(64):x}"


def spelt(codes: Tensor) -> str:
    """The text of some code points (characters,), without padding."""
    return "".join(map(chr, codes[codes > 0].tolist()))


@dataclass(frozen=True)
class OffsetsField(Field):
    """Where each token of a text begins and ends, in characters."""

    numeric: ClassVar[bool] = True
    gold: ClassVar[bool] = False

    def store(self, value: Any) -> Sequence[float]:
        """Start and end of each token, one after another."""
        try:
            return [float(one) for start, end in value for one in (start, end)]
        except (TypeError, ValueError):
            raise ValueError(f"should be a start and an end for each token, found {value!r:.40}") from None

    def tables(self, column: Column, vocabularies: Vocabularies) -> None:
        """Nothing to look up."""

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch, time, 2), int64, -1 past the end of a row."""
        padded, _ = column.padded(rows)
        return torch.from_numpy(padded.reshape(len(padded), -1, 2))

    def sample(self, random: Random, length: int) -> list[tuple[int, int]]:
        """The places of made-up tokens."""
        return places(" ".join(_made_up(length)), _made_up(length))


@dataclass(frozen=True)
class AnswersField(Field):
    """The answers to a question: several where people differ, none where the text has none."""

    def store(self, value: Any) -> Sequence[str]:
        """Start, end and text of each answer, one after another."""
        try:
            answers = [Answer(*one) for one in value]
        except TypeError:
            raise ValueError(f"should be a list of (start, end, text), found {value!r:.40}") from None
        return [str(one) for answer in answers for one in answer]

    @staticmethod
    def texts(stored: Sequence[str]) -> list[str]:
        """The texts among what `store` gave."""
        return list(stored[2::3])

    def tables(self, column: Column, vocabularies: Vocabularies) -> None:
        """Nothing to look up."""

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch, 2): the first and the last token of the first answer within the row; UNLISTED where there is none."""
        return torch.tensor([_first(column.row(row)) for row in rows.tolist()])

    def sample(self, random: Random, length: int) -> list[Answer]:
        """One stretch of made-up tokens."""
        start, end = sorted(random.choices(range(length), k=2))
        return [Answer(start, end + 1, " ".join(_made_up(length)[start : end + 1]))]


def _first(stored: Sequence[str]) -> tuple[int, int]:
    spans = ((int(start), int(end)) for start, end in zip(stored[::3], stored[1::3], strict=True))
    return next(((start, end - 1) for start, end in spans if start != UNLISTED), (UNLISTED, UNLISTED))
