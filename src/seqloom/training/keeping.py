"""What a run keeps: where it stands, its last and best models, and the way back to a saved state."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from seqloom.data.schedule import Schedule
from seqloom.errors import TrainingError
from seqloom.files import replacing_folder
from seqloom.model import folder as model_folder
from seqloom.model.folder import Assembly
from seqloom.training import checkpoint
from seqloom.training.averaging import Averaging
from seqloom.training.carrying import Carried
from seqloom.training.report import Report
from seqloom.training.updates import Updates

BEST, LAST = "best", "last"
OWN, AVERAGE = "*weights/", "*average/"
"""Before the names of kept weights, apart from those of optimisers, which begin with a task's name or `*/`."""


@dataclass
class Standing:
    """Where a run stands; all of it is saved, and all counts are of what was consumed."""

    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    waited: int = 0
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    best_figures: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class Keeper:
    """Saves and restores a run.

    Args:
        run: the run folder; `last` and `best` are kept in it. None keeps nothing, as ranks do that do not lead.
        model: whose network is trained.
        schedule: whose draws are kept.
        updates: whose optimisers are kept.
        averaging: averaged weights, if any: what models are saved with.
        carried: the states of streams, which are kept.
        data: a fingerprint of the training data by task; see `same_data`.
    """

    run: Path | None
    model: Assembly
    schedule: Schedule
    updates: Updates
    averaging: Averaging | None
    carried: Carried
    data: Mapping[str, str]

    @property
    def average(self) -> Mapping[str, Tensor]:
        """The averaged weights, empty before there are any."""
        return self.averaging.average if self.averaging else {}

    def weights(self) -> dict[str, Tensor]:
        """The network's own weights."""
        return {name: one for name, one in self.model.network.state_dict().items() if one.is_floating_point()}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Stand the averaged weights in the network while the context is open."""
        if not self.average:
            yield
            return
        own = {name: one.clone() for name, one in self.weights().items()}
        self.model.network.load_state_dict(dict(self.average), strict=False)
        try:
            yield
        finally:
            self.model.network.load_state_dict(own, strict=False)

    def save_best(self, at: Standing) -> None:
        """Save the model as the best so far."""
        if self.run is not None:
            with replacing_folder(self.run / BEST) as partial:
                self._model(partial, at)

    def save_last(self, at: Standing, report: Report) -> None:
        """Save the last model with the state of the run, at once: a kill leaves the one before; all ranks must ask."""
        carried = self.carried.tensors()
        if self.run is None:
            return
        tensors = self.updates.tensors() | carried
        if self.average:
            tensors |= {f"{OWN}{name}": one for name, one in self.weights().items()}
            tensors |= {f"{AVERAGE}{name}": one for name, one in self.average.items()}
        report.save(at.step, LAST)
        with replacing_folder(self.run / LAST) as partial:
            self._model(partial, at)
            checkpoint.save(partial, tensors, self._counters(at, report.offset))

    def _model(self, partial: Path, at: Standing) -> None:
        self.model.figures = {"step": at.step, "dev": at.figures}
        weights = {**self.model.network.state_dict(), **self.average}
        model_folder.save(partial, self.model, weights)

    def _counters(self, at: Standing, offset: int) -> dict[str, Any]:
        return {
            "at": vars(at) | {"best": None if at.best == -math.inf else at.best},
            "draws": self.schedule.draws,
            "schedules": self.updates.state(),
            "averaged": self.averaging.count if self.averaging else 0,
            "averaging": self.averaging.state if self.averaging else {},
            "events": offset,
            "data": dict(self.data),
        }

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> Standing:
        """Go back to a saved state; the network must already hold the last model's weights.

        Raises:
            TrainingError: the best model that the run has had is gone.
        """
        kept = counters["at"]["best_step"] or counters["at"]["best_figures"]
        if kept and self.run is not None and not (self.run / BEST).is_dir():
            what = (
                f"{self.run} holds a run whose {BEST} is gone, the model of step {counters['at']['best_step']}"
            )
            raise TrainingError(f"{what}; bring that back, or start a new run in another folder")
        self.schedule.draws = dict(counters["draws"])
        self.updates.restore(tensors, counters["schedules"])
        self.carried.restore(tensors, next(self.model.network.parameters()).device)
        if self.averaging:
            self.averaging.state |= counters.get("averaging", {})
        if self.averaging and counters["averaged"]:
            self.model.network.load_state_dict(_under(OWN, tensors), strict=False)
            own = self.weights()
            self.averaging.average = {
                name: one.to(own[name].device) for name, one in _under(AVERAGE, tensors).items()
            }
            self.averaging.count = counters["averaged"]
        best = counters["at"]["best"]
        return Standing(**(counters["at"] | {"best": -math.inf if best is None else best}))


def same_data(begun: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Refuse to go on with a run, a TrainingError, when its training data changed; both are fingerprints by task."""
    if changed := [name for name, digest in begun.items() if found.get(name) != digest]:
        what = f"the training data of {', '.join(changed)} are not, or are not read as, those that the run began with"
        raise TrainingError(f"{what}; restore them, or start a new run in another folder")


def _under(mark: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(mark): one for name, one in tensors.items() if name.startswith(mark)}
