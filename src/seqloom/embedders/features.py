"""Vectors of a word's outline and affixes: what a hand-made tagger looks at, learnt."""

from typing import Any, Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from seqloom.config import Count, Name, Table
from seqloom.data.batch import Text
from seqloom.data.tokens import Index, View
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder


class Features(Embedder):
    """A small table for the word's shape and for each prefix and suffix length, side by side."""

    class Config(Table):
        """`prefixes`, `suffixes`: the lengths to use; `size`: numbers for each feature."""

        type: Literal["features"] = "features"
        shape: bool = True
        prefixes: list[Count] = [1, 2, 3, 4]
        suffixes: list[Count] = [1, 2, 3, 4]
        size: Count = 16
        lower: bool = True
        minimum: Count = 1
        vocabulary: Name | None = None

        @model_validator(mode="after")
        def _some(self) -> "Features.Config":
            if not (self.shape or self.prefixes or self.suffixes):
                raise ValueError("uses no feature; set shape, prefixes or suffixes")
            return self

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """One index a feature; `vocabulary`, if set, is put before their names to keep them apart."""
        mark = f"{config.vocabulary}-" if config.vocabulary else ""
        views = [("shape", View("shape"))] if config.shape else []
        views += [(f"prefix{size}", View("prefix", size, lower=config.lower)) for size in config.prefixes]
        views += [(f"suffix{size}", View("suffix", size, lower=config.lower)) for size in config.suffixes]
        return tuple(Index(mark + name, view, config.minimum) for name, view in views)

    def __init__(self, config: Any, *, vocabularies: Vocabularies) -> None:
        super().__init__()
        self.names = [index.vocabulary for index in self.indexes(config)]
        self.tables = nn.ModuleDict({name: _table(len(vocabularies[name]), config.size) for name in self.names})
        self.size = config.size * len(self.names)

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        return torch.cat([self.tables[name](text.ids[name]) for name in self.names], dim=-1)


def _table(rows: int, size: int) -> nn.Embedding:
    table = nn.Embedding(rows, size, padding_idx=0)
    nn.init.normal_(table.weight, std=size**-0.5)
    table.weight.data[0].zero_()
    return table
