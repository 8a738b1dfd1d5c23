"""What a linear chain says of label sequences: their scores, the sum over all of them, and its gradient.

One sweep runs both ways over every sentence at once, on scaled probabilities: a step is then a small matrix product
(Rabiner 1989, "A tutorial on hidden Markov models", section V.A). Where a number leaves the range in which it is
exact, the sweep is thrown away and sums of logarithms take its place.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FORBIDDEN = -1e30
"""What -inf becomes where scores are added, as the difference of two -inf is not a number."""
_STRIDE = 8
"""Steps from one rescaling to the next."""
_SMALLEST = 1e-250
"""A sum that is at least this lost nothing that counts to underflow, which begins at 1e-308."""


@dataclass(frozen=True)
class Layout:
    """Where the N real tokens of a padded batch lie, as flat indices in the order (batch, time).

    The sweep stores rows of (steps, 2, batch): way 0 walks a sentence from its first token on, way 1 from its last.
    """

    lengths: Tensor
    sentences: Tensor
    """(N,): the sentence of each token."""
    tokens: Tensor
    """(N,): its place in (batch, time)."""
    forward: Tensor
    """(N,): the row of the sweep that came to it from the left."""
    backward: Tensor
    """(N,): the row that came to it from the right."""
    first: Tensor
    last: Tensor
    """(batch,): the sentences' ends, among the N."""
    owners: Tensor
    """(N + batch + N,): the sentences of what a label sequence takes from the scores, in the order of `Gold`."""
    walked: Tensor
    """(steps * 2 * batch,): the place in (batch, time) of the token of each row; past a sentence's end, any one."""
    rescaled: Tensor
    """(batch,): the place, in (rescalings, batch), of the last rescaling within each sentence."""


def layout(lengths: Tensor, time: int, device: torch.device) -> Layout:
    """The layout of sentences of `lengths` (batch,), on the CPU, padded to `time`.

    Raises:
        ValueError: a length is below 1 or above `time`.
    """
    n = lengths.numpy()
    if n.min() < 1 or n.max() > time:
        raise ValueError(f"lengths from {n.min()} to {n.max()} where 1 to {time} are possible")
    batch, past = np.arange(len(n)), np.cumsum(n)
    sentences = np.repeat(batch, n)
    position = np.arange(past[-1]) - (past - n)[sentences]
    steps = np.arange(n.max())[:, None]
    walked = np.stack([np.minimum(steps, n - 1), np.maximum(n - 1 - steps, 0)], 1) + batch * time
    found = (
        n,
        sentences,
        position + sentences * time,
        position * 2 * len(n) + sentences,
        (n[sentences] - 1 - position) * 2 * len(n) + len(n) + sentences,
        past - n,
        past - 1,
        np.concatenate([sentences, batch, sentences]),
        walked.reshape(-1),
        (n - 1) // _STRIDE * len(n) + batch,
    )
    return Layout(*(torch.from_numpy(each).to(device) for each in found))


@dataclass(frozen=True)
class Gold:
    """One label sequence for every sentence, as flat indices of what it takes from the scores."""

    moves: Tensor
    """(N + batch,): in the transitions, those into each token and then those out of each sentence."""
    picks: Tensor
    """(N,): in the emissions."""

    @classmethod
    def of(cls, labels: Tensor, size: int, places: Layout) -> "Gold | None":
        """Of `labels` (batch, time), where the transitions have `size` rows; None if a token's label is unknown.

        Raises:
            ValueError: a label is too large.
        """
        current = labels.reshape(-1).index_select(0, places.tokens)
        lowest, highest = (extreme.item() for extreme in current.aminmax())
        if highest >= size - 2:
            raise ValueError(f"the label {highest} where there are {size - 2}")
        if lowest < 0:
            return None
        previous = current.roll(1).index_fill_(0, places.first, size - 2)
        moves = torch.cat([current * size + previous, current[places.last] + (size - 1) * size])
        return cls(moves, places.tokens * (size - 2) + current)

    def score(self, emissions: Tensor, transitions: Tensor, places: Layout) -> Tensor:
        """Its scores: (batch,), in double precision."""
        terms = torch.cat([transitions.take(self.moves), emissions.take(self.picks)]).double()
        return terms.new_zeros(len(places.lengths)).index_add(0, places.owners, terms)


def negative_log_likelihood(emissions: Tensor, transitions: Tensor, labels: Tensor, places: Layout) -> Tensor:
    """The negative log-likelihood (batch,) of `labels` (batch, time), of which negative ones are unknown."""
    gold = Gold.of(labels, len(transitions), places)
    if gold is not None:
        return log_partition(emissions, transitions, places, gold)
    return log_partition(emissions, transitions, places) - score(emissions, transitions, labels, places)


def score(emissions: Tensor, transitions: Tensor, labels: Tensor, places: Layout) -> Tensor:
    """The scores (batch,) of `labels` (batch, time); unknown ones are summed over, as `log_partition` sums."""
    gold = Gold.of(labels, len(transitions), places)
    if gold is not None:
        return gold.score(emissions, transitions, places)
    choices = torch.arange(emissions.size(2), device=labels.device)
    excluded = (labels[..., None] >= 0) & (labels[..., None] != choices)
    return log_partition(emissions.masked_fill(excluded, -torch.inf), transitions, places)


def log_partition(emissions: Tensor, transitions: Tensor, places: Layout, gold: Gold | None = None) -> Tensor:
    """The log of the summed exponentials of all sequences' scores, less the score of `gold` where it is given.

    Shapes: emissions (batch, time, labels), transitions (labels + 2, labels + 2) as [to, from]; the result (batch,),
    in double precision. It can be differentiated once.
    """
    with torch.no_grad():
        sweep = _Sweep(emissions, transitions, places)
    if sweep.exact:
        return cast(Tensor, _LogPartition.apply(emissions, transitions, sweep, gold))  # type: ignore[no-untyped-call]
    total = log_partition_by_logs(emissions, transitions, places.lengths)
    return total if gold is None else total - gold.score(emissions, transitions, places)


def log_partition_by_logs(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
    """What `log_partition` gives, by sums of logarithms: exact for scores of any size, and slow."""
    labels = emissions.size(2)
    scores = emissions.double().clamp(min=FORBIDDEN)
    moves = transitions.double().clamp(min=FORBIDDEN)
    reached = moves[:labels, labels] + scores[:, 0]
    for step in range(1, int(lengths.max())):
        onward = torch.logsumexp(reached[:, None] + moves[:labels, :labels], 2) + scores[:, step]
        reached = torch.where((step < lengths)[:, None], onward, reached)
    return torch.logsumexp(reached + moves[labels + 1, :labels], 1)


class _Sweep:
    """The sums from both ends of every sentence, what they say of each token, and whether to trust them."""

    def __init__(self, emissions: Tensor, transitions: Tensor, places: Layout) -> None:
        self.places = places
        batch, _, labels = emissions.shape
        tops, highest = emissions.amax(2, keepdim=True).double(), transitions.max().item()
        moves = (transitions.double() - highest).exp_()
        self.moves = moves[:labels, :labels]
        ways = torch.stack([self.moves.t(), self.moves])
        ends = torch.stack([moves[:labels, labels], moves[labels + 1, :labels]])
        chances = (emissions.double() - tops).exp_().reshape(-1, labels).index_select(0, places.walked)
        before, after, totals = _walk(ends, ways, chances.view(-1, 2, batch, labels))
        self._meet(before.view(-1, labels), after.view(-1, labels))
        self.exact = self.sums.amin().item() >= _SMALLEST and (
            after.amin().item() >= _SMALLEST or not _lost(after, transitions)
        )
        self.value = self.sums[places.last].log() + totals.log_().cumsum(0).take(places.rescaled)
        self.value.index_add_(0, places.sentences, tops.view(-1).index_select(0, places.tokens))
        self.value.add_(places.lengths + 1, alpha=highest)

    def _meet(self, before: Tensor, after: Tensor) -> None:
        """Bring both ways together at each token: a row of `joint` (N, labels) is in proportion to the marginals."""
        self.left = after.index_select(0, self.places.forward)
        self.right = after.index_select(0, self.places.backward)
        self.joint = before.index_select(0, self.places.backward).mul_(self.left)
        self.sums = self.joint.mv(self.joint.new_ones(self.joint.size(1)))

    def gradient(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient by emissions (N, labels) and by transitions of the log-partitions times `weights` (batch,)."""
        labels = self.joint.size(1)
        share = (weights.index_select(0, self.places.sentences) / self.sums)[:, None]
        marginals = self.joint * share
        by_transition = marginals.new_zeros(labels + 2, labels + 2)
        by_transition[:labels, labels] = marginals[self.places.first].sum(0)
        by_transition[labels + 1, :labels] = marginals[self.places.last].sum(0)
        # What follows a sentence's last token among the N is of the next sentence.
        share = share.index_fill_(0, self.places.last, 0)[:-1]
        by_transition[:labels, :labels] = (self.right[1:].t() @ (self.left[:-1] * share)).mul_(self.moves)
        return marginals, by_transition


def _walk(ends: Tensor, moves: Tensor, chances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sums that reach each label before and after its own chance is counted, and the forward way's scales.

    Shapes: ends (2, labels), moves (2, labels, labels) as [way, from, to], chances (steps, 2, batch, labels).
    """
    before, after = torch.empty_like(chances), torch.empty_like(chances)
    before[0] = ends[:, None]
    torch.mul(before[0], chances[0], out=after[0])
    scales = chances.new_ones((len(chances) - 1) // _STRIDE + 1, *chances.shape[1:3], 1)
    every = chances.new_ones(moves.size(1), 1)
    library, arrays = _arrays(before, after, chances, moves, scales, every)
    reaching, reached, own, onward, scale, ones = arrays
    # A scale of zero makes numbers that are none, which `_Sweep.exact` sees.
    with np.errstate(divide="ignore", invalid="ignore"):
        for step in range(1, len(chances)):
            here = reached[step]
            library.matmul(reached[step - 1], onward, out=reaching[step])
            library.multiply(reaching[step], own[step], out=here)
            if step % _STRIDE == 0:
                library.matmul(here, ones, out=scale[step // _STRIDE])
                library.divide(here, scale[step // _STRIDE], out=here)
    return before, after, scales[:, 0, :, 0]


def _arrays(*tensors: Tensor) -> tuple[ModuleType, list[Any]]:
    """The tensors as the loop takes them: on the CPU as numpy's, over the same memory, as its calls cost less."""
    if tensors[0].is_cpu:
        return np, [tensor.numpy() for tensor in tensors]
    return torch, list(tensors)


def _lost(after: Tensor, transitions: Tensor) -> bool:
    """Whether a sum is too small that no forbidden transition explains."""
    labels = after.size(3)
    free = (transitions > -torch.inf).to(after.dtype)
    ends = torch.stack([free[:labels, labels], free[labels + 1, :labels]])
    inner = free[:labels, :labels]
    onward = torch.matmul((after[:-1] > 0).to(after.dtype), torch.stack([inner.t(), inner]))
    expected = torch.cat([ends[:, None].expand_as(after[0])[None], onward]) > 0
    return bool((expected & ~(after >= _SMALLEST)).any())


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, emissions: Tensor, transitions: Tensor, sweep: _Sweep, gold: Gold | None) -> Tensor:
        ctx.sweep, ctx.gold = sweep, gold
        ctx.shape, ctx.dtypes = emissions.shape, (emissions.dtype, transitions.dtype)
        return sweep.value if gold is None else sweep.value - gold.score(emissions, transitions, sweep.places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, Tensor, None, None]:
        places = ctx.sweep.places
        marginals, by_transition = ctx.sweep.gradient(weights)
        by_emission = marginals.new_zeros(ctx.shape, dtype=ctx.dtypes[0])
        by_emission.view(-1, ctx.shape[2]).index_copy_(0, places.tokens, marginals.to(ctx.dtypes[0]))
        if ctx.gold is not None:
            taken = weights.neg().index_select(0, places.owners)
            moves, picks = taken[: -len(places.tokens)], taken[-len(places.tokens) :]
            by_transition.view(-1).index_add_(0, ctx.gold.moves, moves)
            by_emission.view(-1).index_add_(0, ctx.gold.picks, picks.to(ctx.dtypes[0]))
        return by_emission, by_transition.to(ctx.dtypes[1]), None, None
