"""Vectors made of a word's character n-grams: their mean, so that words never seen have one too."""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from seqloom.config import Choice, Count, Name, Table
from seqloom.data.batch import Text
from seqloom.data.tokens import Index, View, ViewKind
from seqloom.data.vectors import Origin, Vectors
from seqloom.data.vocabulary import SPECIALS, Order, Vocabularies
from seqloom.embedders import Embedder
from seqloom.errors import ConfigError
from seqloom.progress import notice


class CharacterNgrams(Embedder):
    """The mean vector of a word's distinct character n-grams (Hashimoto et al. 2017; Bojanowski et al. 2017)."""

    class Config(Table):
        """`smallest`, `largest`: how many characters a gram has, the marks of the word's ends among them.

        `size` of a learnt table, or `vectors` to begin with, of a store whose words are written `2gram-ab`, with
        #BEGIN# and #END# for the ends; a table from vectors is frozen unless `trainable`. Grams that training did not
        have `minimum` times, or the store lacks, are left out. `buckets`: grams are hashed into so many rows instead,
        as fastText does, so that those that training lacks have one too.
        """

        type: Literal["ngrams"] = "ngrams"
        size: Count | None = None
        vectors: Annotated[str | None, Choice("vectors", names=("vectors",), inline=False)] = None
        trainable: bool | None = None
        smallest: Count = 2
        largest: Count = 4
        lower: bool = True
        minimum: Count = 1
        buckets: Count | None = None
        vocabulary: Name = "ngrams"

        @model_validator(mode="after")
        def _sized(self) -> "CharacterNgrams.Config":
            if (self.size is None) == (self.vectors is None):
                raise ValueError(
                    "needs a size, or vectors: the name of a store in the section vectors (one of the two)"
                )
            if self.buckets and (self.vectors is not None or self.minimum > 1):
                raise ValueError("buckets are learnt, one and all: leave vectors and minimum out")
            if self.smallest > self.largest:
                raise ValueError(f"smallest ({self.smallest}) should not be over largest ({self.largest})")
            return self

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """A word's n-grams."""
        kind: ViewKind = "hashes" if config.buckets else "ngrams"
        sizes = {"smallest": config.smallest, "buckets": config.buckets or 0}
        view = View(kind, config.largest, lower=config.lower, **sizes)
        order: Order = "appearance" if config.buckets else "frequency"
        return (Index(config.vocabulary, view, config.minimum, order=order),)

    def __init__(
        self, config: Any, *, vocabularies: Vocabularies, vectors: Vectors | Origin | None = None
    ) -> None:
        super().__init__()
        self.vocabulary = config.vocabulary
        grams = vocabularies[config.vocabulary]
        self.size = config.size or (vectors.size if vectors else 0)
        self.table = nn.EmbeddingBag(len(grams), self.size, mode="sum", padding_idx=0)
        nn.init.normal_(self.table.weight, std=self.size**-0.5)
        known = torch.ones(len(grams), dtype=torch.bool)
        with torch.no_grad():
            if isinstance(vectors, Vectors):
                match = vectors.match(grams.symbols[len(SPECIALS) :], loosest="exact")
                notice(f"vectors {config.vectors}: {match.coverage}")
                match.check(f"vectors {config.vectors}")
                if match.words and not match.found.any():
                    what = f"vectors {config.vectors}: none of the {len(match.words):,} n-grams has a vector"
                    raise ConfigError(f"{what}; its words should be written as {match.words[0]} is")
                known[len(SPECIALS) :] = torch.from_numpy(match.found)
                blank = np.zeros((len(SPECIALS), self.size), np.float32)
                self.table.weight.copy_(torch.from_numpy(np.concatenate([blank, match.vectors])))
            known[: len(SPECIALS)] = False
            self.table.weight[~known] = 0
        self.known: Tensor
        self.register_buffer("known", known)
        trainable = config.vectors is None if config.trainable is None else config.trainable
        self.table.weight.requires_grad_(trainable)

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size); zeros for a word without any known gram."""
        ids = text.ids[self.vocabulary]
        known = self.known[ids]
        bags = ids.masked_fill(~known, 0).flatten(0, 1)
        total: Tensor = self.table(bags).view(*ids.shape[:2], -1)
        return total / known.sum(-1, keepdim=True).clamp(min=1)
