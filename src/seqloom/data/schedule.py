"""The schedule: which task, and which of its rows, at every step; a pure function of seed, step and draws so far.

Batches hold rows of equal or nearly equal length, because padding is what recurrent models on a CPU lose most to;
which rows of a length go together, and in which order batches come, is drawn anew each epoch.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from seqloom.config import Count, Table
from seqloom.data.sampling import Sampling, seeded


class Tokens(Table):
    """A budget in tokens: as many rows as fit into it, counted with their padding."""

    tokens: Count


Budget = Annotated[Count | Tokens, Field(union_mode="left_to_right")]


class Groups:
    """The batches of one task: rows of nearly equal length, in an order drawn anew each epoch.

    Args:
        lengths: (rows, texts) tokens of each row's texts; rows of one first length are grouped by the next.
        budget: rows a batch, or a number of tokens that a batch may hold, padding included.
        seed: what the order depends on, with the epoch.
        rising: whether the first epoch goes from the shortest rows to the longest (Bengio et al. 2009).
        mixed: whether rows go together whatever their lengths, as many as the budget has for the longest.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        budget: int | Tokens,
        seed: int,
        *,
        rising: bool = False,
        mixed: bool = False,
    ) -> None:
        self.lengths, self.seed, self.rising, self.mixed = lengths, seed, rising, mixed
        longest = lengths.max(1, initial=0)[_ordered(lengths)]
        if mixed:
            # Rows that are all alike are cut by their number alone.
            longest = np.full_like(longest, longest.max(initial=1))
        self.cuts = _fill(longest, budget.tokens) if isinstance(budget, Tokens) else _even(longest, budget)
        self._epoch: tuple[int, list[np.ndarray]] | None = None

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.cuts) - 1

    def epochs(self, draws: int) -> float:
        """How many times the rows were gone through after some batches."""
        return draws / len(self)

    def rows(self, draw: int) -> np.ndarray:
        """The rows of the `draw`-th batch, counted from 0 over all epochs."""
        epoch, place = divmod(draw, len(self))
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._shuffled(epoch))
        return self._epoch[1][place]

    def _shuffled(self, epoch: int) -> list[np.ndarray]:
        random = np.random.Generator(np.random.PCG64(seeded(self.seed, "epoch", epoch)))
        mixed = random.permutation(len(self.lengths))
        ordered = mixed if self.mixed else mixed[_ordered(self.lengths[mixed])]
        batches = [ordered[start:end] for start, end in pairwise(self.cuts)]
        if self.rising and not epoch:
            return batches
        return [batches[number] for number in random.permutation(len(batches))]


def _ordered(lengths: np.ndarray) -> np.ndarray:
    """The order (rows,) of rising lengths (rows, texts): by the first text, then by the next.

    The next falls where the first is even and rises where it is odd, so that it makes no leap in between.
    """
    turns = np.where(lengths[:, :1] % 2, lengths[:, 1:], -lengths[:, 1:])
    return np.lexsort((*turns.T[::-1], lengths[:, 0]))


def _even(ordered: np.ndarray, budget: int) -> list[int]:
    """Where to cut rows of some lengths into as few batches as the budget allows, of sizes that differ by one at most.

    A batch that would be padding for the greater part is cut where its lengths leap, as often as need be.
    """
    rows = len(ordered)
    batches = -(-rows // budget)
    cuts = [rows * number // max(1, batches) for number in range(batches + 1)]
    return [0, *(cut for start, end in pairwise(cuts) for cut in _ends(ordered, start, end))]


def _ends(lengths: np.ndarray, start: int, end: int) -> list[int]:
    """Where the batches end that the rows from `start` to `end` are cut into."""
    inside = lengths[start:end]
    if 2 * int(inside.sum()) >= len(inside) * int(inside.max()):
        return [end]
    leap = start + 1 + int(np.argmax(np.abs(np.diff(np.log(inside)))))
    return [*_ends(lengths, start, leap), *_ends(lengths, leap, end)]


def _fill(ordered: np.ndarray, tokens: int) -> list[int]:
    """Where to cut rows of rising length so that rows × longest stays within `tokens`; one row may exceed it."""
    cuts, longest = [0], 0
    for number, length in enumerate(ordered.tolist()):
        longest = max(longest, length)
        if number > cuts[-1] and (number - cuts[-1] + 1) * longest > tokens:
            cuts.append(number)
            longest = length
    return [*cuts, len(ordered)] if len(ordered) else cuts


def in_order(lengths: np.ndarray, budget: int, *, full: bool = False) -> list[np.ndarray]:
    """Every row once, the longest first, in batches of at most `budget` rows of nearly equal lengths (rows, texts).

    If batches need not be full, one that has an eighth of its rows ends where the length of the first text changes, so
    that most have no padding.
    """
    ordered = _ordered(lengths)[::-1]
    changes = np.array([], int) if full else np.flatnonzero(np.diff(lengths[ordered, 0])) + 1
    found, start = [], 0
    while start < len(ordered):
        change = np.searchsorted(changes, start + max(budget // 8, 1))
        end = min([start + budget, *changes[change : change + 1].tolist()])
        found.append(ordered[start:end])
        start = end
    return found


class Batches(Protocol):
    """What cuts the rows of a task into batches."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def rows(self, draw: int) -> np.ndarray:
        """The rows of the `draw`-th batch, counted from 0 over all epochs."""

    def epochs(self, draws: int) -> float:
        """How many times the rows were gone through after some batches."""


class Schedule:
    """Draws (task, rows) step by step.

    The state is what was consumed, `draws` by task: with it and the step, the rest follows from the seed.
    """

    def __init__(self, sampling: Sampling, groups: Mapping[str, Batches]) -> None:
        self.sampling, self.groups = sampling, groups
        self.draws = dict.fromkeys(groups, 0)

    def task(self, step: int) -> str:
        """The task of a step."""
        return self.sampling.task(step)

    def draw(self, task: str) -> np.ndarray:
        """The next rows of a task."""
        rows = self.groups[task].rows(self.draws[task])
        self.draws[task] += 1
        return rows

    def epoch(self, task: str) -> float:
        """How many times a task's rows were gone through."""
        return self.groups[task].epochs(self.draws[task])


def nested(rows: int, keep: int | float, seed: int) -> np.ndarray:
    """A seeded choice of rows, at least one, in file order: a smaller one of a seed is part of a larger one.

    Args:
        rows: how many there are.
        keep: how many to keep, or, as a fraction below 1, which share.
        seed: what the choice depends on.
    """
    count = keep if isinstance(keep, int) else max(1, round(rows * keep))
    order = np.random.Generator(np.random.PCG64(seeded(seed, "sample"))).permutation(rows)
    return np.sort(order[: min(count, rows)])


def share_of(rows: Sequence[np.ndarray], lengths: np.ndarray) -> float:
    """The share of a batching's places that are padding, over all texts of lengths (rows, texts)."""
    places = sum(len(one) * int(lengths[one].max(0).sum()) for one in rows)
    return 1 - float(sum(int(lengths[one].sum()) for one in rows)) / max(1, places)
