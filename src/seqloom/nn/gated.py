"""One recurrent layer over texts whose inputs' part in the gates is known beforehand, none of it padding.

Everything lies with units down and positions across, (units, positions): products of a large weight with a few columns
are up to twice as fast on a CPU as those of a few rows with it. Positions are packed as torch packs them: the first of
every text, the longest text first, then the second of every text that has one, and so on.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqloom.nn.precision import as_multiplied
from seqloom.nn.unrolling import Cell, State

Kept = tuple[Tensor, ...]


def run_gated(
    cell: Cell,
    gates: Tensor,
    constant: Tensor,
    weight: Tensor,
    bias: Tensor,
    state: State,
    sizes: Sequence[int],
) -> State:
    """Run one recurrent layer over packed positions, each text from its own state.

    The gradient of the weight is taken in one product behind all steps, not added up step by step.

    Args:
        cell: "lstm" or "gru", with the gates in torch's order.
        gates: (gates * hidden, positions), what each position's input adds to the gates.
        constant: (gates * hidden, texts), what is added at every position of a text.
        weight: weight_hh, (gates * hidden, hidden).
        bias: bias_hh, (gates * hidden,).
        state: where each text starts: h and, of an LSTM, c, (hidden, texts).
        sizes: at each step, how many texts go on; these are the first ones.

    Returns:
        h and, of an LSTM, c at every position, (hidden, positions).
    """
    inputs = (gates.to(bias.dtype), constant.to(bias.dtype), as_multiplied(weight), bias)
    start = (part.to(bias.dtype) for part in state)
    found: State = _Unrolled.apply(_CELLS[cell], sizes, *inputs, *start)  # type: ignore[no-untyped-call]
    return found


class _GRU:
    """r, z = σ(g + own), n = tanh(g + r · own), h' = n + z (h - n)."""

    @staticmethod
    def forward(gates: Tensor, own: Tensor, state: State) -> tuple[State, Kept]:
        hidden = len(own) // 3
        opened = (gates[: 2 * hidden] + own[: 2 * hidden]).sigmoid_()
        reset, update = opened.chunk(2)
        new = torch.addcmul(gates[2 * hidden :], reset, own[2 * hidden :]).tanh_()
        return (torch.lerp(new, state[0], update),), (opened, new, own[2 * hidden :])

    @staticmethod
    def backward(slopes: State, kept: Kept, before: State, after: State) -> tuple[Tensor, Tensor, State]:
        """The slopes of the gates, of the state's own part in them, and of the state before by other ways."""
        (slope,), (opened, new, own) = slopes, kept
        reset, update = opened.chunk(2)
        of_new = torch.addcmul(slope, slope, update, value=-1)
        of_new.addcmul_(of_new * new, new, value=-1)
        of_update = (before[0] - new).mul_(slope)
        of_opened = torch.cat([of_new * own, of_update])
        of_opened.mul_(torch.addcmul(opened, opened, opened, value=-1))
        of_own = torch.cat([of_opened, of_new * reset])
        return torch.cat([of_opened, of_new]), of_own, (slope * update,)


class _LSTM:
    """i, f, o = σ(g + own), n = tanh(g + own), c' = f c + i n, h' = o tanh(c')."""

    @staticmethod
    def forward(gates: Tensor, own: Tensor, state: State) -> tuple[State, Kept]:
        hidden = len(own) // 4
        total = own.add_(gates)
        total[: 2 * hidden].sigmoid_()
        total[2 * hidden : 3 * hidden].tanh_()
        total[3 * hidden :].sigmoid_()
        entry, forget, new, out = total.chunk(4)
        cell = torch.addcmul(forget * state[1], entry, new)
        return (out * cell.tanh(), cell), (total,)

    @staticmethod
    def backward(slopes: State, kept: Kept, before: State, after: State) -> tuple[Tensor, Tensor, State]:
        """The slopes of the gates, which are those of the state's own part, and of the cell before."""
        entry, forget, new, out = kept[0].chunk(4)
        seen = after[1].tanh()
        of_out = seen * slopes[0]
        of_cell = torch.addcmul(slopes[1], slopes[0] * out, 1 - seen * seen)
        found = torch.cat([of_cell * new, of_cell * before[1], of_cell * entry, of_out])
        for gate in (found[: len(new) * 2], kept[0][: len(new) * 2]), (found[-len(new) :], out):
            gate[0].mul_(torch.addcmul(gate[1], gate[1], gate[1], value=-1))
        found[len(new) * 2 : len(new) * 3].mul_(1 - new * new)
        return found, found, (torch.zeros_like(of_cell), of_cell * forget)


_CELLS: dict[Cell, Any] = {"gru": _GRU, "lstm": _LSTM}


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        cell: Any,
        sizes: Sequence[int],
        gates: Tensor,
        constant: Tensor,
        weight: Tensor,
        bias: Tensor,
        *start: Tensor,
    ) -> State:
        """Step by step; what the backward pass needs is kept only where there will be one."""
        states: list[State] = [start]
        steps: list[Kept] = []
        wanted = any(context.needs_input_grad)
        with torch.autocast(gates.device.type, enabled=False):
            for part in torch.split(gates, list(sizes), 1):
                before = _first(states[-1], part.shape[1])
                own = (weight @ before[0].to(weight.dtype)).to(bias.dtype).add_(bias.unsqueeze(1))
                state, kept = cell.forward(part + constant[:, : part.shape[1]], own, before)
                states.append(state)
                if wanted:
                    steps.append(kept)
        context.cell, context.sizes, context.counts = cell, sizes, len(start)
        context.set_materialize_grads(False)
        context.save_for_backward(weight, *(one for each in (*states, *steps) for one in each))
        return tuple(torch.cat(parts, 1) for parts in zip(*states[1:], strict=True))

    @staticmethod
    def backward(context: Any, *outer: Tensor | None) -> tuple[Any, ...]:
        """Step by step from the last; the weight's gradient then is one product."""
        weight, *rest = context.saved_tensors
        states, steps = _regrouped(rest, context.counts, len(context.sizes))
        ends = [None if one is None else torch.split(one, list(context.sizes), 1) for one in outer]
        slopes = tuple(torch.zeros_like(one[:, :0]) for one in states[0])
        across = weight.t().contiguous()
        of_gates, of_own = [], []
        of_constant = states[0][0].new_zeros(len(weight), states[0][0].shape[1])
        for place in reversed(range(len(steps))):
            size = context.sizes[place]
            slopes = tuple(
                _added(one, None if end is None else end[place], size)
                for one, end in zip(slopes, ends, strict=True)
            )
            before = _first(states[place], size)
            gate, own, slopes = context.cell.backward(slopes, steps[place], before, states[place + 1])
            slopes[0].add_(across @ own.to(weight.dtype))
            of_constant[:, :size] += gate
            of_gates.append(gate)
            of_own.append(own)
        owns = torch.cat(of_own[::-1], 1)
        starts = [_first(state, size)[0] for state, size in zip(states, context.sizes, strict=False)]
        of_weight = owns.to(weight.dtype) @ torch.cat(starts, 1).to(weight.dtype).t()
        return None, None, torch.cat(of_gates[::-1], 1), of_constant, of_weight, owns.sum(1), *slopes


def _first(state: State, size: int) -> State:
    """The texts that go on."""
    return tuple(one[:, :size] for one in state)


def _added(slope: Tensor, end: Tensor | None, size: int) -> Tensor:
    """What comes from behind, for the texts that go on there, and from the outside, for all."""
    if slope.shape[1] == size and end is not None:
        return slope.add_(end)
    whole = slope.new_zeros(len(slope), size) if end is None else end.clone()
    whole[:, : slope.shape[1]] += slope
    return whole


def _regrouped(saved: list[Tensor], parts: int, count: int) -> tuple[list[State], list[Kept]]:
    """Saved tensors as they were: `count` + 1 states of some parts, then what each step kept."""
    cut = parts * (count + 1)
    states = [tuple(saved[start : start + parts]) for start in range(0, cut, parts)]
    each = (len(saved) - cut) // count
    return states, [tuple(saved[start : start + each]) for start in range(cut, len(saved), each)]
