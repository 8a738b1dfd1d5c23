"""Folds for cross-validation, and the rows that a fit of a classifier learns from and is watched on."""

from dataclasses import dataclass, field

import numpy as np

from seqloom.errors import ConfigError

SEED = 1111
"""The seed of SentEval's folds and classifiers."""


def stratified(labels: np.ndarray, folds: int, seed: int = SEED) -> np.ndarray:
    """The fold of each row: (rows,), shuffled, every class spread evenly, the same as scikit-learn's for a seed.

    Raises:
        ConfigError: no class has as many rows as there are folds.
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    classes = np.argsort(np.argsort(first))[inverse]
    if np.bincount(classes).max() < folds:
        what = f"{len(labels)} examples cannot make {folds} folds, for no class has {folds} of them"
        raise ConfigError(f"{what}; learn from more examples (--first), or with fewer folds")
    ordered, random = np.sort(classes), np.random.RandomState(seed)
    shares = np.stack([np.bincount(ordered[fold::folds], minlength=len(first)) for fold in range(folds)])
    found = np.empty(len(labels), dtype=np.int64)
    for one in range(len(first)):
        mine = np.repeat(np.arange(folds), shares[:, one])
        random.shuffle(mine)
        found[classes == one] = mine
    return found


@dataclass(frozen=True)
class Fit:
    """The rows that a classifier learns from and those that stop it, with the random numbers it shuffles by."""

    train: np.ndarray
    dev: np.ndarray
    random: np.random.RandomState = field(default_factory=lambda: np.random.RandomState(SEED))


def watched(train: np.ndarray, dev: np.ndarray, seed: int = SEED) -> Fit:
    """A fit with rows of its own to stop by."""
    return Fit(train, dev, np.random.RandomState(seed))


def spared(rows: np.ndarray, seed: int = SEED, share: float = 0.05) -> Fit:
    """A fit that stops by a random share of its rows, from which it does not learn."""
    random = np.random.RandomState(seed)
    order, count = random.permutation(len(rows)), max(1, int(share * len(rows)))
    return Fit(rows[order[count:]], rows[order[:count]], random)
