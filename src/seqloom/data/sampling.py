"""Samplings: which task a step trains; each is a pure function of the seed and the step."""

import hashlib
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from seqloom.config import Count, Part, Positive, Table
from seqloom.errors import ConfigError


def seeded(*parts: object) -> int:
    """A 63-bit number that depends on all the parts, the same on every machine."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def uniform(*parts: object) -> float:
    """A number from 0 up to 1 that depends on all the parts."""
    return seeded(*parts) / 2.0**63


@dataclass(frozen=True, slots=True)
class Share:
    """What a sampling may know of a task.

    Args:
        rows: training rows.
        batch: rows a batch, or their mean where a batch is a budget of tokens.
        weight: the task's own factor.
    """

    rows: int
    batch: float
    weight: float = 1.0


class Sampling(Part):
    """Which task a step trains: a pure function of the seed and the step."""

    family: ClassVar[str] = "samplings"

    def __init__(self, config: Any, tasks: Mapping[str, Share], seed: int) -> None:
        self.config, self.tasks, self.seed = config, tasks, seed
        self.names = list(tasks)
        self.bounds = list(accumulate(self.weight(name, share) for name, share in tasks.items()))

    def weight(self, name: str, share: Share) -> float:
        """How often a task is drawn, relative to the others."""
        return share.weight

    def share(self, name: str) -> float:
        """The share of all steps that is a task's."""
        return self.weight(name, self.tasks[name]) / self.bounds[-1]

    @classmethod
    def check(cls, config: Any, weights: Mapping[str, float]) -> None:
        """Raise a ConfigError where no schedule comes of tasks of such names, with their own weights."""

    def task(self, step: int) -> str:
        """The task of a step, counted from 0."""
        if len(self.names) == 1:
            return self.names[0]
        place = uniform(self.seed, "task", step) * self.bounds[-1]
        return self.names[min(bisect_right(self.bounds, place), len(self.names) - 1)]


class Uniform(Sampling):
    """Every task as often as the next, but for the tasks' own weights."""

    class Config(Table):
        """Nothing to set."""

        type: Literal["uniform"] = "uniform"


class Proportional(Sampling):
    """In proportion to a power of the tasks' training rows, times the tasks' own weights."""

    class Config(Table):
        """`power`: 1 in proportion to rows, 0 uniform, 0.5 between."""

        type: Literal["proportional"] = "proportional"
        power: Annotated[float, Field(ge=0)] = 1.0

    def weight(self, name: str, share: Share) -> float:
        """Rows ** power × weight."""
        return float(share.weight * share.rows**self.config.power)


class Weighted(Sampling):
    """As the table says; the tasks' own weights multiply it."""

    class Config(Table):
        """`weights`: by task; 1 for tasks that are not named."""

        type: Literal["weighted"] = "weighted"
        weights: dict[str, Positive]

    def weight(self, name: str, share: Share) -> float:
        """The table's weight × the task's own."""
        return float(share.weight * self.config.weights.get(name, 1.0))


class Interval(Sampling):
    """Some tasks at fixed intervals of steps, the others drawn in between (Subramanian et al. 2018, section 3.3)."""

    class Config(Table):
        """`every`: by task, once in so many steps, the first listed at the first step; where two are due, the former.

        `power`: the others are drawn in proportion to this power of their rows, times their own weights.
        """

        type: Literal["interval"] = "interval"
        every: Annotated[dict[str, Count], Field(min_length=1)]
        power: Annotated[float, Field(ge=0)] = 0.0

    def __init__(self, config: Any, tasks: Mapping[str, Share], seed: int) -> None:
        self.check(config, dict.fromkeys(tasks, 1.0))
        self.shares = _due_shares(config.every)
        others = {name: share for name, share in tasks.items() if name not in config.every}
        self.others: Sampling = Proportional(Proportional.Config(power=config.power), others, seed)
        super().__init__(config, tasks, seed)

    @classmethod
    def check(cls, config: Any, weights: Mapping[str, float]) -> None:
        """Raise a ConfigError where a task would never have its turn, or has a weight that nothing reads."""
        shares, place = _due_shares(config.every), "every"
        if not weights.keys() - config.every.keys() or not shares[None]:
            what = "no step is left for other tasks" if not shares[None] else "no other task is there"
            raise ConfigError(f"{place}: {what}; name fewer tasks, or wider intervals")
        for name in config.every:
            if not shares[name]:
                what = f"{name} never has its turn, the steps that it is due at being those of tasks before it"
                raise ConfigError(f"{place}: {what}; name fewer tasks, or wider intervals")
            if weights.get(name, 1.0) != 1:
                raise ConfigError(f"{place}: nothing reads the weight of task {name}; leave one of them out")

    def weight(self, name: str, share: Share) -> float:
        """The share of all steps that is the task's."""
        if name in self.shares:
            return self.shares[name]
        return float(self.shares[None] * self.others.share(name))

    def task(self, step: int) -> str:
        """The task of a step, counted from 0."""
        return _due(self.config.every, step) or self.others.task(step)


def _due(every: Mapping[str, int], step: int) -> str | None:
    """The task whose turn a step is, the first of those that are due; None where none is."""
    return next((name for at, (name, each) in enumerate(every.items()) if step % each == at % each), None)


PERIOD = 100_000
"""The most steps that are counted to tell how often tasks are due, after which their order repeats itself."""


@cache
def _counted(every: tuple[tuple[str, int], ...]) -> Mapping[str | None, float]:
    period = math.lcm(*(each for _, each in every))
    if period > PERIOD:
        # So long a one is of intervals that have little in common, so that turns collide as if by chance.
        left, found = 1.0, dict[str | None, float]()
        for name, each in every:
            found[name] = left / each
            left -= found[name]
        return found | {None: left}
    table = dict(every)
    turns = Counter(_due(table, step) for step in range(period))
    return {name: turns[name] / period for name in (None, *table)}


def _due_shares(every: Mapping[str, int]) -> Mapping[str | None, float]:
    """The share of all steps at which each task is due and has its turn, and under None what is left."""
    return _counted(tuple(every.items()))


class Related(Sampling):
    """A target task and its relatives, each weighted by √rows and how it is related (Lin et al. 2018).

    r = μ · ζ · √rows, with μ = `factor` for another task than the target's and ζ = `factor` for another language.
    `mix` says how r becomes a schedule: `step` draws each step's task in proportion to r; `epoch` shuffles cycles of
    ⌊rows / batch⌋ target batches and, of every other task, r / r(target) times as many; `rows` shuffles cycles of
    ⌈rows / batch⌉ target batches and, of every other task, r / r(target) times its own rows.
    """

    class Config(Table):
        """`target`; which tasks are `cross_lingual` (another language), `cross_task` (another task), or both."""

        type: Literal["related"] = "related"
        target: str
        cross_lingual: list[str] = []
        cross_task: list[str] = []
        factor: Positive = 0.1
        mix: Literal["step", "epoch", "rows"] = "step"

    def __init__(self, config: Any, tasks: Mapping[str, Share], seed: int) -> None:
        super().__init__(config, tasks, seed)
        self._cycle: tuple[int, list[str]] = (-1, [])
        self._counts = self.cycle() if config.mix != "step" else {}

    def weight(self, name: str, share: Share) -> float:
        """μ · ζ · √rows, times the task's own weight."""
        distant = (name in self.config.cross_lingual) + (name in self.config.cross_task)
        return float(share.weight * self.config.factor**distant * share.rows**0.5)

    def share(self, name: str) -> float:
        """The share of all steps that is a task's."""
        return self._counts[name] / sum(self._counts.values()) if self._counts else super().share(name)

    def cycle(self) -> dict[str, int]:
        """How many batches of each task a cycle has; a target smaller than a batch still has one."""
        target = self.tasks[self.config.target]
        unit = self.weight(self.config.target, target)
        ratios = {name: self.weight(name, share) / unit for name, share in self.tasks.items()}
        if self.config.mix == "epoch":
            whole = max(1, int(target.rows // target.batch))
            return {
                name: whole if name == self.config.target else int(ratio * whole)
                for name, ratio in ratios.items()
            }
        counts = {name: int(share.rows * ratios[name] // share.batch) for name, share in self.tasks.items()}
        return counts | {self.config.target: math.ceil(target.rows / target.batch)}

    def task(self, step: int) -> str:
        """The task of a step, counted from 0."""
        if self.config.mix == "step":
            return super().task(step)
        cycle, place = divmod(step, sum(self._counts.values()))
        if self._cycle[0] != cycle:
            order = [name for name, count in self._counts.items() for _ in range(count)]
            Random(seeded(self.seed, "cycle", cycle)).shuffle(order)
            self._cycle = (cycle, order)
        return self._cycle[1][place]
