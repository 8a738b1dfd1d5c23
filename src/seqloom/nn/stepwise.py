"""Products with one weight at every step of a loop, whose gradient is taken in one product after the loop."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from seqloom.nn.precision import as_multiplied

Products = list[tuple[Tensor, Tensor]]
"""The inputs of a weight's products, and the gradients of their outputs."""


class Stepwise:
    """A weight that a loop multiplies with at every step.

    By itself, each step's backward pass would write a gradient as large as the weight and add it to the last: for a
    small batch that costs as much as the products. Here the steps' inputs and gradients are kept, and joined once.

    Args:
        weight: (out, size).
    """

    def __init__(self, weight: Tensor) -> None:
        self._products: Products = []
        self.weight: Tensor = _Joined.apply(as_multiplied(weight), self._products)  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor) -> Tensor:
        """X W' of x (batch, size): (batch, out)."""
        product: Tensor = _Step.apply(x.to(self.weight.dtype), self.weight, self._products)  # type: ignore[no-untyped-call]
        return product


class _Joined(torch.autograd.Function):
    """The weight itself; backward, the sum of its products' gradients."""

    @staticmethod
    def forward(context: Any, weight: Tensor, products: Products) -> Tensor:
        context.products = products
        return weight.view_as(weight)

    @staticmethod
    def backward(context: Any, *other: Tensor) -> tuple[Tensor, None]:
        inputs, slopes = (torch.cat(one) for one in zip(*context.products, strict=True))
        context.products.clear()
        return slopes.t() @ inputs, None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, products: Products) -> Tensor:
        context.save_for_backward(x, weight)
        context.products = products
        return functional.linear(x, weight)

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, weight = context.saved_tensors
        first = not context.products
        context.products.append((x, slopes[0]))
        # One of the steps has to say that the weight has a gradient at all; it is worked out once, behind them.
        return slopes[0] @ weight, weight.new_zeros(()).expand_as(weight) if first else None, None
