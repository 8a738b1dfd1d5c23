"""Losses over many words, and the layers that score them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.nn.precision import halved

ROWS = 512
"""Rows scored at a time: their scores stay in the processor's cache between the passes over them."""

EVEN = 32
"""What rows are brought to a multiple of in bfloat16 on a CPU, where a product of another size is compiled anew: that
takes as long as the product, and the last 1,024 are kept."""


def linear_cross_entropy(
    states: Tensor, weight: Tensor, bias: Tensor | None, gold: Tensor, smoothing: float = 0.0
) -> Tensor:
    """The cross-entropy, summed, of a softmax over scores W h + b, none of which are kept.

    The gradients are computed with the loss, some rows at a time, so that memory does not grow with rows × words.

    Args:
        states: (rows, size).
        weight: (words, size).
        bias: (words,), or None.
        gold: (rows,) the right words.
        smoothing: the share of a label given to all words alike (Szegedy et al. 2016, section 7).
    """
    wanted = torch.is_grad_enabled() and any(
        one is not None and one.requires_grad for one in (states, weight, bias)
    )
    loss: Tensor = _LinearCrossEntropy.apply(states, weight, bias, gold, smoothing, wanted)  # type: ignore[no-untyped-call]
    return loss


def likeliest(scores: Tensor) -> Tensor:
    """The words of the largest scores (..., words), (...); of several the first."""
    # On a CPU argmax takes several times as long.
    return scores.max(-1).indices


def judged(likely: Tensor, gold: Tensor) -> tuple[Tensor, Tensor]:
    """Of log-probabilities (rows, words), those of gold (rows,), and whether these are the likeliest words."""
    return likely.gather(1, gold.unsqueeze(1)).squeeze(1), likeliest(likely) == gold


class WordScores(nn.Module):
    """What decoders score words by: a layer, `output`, or, where that is None, the words' own vectors and `bias`."""

    words: nn.Embedding
    output: nn.Linear | None
    bias: nn.Parameter | None

    def scores(self, states: Tensor) -> Tensor:
        """Scores of the next word (..., words) from states (..., size)."""
        return functional.linear(states, *self._output())

    def loss(self, states: Tensor, gold: Tensor, smoothing: float = 0.0) -> Tensor:
        """The cross-entropy, summed, of right words (rows,) after states (rows, size)."""
        return linear_cross_entropy(states, *self._output(), gold, smoothing)

    def _output(self) -> tuple[Tensor, Tensor | None]:
        if self.output is None:
            return self.words.weight, self.bias
        return self.output.weight, self.output.bias


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gold: Tensor,
        smoothing: float,
        wanted: bool,
    ) -> Tensor:
        """Sum up the loss, and its gradients if they are wanted."""
        total = torch.zeros((), device=states.device)
        found = [torch.zeros_like(one, dtype=torch.float32) for one in (states, weight, weight[:, 0])]
        even = EVEN if halved(states) else 1
        for start in range(0, len(states), ROWS):
            rows, right = states[start : start + ROWS], gold[start : start + ROWS].unsqueeze(1)
            count, more = len(rows), -len(rows) % even
            if more:
                rows, right = (functional.pad(one, (0, 0, 0, more)) for one in (rows, right))
            scores = functional.linear(rows, weight, bias).float().log_softmax(-1)
            total -= (1 - smoothing) * scores.gather(1, right)[:count].sum()
            if smoothing:
                total -= smoothing / len(weight) * scores[:count].sum()
            if wanted:
                slope = scores.exp_().sub_(smoothing / len(weight)) if smoothing else scores.exp_()
                slope.scatter_add_(1, right, slope.new_full(right.shape, smoothing - 1))
                slope[count:] = 0
                found[0][start : start + count] = (slope @ weight)[:count]
                found[1] += slope.t() @ rows
                found[2] += slope.sum(0)
        if wanted:
            context.save_for_backward(*found)
        context.biased = bias is not None
        return total

    @staticmethod
    def backward(context: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that are there."""
        of_states, of_weight, of_bias = (one * outer[0] for one in context.saved_tensors)
        return of_states, of_weight, of_bias if context.biased else None, None, None, None
