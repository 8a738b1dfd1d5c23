"""A label for two texts: entailment, paraphrase."""

from typing import Any, Literal

import torch
from torch import Tensor

from seqloom.config import Count
from seqloom.heads import LabelHead, LabelTable


class Pair(LabelHead):
    """A perceptron over what the vectors of two texts are and how they differ; or a BCN.

    Features are [u; v; |u - v|; u * v] (Mou et al. 2016; Conneau et al. 2017), or, where the order of the texts means
    nothing, [|u - v|; u * v] (Tai et al. 2015).
    """

    class Config(LabelTable):
        """`symmetric`: whether the order of the texts means nothing. All other keys are those of `classify`."""

        type: Literal["pair"] = "pair"
        hidden: list[Count] = [512]
        symmetric: bool = False

    encodes = ("premise", "hypothesis")

    def __init__(self, config: Any, **words: Any) -> None:
        super().__init__(config, **words)
        self.symmetric = config.symmetric

    @classmethod
    def features(cls, config: Any, size: int) -> int:
        """Two or four times the size."""
        return (2 if config.symmetric else 4) * size

    def joined(self, *vectors: Tensor) -> Tensor:
        """The vectors, unless their order means nothing, their distances and their products."""
        u, v = vectors
        relations = (u - v).abs(), u * v
        return torch.cat(relations if self.symmetric else (u, v, *relations), -1)
