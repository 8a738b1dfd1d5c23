"""Forward and backward through a sparse LSTM layer, beside a dense one that is as wide and small layers in turn.

A goal of 1 is the time of the dense layer, in single precision, times the share of its parameters that the sparse one
has; for bfloat16 the goal is 1.54, 0.65 of that time. Where float32 misses its goal and bfloat16 reaches its own, that
stands for the shape. The published form is k layers of torch one after another.

A layer as wide as its input stands between others, so it is measured as it is there: what it takes and gives has time
first, and is in the precision that it multiplies with.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from measure import bfloat16_units, interleaved, row, save
from seqloom.nn import SparseLSTM

TIME, ROUNDS = 70, 9
WIDTHS, BATCHES, FRACTIONS = (1150, 1725), (20, 80), (0.5, 0.66666)
HALF = (1150, 20, 0.5)
"""The shape that is run in half precision too where processors have no units for it: these take long."""
HALF_GOAL = 0.65
SHAPES = "%d -> %d, blocks: %d, density: %.3f, batch %d, %d steps, forward and backward"


class InTurn(nn.Module):
    """The published form: each block by a call of its own, on slices of the input."""

    def __init__(self, layer: SparseLSTM) -> None:
        super().__init__()
        self.inputs = layer.blocks.inputs
        self.blocks = nn.ModuleList(nn.LSTM(one.size, one.hidden) for one in layer.layers)

    def forward(self, x: Tensor) -> Tensor:
        """Run over x (time, batch, size)."""
        return torch.cat(
            [run(x[..., a:b])[0] for run, (a, b) in zip(self.blocks, self.inputs, strict=True)], -1
        )


class Ours(nn.Module):
    """A sparse layer over whole sentences, time first."""

    def __init__(self, layer: SparseLSTM) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Run over x (time, batch, size)."""
        states, _ = self.layer(x.transpose(0, 1), torch.full((x.shape[1],), x.shape[0]))
        return states.transpose(0, 1)


class Dense(nn.LSTM):
    """The dense layer."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Run over x (time, batch, size)."""
        return super().forward(x)[0]


def trained(layer: nn.Module, x: Tensor, slope: Tensor) -> Callable[[], object]:
    """Forward and backward, to new gradients of the weights and of the input, as in a step of training."""
    learnt = [x.requires_grad_(), *layer.parameters()]

    def once() -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.bfloat16):
            states = layer(x)
        return torch.autograd.grad(states, learnt, slope)

    return once


def measured() -> Iterator[dict[str, Any]]:
    """The rows of the table."""
    for width, batch in product(WIDTHS, BATCHES):
        values = torch.randn(2, TIME, batch, width)
        halved = values.bfloat16()
        sides = {"dense": trained(Dense(width, width), *values)}
        layers = {one: SparseLSTM(width, width, reduce_in=one, reduce_out=one) for one in FRACTIONS}
        for fraction, layer in layers.items():
            sides[f"ours {fraction}"] = trained(Ours(layer), *values)
            sides[f"turn {fraction}"] = trained(InTurn(layer), *values)
            if bfloat16_units() or (width, batch, fraction) == HALF:
                sides[f"half {fraction}"] = trained(Ours(layer), *halved)
        yield from told(interleaved(sides, ROUNDS), width, batch, layers)


def told(
    taken: dict[str, float], width: int, batch: int, layers: dict[float, SparseLSTM]
) -> Iterator[dict[str, Any]]:
    """The rows of one width and batch."""
    for fraction, layer in layers.items():
        blocks = layer.blocks
        shapes = SHAPES % (width, width, len(blocks.inputs), blocks.share, batch, TIME)
        common = {"unit": "ms", "shapes": shapes, "packages": ("torch",), "rounds": ROUNDS}
        share = 1000 * taken["dense"] * blocks.share
        goal = {"rival": share, "rival_name": "density x dense, float32"}
        ours, half = 1000 * taken[f"ours {fraction}"], 1000 * taken.get(f"half {fraction}", math.inf)
        halved = ours > share and half <= HALF_GOAL * share
        yield row("sparse_lstm", ours, headline=not halved, **goal, **common)
        in_turn = {"rival": 1000 * taken[f"turn {fraction}"], "rival_name": "layers in turn, as published"}
        yield row("sparse_lstm", ours, **in_turn, **common)
        if half < math.inf:
            yield row("sparse_lstm", half, dtype="bfloat16", headline=halved, **goal, **common)


if __name__ == "__main__":
    save("sparse_lstm", measured())
