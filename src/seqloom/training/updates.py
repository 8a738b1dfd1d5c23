"""From gradients to new weights: clipping, the common optimiser and the tasks' own, each with its schedule."""

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.config import nearest, part
from seqloom.errors import ConfigError
from seqloom.training import checkpoint
from seqloom.training.optim import RateSchedule, groups, set_rate
from seqloom.training.table import GLOBS, TrainingTable

COMMON = "*"
"""Stands for the common optimiser; no task can have this name."""


class Updates:
    """The optimisers of a run.

    Args:
        network: whose parameters are trained.
        config: the table `training`.
        steps: how many steps the run takes, for schedules that end.
        own_steps: how many of them each task of `per_task` is expected to get.

    Raises:
        ConfigError: a glob that fits no parameter, or nothing left to train.
    """

    def __init__(
        self, network: nn.Module, config: TrainingTable, steps: int, own_steps: Mapping[str, int]
    ) -> None:
        self.config = config
        self.parameters = dict(network.named_parameters())
        check_globs(self.parameters, config)
        freeze(self.parameters, config.freeze)
        _check_unfrozen(self.parameters, config)
        self.optimizers = {COMMON: self._make(config.optimizer)}
        self.schedules = {COMMON: _schedule(config.schedule, steps)}
        for task, own in config.per_task.items():
            self.optimizers[task] = self._make(own.optimizer)
            self.schedules[task] = _schedule(own.schedule, own_steps[task])
        self.clipped = [
            one
            for name, one in self.parameters.items()
            if one.requires_grad and not any(fnmatchcase(name, glob) for glob in config.clip_except)
        ]

        self.held = [
            (one, at)
            for name, one in self.parameters.items()
            if one.requires_grad and (at := _first(config.unfreeze, name)) is not None
        ]
        if all(at for _, at in self.held) and len(self.held) == sum(
            one.requires_grad for one in self.parameters.values()
        ):
            raise ConfigError("training.unfreeze: nothing learns at first; take a glob out, or give it step 0")

    @property
    def holds(self) -> bool:
        """Whether a parameter is still to be unfrozen."""
        return not all(one.requires_grad for one, _ in self.held)

    def _make(self, table: Any) -> torch.optim.Optimizer:
        kind: Any = part("optimizers", table.type)
        made: torch.optim.Optimizer = kind.make(
            table, groups(self.parameters.items(), self.config.rates, table.rate)
        )
        return made

    def clear(self) -> None:
        """Forget all gradients: a task's optimiser must not see those of another."""
        for one in self.parameters.values():
            one.grad = None

    def gradients(self) -> list[Tensor]:
        """The gradients that this step has."""
        return [one.grad for one in self.parameters.values() if one.grad is not None]

    def thaw(self, step: int) -> None:
        """Let what is still to be unfrozen learn from its step on."""
        for one, at in self.held:
            one.requires_grad_(step >= at)

    def apply(self, task: str, step: int, own_step: int, count: float, pace: float = 1.0) -> float:
        """Divide the gradients by `count`, clip them and step; returns the rate.

        Args:
            task: whose batch it was.
            step: the run's step, from 0.
            own_step: the task's own step, from 0.
            count: what the loss was a sum over and is not divided by yet.
            pace: how large a step the batch is worth: the rate is multiplied by it.
        """
        if count != 1:
            torch._foreach_div_(self.gradients(), max(1.0, count))
        if self.config.clip is not None:
            _clip(self.clipped, self.config.clip)
        mine = task if task in self.optimizers else COMMON
        factor = self.schedules[mine].factor(step if mine == COMMON else own_step)
        rate = set_rate(self.optimizers[mine], factor * pace)
        self.optimizers[mine].step()
        return rate

    def look_up_sparsely(self, network: nn.Module) -> None:
        """Let tables of vectors have gradients of the rows that a step used, where every optimiser leaves the rest.

        A large table is then not filled, measured and updated whole at each step; the new weights are the same.
        Plain gradient descent leaves a row without gradient as it is; momentum and weight decay do not.
        """
        if all(_leaves_unused(one) for one in self.optimizers.values()):
            for module in network.modules():
                if isinstance(module, nn.Embedding):
                    module.sparse = True

    def evaluated(self, figure: float, best: float) -> None:
        """Let the schedules hear an evaluation."""
        for schedule in self.schedules.values():
            schedule.evaluated(figure, best)

    @property
    def over(self) -> bool:
        """Whether a schedule wants training to end."""
        return any(schedule.over for schedule in self.schedules.values())

    def tensors(self) -> dict[str, Tensor]:
        """The optimisers' state."""
        names = {one: name for name, one in self.parameters.items()}
        found: dict[str, Tensor] = {}
        for mark, optimizer in self.optimizers.items():
            found |= checkpoint.optimizer_tensors(mark, optimizer, names)
        return found

    def state(self) -> dict[str, dict[str, float]]:
        """The schedules' state."""
        return {name: dict(schedule.state) for name, schedule in self.schedules.items()}

    def restore(self, tensors: Mapping[str, Tensor], schedules: Mapping[str, Mapping[str, float]]) -> None:
        """Go back to a saved state."""
        for mark, optimizer in self.optimizers.items():
            checkpoint.restore_optimizer(mark, optimizer, self.parameters, tensors)
        for name, state in schedules.items():
            self.schedules[name].state = dict(state)


def _leaves_unused(optimizer: torch.optim.Optimizer) -> bool:
    moving = ("momentum", "weight_decay")
    return isinstance(optimizer, torch.optim.SGD) and not any(
        group[key] for group in optimizer.param_groups for key in moving
    )


def _clip(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Scale the gradients down so that their norm, taken together, is `most` at most."""
    found = []
    for one in parameters:
        if one.grad is not None and one.grad.is_sparse:
            # A row that was used twice stands there twice before.
            one.grad = one.grad.coalesce()
        if one.grad is not None:
            found.append(one.grad.values() if one.grad.is_sparse else one.grad)
    if found:
        factor = most / (nn.utils.get_total_norm(found) + 1e-6)
        torch._foreach_mul_(found, factor.clamp(max=1.0))


def check_globs(names: Iterable[str], config: TrainingTable) -> None:
    """Refuse a glob that fits no parameter: it was meant for one, and would do nothing."""
    names = list(names)
    for key in GLOBS:
        for glob in getattr(config, key):
            if not any(fnmatchcase(name, glob) for name in names):
                like = nearest(glob, names) or names[0]
                raise ConfigError(f'training.{key}: "{glob}" fits the name of no parameter, such as {like}')


def _check_unfrozen(parameters: Mapping[str, nn.Parameter], config: TrainingTable) -> None:
    """Refuse to unfreeze what never learns."""
    learning = [name for name, one in parameters.items() if one.requires_grad]
    for glob in config.unfreeze:
        if not any(fnmatchcase(name, glob) for name in learning):
            remedy = "take it out of training.freeze, or let its part learn (trainable: true, or frozen: false)"
            raise ConfigError(f'training.unfreeze: all that "{glob}" fits stays frozen; {remedy}')


def _first(globs: Mapping[str, int], name: str) -> int | None:
    """What the first glob that fits a name stands for."""
    return next((one for glob, one in globs.items() if fnmatchcase(name, glob)), None)


def freeze(parameters: Mapping[str, nn.Parameter], globs: Collection[str]) -> None:
    """Take the parameters whose names fit a glob out of training; a ConfigError if none is left."""
    for name, one in parameters.items():
        if any(fnmatchcase(name, glob) for glob in globs):
            one.requires_grad_(False)
    if not any(one.requires_grad for one in parameters.values()):
        raise ConfigError("training.freeze: leaves nothing to train; take a glob out")


def _schedule(table: Any, steps: int) -> RateSchedule:
    kind: Any = part("schedules", table.type)
    made: RateSchedule = kind(table, steps)
    return made
