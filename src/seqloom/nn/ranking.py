"""Ranking: the loss by which pairs come to lie near each other, and the ranks by which that is judged."""

from typing import Literal

import torch
from torch import Tensor

Negatives = Literal["hardest", "all"]


def hinge_ranking(
    scores: Tensor, margin: float, same: Tensor | None = None, negatives: Negatives = "hardest"
) -> Tensor:
    """How far right pairs are from beating wrong ones by a margin, in both directions, summed over the batch.

    Faghri, Fleet, Kiros and Fidler, "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives" (2018),
    equation 6 with the hardest negative of each row and column, equation 5 with all.

    Args:
        scores: (batch, batch) of row i's first side with row j's second; right pairs are on the diagonal.
        margin: by how much.
        same: (batch, batch) whether the pair of i and j is right, too, and so no negative.
        negatives: which count.
    """
    right = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    barred = right if same is None else right | same
    found = scores.diagonal()
    total = scores.new_zeros(())
    for direction, best in ((1, found.unsqueeze(1)), (0, found.unsqueeze(0))):
        costs = (margin + scores - best).clamp(min=0).masked_fill(barred, 0)
        total = total + (costs.amax(direction).sum() if negatives == "hardest" else costs.sum())
    return total


def ranks(scores: Tensor, right: Tensor) -> Tensor:
    """The rank, from 1, of each query's best right item: (queries,).

    A wrong item that scores as high stands before it, and so does one where either score is not a number: a model that
    tells nothing apart ranks last, not first.

    Args:
        scores: (queries, items), the higher the better.
        right: (queries, items) whether the item is right; at least one of each query is.
    """
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    return (~right & ~(scores < best)).sum(1) + 1


def recalls(found: Tensor) -> dict[str, float]:
    """Of ranks (queries,): recall at 1, 5 and 10 and the mean reciprocal rank, in percent; mean and median rank."""
    numbers = found.double()
    at = {f"r{most}": 100 * float((found <= most).double().mean()) for most in (1, 5, 10)}
    middle = float(numbers.quantile(0.5))
    return at | {"mrr": 100 * float((1 / numbers).mean()), "mean": float(numbers.mean()), "median": middle}
