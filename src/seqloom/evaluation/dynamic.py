"""Dynamic evaluation: a language model goes on learning from the text that it is measured on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from seqloom.heads.language import Dynamic
from seqloom.model.network import Network

Learner = Callable[[Tensor], None]
"""What takes the loss of a window, averaged over its tokens, once that is foretold."""


@contextmanager
def learning(
    network: Network, how: Dynamic | None, over: Callable[[list[str], Learner], None]
) -> Iterator[Learner | None]:
    """What learns from a loss, if anything should; the weights are as they were afterwards.

    Krause, Kahembwe, Murray and Renals, "Dynamic Evaluation of Neural Sequence Models" (2018), equations 4 to 8.

    Args:
        network: in evaluation mode.
        how: the rule.
        over: hands the loss of each window of a text, given by its files, to a learner.
    """
    if how is None:
        yield None
        return
    weights: list[Tensor] = [one for one in network.parameters() if one.requires_grad]
    trained = [one.detach().clone() for one in weights]
    try:
        with torch.enable_grad():
            if not how.statistics:
                yield _plain(how, weights, trained)
            else:
                squares = _Squares(weights)
                over(how.statistics, squares)
                yield _scaled(how, weights, trained, squares.roots())
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, trained)


def _plain(how: Dynamic, weights: list[Tensor], trained: list[Tensor]) -> Learner:
    """Gradient descent, and some of the way back to the trained weights."""

    def learn(loss: Tensor) -> None:
        slopes = _slopes(loss, weights)
        norm = torch.nn.utils.get_total_norm(slopes)
        rate = how.rate * float((how.clip / (norm + 1e-6)).clamp(max=1.0))
        with torch.no_grad():
            torch._foreach_add_(weights, slopes, alpha=-rate)
            torch._foreach_lerp_(weights, trained, how.decay)

    return learn


def _scaled(how: Dynamic, weights: list[Tensor], trained: list[Tensor], roots: list[Tensor]) -> Learner:
    """As `_plain`, both by how much each weight's gradient varied: over its root, and in proportion to it."""
    mean = sum(float(one.double().sum()) for one in roots) / sum(one.numel() for one in roots)
    backward = [(one * (how.decay / mean)).clamp_(max=1) for one in roots]
    rates = [how.rate / (one + how.floor) for one in roots]

    def learn(loss: Tensor) -> None:
        slopes = _slopes(loss, weights)
        with torch.no_grad():
            torch._foreach_addcmul_(weights, slopes, rates, value=-1)
            torch._foreach_lerp_(weights, trained, backward)

    return learn


class _Squares:
    """The squared gradient of each weight, summed over the losses that it takes."""

    def __init__(self, weights: list[Tensor]) -> None:
        self.weights, self.losses = weights, 0
        self.sums = [torch.zeros_like(one) for one in weights]

    def __call__(self, loss: Tensor) -> None:
        slopes = _slopes(loss, self.weights)
        torch._foreach_addcmul_(self.sums, slopes, slopes)
        self.losses += 1

    def roots(self) -> list[Tensor]:
        """Of their means."""
        return [(one / self.losses).sqrt_() for one in self.sums]


def _slopes(loss: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """The gradient of each weight, zeros where the loss does not depend on it."""
    return list(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))
