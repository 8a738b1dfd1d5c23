"""Averaged weights: parts that a configuration names."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from seqloom.config import Count, Natural, Part, Share, Table
from seqloom.progress import notice


class Averaging(Part):
    """Averaged weights, used to evaluate and saved as the model's; training goes on with its own."""

    family: ClassVar[str] = "averagings"

    def __init__(self, config: Any) -> None:
        self.config = config
        self.count = 0
        self.state: dict[str, Any] = {}
        self.average: dict[str, Tensor] = {}

    def share(self) -> float:
        """How much of the newest weights goes into the average."""
        raise TypeError(f"{type(self).__name__} does not average")

    @property
    def started(self) -> bool:
        """Whether weights are averaged from the next step on."""
        return True

    @property
    def over(self) -> bool:
        """Whether it wants training to end."""
        return False

    def pace(self, pace: float) -> float:
        """How large a step is taken, in that of the rate, when one as large is due."""
        return pace

    def evaluated(self, figure: float) -> None:
        """Hear an evaluation's watched figure, of which more is better."""

    def update(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights after a step."""
        if step < self.config.start or not self.started:
            return
        self.count += 1
        if not self.average:
            self.average = {name: one.detach().clone() for name, one in weights.items()}
            return
        pairs = [(self.average[name], one) for name, one in weights.items()]
        torch._foreach_lerp_([old for old, _ in pairs], [new.detach() for _, new in pairs], self.share())


class Moving(Averaging):
    """An exponential moving average: average ← decay · average + (1 − decay) · weights."""

    class Config(Table):
        """`decay`; `start`: the step from which on weights are averaged."""

        type: Literal["moving"] = "moving"
        decay: Share = 0.999
        start: Natural = 0

    def share(self) -> float:
        """1 − decay, larger at first so that the start is forgotten."""
        return float(max(1 - self.config.decay, 1 / (self.count + 1)))


class Mean(Averaging):
    """The plain mean of all weights from `start` on (Polyak & Juditsky 1992)."""

    class Config(Table):
        """`start`: the step from which on weights are averaged."""

        type: Literal["mean"] = "mean"
        start: Natural = 0

    def share(self) -> float:
        """One part in as many as there are."""
        return 1 / self.count


class Triggered(Mean):
    """The mean of all weights from when the watched figure no longer rises (NT-ASGD, Merity et al. 2018, algorithm 1).

    It begins after an evaluation that is worse than the best of all but the last `nonmonotone` before it.
    """

    class Config(Table):
        """When it begins and when training ends.

        `nonmonotone`: evaluations; `start`: the step from which on it may begin; `worse`: training ends when so many
        evaluations in a row, while it averages, were each worse than the one before. `at_once`: it begins with the
        first step, as in fine-tuning; what would have begun it ends training, after more than `minimum` evaluations.

        `faithful`: as torch's ASGD has it, with which the published figures were made: the first weights are left out
        of the mean, and a step has the length that was due at the step before.
        """

        type: Literal["triggered"] = "triggered"
        nonmonotone: Count = 5
        start: Natural = 0
        worse: Count | None = None
        at_once: bool = False
        minimum: Natural = 0
        faithful: bool = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.state = {
            "figures": [],
            "begun": config.at_once,
            "last": None,
            "worse": 0,
            "pace": None,
            "over": False,
        }

    @property
    def started(self) -> bool:
        """Whether it has begun."""
        return bool(self.state["begun"])

    @property
    def over(self) -> bool:
        """Whether the figure fell `worse` times in a row, or, begun at once, no longer rises."""
        falls = self.config.worse is not None and self.state["worse"] >= self.config.worse
        return falls or bool(self.state["over"])

    def evaluated(self, figure: float) -> None:
        """Begin, if it is time; once begun, count how often the figure falls."""
        state, config = self.state, self.config
        if self.started:
            waits = config.start and not self.count
            falls = not waits and state["last"] is not None and figure < state["last"]
            state["worse"], state["last"] = state["worse"] + 1 if falls else 0, figure
        if self.started and not config.at_once:
            return
        before = state["figures"][: -config.nonmonotone]
        stalls = bool(before) and figure < max(before)
        if stalls and not self.started:
            notice(self._told())
        state["begun"] = config.at_once or stalls
        state["over"] = config.at_once and stalls and len(state["figures"]) > config.minimum
        state["figures"].append(figure)

    def _told(self) -> str:
        after = f", but not before step {self.config.start:,}" if self.config.start else ""
        return f"the watched figure no longer rises: weights are averaged from now on{after}"

    def pace(self, pace: float) -> float:
        """The step that is due; of the faithful variant, the one that was due before."""
        if not (self.started and self.config.faithful):
            return pace
        before, self.state["pace"] = self.state["pace"], pace
        return pace if before is None else float(before)

    def share(self) -> float:
        """One part in as many as there are; torch counts one less."""
        return 1 / (self.count - 1) if self.config.faithful else 1 / self.count
