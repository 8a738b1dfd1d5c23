"""Optimisers, rate schedules and averaged weights: parts that a configuration names."""

import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from seqloom.config import Count, Natural, Part, Positive, Share, Table

Decay = Annotated[float, Field(ge=0)]


class Optimizer(Part):
    """Makes a torch optimiser from a table with a `rate`; `words` turns the rest of the table into its arguments."""

    family: ClassVar[str] = "optimizers"
    makes: ClassVar[Any]

    @classmethod
    def words(cls, config: Any) -> dict[str, Any]:
        """The arguments besides parameters and rate."""
        return {"weight_decay": config.weight_decay}

    @classmethod
    def make(cls, config: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser over groups of parameters."""
        made: torch.optim.Optimizer = cls.makes(groups, lr=config.rate, **cls.words(config))
        return made


class SGD(Optimizer):
    """Stochastic gradient descent."""

    makes = torch.optim.SGD

    class Config(Table):
        """`rate`, `momentum`, `nesterov`, `weight_decay`."""

        type: Literal["sgd"] = "sgd"
        rate: Positive
        momentum: Share = 0.0
        nesterov: bool = False
        weight_decay: Decay = 0.0

    @classmethod
    def words(cls, config: Any) -> dict[str, Any]:
        """The arguments besides parameters and rate."""
        return {"momentum": config.momentum, "nesterov": config.nesterov, "weight_decay": config.weight_decay}


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015)."""

    makes: ClassVar[Any] = torch.optim.Adam

    class Config(Table):
        """`rate`, `beta1`, `beta2`, `epsilon`, `weight_decay`."""

        type: Literal["adam"] = "adam"
        rate: Positive = 0.001
        beta1: Share = 0.9
        beta2: Share = 0.999
        epsilon: Positive = 1e-8
        weight_decay: Decay = 0.0

    @classmethod
    def words(cls, config: Any) -> dict[str, Any]:
        """The arguments besides parameters and rate."""
        betas = (config.beta1, config.beta2)
        # Fused: one pass over large word tables; the other forms are six times slower on tiny second moments.
        return {"betas": betas, "eps": config.epsilon, "weight_decay": config.weight_decay, "fused": True}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    makes = torch.optim.AdamW

    class Config(Adam.Config):
        """As adam; `weight_decay` is decoupled."""

        type: Literal["adamw"] = "adamw"  # type: ignore[assignment]
        weight_decay: Decay = 0.01


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011)."""

    makes = torch.optim.Adagrad

    class Config(Table):
        """`rate`, `weight_decay`."""

        type: Literal["adagrad"] = "adagrad"
        rate: Positive = 0.01
        weight_decay: Decay = 0.0


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012)."""

    makes = torch.optim.Adadelta

    class Config(Table):
        """`rate`, `decay` of the running means of squares, `epsilon`, `weight_decay`."""

        type: Literal["adadelta"] = "adadelta"
        rate: Positive = 1.0
        decay: Share = 0.9
        epsilon: Positive = 1e-6
        weight_decay: Decay = 0.0

    @classmethod
    def words(cls, config: Any) -> dict[str, Any]:
        """The arguments besides parameters and rate."""
        return {"rho": config.decay, "eps": config.epsilon, "weight_decay": config.weight_decay}


class RateSchedule(Part):
    """What the rate is multiplied by, step by step; its state, if any, is in `state`."""

    family: ClassVar[str] = "schedules"
    waits: ClassVar[bool] = False
    """Whether it goes by watched figures."""

    def __init__(self, config: Any, steps: int) -> None:
        self.config, self.steps = config, steps
        self.state: dict[str, float] = {}

    def factor(self, step: int) -> float:
        """The factor at a step, counted from 0, warm-up included."""
        warm = self.config.warmup
        return min(1.0, (step + 1) / warm) * self.after(max(0, step - warm)) if warm else self.after(step)

    def after(self, step: int) -> float:
        """The factor `step` steps after the warm-up."""
        return 1.0

    def evaluated(self, figure: float, best: float) -> None:
        """Hear an evaluation's watched figure and the best one before it."""

    @property
    def over(self) -> bool:
        """Whether it wants training to end."""
        return False


class Constant(RateSchedule):
    """The rate as it is, after an optional warm-up."""

    class Config(Table):
        """`warmup`: steps over which the rate rises from near 0."""

        type: Literal["constant"] = "constant"
        warmup: Natural = 0


class Exponential(RateSchedule):
    """factor ** (step / every): the rate falls by `factor` each `every` steps."""

    class Config(Constant.Config):
        """`factor`, `every`; `stepwise`: falls at once each `every` steps rather than smoothly."""

        type: Literal["exponential"] = "exponential"  # type: ignore[assignment]
        factor: Annotated[float, Field(gt=0, le=1)] = 0.9
        every: Count = 10000
        stepwise: bool = False

    def after(self, step: int) -> float:
        """The factor `step` steps after the warm-up."""
        power = step / self.config.every
        return float(self.config.factor ** (math.floor(power) if self.config.stepwise else power))


class Plateau(RateSchedule):
    """Falls by `factor` when `patience` evaluations in a row brought no better watched figure."""

    waits = True

    class Config(Constant.Config):
        """`factor`, `patience` (evaluations), `least` (the smallest factor)."""

        type: Literal["plateau"] = "plateau"  # type: ignore[assignment]
        factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
        patience: Natural = 0
        least: Share = 0.0

    def __init__(self, config: Any, steps: int) -> None:
        super().__init__(config, steps)
        self.state = {"factor": 1.0, "waited": 0.0}

    def after(self, step: int) -> float:
        """The factor as it stands."""
        return self.state["factor"]

    def evaluated(self, figure: float, best: float) -> None:
        """Count an evaluation that was no better."""
        waited = 0.0 if figure > best else self.state["waited"] + 1
        if waited > self.config.patience:
            waited = 0.0
            self.state["factor"] = max(self.config.least, self.state["factor"] * self.config.factor)
        self.state["waited"] = waited


class Halving(RateSchedule):
    """Falls by `factor` at an evaluation whose watched figure is worse than that of the evaluation before.

    With `sticky`, as McCann et al. (2017) describe it, it falls at every evaluation after the first such one; without,
    as their program does, only when the figure is worse again.
    """

    waits = True

    class Config(Constant.Config):
        """`factor`; `sticky`; `start`: the evaluation from which on it falls in any case; `stop`: ends below it."""

        type: Literal["halving"] = "halving"  # type: ignore[assignment]
        factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
        sticky: bool = True
        start: Count | None = None
        stop: Share = 0.0

    def __init__(self, config: Any, steps: int) -> None:
        super().__init__(config, steps)
        self.state = {"factor": 1.0, "last": 0.0, "evaluations": 0.0}

    def after(self, step: int) -> float:
        """The factor as it stands."""
        return self.state["factor"]

    def evaluated(self, figure: float, best: float) -> None:
        """Compare an evaluation with the one before."""
        state = self.state
        state["evaluations"] += 1
        begun = self.config.start is not None and state["evaluations"] >= self.config.start
        worse = state["evaluations"] > 1 and figure < state["last"]
        if worse or begun or (self.config.sticky and state["factor"] < 1):
            state["factor"] *= self.config.factor
        state["last"] = figure

    @property
    def over(self) -> bool:
        """Whether the factor is below `stop`."""
        return self.state["factor"] < float(self.config.stop)


class Linear(RateSchedule):
    """Falls in a straight line from 1 to `end`, which it comes to as the last step is done."""

    class Config(Constant.Config):
        """`end`: the factor that it comes to."""

        type: Literal["linear"] = "linear"  # type: ignore[assignment]
        end: Share = 0.0

    def after(self, step: int) -> float:
        """The factor `step` steps after the warm-up."""
        done = min(1.0, step / max(1, self.steps - self.config.warmup))
        return float(1 + (self.config.end - 1) * done)


class Cosine(Linear):
    """Falls from 1 to `end` along half a cosine (Loshchilov & Hutter 2017)."""

    class Config(Linear.Config):
        """`end`: the factor that it comes to."""

        type: Literal["cosine"] = "cosine"  # type: ignore[assignment]

    def after(self, step: int) -> float:
        """The factor `step` steps after the warm-up."""
        done = min(1.0, step / max(1, self.steps - self.config.warmup))
        return float(self.config.end + (1 - self.config.end) * (1 + math.cos(math.pi * done)) / 2)


class Milestones(RateSchedule):
    """Falls by `factor` at each of some steps."""

    class Config(Constant.Config):
        """`at`: the steps; `factor`."""

        type: Literal["milestones"] = "milestones"  # type: ignore[assignment]
        at: Annotated[list[Count], Field(min_length=1)]
        factor: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def factor(self, step: int) -> float:
        """The factor at a step, counted from 0, warm-up included: milestones are steps of the run."""
        return super().factor(step) * float(self.config.factor ** sum(step >= one for one in self.config.at))


def groups(
    parameters: Iterable[tuple[str, nn.Parameter]], rates: Mapping[str, float], rate: float
) -> list[dict[str, Any]]:
    """Parameters in groups by rate: the first glob of `rates` that fits a name gives the factor on `rate`."""
    found: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            factor = next((value for glob, value in rates.items() if fnmatchcase(name, glob)), 1.0)
            found.setdefault(factor, []).append(parameter)
    return [
        {"params": members, "lr": rate * factor, "base": rate * factor} for factor, members in found.items()
    ]


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Multiply each group's own rate by the schedule's factor; returns the common rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * factor
    return float(optimizer.defaults["lr"]) * factor
