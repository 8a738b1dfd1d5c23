"""How related two texts are, on a scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal

import pydantic
import torch
from torch import Tensor
from torch.nn import functional

from seqloom.config import Count
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.fields import Field, NumberField, TextField
from seqloom.data.vocabulary import Vocabularies
from seqloom.heads import PairedHead, ScorerTable
from seqloom.metrics import mean, pearson, spearman


@dataclass(frozen=True)
class ScaleField(NumberField):
    """A number for the whole row, from `lowest` to `highest`."""

    lowest: float = 0
    highest: float = 5

    def store(self, value: Any) -> Sequence[float]:
        """The number; one outside the scale is refused."""
        (number,) = super().store(value)
        if not self.lowest <= number <= self.highest:
            raise ValueError(
                f"{number:g} is not on the scale from {self.lowest:g} to {self.highest:g}; mend or leave out the row,"
                " or set the head's `lowest` and `highest`"
            )
        return [number]

    def sample(self, random: Random, length: int) -> float:
        """A number of the scale."""
        return random.uniform(self.lowest, self.highest)


def sparse_distribution(values: Tensor, numbers: Tensor) -> Tensor:
    """The distributions over whole numbers with these means in which only the two nearest numbers have a share.

    Tai, Socher and Manning, "Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks"
    (2015), equation 16.

    Args:
        values: (batch,), none below the first number or above the last.
        numbers: (size,), rising by 1.

    Returns:
        (batch, size) shares that sum to 1.
    """
    return (1 - (values.unsqueeze(1) - numbers).abs()).clamp_min(0)


class Relate(PairedHead):
    """A perceptron over how the vectors of two texts differ, or a BCN, that gives a number (Tai et al. 2015).

    With the loss `distribution` (section 4.2, equation 15) it gives a softmax over the whole numbers of the scale,
    which is to come near the gold distribution in Kullback-Leibler divergence; the number is its mean.
    """

    class Config(ScorerTable):
        """`lowest`, `highest`: the ends of the scale, such as 1 and 5 of SICK-R.

        `loss`: `distribution`, over the scale's whole numbers, or `squared`, the mean squared error of a sigmoid
        stretched over the scale. `symmetric`: whether the order of the texts means nothing. All other keys are those of
        `classify`; the paper's `activation` is `sigmoid`, with which learning begins more slowly.
        """

        besides: ClassVar[frozenset[str]] = ScorerTable.besides | {"lowest", "highest", "loss"}

        type: Literal["relate"] = "relate"
        lowest: pydantic.FiniteFloat = 0.0
        highest: pydantic.FiniteFloat = 5.0
        loss: Literal["distribution", "squared"] = "distribution"
        hidden: list[Count] = [50]
        activation: Literal["relu", "tanh", "sigmoid"] = "tanh"
        symmetric: bool = True

        @pydantic.model_validator(mode="after")
        def _scale(self) -> "Relate.Config":
            if self.lowest >= self.highest:
                raise ValueError(f"lowest, {self.lowest:g}, should be below highest, {self.highest:g}")
            if self.loss == "distribution" and not (self.lowest.is_integer() and self.highest.is_integer()):
                raise ValueError(
                    "a distribution wants whole numbers as lowest and highest; or set loss: squared"
                )
            return self

    falling: ClassVar[frozenset[str]] = frozenset({"mse"})

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """Both texts and `score`."""
        return {
            **{name: TextField() for name in cls.encodes},
            "score": ScaleField(config.lowest, config.highest),
        }

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """Both correlations and the mean squared error."""
        return ("pearson", "spearman", "mse")

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        return (
            "pearson, spearman: correlation in percent, equal values sharing a rank, 0 where a side does not vary;"
            f" mse: mean squared error on the scale from {config.lowest:g} to {config.highest:g}"
        )

    def __init__(self, config: Any, **words: Any) -> None:
        super().__init__(config, **words)
        self.lowest: float = config.lowest
        self.highest: float = config.highest
        self.loss: str = config.loss

    @classmethod
    def outputs(cls, config: Any, vocabularies: Vocabularies) -> int:
        """One for each whole number of the scale, or one."""
        return int(config.highest - config.lowest) + 1 if config.loss == "distribution" else 1

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over rows; scores (batch, numbers of the scale), before their softmax, or (batch, 1)."""
        scores = self.scored(encoded)
        gold = batch.tensor("score")
        if gold is None:
            return Output(None, len(batch), scores)
        if self.loss == "distribution":
            target = sparse_distribution(gold, self._numbers(scores))
            loss = functional.kl_div(scores.log_softmax(-1), target, reduction="sum")
        else:
            loss = functional.mse_loss(self._predicted(scores), gold, reduction="sum")
        return Output(loss, len(batch), scores)

    def _numbers(self, scores: Tensor) -> Tensor:
        return torch.arange(scores.shape[1], device=scores.device) + self.lowest

    def _predicted(self, scores: Tensor) -> Tensor:
        if self.loss == "distribution":
            return (scores.softmax(-1) * self._numbers(scores)).sum(-1)
        return self.lowest + (self.highest - self.lowest) * scores.squeeze(1).sigmoid()

    def decode(self, output: Output, batch: Batch) -> list[float]:
        """How related the texts of each row are."""
        found: list[float] = self._predicted(output.scores).tolist()
        return found

    def explain(self, output: Output, batch: Batch) -> list[dict[str, Any]]:
        """The prediction and, where there is one, the `distribution`: the share of each whole number."""
        told = super().explain(output, batch)
        if self.loss == "squared":
            return told
        numbers = [f"{number:g}" for number in self._numbers(output.scores).tolist()]
        shares = output.scores.softmax(-1).tolist()
        return [
            {**one, "distribution": dict(zip(numbers, row, strict=True))}
            for one, row in zip(told, shares, strict=True)
        ]

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> float:
        """The score."""
        return float(stored["score"][0])

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Both correlations in percent, and the mean squared error."""
        squares = [(ours - theirs) ** 2 for ours, theirs in zip(predicted, gold, strict=True)]
        correlations = {"pearson": 100 * pearson(predicted, gold), "spearman": 100 * spearman(predicted, gold)}
        return {**correlations, "mse": mean(squares)}

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """The number with three digits."""
        return f"{predicted:.3f}\n"
