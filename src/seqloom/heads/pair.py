"""A label for two texts: entailment, paraphrase."""

from typing import Literal

from seqloom.config import Count
from seqloom.heads import LabelHead, PairedHead, ScorerTable


class Pair(PairedHead, LabelHead):
    """A perceptron over what the vectors of two texts are and how they differ; or a BCN.

    Features are [u; v; |u - v|; u * v] (Mou et al. 2016; Conneau et al. 2017), or, where the order of the texts means
    nothing, [|u - v|; u * v] (Tai et al. 2015).
    """

    class Config(ScorerTable):
        """`symmetric`: whether the order of the texts means nothing. All other keys are those of `classify`."""

        type: Literal["pair"] = "pair"
        hidden: list[Count] = [512]
        symmetric: bool = False
