"""A label for a whole text: topic, sentiment, question type."""

from typing import Any, Literal

from torch import Tensor

from seqloom.heads import LabelHead, ScorerTable


class Classify(LabelHead):
    """States pooled into one vector, and a perceptron over it; or a BCN, where the text is compared with itself."""

    class Config(ScorerTable):
        """`pool`: how states become one vector; `hidden`: numbers in each hidden layer of the perceptron.

        `dropout`: on the vector and in the hidden layers, unless `input_dropout` is set apart for the vector.
        `initial`: `xavier` begins the perceptron with Xavier's weights and biases near 0, as DME's program does.
        `bcn`: the biattentive classification network instead of all these (McCann et al. 2017, section 5), with
        `hidden` numbers a direction; 1 or 2 `integrators`, one for each side of the comparison; maxout layers, the
        first smaller than what it reads by the `reduction`, of so many `pieces` a unit; one rate of dropout, or three.
        """

        type: Literal["classify"] = "classify"

    @classmethod
    def features(cls, config: Any, size: int) -> int:
        """Those of the vector."""
        return size

    def joined(self, *vectors: Tensor) -> Tensor:
        """The one vector."""
        return vectors[0]
