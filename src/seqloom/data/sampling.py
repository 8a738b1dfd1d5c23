"""Samplings: which task a step trains; each is a pure function of the seed and the step."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
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
        self.every: dict[str, int] = config.every
        others = {name: share for name, share in tasks.items() if name not in self.every}
        self.left = 1 - sum(1 / steps for steps in self.every.values())
        if not others or self.left <= 0:
            what = "no step is left for the other tasks" if others else "no other task is there"
            raise ConfigError(f"training.sampling.every: {what}; name fewer tasks, or wider intervals")
        self.others: Sampling = Proportional(Proportional.Config(power=config.power), others, seed)
        super().__init__(config, tasks, seed)

    def weight(self, name: str, share: Share) -> float:
        """The share of all steps that is the task's."""
        if name in self.every:
            return 1 / self.every[name]
        return float(self.left * self.others.weight(name, share) / self.others.bounds[-1])

    def task(self, step: int) -> str:
        """The task of a step, counted from 0."""
        for place, (name, steps) in enumerate(self.every.items()):
            if step % steps == place % steps:
                return name
        return self.others.task(step)


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
