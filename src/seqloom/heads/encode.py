"""The vector of a text: what an encoder without a task is saved with."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from seqloom.config import Table
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.fields import Field, TextField
from seqloom.heads import Head
from seqloom.nn.pooling import pool


class Encode(Head):
    """The vector of each text, as its encoder makes it; it learns nothing, and nothing is trained with it."""

    class Config(Table):
        """`text`: the column to read; `pool`: how states become one vector, unless whoever encodes says otherwise."""

        type: Literal["encode"] = "encode"
        text: str = "text"
        pool: Literal["mean", "max", "last"] = "mean"

    def __init__(self, config: Any, **words: Any) -> None:
        super().__init__(config, **words)
        self.encodes, self.pool = (config.text,), config.pool

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """Its text."""
        return {config.text: TextField()}

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """None: there is nothing to be right about."""
        return ()

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """No loss; scores are the vectors, (batch, size)."""
        text = encoded[self.encodes[0]]
        vectors = text.final if self.pool == "last" else pool(text.states, text.lengths, self.pool)
        return Output(None, len(batch), vectors)

    def decode(self, output: Output, batch: Batch) -> list[list[float]]:
        """The vectors as lists of numbers."""
        found: list[list[float]] = output.scores.tolist()
        return found

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """No figures."""
        return {}

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> None:
        """Nothing."""
