"""How alike two texts are: by the cosine of their vectors without training, or by a learnt distribution of scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from seqloom.evaluation.transfer.folds import SEED
from seqloom.evaluation.transfer.perceptrons import first_weights
from seqloom.metrics import pearson, spearman

BATCH, CHECK, PASSES, TENACITY = 64, 50, 1000, 3
"""Rows a step, passes between two checks, passes after which none follow, failed checks that are borne."""
RATE, FIRST, SECOND, EPSILON = 0.001, 0.9, 0.999, 1e-8
"""Of Adam."""
SCALE = 5
"""Scores go up to so many."""


def cosine(
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]], gold: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Correlations of cosines with scores, in each set, and their means over sets, plain and weighted by rows."""
    sets = {}
    for name, (first, second) in parts.items():
        found, scores = _cosines(first, second).tolist(), gold[name].tolist()
        sets[name] = {
            "pearson": pearson(found, scores),
            "spearman": spearman(found, scores),
            "rows": len(scores),
        }
    rows = [one["rows"] for one in sets.values()]
    test = {}
    for figure in ("pearson", "spearman"):
        values = [one[figure] for one in sets.values()]
        test[figure] = float(np.mean(values))
        test[f"{figure}_weighted"] = float(np.average(values, weights=rows))
    return {"test": test, "sets": sets, "rows": {"test": sum(rows)}}


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    # Row by row, as the original: how products are rounded decides which cosines tie, and so Spearman's correlation.
    pairs = zip(first.astype(np.float64), second.astype(np.float64), strict=True)
    return np.array([_cosine(one, other) for one, other in pairs])


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.dot(one, other) / lengths) if lengths > 0 else 0.0


def spread(scores: np.ndarray) -> np.ndarray:
    """Scores as distributions over 1 to 5: (rows, 5), each shared by the two integers beside it.

    Tai, Socher and Manning, "Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks"
    (2015), equation 15. What of a score lies below 1 is lost, as in SentEval.
    """
    steps, low = np.arange(1, SCALE + 1), np.floor(scores)[:, None]
    above = scores[:, None] - low
    found: np.ndarray = np.where(steps == low + 1, above, 0) + np.where(steps == low, 1 - above, 0)
    return found.astype(np.float32)


def relatedness(
    parts: Mapping[str, np.ndarray],
    gold: Mapping[str, np.ndarray],
    seed: int = SEED,
    first: np.ndarray | None = None,
) -> dict[str, Any]:
    """Learn a distribution over scores from the training part; correlations and squared error on the test part.

    Args:
        parts: (rows, size) vectors of the pairs of train, dev and test.
        gold: (rows,) their scores.
        seed: of the first weights and of the order.
        first: the training rows to learn from; None for all.
    """
    rows = np.arange(len(gold["train"])) if first is None else first
    vectors = {name: _with_ones(one) for name, one in parts.items()}
    learner = _Distribution(vectors["train"].shape[1], seed)
    train, targets = vectors["train"][rows], spread(gold["train"][rows])
    random, best, kept, failures = np.random.RandomState(seed), -1.0, learner.weight, 0
    for _ in range(0, PASSES + 1, CHECK):
        for _ in range(CHECK):
            learner.learn(train, targets, random.permutation(len(rows)))
        found = pearson(learner.scores(vectors["dev"]).tolist(), gold["dev"].tolist())
        if found > best:
            best, kept = found, learner.weight.copy()
        else:
            failures += 1
            if failures > TENACITY:
                break
    learner.weight = kept
    told = learner.scores(vectors["test"]).astype(np.float64)
    test = {
        "pearson": pearson(told.tolist(), gold["test"].tolist()),
        "spearman": spearman(told.tolist(), gold["test"].tolist()),
        "mse": float(np.mean((told - gold["test"]) ** 2)),
    }
    return {"dev": {"pearson": best}, "test": test, "rows": {"train": len(rows), "test": len(told)}}


def _with_ones(vectors: np.ndarray) -> np.ndarray:
    return np.concatenate([vectors.astype(np.float32), np.ones((len(vectors), 1), np.float32)], axis=1)


class _Distribution:
    """A linear layer and softmax over the scale, by Adam on the mean squared error of probabilities.

    Its steps are thousands and tiny, so they are written out in numpy: a tensor library takes longer to begin an
    operation than numpy to end it.
    """

    def __init__(self, inputs: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self.weight = np.ascontiguousarray(first_weights([inputs - 1, SCALE], random)[0].T.numpy())
        self.mean, self.square = np.zeros_like(self.weight), np.zeros_like(self.weight)
        self.steps = 0

    def _shares(self, vectors: np.ndarray) -> np.ndarray:
        scores: np.ndarray = vectors @ self.weight
        scores -= scores.max(1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(1, keepdims=True)
        return scores

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """The mean of the distribution of each row (rows, inputs)."""
        found: np.ndarray = self._shares(vectors) @ np.arange(1, SCALE + 1, dtype=np.float32)
        return found

    def learn(self, vectors: np.ndarray, targets: np.ndarray, order: np.ndarray) -> None:
        """One pass over the rows in this order."""
        vectors, targets = vectors[order], targets[order]
        for start in range(0, len(order), BATCH):
            rows, wanted = vectors[start : start + BATCH], targets[start : start + BATCH]
            shares = self._shares(rows)
            slopes = (shares - wanted) * np.float32(2 / wanted.size)
            slopes -= (slopes * shares).sum(1, keepdims=True)
            slopes *= shares
            self._step(rows.T @ slopes)

    def _step(self, slope: np.ndarray) -> None:
        """One step of Adam (Kingma and Ba 2015) with its paper's constants."""
        self.steps += 1
        self.mean *= FIRST
        self.mean += (1 - FIRST) * slope
        self.square *= SECOND
        slope *= slope
        slope *= 1 - SECOND
        self.square += slope
        below = np.sqrt(self.square)
        below *= np.float32((1 - SECOND**self.steps) ** -0.5)
        below += EPSILON
        np.divide(self.mean, below, out=below)
        below *= np.float32(RATE / (1 - FIRST**self.steps))
        self.weight -= below
