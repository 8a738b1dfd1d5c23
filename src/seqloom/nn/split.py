"""A softmax in two steps for large vocabularies: a frequent word or a group of rare ones, then a word of the group."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.errors import ConfigError
from seqloom.nn.softmaxes import judged, likeliest, linear_cross_entropy


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
        group, entry = self._entries(gold)
        total = linear_cross_entropy(states, *self._first(weight, bias), entry)
        for number, (start, end) in enumerate(pairwise(self.cuts), 1):
            rows = (group == number).nonzero().squeeze(1)
            if len(rows):
                inside = weight[start:end], bias[start:end], gold[rows] - start
                total = total + linear_cross_entropy(states[rows], *inside)
        return total

    def _entries(self, gold: Tensor) -> tuple[Tensor, Tensor]:
        """The group of each word, 0 for frequent ones, and what it, or its group, is among those that compete first."""
        group = torch.bucketize(gold, gold.new_tensor(self.cuts), right=True)
        return group, torch.where(group > 0, self.cuts[0] + group - 1, gold)

    def foretold(self, states: Tensor, gold: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of gold (rows,) after states (rows, size), and whether these are the likeliest words.

        A group is scored for the rows where gold is of it, or where it is all that may hold a likelier word.
        """
        group, entry = self._entries(gold)
        head = functional.linear(states, *self._first(weight, bias)).float().log_softmax(-1)
        words, groups = head[:, : self.cuts[0]], head[:, self.cuts[0] :]
        found, best = head.gather(1, entry.unsqueeze(1)).squeeze(1), words.amax(1)
        right = (group > 0) | (likeliest(words) == gold)
        for number in range(1, len(self.cuts)):
            if len(rows := (group == number).nonzero().squeeze(1)):
                inside = self._inside(states[rows], number, weight, bias)
                own, first = judged(inside, gold[rows] - self.cuts[number - 1])
                found[rows] += own
                right[rows] = first & (found[rows] > best[rows])
        for number in range(1, len(self.cuts)):
            share = groups[:, number - 1]
            rows = (right & (group != number) & (share > found)).nonzero().squeeze(1)
            if len(rows):
                highest = self._inside(states[rows], number, weight, bias).amax(1) + share[rows]
                right[rows] = highest <= found[rows]
        return found, right

    def _inside(self, states: Tensor, number: int, weight: Tensor, bias: Tensor) -> Tensor:
        """Log-probabilities of a group's words (..., words of the group), given the group, after states (..., size)."""
        start, end = self.cuts[number - 1], self.cuts[number]
        return functional.linear(states, weight[start:end], bias[start:end]).float().log_softmax(-1)

    def log_probabilities(self, states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Those of all words (..., words) after states (..., size)."""
        first = self.cuts[0]
        head = functional.linear(states, *self._first(weight, bias)).float().log_softmax(-1)
        found = [head[..., :first]]
        for number in range(1, len(self.cuts)):
            share = head[..., first + number - 1].unsqueeze(-1)
            found.append(self._inside(states, number, weight, bias) + share)
        return torch.cat(found, -1)
