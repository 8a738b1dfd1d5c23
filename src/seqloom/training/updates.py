"""From gradients to new weights: clipping, the common optimiser and the tasks' own, each with its schedule."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.config import part
from seqloom.training import checkpoint
from seqloom.training.optim import RateSchedule, freeze, groups, set_rate
from seqloom.training.table import TrainingTable

COMMON = "all"


class Updates:
    """The optimisers of a run.

    Args:
        network: whose parameters are trained.
        config: the table `training`.
        steps: how many steps the run takes, for schedules that end.
    """

    def __init__(self, network: nn.Module, config: TrainingTable, steps: int) -> None:
        freeze(network, config.freeze)
        self.config = config
        self.parameters = dict(network.named_parameters())
        self.optimizers = {COMMON: self._make(config.optimizer)}
        self.schedules = {COMMON: _schedule(config.schedule, steps)}
        for task, own in config.per_task.items():
            self.optimizers[task] = self._make(own.optimizer)
            self.schedules[task] = _schedule(own.schedule, steps)
        self.clipped = [
            one
            for name, one in self.parameters.items()
            if one.requires_grad and not any(fnmatchcase(name, glob) for glob in config.clip_except)
        ]

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

    def apply(self, task: str, step: int, own_step: int, count: float) -> float:
        """Divide the gradients by `count`, clip them and step; returns the rate.

        Args:
            task: whose batch it was.
            step: the run's step, from 0.
            own_step: how many batches the task has had.
            count: what the loss was a sum over and is not divided by yet.
        """
        if count != 1:
            torch._foreach_div_(self.gradients(), max(1.0, count))
        if self.config.clip is not None:
            nn.utils.clip_grad_norm_(self.clipped, self.config.clip)
        mine = task if task in self.optimizers else COMMON
        rate = set_rate(
            self.optimizers[mine], self.schedules[mine].factor(step if mine == COMMON else own_step - 1)
        )
        self.optimizers[mine].step()
        return rate

    def evaluated(self, figure: float, best: float) -> None:
        """Let the schedules hear an evaluation."""
        for schedule in self.schedules.values():
            schedule.evaluated(figure, best)

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


def _schedule(table: Any, steps: int) -> RateSchedule:
    kind: Any = part("schedules", table.type)
    made: RateSchedule = kind(table, steps)
    return made
