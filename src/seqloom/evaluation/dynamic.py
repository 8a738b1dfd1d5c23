"""Dynamic evaluation: a language model goes on learning from the text that it is measured on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from seqloom.heads.language import Dynamic
from seqloom.nn.precision import forget_casts

Learner = Callable[[Tensor], None]
"""What takes the loss of a window, averaged over its tokens, once that is foretold."""


@contextmanager
def learning(
    weights: list[Tensor], how: Dynamic | None, over: Callable[[list[str], Learner], None]
) -> Iterator[Learner | None]:
    """What learns from a loss, if anything should; the weights are as they were afterwards.

    Krause, Kahembwe, Murray and Renals, "Dynamic Evaluation of Neural Sequence Models" (2018), equations 4 to 8.

    Args:
        weights: what may learn, also where training holds it still.
        how: the rule.
        over: hands the loss of each window of a text, given by its files, to a learner.
    """
    if how is None:
        yield None
        return
    trained = [one.detach().clone() for one in weights]
    held = [one for one in weights if not one.requires_grad]
    try:
        with torch.enable_grad():
            for one in held:
                one.requires_grad_(True)
            if not how.statistics:
                yield _plain(how, weights, trained)
            else:
                squares = _Squares(weights)
                over(how.statistics, squares)
                yield _scaled(how, weights, trained, squares.roots())
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, trained)
        forget_casts()
        for one in held:
            one.requires_grad_(False)


def _plain(how: Dynamic, weights: Sequence[Tensor], trained: Sequence[Tensor]) -> Learner:
    """Gradient descent, and some of the way back to the trained weights, both from where the weights are."""

    def learn(loss: Tensor) -> None:
        slopes = _slopes(loss, weights)
        norm = torch.nn.utils.get_total_norm([one for one in slopes if one is not None])
        rate = how.rate * float((how.clip / (norm + 1e-6)).clamp(max=1.0))
        with torch.no_grad():
            for weight, slope, home in zip(weights, slopes, trained, strict=True):
                if slope is not None:
                    weight.lerp_(home, how.decay).add_(slope, alpha=-rate)
        forget_casts()

    return learn


def _scaled(
    how: Dynamic,
    weights: Sequence[Tensor],
    trained: Sequence[Tensor],
    roots: Sequence[Tensor | None],
) -> Learner:
    """As `_plain`, both by how much each weight's gradient varied: over its root, and in proportion to it.

    Weights that no loss depended on have no root, and take no part.
    """
    there = [one for one in roots if one is not None]
    # The mean of the tensors' means, as in the published program.
    mean = sum(float(one.double().mean()) for one in there) / len(there)
    backward = [one if one is None else (one * (how.decay / mean)).clamp_(max=1) for one in roots]
    rates = [one if one is None else how.rate / (one + how.floor) for one in roots]

    def learn(loss: Tensor) -> None:
        slopes = _slopes(loss, weights)
        with torch.no_grad():
            for weight, slope, home, rate, back in zip(weights, slopes, trained, rates, backward, strict=True):
                if slope is not None and rate is not None and back is not None:
                    weight.lerp_(home, back).addcmul_(slope, rate, value=-1)
        forget_casts()

    return learn


class _Squares:
    """The squared gradient of each weight, summed over the losses that it takes; None where none depends on it."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights, self.losses = weights, 0
        self.sums: list[Tensor | None] = [None] * len(weights)

    def __call__(self, loss: Tensor) -> None:
        for place, slope in enumerate(_slopes(loss, self.weights)):
            if slope is not None:
                before = self.sums[place]
                self.sums[place] = slope * slope if before is None else before.addcmul_(slope, slope)
        self.losses += 1

    def roots(self) -> list[Tensor | None]:
        """Of their means."""
        return [one if one is None else (one / self.losses).sqrt_() for one in self.sums]


def _slopes(loss: Tensor, weights: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradient of each weight, None where the loss does not depend on it."""
    slopes = torch.autograd.grad(loss, list(weights), allow_unused=True)
    # In training, tables of words may have gradients of a few rows.
    return [one.to_dense() if one is not None and one.is_sparse else one for one in slopes]
