"""Vectors made of a word's characters by a convolutional network with highway layers."""

from typing import Any, Literal

from torch import Tensor

from seqloom.config import Count, Name, Natural, Table
from seqloom.data.batch import Text
from seqloom.data.tokens import Index, View
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder
from seqloom.nn.characters import CharacterCNN


class Characters(Embedder):
    """Character vectors, windows of several widths, maximum over a word, highway layers (Kim et al. 2016)."""

    class Config(Table):
        """`filters`: how many features for each window width; `size`: numbers in a character's vector."""

        type: Literal["chars"] = "chars"
        size: Count = 25
        filters: dict[Count, Count] = {2: 20, 3: 20, 4: 20}
        highway: Natural = 1
        activation: Literal["relu", "tanh", "selu"] = "relu"
        vocabulary: Name = "chars"
        minimum: Count = 1
        lower: bool = False

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """A word's characters."""
        return (Index(config.vocabulary, View("characters", lower=config.lower), config.minimum),)

    def __init__(self, config: Any, *, vocabularies: Vocabularies) -> None:
        super().__init__()
        self.vocabulary = config.vocabulary
        self.network = CharacterCNN(
            config.filters,
            len(vocabularies[config.vocabulary]),
            config.size,
            highway=config.highway,
            activation=config.activation,
        )
        self.size = self.network.out

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        vectors: Tensor = self.network(text.ids[self.vocabulary])
        return vectors
