"""Word vectors that are long for frequent words and short for rare ones."""

from typing import Any, Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from seqloom.config import Count, Name, Positive, Share, Table
from seqloom.data.batch import Text
from seqloom.data.tokens import Index, View
from seqloom.data.vocabulary import Order, Vocabularies, Vocabulary
from seqloom.embedders import Embedder
from seqloom.nn.dropout import WordDropout
from seqloom.nn.sparse_embedding import SparseEmbedding


class Sparse(Embedder):
    """A row of a table for each word, of which rare words have the first numbers alone (Demeester et al. 2018)."""

    class Config(Table):
        """`size`: numbers in the longest vectors; `density`: the share of the table that is kept, in `blocks`.

        `order`: which words have long vectors: `up` frequent ones; as controls `down` rare ones, `rand` any, and
        `none` those that appear late in training. `shape`: how many words have each block: `falling`, or as the
        `published` program rounds. `rotated`: whether vectors are turned by a matrix, as those of compressed tables
        are. `trainable`: whether the table learns. `minimum`, `most`: how often a word must occur in training to be
        listed, and how many may be. `dropout`: share of words read as unknown in training; `drop_words`: share of the
        vocabulary whose vectors are 0 there; `locked`: rate on the numbers of a vector, with one mask all along a text.
        """

        type: Literal["sparse"] = "sparse"
        size: Count
        blocks: Count = 10
        density: Positive = 0.5
        order: Literal["up", "down", "rand", "none"] = "up"
        shape: Literal["falling", "published"] = "falling"
        rotated: bool = False
        trainable: bool = True
        vocabulary: Name = "words"
        minimum: Count = 1
        most: Count | None = None
        lower: bool = False
        digits: Literal["keep", "zero"] = "keep"
        dropout: Share = 0.0
        drop_words: Share = 0.0
        locked: Share = 0.0

        @model_validator(mode="after")
        def _kept(self) -> "Sparse.Config":
            blocks = min(self.blocks, self.size)
            if self.density > 1 or self.density * blocks < 1 or (blocks == 1 and self.density < 1):
                least = f"1/{blocks}, the first of {blocks} blocks," if blocks > 1 else "1 with one block,"
                raise ValueError(f"density {self.density:g}: it lies from {least} to 1")
            return self

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """The word itself; its vocabulary is in order of appearance where that is to be the order."""
        view = View("word", lower=config.lower, zeros=config.digits == "zero")
        order: Order = "appearance" if config.order == "none" else "frequency"
        return (Index(config.vocabulary, view, config.minimum, config.most, order),)

    @classmethod
    def arranged(cls, config: Any) -> dict[str, Any]:
        """Which word has which row, and whether rows are turned."""
        return {key: getattr(config, key) for key in ("order", "shape", "rotated")}

    def __init__(self, config: Any, *, vocabularies: Vocabularies) -> None:
        super().__init__()
        words = vocabularies[config.vocabulary]
        self.vocabulary, self.size = config.vocabulary, config.size
        self.table = SparseEmbedding(
            len(words),
            config.size,
            config.blocks,
            config.density,
            # A vocabulary goes from frequent words to rare ones.
            order="down" if config.order in ("up", "rand") else "up",
            pinned=words.pinned,
            places=_shuffled(words) if config.order == "rand" else None,
            shape=config.shape,
            drop_words=config.drop_words,
            dropout=config.locked,
        )
        for block in self.table.blocks:
            nn.init.normal_(block, std=self.size**-0.5)  # as other word tables begin
        self.unknown = WordDropout(config.dropout, unknown=1)
        self.rotation = nn.Parameter(torch.eye(config.size)) if config.rotated else None
        self.requires_grad_(config.trainable)

    @property
    def scoring(self) -> bool:
        """Its vectors can, though they are no whole table."""
        return True

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        vectors: Tensor = self.table(self.unknown(text.ids[self.vocabulary]))
        return vectors if self.rotation is None else vectors @ self.rotation

    def whole(self) -> Tensor:
        """The vectors (words, size), zeros with them."""
        table = self.table.dense()
        return table if self.rotation is None else table @ self.rotation

    def scores(self, hidden: Tensor) -> Tensor:
        """Scores (..., words) by the words' vectors, for hidden (..., size)."""
        return self.table.scores(hidden if self.rotation is None else hidden @ self.rotation.t())


def _shuffled(words: Vocabulary) -> Tensor:
    """A place for each word, always the same; special symbols keep theirs."""
    random = torch.Generator().manual_seed(0)
    shuffled = words.pinned + torch.randperm(len(words) - words.pinned, generator=random)
    return torch.cat([torch.arange(words.pinned), shuffled])
