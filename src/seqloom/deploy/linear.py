"""Linear maps from one space of vectors to another, fitted on pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class LinearMap:
    """y = x · weight + bias: weight (size of x, size of y), bias (size of y)."""

    weight: Matrix
    bias: Matrix

    @classmethod
    def least_squares(cls, source: Matrix, target: Matrix, ridge: float = 0.0) -> "LinearMap":
        """The map with the smallest squared error, and of several the one with the smallest weights.

        Kiros et al., "Skip-Thought Vectors" (2015), section 2.2, with an intercept.

        Args:
            source: (pairs, size of x).
            target: (pairs, size of y).
            ridge: what a squared weight costs, beside the squared error of a pair; the bias costs nothing.
        """
        x, y = source - source.mean(0), target - target.mean(0)
        if ridge:
            weight = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
        else:
            weight = np.linalg.lstsq(x, y, rcond=None)[0]
        return cls._through_means(weight, source, target)

    @classmethod
    def orthogonal(cls, source: Matrix, target: Matrix) -> "LinearMap":
        """The best turn and one scale for all directions: angles between vectors stay (Schönemann 1966)."""
        x, y = source - source.mean(0), target - target.mean(0)
        left, values, right = np.linalg.svd(x.T @ y, full_matrices=False)
        scale = values.sum() / max(np.square(x).sum(), np.finfo(float).tiny)
        return cls._through_means(scale * (left @ right), source, target)

    @classmethod
    def _through_means(cls, weight: Matrix, source: Matrix, target: Matrix) -> "LinearMap":
        return cls(weight, target.mean(0) - source.mean(0) @ weight)

    def __call__(self, vectors: NDArray[np.floating]) -> Matrix:
        """(rows, size of x) → (rows, size of y)."""
        found: Matrix = vectors @ self.weight + self.bias
        return found
