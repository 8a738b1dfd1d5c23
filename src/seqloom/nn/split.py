"""A softmax in two steps for large vocabularies: a frequent word or a group of rare ones, then a word of the group."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.errors import ConfigError
from seqloom.nn.softmaxes import linear_cross_entropy


class SplitSoftmax(nn.Module):
    """Words before the first cut, and one symbol for each group behind it, compete first; then a group's words do.

    Exact: the probabilities of all words sum to one. Goodman, "Classes for Fast Maximum Entropy Training" (2001);
    Grave et al., "Efficient Softmax Approximation for GPUs" (2017), with vectors of one size.

    Args:
        size: numbers in a word's vector.
        cuts: the ids at which groups begin, rising; ids are best by falling frequency.
        words: how many there are.

    Raises:
        ConfigError: cuts that do not rise from 1 to below the number of words.
    """

    def __init__(self, size: int, cuts: list[int], words: int) -> None:
        super().__init__()
        if not cuts or [0, *cuts, words] != sorted({0, *cuts, words}):
            raise ConfigError(f"cuts should rise from 1 to below the number of words, {words}; found {cuts}")
        self.cuts = [*cuts, words]
        self.groups = nn.Parameter(torch.zeros(len(cuts), size))
        self.bias = nn.Parameter(torch.zeros(len(cuts)))

    def _first(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        first = self.cuts[0]
        return torch.cat([weight[:first], self.groups]), torch.cat([bias[:first], self.bias])

    def loss(self, states: Tensor, gold: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Minus the log-probabilities, summed, of gold (rows,) after states (rows, size).

        `weight` (words, size) and `bias` (words,) score the words.
        """
        first = self.cuts[0]
        group = torch.bucketize(gold, gold.new_tensor(self.cuts), right=True)
        total = linear_cross_entropy(
            states, *self._first(weight, bias), torch.where(group > 0, first + group - 1, gold)
        )
        for number, (start, end) in enumerate(pairwise(self.cuts), 1):
            rows = (group == number).nonzero().squeeze(1)
            if len(rows):
                inside = weight[start:end], bias[start:end], gold[rows] - start
                total = total + linear_cross_entropy(states[rows], *inside)
        return total

    def log_probabilities(self, states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Those of all words (..., words) after states (..., size)."""
        first = self.cuts[0]
        head = functional.linear(states, *self._first(weight, bias)).float().log_softmax(-1)
        found = [head[..., :first]]
        for number, (start, end) in enumerate(pairwise(self.cuts)):
            inside = functional.linear(states, weight[start:end], bias[start:end]).float().log_softmax(-1)
            found.append(inside + head[..., first + number].unsqueeze(-1))
        return torch.cat(found, -1)
