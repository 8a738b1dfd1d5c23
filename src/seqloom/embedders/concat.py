"""Several embedders side by side."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from seqloom.config import Choice, Share, Table
from seqloom.data.batch import Text
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder, distinct
from seqloom.nn.dropout import LockedDropout

Member = Annotated[str | Table, Choice("embedders", names=("embedders", "vectors"))]


class Concat(Embedder):
    """The vectors of several embedders, one after another, with dropout on the whole."""

    class Config(Table):
        """`of`: names or definitions; `dropout` drops single numbers, `locked` the same numbers all along a text."""

        type: Literal["concat"] = "concat"
        of: Annotated[list[Member], Field(min_length=1)]
        dropout: Share = 0.0
        locked: Share = 0.0

    def __init__(self, config: Any, *, vocabularies: Vocabularies, of: Sequence[Embedder]) -> None:
        super().__init__()
        # The model owns every embedder under its own name; a list of them here would own them twice.
        self._of = tuple(of)
        self.size = sum(one.size for one in of)
        self.causal = all(one.causal for one in of)
        self.backward = all(one.backward for one in of)
        self.dropout = torch.nn.Dropout(config.dropout)
        self.locked = LockedDropout(config.locked)

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        side_by_side = torch.cat([one(text) for one in self._of], dim=-1)
        dropped: Tensor = self.locked(self.dropout(side_by_side))
        return dropped

    def weights(self, text: Text) -> dict[str, Tensor]:
        """Those of the embedders in a row that mix sets."""
        found = [pair for one in self._of for pair in one.weights(text).items()]
        return dict(zip(distinct([name for name, _ in found]), [weight for _, weight in found], strict=True))

    def vectors(self) -> Sequence[Embedder]:
        """The embedders in a row."""
        return [inner for one in self._of for inner in one.vectors()]
