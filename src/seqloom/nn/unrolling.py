"""Running one recurrent layer over sentences of different lengths, by whichever way is fastest."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqloom.nn.pooling import past_end, pool
from seqloom.nn.precision import as_multiplied, halved, multiplied

Cell = Literal["lstm", "gru"]
State = tuple[Tensor, ...]  # (h, c) of an LSTM layer, (h,) of a GRU layer, each (directions, batch, hidden)

# Packed batches skip padding, but on a CPU they leave the fused kernel for a loop over time steps. Below this
# share of real words the loop is faster, by (cell, whether gradients are wanted); measured at 171, 300 units.
PACKED_BELOW = {("lstm", True): 0.35, ("lstm", False): 0.6, ("gru", True): 0.55, ("gru", False): 1.0}

EVEN, MANY = 8, 16
"""What sizes are brought to a multiple of for the CPU's bfloat16 LSTM, which an odd one makes two to four times as
slow; and from how many positions on that pays."""

WIDE, FAULTY = 1024, 32
"""From so many units on, and with the larger of inputs and units a multiple of this, oneDNN's LSTM gives wrong
gradients in bfloat16 on processors with AMX units (oneDNN 3.12, in torch 2.13): such sizes are left."""

# What the padding input adds to each gate; it shuts or opens a gate for good, and exists in half precision.
_SHUT, _OPEN = -1e4, 1e4
_PADDING_GATES = {"lstm": (_SHUT, _OPEN, 0.0, _SHUT), "gru": (0.0, _OPEN, 0.0)}


def unroll(
    cell: Cell, x: Tensor, lengths: Tensor, weights: Sequence[Tensor], state: State | None = None
) -> tuple[Tensor, State]:
    """Run one recurrent layer over a batch, each sentence as if it were alone.

    Args:
        cell: "lstm" or "gru".
        x: (batch, time, size); what stands past a sentence's end has no influence.
        lengths: (batch,), int64, on the CPU, at least 1.
        weights: weight_ih, weight_hh, bias_ih, bias_hh, in the layout of torch.nn.LSTM and torch.nn.GRU;
            then those of the backward direction, if there is one.
        state: where to start; zeros if None.

    Returns:
        States (batch, time, directions * hidden), 0 past a sentence's end, and the state after each sentence's
        last word (of the backward direction: its first word).
    """
    # Like torch's own layers, it stays out of compiled code, which would hold every step of every length.
    compiled = torch.compiler.is_compiling()
    run: Any = torch.compiler.disable(_unrolled) if compiled else _unrolled  # type: ignore[no-untyped-call]
    states, last = run(cell, x, lengths, weights, state)
    return states, last


def _unrolled(
    cell: Cell, x: Tensor, lengths: Tensor, weights: Sequence[Tensor], state: State | None
) -> tuple[Tensor, State]:
    weights, longest = list(weights), int(lengths.max())
    x, beyond = x[:, :longest], x.shape[1] - longest
    zeros = x.new_zeros(len(weights) // 4, len(x), weights[1].shape[1])
    start = state or ((zeros, zeros) if cell == "lstm" else (zeros,))
    real = int(lengths.sum()) / (len(x) * longest)
    if real == 1:
        states, last = _call(cell, (x,), weights, start)
    elif x.is_cuda or real < PACKED_BELOW[cell, torch.is_grad_enabled()] or _forgets(cell, weights, state):
        states, last = _run_packed(cell, x, lengths, weights, start)
    else:
        states, last = _run_padded(cell, x, lengths, weights, start)
    return (F.pad(states, (0, 0, 0, beyond)) if beyond else states), last


def _forgets(cell: Cell, weights: list[Tensor], state: State | None) -> bool:
    """Tell whether padding comes before words and would wipe out the h that an LSTM is to start from."""
    return state is not None and cell == "lstm" and len(weights) == 8


def _call(cell: Cell, inputs: tuple[Tensor, ...], weights: list[Tensor], start: State) -> tuple[Tensor, State]:
    """Call torch's kernel on (x,), or on (packed data, batch sizes)."""
    if cell == "lstm" and halved(inputs[0]):
        sizes = _fitting(inputs[0], weights)
        if sizes != (weights[0].shape[1], weights[1].shape[1]):
            return _call_fitted(inputs, weights, start, sizes)
    kernel: Any = torch.lstm if cell == "lstm" else torch.gru
    options = (True, 1, 0.0, torch.is_grad_enabled(), len(weights) == 8)
    batch_first = (True,) if len(inputs) == 1 else ()
    states, *last = kernel(*inputs, start if cell == "lstm" else start[0], weights, *options, *batch_first)
    return states, tuple(last)


def _fitting(x: Tensor, weights: list[Tensor]) -> tuple[int, int]:
    """The inputs and units by which the CPU's bfloat16 kernel is quick, and right."""
    size, hidden = weights[0].shape[1], weights[1].shape[1]
    if x.shape[:-1].numel() >= MANY and (size % 2 or hidden % 2):
        size, hidden = size + -size % EVEN, hidden + -hidden % EVEN
    if torch.is_grad_enabled() and hidden >= WIDE and max(size, hidden) % FAULTY == 0:
        size, hidden = (size + EVEN, hidden) if size > hidden else (size, hidden + EVEN)
    return size, hidden


def _call_fitted(
    inputs: tuple[Tensor, ...], weights: list[Tensor], start: State, sizes: tuple[int, int]
) -> tuple[Tensor, State]:
    """An LSTM with inputs and units of 0 added, whose gates are such that they stay 0."""
    hidden = weights[1].shape[1]
    room, more = sizes[0] - weights[0].shape[1], sizes[1] - hidden
    wider = [widened(weight, sizes[1], sizes[place % 2]) for place, weight in enumerate(weights)]
    begun = tuple(F.pad(part, (0, more)) for part in start)
    states, last = _call("lstm", (F.pad(as_multiplied(inputs[0]), (0, room)), *inputs[1:]), wider, begun)
    own = states.view(*states.shape[:-1], -1, hidden + more)[..., :hidden].flatten(-2)
    return own, tuple(part[..., :hidden] for part in last)


def widened(weight: Tensor, hidden: int, columns: int) -> Tensor:
    """An LSTM's weight with zeros for units and columns that it has not, as it is multiplied with.

    Args:
        weight: (4 * units, columns), or a bias (4 * units,).
        hidden: how many units it is to have.
        columns: how many columns; without meaning for a bias.
    """
    wide: Tensor = _Widened.apply(weight, hidden, columns)  # type: ignore[no-untyped-call]
    return wide


class _Widened(torch.autograd.Function):
    """Cast and widened at once: each pass over the weights counts where a batch is small."""

    @staticmethod
    def forward(context: Any, weight: Tensor, hidden: int, columns: int) -> Tensor:
        gates = len(_PADDING_GATES["lstm"])
        each = weight.view(gates, -1, *weight.shape[1:])
        context.each, context.dtype = each.shape, weight.dtype
        wide = weight.new_zeros((gates, hidden, columns)[: each.dim()], dtype=multiplied(weight))
        _corner(wide, each.shape).copy_(each)
        return wide.flatten(0, 1)

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        each = slopes[0].reshape(context.each[0], -1, *slopes[0].shape[1:])
        own = _corner(each, context.each).to(context.dtype, memory_format=torch.contiguous_format)
        return own.flatten(0, 1), None, None


def _corner(values: Tensor, shape: Sequence[int]) -> Tensor:
    return values[tuple(slice(size) for size in shape)]


def _run_packed(
    cell: Cell, x: Tensor, lengths: Tensor, weights: list[Tensor], start: State
) -> tuple[Tensor, State]:
    """Leave the padding out."""
    lengths, order = lengths.sort(descending=True)
    order = order.to(x.device)
    back = order.argsort()
    data, sizes, _, _ = pack_padded_sequence(x[order], lengths, batch_first=True)
    data, last = _call(cell, (data, sizes), weights, tuple(part[:, order] for part in start))
    states, _ = pad_packed_sequence(PackedSequence(data, sizes), batch_first=True)
    return states[back], tuple(part[:, back] for part in last)


def _run_padded(
    cell: Cell, x: Tensor, lengths: Tensor, weights: list[Tensor], start: State
) -> tuple[Tensor, State]:
    """Run over the padding too, which drives the gates by an input of its own.

    There an LSTM's input and output gates are shut and its forget gate is open, so that c stays and h is 0; a
    GRU's update gate is open, so that h stays. Gates that far from their slope pass no gradient either.
    """
    past = past_end(lengths, x.shape[1], x.device).unsqueeze(-1)
    x = torch.cat([x.masked_fill(past, 0), past.to(x)], -1)
    weights = [w if i % 4 else _with_padding_gates(cell, w) for i, w in enumerate(weights)]
    states, last = _call(cell, (x,), weights, start)
    if cell == "gru":
        return states.masked_fill(past, 0), last
    h, c = last
    ahead = pool(states[..., : h.shape[2]], lengths, "last")
    return states, (torch.cat([ahead.unsqueeze(0), h[1:]]), c)


def _with_padding_gates(cell: Cell, weight: Tensor) -> Tensor:
    """Add to weight_ih (gates * hidden, size) the column for the padding input."""
    gates = weight.new_tensor(_PADDING_GATES[cell])
    return torch.cat([weight, gates.repeat_interleave(len(weight) // len(gates)).unsqueeze(1)], 1)
