"""Pointing at a span: a decoder that looks for its start and its end in turns."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.nn.maxout import Maxout
from seqloom.nn.pooling import past_end
from seqloom.nn.recurrent import RecurrentLayer


class HighwayMaxout(nn.Module):
    """The highway maxout network: a score for each position, in the light of the span that is supposed so far.

    Xiong et al., "Dynamic Coattention Networks for Question Answering" (2017), equations 9 to 13: r = tanh(W_D [h; u_s;
    u_e]); m1 = max(W1 [u_t; r] + b1); m2 = max(W2 m1 + b2); the score is max(W3 [m1; m2] + b3).

    W1 is held in two parts, so that the part for u_t is computed once for all iterations.

    Args:
        size: features of a state u.
        hidden: units of each layer, and features of the decoder's h.
        pieces: linear maps for each maxout unit.
    """

    def __init__(self, size: int, hidden: int, pieces: int = 16) -> None:
        super().__init__()
        self.shape = (hidden, pieces)
        self.supposed = nn.Linear(hidden + 2 * size, hidden, bias=False)
        self.position = nn.Linear(size, hidden * pieces)
        self.context = nn.Linear(hidden, hidden * pieces, bias=False)
        self.second = Maxout(hidden, hidden, pieces)
        self.scorer = Maxout(2 * hidden, 1, pieces)
        # With biases of their own, one piece would win at all positions: those differ little before training.
        for bias in (self.position.bias, self.second.linear.bias, self.scorer.linear.bias):
            nn.init.zeros_(bias)

    def prepare(self, states: Tensor) -> Tensor:
        """The part of W1 that depends on states (batch, time, size) alone: (batch, time, hidden * pieces)."""
        prepared: Tensor = self.position(states)
        return prepared

    def forward(self, prepared: Tensor, h: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Score each position: (batch, time), from h (batch, hidden) and the states u_s, u_e (batch, size)."""
        r = torch.tanh(self.supposed(torch.cat([h, start, end], -1)))
        first = (prepared + self.context(r).unsqueeze(1)).unflatten(-1, self.shape).max(-1).values
        score: Tensor = self.scorer(torch.cat([first, self.second(first)], -1))
        return score.squeeze(-1)


@dataclass(frozen=True, slots=True)
class Pointing:
    """What a decoder makes of a batch, iteration by iteration.

    Attributes:
        starts: (iterations, batch, time), scores of the start, -inf past the end of a row.
        ends: as `starts`, of the end.
        last: (batch,), the iteration at which a row's span no longer changed, or the last one.
    """

    starts: Tensor
    ends: Tensor
    last: Tensor

    def final(self) -> tuple[Tensor, Tensor]:
        """Each row's scores of start and end at its last iteration: (batch, time) twice."""
        rows = torch.arange(len(self.last), device=self.last.device)
        return self.starts[self.last, rows], self.ends[self.last, rows]

    def loss(self, start: Tensor, end: Tensor, *, until_settled: bool = False, mean: bool = False) -> Tensor:
        """Cross-entropy of starts and ends over the iterations, for each row: (batch,).

        Args:
            start: (batch,), where each span begins; a row at -1 counts for nothing.
            end: (batch,), its last position.
            until_settled: whether iterations after a row's last one are left out.
            mean: whether it is the mean over the iterations rather than their sum.
        """
        count = len(self.starts)
        of_both = _entropy(self.starts, start) + _entropy(self.ends, end)
        counted = torch.ones_like(of_both)
        if until_settled:
            numbers = torch.arange(count, device=self.last.device)
            counted = (numbers.unsqueeze(1) <= self.last).to(of_both)
        summed = (of_both * counted).sum(0)
        return summed / counted.sum(0) if mean else summed


def _entropy(scores: Tensor, place: Tensor) -> Tensor:
    """(iterations, batch) cross-entropies of scores (iterations, batch, time) at places (batch,)."""
    flat = scores.flatten(0, 1).float(), place.repeat(len(scores))
    return functional.cross_entropy(*flat, ignore_index=-1, reduction="none").view(len(scores), -1)


class DynamicPointer(nn.Module):
    """The dynamic pointing decoder: an LSTM that supposes a span, scores all positions in its light, and repeats.

    Xiong et al., "Dynamic Coattention Networks for Question Answering" (2017), section 2.3. A row is settled when
    neither start nor end changes from one iteration to the next. The paper leaves open what is supposed at first, and
    whether the network of the end already sees the new start: its figure says so, its formula does not.

    Args:
        size: features of a state.
        hidden: units of the LSTM and of the highway maxout networks.
        pieces: linear maps for each maxout unit.
        iterations: at most so many.
        begin: the span supposed at first: "edges", from the first position to the last, or "first", the first alone.
        end_sees: whether the network of the end sees the "new" start of its iteration or the "old" one.
    """

    def __init__(
        self,
        size: int,
        hidden: int,
        pieces: int = 16,
        iterations: int = 4,
        begin: Literal["edges", "first"] = "edges",
        end_sees: Literal["new", "old"] = "new",
    ) -> None:
        super().__init__()
        self.iterations, self.begin, self.end_sees = iterations, begin, end_sees
        self.recurrence = RecurrentLayer("lstm", 2 * size, hidden)
        self.start = HighwayMaxout(size, hidden, pieces)
        self.end = HighwayMaxout(size, hidden, pieces)

    def forward(self, states: Tensor, lengths: Tensor, *, whole: bool = True) -> Pointing:
        """Point into states (batch, time, size) of lengths (batch,), int64, on the CPU, at least 1.

        Without `whole`, iterations end when every row is settled; what is last for a row is the same.
        """
        past = past_end(lengths, states.shape[1], states.device)
        prepared = self.start.prepare(states), self.end.prepare(states)
        span, last = self._first(lengths.to(states.device)), torch.zeros_like(lengths).to(states.device)
        settled, carried = torch.zeros_like(last, dtype=torch.bool), None
        found: list[tuple[Tensor, Tensor]] = []
        for iteration in range(self.iterations):
            supposed = torch.cat([_at(states, one) for one in span], -1).unsqueeze(1)
            _, carried = self.recurrence(supposed, torch.ones_like(lengths), carried)
            scores, new = self._turn(states, prepared, past, carried[0][0], span)
            last = last.masked_fill(~settled, iteration)
            if iteration:
                settled = settled | ((new[0] == span[0]) & (new[1] == span[1]))
            found, span = [*found, scores], new
            if not whole and bool(settled.all()):
                break
        starts, ends = zip(*found, strict=True)
        return Pointing(torch.stack(starts), torch.stack(ends), last)

    def _first(self, lengths: Tensor) -> tuple[Tensor, Tensor]:
        start = torch.zeros_like(lengths)
        return start, lengths - 1 if self.begin == "edges" else start

    def _turn(
        self,
        states: Tensor,
        prepared: tuple[Tensor, Tensor],
        past: Tensor,
        h: Tensor,
        span: tuple[Tensor, Tensor],
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The scores of start and end, and the best of both."""
        start, end = (_at(states, one) for one in span)
        starts = self.start(prepared[0], h, start, end).masked_fill(past, -torch.inf)
        new_start = starts.argmax(-1)
        if self.end_sees == "new":
            start = _at(states, new_start)
        ends = self.end(prepared[1], h, start, end).masked_fill(past, -torch.inf)
        return (starts, ends), (new_start, ends.argmax(-1))


def _at(states: Tensor, places: Tensor) -> Tensor:
    return states[torch.arange(len(states), device=states.device), places]


def best_spans(start: Tensor, end: Tensor, ordered: bool = True) -> tuple[Tensor, Tensor]:
    """The best start and end of each row, `end` included: (batch,) twice.

    Args:
        start: (batch, time), scores of the start, -inf past the end of a row.
        end: as `start`, of the end.
        ordered: whether a span may not end before it starts; the best sum of both scores is then taken.
    """
    if not ordered:
        return start.argmax(-1), end.argmax(-1)
    best, places = start.cummax(-1)
    ends = (best + end).argmax(-1, keepdim=True)
    return places.gather(1, ends).squeeze(1), ends.squeeze(1)
