"""One vector for each word of a vocabulary, learnt or from a store of word vectors."""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from seqloom.config import Choice, Count, Name, Share, Table
from seqloom.data.batch import Text
from seqloom.data.tokens import Index, View
from seqloom.data.vectors import Origin, Vectors
from seqloom.data.vocabulary import SPECIALS, Vocabularies, Vocabulary
from seqloom.embedders import Embedder
from seqloom.errors import ConfigError
from seqloom.nn.dropout import EmbeddingDropout, WordDropout
from seqloom.progress import notice


class Word(Embedder):
    """A row of a table for each word."""

    class Config(Table):
        """`size` of a learnt table, or `vectors` to begin with; a table from vectors is frozen unless `trainable`.

        `loosest`: how far a word may be from the one in the store: as it is, in lower case, with digits as 0.
        `unknown`: what a word without a vector begins with; `center`: whether the mean of the vectors found is taken
        off them; `coverage`: the share of words that must have one. `minimum`, `most`: how often a word must occur in
        training to be listed, and how many may be. `dropout`: share of words read as unknown in training; `drop_words`:
        share of the vocabulary whose vectors are zero, wherever the words stand in a batch.
        """

        type: Literal["word"] = "word"
        size: Count | None = None
        vectors: Annotated[str | None, Choice("vectors", names=("vectors",), inline=False)] = None
        trainable: bool | None = None
        loosest: Literal["exact", "lower", "digits"] = "digits"
        unknown: Literal["zero", "normal", "uniform", "rare"] = "zero"
        center: bool = False
        coverage: Share = 0.0
        vocabulary: Name = "words"
        minimum: Count = 1
        most: Count | None = None
        lower: bool = False
        digits: Literal["keep", "zero"] = "keep"
        dropout: Share = 0.0
        drop_words: Share = 0.0

        @model_validator(mode="after")
        def _sized(self) -> "Word.Config":
            if self.size is None and self.vectors is None:
                raise ValueError("needs a size, or vectors: the name of a store in the section vectors")
            if self.vectors is None and (idle := self.changed("loosest", "unknown", "center", "coverage")):
                raise ValueError(f"without vectors nothing reads {idle}; leave it out, or name a store")
            return self

        @property
        def frozen(self) -> bool:
            """Whether its rows stay as they are."""
            return self.vectors is not None if self.trainable is None else not self.trainable

    @classmethod
    def store(cls, config: Any) -> str | None:
        """The one that it is given."""
        name: str | None = config.vectors
        return name

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """The word itself."""
        view = View("word", lower=config.lower, zeros=config.digits == "zero")
        return (Index(config.vocabulary, view, config.minimum, config.most),)

    def __init__(
        self, config: Any, *, vocabularies: Vocabularies, vectors: Vectors | Origin | None = None
    ) -> None:
        super().__init__()
        self.vocabulary = config.vocabulary
        words = vocabularies[config.vocabulary]
        if vectors is not None and config.size not in (None, vectors.size):
            what = f"its size is {config.size}, that of the vectors {config.vectors} is {vectors.size}"
            raise ConfigError(f"a word embedder: {what}; leave size out")
        self.size = config.size or (vectors.size if vectors else 0)
        self.table = nn.Embedding(len(words), self.size, padding_idx=0)
        nn.init.normal_(self.table.weight, std=self.size**-0.5)
        with torch.no_grad():
            if isinstance(vectors, Vectors):
                self.table.weight.copy_(torch.from_numpy(_looked_up(words, vectors, config)))
            self.table.weight[0].zero_()
        self.table.weight.requires_grad_(not config.frozen)
        self.unknown = WordDropout(config.dropout, unknown=1)
        self.dropped = EmbeddingDropout(config.drop_words, len(words))

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        ids = self.unknown(text.ids[self.vocabulary])
        vectors: Tensor = self.dropped(self.table(ids), ids)
        return vectors

    def rows(self) -> Tensor:
        """Its table."""
        return self.table.weight


def _looked_up(words: Vocabulary, vectors: Vectors, config: Any) -> np.ndarray:
    match = vectors.match(words.symbols[len(SPECIALS) :], loosest=config.loosest)
    notice(f"vectors {config.vectors}: {match.coverage}")
    share = match.found.mean() if len(match.found) else 1.0
    if share <= 0 or share < config.coverage:
        what = f"vectors {config.vectors}: {match.coverage}"
        wanted = f"; at least {config.coverage:.1%} should, or lower coverage" if config.coverage else ""
        remedy = "take vectors of this language, of words that are cut alike"
        raise ConfigError(f"a word embedder: {what}{wanted}; {remedy}")
    match.check(f"vectors {config.vectors}")
    if config.center and match.found.any():
        match = match.centred()
    found = match.filled(config.unknown, seed=0)
    # The unknown word stands for all that have no vector.
    special = np.zeros((len(SPECIALS), vectors.size), np.float32)
    if config.unknown == "rare" and match.found.any():
        special[1] = match.rare()
    return np.concatenate([special, found])
