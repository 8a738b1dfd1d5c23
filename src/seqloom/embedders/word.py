"""One vector for each word of a vocabulary, learnt or from a store of word vectors."""

from typing import Annotated, Any, Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from seqloom.config import Choice, Count, Share, Table
from seqloom.data.batch import Text
from seqloom.data.tokens import Index, View
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder, VocabularyName
from seqloom.nn.dropout import WordDropout


class Word(Embedder):
    """A row of a table for each word."""

    class Config(Table):
        """`size` of a learnt table, or `vectors` to begin with; a table from vectors is frozen unless `trainable`."""

        type: Literal["word"] = "word"
        size: Count | None = None
        vectors: Annotated[str | None, Choice("vectors", names=("vectors",), inline=False)] = None
        trainable: bool | None = None
        vocabulary: VocabularyName = "words"
        minimum: Count = 1
        lower: bool = False
        digits: Literal["keep", "zero"] = "keep"
        dropout: Share = 0.0

        @model_validator(mode="after")
        def _sized(self) -> "Word.Config":
            if self.size is None and self.vectors is None:
                raise ValueError("needs a size, or vectors: the name of a store in the section vectors")
            return self

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """The word itself."""
        view = View("word", lower=config.lower, zeros=config.digits == "zero")
        return (Index(config.vocabulary, view, config.minimum),)

    def __init__(self, config: Any, *, vocabularies: Vocabularies, vectors: Any = None) -> None:
        super().__init__()
        self.vocabulary = config.vocabulary
        words = vocabularies[config.vocabulary]
        self.size = config.size or vectors.size
        self.table = nn.Embedding(len(words), self.size, padding_idx=0)
        nn.init.normal_(self.table.weight, std=self.size**-0.5)
        with torch.no_grad():
            self.table.weight[0].zero_()
        self.unknown = WordDropout(config.dropout, unknown=1)

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        vectors: Tensor = self.table(self.unknown(text.ids[self.vocabulary]))
        return vectors
