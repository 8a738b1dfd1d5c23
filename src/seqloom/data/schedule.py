"""The schedule: which task, and which of its rows, at every step; a pure function of seed, step and draws so far.

Batches hold rows of equal or nearly equal length, because padding is what recurrent models on a CPU lose most to;
which rows of a length go together, and in which order batches come, is drawn anew each epoch.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

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
        lengths: (rows,) tokens of each row.
        budget: rows a batch, or a number of tokens that a batch may hold, padding included.
        seed: what the order depends on, with the epoch.
    """

    def __init__(self, lengths: np.ndarray, budget: int | Tokens, seed: int) -> None:
        self.lengths, self.seed = np.asarray(lengths), seed
        ordered = np.sort(self.lengths, kind="stable")
        self.cuts = _fill(ordered, budget.tokens) if isinstance(budget, Tokens) else _even(len(ordered), budget)
        self._epoch: tuple[int, list[np.ndarray]] | None = None

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.cuts) - 1

    def rows(self, draw: int) -> np.ndarray:
        """The rows of the `draw`-th batch, counted from 0 over all epochs."""
        epoch, place = divmod(draw, len(self))
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._shuffled(epoch))
        return self._epoch[1][place]

    def _shuffled(self, epoch: int) -> list[np.ndarray]:
        random = np.random.Generator(np.random.PCG64(seeded(self.seed, "epoch", epoch)))
        mixed = random.permutation(len(self.lengths))
        ordered = mixed[np.argsort(self.lengths[mixed], kind="stable")]
        batches = [ordered[start:end] for start, end in zip(self.cuts, self.cuts[1:], strict=False)]
        return [batches[number] for number in random.permutation(len(batches))]


def _even(rows: int, budget: int) -> list[int]:
    """Where to cut rows into as few batches as the budget allows, of sizes that differ by one at most."""
    batches = -(-rows // budget)
    return [rows * number // max(1, batches) for number in range(batches + 1)]


def _fill(ordered: np.ndarray, tokens: int) -> list[int]:
    """Where to cut rows of rising length so that rows × longest stays within `tokens`; one row may exceed it."""
    cuts = [0]
    for number, length in enumerate(ordered.tolist()):
        if number > cuts[-1] and (number - cuts[-1] + 1) * length > tokens:
            cuts.append(number)
    return [*cuts, len(ordered)] if len(ordered) else cuts


def in_order(lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Every row once, the longest first, in batches of at most `budget` rows of nearly equal length."""
    ordered = np.argsort(-np.asarray(lengths), kind="stable")
    return [ordered[start : start + budget] for start in range(0, len(ordered), budget)]


class Schedule:
    """Draws (task, rows) step by step.

    The state is what was consumed, `draws` by task: with it and the step, the rest follows from the seed.
    """

    def __init__(self, sampling: Sampling, groups: Mapping[str, Groups]) -> None:
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
        return self.draws[task] / len(self.groups[task])


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
    """The share of a batching's places that are padding."""
    places = sum(len(one) * int(lengths[one].max()) for one in rows)
    return 1 - float(sum(int(lengths[one].sum()) for one in rows)) / max(1, places)
