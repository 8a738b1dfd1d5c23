"""Either kind of classifier behind one face: train for all fits and penalties, choose, predict."""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from seqloom.errors import ConfigError
from seqloom.evaluation.transfer import perceptrons
from seqloom.evaluation.transfer.folds import Fit, spared, watched
from seqloom.evaluation.transfer.settings import DECAYS, STRENGTHS, Settings


class Trained(Protocol):
    """Classifiers after training; `accuracy` is (fits, penalties) on the dev rows."""

    accuracy: np.ndarray

    def predicted(self, fit: int, rows: np.ndarray) -> np.ndarray:
        """The classes (penalties, rows) that a fit's classifiers give to some rows."""


class Classifiers:
    """Classifiers over one matrix of vectors.

    Args:
        vectors: (rows, size).
        labels: (rows,) classes from 0.
        settings: how they are trained.
        protocol: which penalties they try.
    """

    def __init__(
        self, vectors: np.ndarray, labels: np.ndarray, settings: Settings, protocol: str, searches: bool = True
    ) -> None:
        self.vectors, self.labels, self.settings = vectors, labels.astype(np.int64), settings
        self.neural = settings.kind == "perceptron"
        tried = DECAYS if self.neural else STRENGTHS[protocol]
        self.penalties = tried if searches else (1e-9,) if self.neural else (1e9,)

    def train(self, fits: Sequence[Fit], penalties: Sequence[float] | None = None) -> Trained:
        """Train every penalty for every fit, or for each fit the one that is given."""
        table = np.tile(self.penalties, (len(fits), 1)) if penalties is None else np.array(penalties)[:, None]
        return (_Neural if self.neural else _Logistic)(self, fits, table)

    def last(self, rows: np.ndarray) -> Fit:
        """A fit of all rows: perceptrons spare some to stop by."""
        none = np.array([], dtype=np.int64)
        return spared(rows, self.settings.seed) if self.neural else watched(rows, none)


class _Neural:
    def __init__(self, problem: Classifiers, fits: Sequence[Fit], penalties: np.ndarray) -> None:
        self.vectors = torch.from_numpy(np.ascontiguousarray(problem.vectors, dtype=np.float32))
        labels, settings = torch.from_numpy(problem.labels), problem.settings
        self.fitted = perceptrons.fit(self.vectors, labels, fits, penalties, settings.perceptron, settings.seed)
        self.accuracy = self.fitted.accuracy

    def predicted(self, fit: int, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.fitted.predicted(fit, self.vectors[torch.from_numpy(rows)]).numpy()
        return found


class _Logistic:
    def __init__(self, problem: Classifiers, fits: Sequence[Fit], penalties: np.ndarray) -> None:
        self.problem = problem
        self.models = [
            [self._solved(one.train, strength) for strength in row]
            for one, row in zip(fits, penalties, strict=True)
        ]
        self.accuracy = np.array(
            [
                [np.mean(found == problem.labels[one.dev]) if len(one.dev) else 0.0 for found in found_by_fit]
                for one, found_by_fit in (
                    (one, self.predicted(place, one.dev)) for place, one in enumerate(fits)
                )
            ]
        )

    def _solved(self, rows: np.ndarray, strength: float) -> Any:
        regression = _regression()(C=strength, random_state=self.problem.settings.seed)
        if len(np.unique(self.problem.labels[rows])) < 2:
            what = f"the {len(rows)} examples to learn from are of one class"
            raise ConfigError(f"{what}; learn from more (--first), or by another --setting")
        with warnings.catch_warnings():
            # That it stops after a hundred steps is part of the protocol.
            warnings.filterwarnings("ignore", "lbfgs failed to converge")
            return regression.fit(self.problem.vectors[rows], self.problem.labels[rows])

    def predicted(self, fit: int, rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.empty((len(self.models[fit]), 0), dtype=np.int64)
        return np.stack([one.predict(self.problem.vectors[rows]) for one in self.models[fit]])


def _regression() -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        what = 'logistic regressions are scikit-learn\'s: pip install "seqloom[eval]"'
        raise ConfigError(f"{what}, or take another --setting") from None
    return LogisticRegression
