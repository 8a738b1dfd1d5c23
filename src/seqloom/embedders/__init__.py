"""Embedders: the first half of step 5, from ids to vectors. One file, one kind."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from seqloom.config import Part, part
from seqloom.data.batch import Text
from seqloom.data.tokens import Index


class Embedder(nn.Module, Part):
    """Vectors for the tokens of a text.

    A kind is built as `Kind(config, vocabularies=..., **parts)`, where `parts` are what the reference fields of its
    table name, built: `of=[...]` for `of: [glove, chars]`.
    """

    family: ClassVar[str] = "embedders"
    private: ClassVar[bool] = False
    """Whether its vocabularies come with it, out of the model `of`, under names that begin with its: `NAME+words`."""
    weighs: ClassVar[bool] = False
    """Whether it weighs sets of vectors against each other, so that each may be `of` it only once."""
    size: int
    """Numbers in each token's vector."""
    causal: bool = True
    """Whether a token's vector depends on no later token."""
    backward: bool = True
    """Whether it depends on no earlier token; most kinds' depends on neither."""
    steady: bool = False
    """Whether its vectors are the same in training as in evaluation."""
    drops: bool = False
    """Whether it leaves tokens out of a text before that is encoded; see `reduced`."""

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """How texts must be looked up for this table alone (not for the embedders it refers to)."""
        return ()

    @classmethod
    def store(cls, config: Any) -> str | None:
        """The name of the store that its vectors begin with; None if they come of none."""
        return None

    @classmethod
    def arranged(cls, config: Any) -> dict[str, Any]:
        """The keys by which weights of equal shape stand for something else; those of two models must agree."""
        return {}

    def reduced(self, text: Text) -> Text:
        """The text as it is to be embedded and encoded: all of it, but for a kind that drops tokens."""
        return text

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        raise TypeError(f"{type(self).__name__} does not embed")

    @property
    def scoring(self) -> bool:
        """Whether its vectors can score the words of its vocabulary."""
        return self.rows() is not None

    def rows(self) -> Tensor | None:
        """The vectors of its vocabulary as one table (words, size); None where it has none of that form."""
        return None

    def whole(self) -> Tensor:
        """The same, put together where it is of another form; only where `scoring`."""
        rows = self.rows()
        if rows is None:
            raise TypeError(f"{type(self).__name__} scores no words")
        return rows

    def scores(self, hidden: Tensor) -> Tensor:
        """Scores (..., words) of its vocabulary's words by their vectors, for hidden (..., size)."""
        return functional.linear(hidden, self.whole())

    def weights(self, text: Text) -> dict[str, Tensor]:
        """How much each of the sets that it mixes counts for each token: (batch, time) by name; {} if it mixes none."""
        return {}

    def vectors(self) -> "Sequence[Embedder]":
        """The embedders that this one is made of, itself if of none."""
        return [self]


def distinct(names: Sequence[str]) -> list[str]:
    """The names, those that came before with a number behind."""
    counted = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return [name if count == 1 else f"{name} {count}" for name, count in zip(names, counted, strict=True)]


def indexes(name: str, table: Any) -> tuple[Index, ...]:
    """How texts must be looked up for the table of an embedder of that name, alone."""
    kind: Any = part("embedders", table.type)
    found: tuple[Index, ...] = kind.indexes(table)
    if not kind.private:
        return found
    return tuple(replace(one, vocabulary=f"{inner(name)}{one.vocabulary}") for one in found)


def inner(name: str) -> str:
    """What the vocabularies of a `private` embedder of that name begin with; no other name has this sign."""
    return f"{name}+"
