"""What streams carry from one step to the next: the state in which an encoder stood at the end of a window."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seqloom.errors import TrainingError
from seqloom.evaluation.running import detached
from seqloom.training.distributed import Ranks

MARK = "*state"
"""What the names of kept states begin with, which no task can; the number of a rank that does not lead follows."""


class Carried:
    """The state of each task's streams, by the part of a step's batches that they are in.

    Args:
        ranks: this process among those of the run; each carries the states of its own streams.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.states: dict[tuple[str, int], Any] = {}

    def before(self, task: str, part: int, fresh: bool) -> Any:
        """What a window starts from; nothing where the text begins."""
        return None if fresh else self.states.get((task, part))

    def after(self, task: str, part: int, state: Any) -> None:
        """Keep what a window ended with."""
        if state is not None:
            self.states[task, part] = detached(state)

    def tensors(self) -> dict[str, Tensor]:
        """All states of all ranks, flat; every rank must ask for them."""
        own: dict[str, Tensor] = {}
        for (task, part), state in self.states.items():
            _flatten(f"{task}/{part}", state, own)
        every = self.ranks.gather(own)
        return {f"{_mark(rank)}/{name}": one for rank, found in enumerate(every) for name, one in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Go back to what this rank kept.

        Raises:
            TrainingError: another number of processes kept states.
        """
        kept = {name: tensor for name, tensor in tensors.items() if name.startswith(MARK)}
        ranks = len({name.partition("/")[0] for name in kept})
        if kept and ranks != self.ranks.size:
            what = f"each process carries the states of its streams: {ranks} did, and {self.ranks.size} would go on"
            raise TrainingError(f"{what}; resume with as many (torchrun --nproc-per-node {ranks})")
        nested: dict[Any, Any] = {}
        for name, tensor in kept.items():
            mark, task, part, *places = name.split("/")
            if mark == _mark(self.ranks.rank):
                inside = nested.setdefault((task, int(part)), {})
                for place in places[:-1]:
                    inside = inside.setdefault(int(place), {})
                inside[int(places[-1])] = tensor.to(device)
        self.states = {key: _folded(one) for key, one in nested.items()}


def _mark(rank: int) -> str:
    return f"{MARK}{rank or ''}"


def _flatten(name: str, state: Any, found: dict[str, Tensor]) -> None:
    if isinstance(state, Tensor):
        found[name] = state
        return
    for place, one in enumerate(state):
        _flatten(f"{name}/{place}", one, found)


def _folded(nested: Any) -> Any:
    if isinstance(nested, Tensor):
        return nested
    return tuple(_folded(nested[place]) for place in sorted(nested))
