"""Dropout that knows of sentences and words: one mask for a sentence, whole words, whole rows of a table."""

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError


def checked_rate(rate: float) -> float:
    """The rate of dropout itself; raises ConfigError if it is not in [0, 1)."""
    if not 0 <= rate < 1:
        raise ConfigError(f"a dropout rate lies in [0, 1), not at {rate}")
    return rate


class _Dropout(nn.Module):
    """What the kinds share: a rate, at work in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = checked_rate(rate)

    @property
    def active(self) -> bool:
        return self.training and self.rate > 0

    def keep(self, like: Tensor, *shape: int) -> Tensor:
        """Draw a mask of that shape: zeros at the rate, elsewhere what keeps the mean."""
        return like.new_empty(shape).bernoulli_(1 - self.rate).div_(1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def thinned(weight: Tensor, rate: float) -> Tensor:
    """A weight with a share of its numbers set to zero, the others scaled so that the mean stays.

    Masks of large weights are drawn from 16 random bits each: that takes a fraction of what four times as many do.
    """
    if not rate:
        return weight
    bits = torch.empty(-(-weight.numel() // 4), dtype=torch.int64, device=weight.device).random_(-(2**63), None)
    places = bits.view(torch.int16)[: weight.numel()].view(weight.shape)
    kept = places >= round(rate * 2**16) - 2**15
    return weight * kept.to(weight.dtype).div_(1 - rate)


class LockedDropout(_Dropout):
    """Dropout with one mask a sentence, the same at all its time steps.

    Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks" (2016).

    Args:
        rate: share of the features set to zero in training, in [0, 1).

    Raises:
        ConfigError: the rate is out of range.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop features of x (batch, time, size)."""
        return x * self.keep(x, x.shape[0], 1, x.shape[2]) if self.active else x


class WordDropout(_Dropout):
    """Puts the unknown word in the place of some words, so that training meets it.

    Args:
        rate: share of the words replaced in training, in [0, 1).
        unknown: id of the unknown word.
        padding: id of the padding, which is never replaced.

    Raises:
        ConfigError: the rate is out of range.
    """

    def __init__(self, rate: float, unknown: int = 1, padding: int = 0) -> None:
        super().__init__(rate)
        self.unknown = unknown
        self.padding = padding

    def forward(self, ids: Tensor) -> Tensor:
        """Replace words among ids (batch, time)."""
        if not self.active:
            return ids
        chosen = torch.rand(ids.shape, device=ids.device) < self.rate
        return ids.masked_fill(chosen & (ids != self.padding), self.unknown)


class EmbeddingDropout(_Dropout):
    """Drops words of the vocabulary: a dropped word has a zero vector wherever it stands in the batch.

    The same as dropping whole rows of the embedding table, without a copy of the table. Merity, Keskar and
    Socher, "Regularizing and Optimizing LSTM Language Models" (2018), section 4.3.

    Args:
        rate: share of the vocabulary dropped in training, in [0, 1).
        words: size of the vocabulary.

    Raises:
        ConfigError: the rate is out of range.
    """

    def __init__(self, rate: float, words: int) -> None:
        super().__init__(rate)
        self.words = words

    def forward(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Drop words of vectors (batch, time, size), which were looked up for ids (batch, time)."""
        return vectors * self.keep(vectors, self.words)[ids].unsqueeze(-1) if self.active else vectors
