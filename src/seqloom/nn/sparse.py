"""LSTM layers that are sparse by construction."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.nn.blocks import Segment, solved
from seqloom.nn.dropout import checked_rate, thinned
from seqloom.nn.precision import halved, multiplied
from seqloom.nn.recurrent import Initial, RecurrentLayer
from seqloom.nn.unrolling import State, unroll, widened

EVEN, BULK = 16, 1024
"""What a block's inputs are brought to a multiple of when it learns in bfloat16 on a CPU, from so many positions on: it
takes some percent off the time."""

MISSED = 0.01
"""By which share a layer may miss the parameters wanted without a word."""


class SparseLSTM(nn.Module):
    """One LSTM layer made of small dense ones: each owns some units and reads an overlapping part of the input.

    Wider than a dense layer of as many parameters. Demeester, Deleu, Godin and Develder, "Predefined Sparseness in
    Recurrent Sequence Models" (2018), section 3.1. It is called as a `RecurrentLayer` is, so it stands wherever one
    does. Its geometry is given as `blocks` and `density`, or as `reduce_in` and `reduce_out`: then it has about the
    parameters of a dense layer `reduce_in * size` -> `reduce_out * hidden`. What it came to is in `blocks`.

    Args:
        size: features of the input.
        hidden: units of each direction.
        bidirectional: whether a second direction reads from the end.
        blocks: how many small layers.
        density: share of the input that each of them reads, from 1/blocks up to 1.
        reduce_in: by how much the input is to be smaller in the dense layer that it is to equal.
        reduce_out: by how much the units are to be fewer there.
        parts: how many equal parts the input is made of, such as the 2 directions of the layer below; each block reads
            its segment of each part.
        weight_drop: share of each block's recurrent weights set to zero in training, anew at each call.

    Raises:
        ConfigError: the geometry cannot be met, or the share of weights is not in [0, 1).
    """

    def __init__(
        self,
        size: int,
        hidden: int,
        bidirectional: bool = False,
        *,
        blocks: int | None = None,
        density: float | None = None,
        reduce_in: float | None = None,
        reduce_out: float | None = None,
        parts: int = 1,
        weight_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks = solved(
            size,
            hidden,
            blocks=blocks,
            density=density,
            reduce_in=reduce_in,
            reduce_out=reduce_out,
            parts=parts,
        )
        self.size, self.hidden, self.drop = size, hidden, checked_rate(weight_drop)
        self.directions = 2 if bidirectional else 1
        for index, (begin, end) in enumerate(self.blocks.inputs):
            first, last = self.blocks.outputs[index]
            block = RecurrentLayer("lstm", parts * (end - begin), last - first, bidirectional)
            self.add_module(f"block{index}", block)

    @property
    def layers(self) -> list[RecurrentLayer]:
        """The small dense layers."""
        return [self.get_submodule(f"block{index}") for index in range(len(self.blocks.inputs))]  # type: ignore[misc]

    def initialise(self, how: Initial, forget_bias: float | None = None) -> None:
        """Draw each block's weights anew, as `RecurrentLayer` does."""
        for layer in self.layers:
            layer.initialise(how, forget_bias)

    def forward(self, x: Tensor, lengths: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over x (batch, time, size): see `unroll`; the units of each direction stand together, in order."""
        starts = self._starts(state)
        even = EVEN if self._learns_in_bulk(x, lengths) else 1
        inputs = _Spread.apply(x, self.blocks.inputs, self.blocks.parts, even)  # type: ignore[no-untyped-call]
        found = [
            unroll("lstm", one, lengths, self._weights(layer, one.shape[2]), start)
            for one, layer, start in zip(inputs, self.layers, starts, strict=True)
        ]
        sides = [states.chunk(self.directions, -1) for states, _ in found]
        # The kernels have time first; what they give and take is left as it lies.
        each = [one[side].transpose(0, 1) for side in range(self.directions) for one in sides]
        states = torch.cat(each, -1).transpose(0, 1)
        return states, tuple(torch.cat(one, -1) for one in zip(*(last for _, last in found), strict=True))

    @staticmethod
    def _learns_in_bulk(x: Tensor, lengths: Tensor) -> bool:
        """Tell whether other sizes are worth their zeros; padding would bring a column of its own."""
        bulk = torch.is_grad_enabled() and x.shape[:-1].numel() >= BULK
        return halved(x) and bulk and int(lengths.min()) == x.shape[1]

    def _starts(self, state: State | None) -> Sequence[State | None]:
        """By block, its units' share of a state (directions, batch, hidden)."""
        if state is None:
            return [None] * len(self.blocks.outputs)
        return [tuple(one[..., begin:end].contiguous() for one in state) for begin, end in self.blocks.outputs]

    def _weights(self, layer: RecurrentLayer, size: int) -> list[Tensor]:
        """A block's weights as `unroll` takes them, for `size` inputs; recurrent ones are dropped here."""
        weights = list(layer.weights)
        for index, weight in enumerate(weights):
            if index % 4 == 0 and size > weight.shape[1]:
                weights[index] = widened(weight, layer.hidden, size)
            elif index % 4 == 1 and self.training and self.drop:
                weights[index] = thinned(weight, self.drop)
        return weights

    def dense(self) -> RecurrentLayer:
        """The equal dense layer, with zeros where this one has no weights."""
        layer = RecurrentLayer("lstm", self.size, self.hidden, self.directions == 2).to(
            self.layers[0].weights[0]
        )
        with torch.no_grad():
            for name, whole in layer.named_parameters():
                whole.zero_()
                for index, block in enumerate(self.layers):
                    whole[self.positions(name, index)] = block.get_parameter(name)
        return layer

    def positions(self, name: str, block: int) -> tuple[Tensor, ...]:
        """Where a block's weights of that name stand in those of the equal dense layer."""
        first, last = self.blocks.outputs[block]
        begin, end = self.blocks.inputs[block]
        units, part = torch.arange(first, last), self.size // self.blocks.parts
        rows = torch.cat([gate * self.hidden + units for gate in range(4)])
        if name.startswith("bias"):
            return (rows,)
        read = torch.cat([one * part + torch.arange(begin, end) for one in range(self.blocks.parts)])
        return rows.unsqueeze(1), (units if name.startswith("weight_hh") else read)

    def extra_repr(self) -> str:
        """Tell the geometry."""
        return self.blocks.report()


class _Spread(torch.autograd.Function):
    """What each block reads, as it is multiplied, and zeros up to a multiple of `even` numbers.

    Backward, gradients are added where blocks overlap, in one tensor.
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, inputs: Sequence[Segment], parts: int, even: int
    ) -> tuple[Tensor, ...]:
        context.shape, context.dtype, context.inputs, context.parts = x.shape, x.dtype, inputs, parts
        # Time first, as the kernels have it.
        each = x.transpose(0, 1).to(multiplied(x))
        each = each.view(*each.shape[:2], parts, -1)
        spread = []
        for begin, end in inputs:
            own = parts * (end - begin)
            one = each.new_empty(*each.shape[:2], own + -own % even)
            one[..., :own].view(*each.shape[:3], -1).copy_(each[..., begin:end])
            one[..., own:].zero_()
            spread.append(one.transpose(0, 1))
        return tuple(spread)

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None]:
        batch, time, size = context.shape
        each = slopes[0].new_zeros(time, batch, context.parts, size // context.parts, dtype=context.dtype)
        for (begin, end), slope in zip(context.inputs, slopes, strict=True):
            own = slope.transpose(0, 1)[..., : context.parts * (end - begin)]
            each[..., begin:end] += own.view(*each.shape[:3], -1)
        return each.view(time, batch, size).transpose(0, 1), None, None, None


def missed(network: nn.Module) -> Iterator[str]:
    """The sparse layers of a network whose parameters are not those wanted, by name, in words."""
    for name, layer in network.named_modules():
        if isinstance(layer, SparseLSTM) and abs(gap := layer.blocks.missed) > MISSED:
            told = f"{layer.blocks.report()}, {abs(gap):.1%} {'more' if gap > 0 else 'fewer'} than wanted"
            yield f"{name}: {told}, since its blocks are whole; with other sizes it may come nearer"
