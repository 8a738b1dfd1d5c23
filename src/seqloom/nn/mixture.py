"""A mixture of softmaxes: several distributions over words, weighed by the state."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seqloom.nn.dropout import LockedDropout

ROWS = 256
"""Positions scored at a time."""

Scores = Callable[[Tensor], Tensor]
"""Scores (..., words) of vectors (..., width)."""


class MixtureOfSoftmaxes(nn.Module):
    """p(w) = Σ_k π_k softmax_k(w), its k-th vector tanh(V_k h) (Yang et al. 2018, equation 4).

    Args:
        size: numbers in a state.
        width: numbers in the vectors by which words are scored.
        experts: how many softmaxes.
        dropout: rate on the experts' vectors, with one mask all along a text.
    """

    def __init__(self, size: int, width: int, experts: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width, self.experts = width, experts
        # States that are as long as all vectors together are those vectors, as in the published program.
        self.latent = nn.Linear(size, experts * width) if size != experts * width else None
        self.prior = nn.Linear(size, experts, bias=False) if experts > 1 else None
        self.dropped = LockedDropout(dropout)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The experts' vectors (batch, time, experts, width) and log π (batch, time, experts) of states."""
        vectors = states if self.latent is None else self.dropped(torch.tanh(self.latent(states)))
        vectors = vectors.unflatten(-1, (self.experts, self.width))
        if self.prior is None:
            return vectors, vectors.new_zeros(vectors.shape[:-1])
        return vectors, self.prior(states).float().log_softmax(-1)


def mixed(vectors: Tensor, priors: Tensor, scores: Scores) -> Tensor:
    """Log-probabilities (..., words) of experts' vectors (..., experts, width) weighed by log π (..., experts)."""
    each = scores(vectors).float().log_softmax(-1)
    return torch.logsumexp(each + priors.unsqueeze(-1), -2)


def mixture_loss(vectors: Tensor, priors: Tensor, gold: Tensor, scores: Scores) -> Tensor:
    """Minus the log-probabilities, summed, of gold (rows,); no probability of another word is kept.

    Args:
        vectors: (rows, experts, width).
        priors: (rows, experts) log π.
        gold: (rows,).
        scores: of vectors.
    """

    def some(vectors: Tensor, priors: Tensor, gold: Tensor) -> Tensor:
        each = scores(vectors).float()
        right = each.gather(-1, gold.view(-1, 1, 1).expand(-1, each.shape[1], 1)).squeeze(-1)
        return -torch.logsumexp(right - each.logsumexp(-1) + priors, -1).sum()

    total = vectors.new_zeros((), dtype=torch.float32)
    for piece in zip(*(torch.split(one, ROWS) for one in (vectors, priors, gold)), strict=True):
        total = total + checkpoint(some, *piece, use_reentrant=False)
    return total
