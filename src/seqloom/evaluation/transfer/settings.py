"""How classifiers are trained and chosen: SentEval's two published settings, and its two kinds of classifier."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from seqloom.config import unknown
from seqloom.errors import ConfigError
from seqloom.evaluation.transfer.folds import SEED
from seqloom.evaluation.transfer.perceptrons import Perceptron

Kind = Literal["perceptron", "logistic"]

DECAYS = (1e-5, 1e-4, 1e-3, 1e-2)
"""The weight decays that perceptrons try."""
STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "nested": tuple(2.0**power for power in range(-2, 4)),
    "split": tuple(2.0**power for power in range(-2, 4)),
    "folds": tuple(2.0**power for power in range(-1, 6)),
}
"""The C that logistic regressions try, by protocol."""


@dataclass(frozen=True)
class Settings:
    """How a task's classifiers are trained and chosen.

    Args:
        kind: perceptrons trained by gradients, or scikit-learn's logistic regression.
        folds: of the cross-validations, outer and inner.
        perceptron: how those are trained.
        seed: of folds, first weights and orders.
        first: only so many labelled examples are learnt from, drawn by the seed; None for all.

    Raises:
        ConfigError: no such kind, or fewer than two folds or examples.
    """

    kind: Kind = "perceptron"
    folds: int = 10
    perceptron: Perceptron = field(default_factory=Perceptron)
    seed: int = SEED
    first: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(unknown("kind", self.kind, get_args(Kind)))
        for name, count in (("folds", self.folds), ("first", self.first)):
            if count is not None and count < 2:
                raise ConfigError(f"{name} is {count}, and at least 2 are needed")

    def told(self) -> dict[str, Any]:
        """The settings as plain values."""
        values = asdict(self)
        if self.kind == "logistic":
            del values["perceptron"]
        return values


SETTINGS: Mapping[str, Settings] = {
    "default": Settings(),
    "prototyping": Settings(
        folds=5, perceptron=Perceptron(optimizer="rmsprop", batch=128, tenacity=3, epoch_size=2)
    ),
    "logistic": Settings(kind="logistic"),
}
"""By name: SentEval's published setting, its quick one, and scikit-learn's classifier."""
