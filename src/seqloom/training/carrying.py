"""What streams carry from one step to the next: the state in which an encoder stood at the end of a window."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seqloom.evaluation.running import detached

MARK = "*state/"
"""Before the names of kept states; no task can begin so."""


class Carried:
    """The state of each task's streams, by the part of a step's batches that they are in."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, int], Any] = {}

    def before(self, task: str, part: int, fresh: bool) -> Any:
        """What a window starts from; nothing where the text begins."""
        return None if fresh else self.states.get((task, part))

    def after(self, task: str, part: int, state: Any) -> None:
        """Keep what a window ended with."""
        if state is not None:
            self.states[task, part] = detached(state)

    def tensors(self) -> dict[str, Tensor]:
        """All states, flat."""
        found: dict[str, Tensor] = {}
        for (task, part), state in self.states.items():
            _flatten(f"{MARK}{task}/{part}", state, found)
        return found

    def restore(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Go back to what was kept."""
        nested: dict[Any, Any] = {}
        for name, tensor in tensors.items():
            if name.startswith(MARK):
                task, *places = name.removeprefix(MARK).split("/")
                inside = nested.setdefault((task, int(places[0])), {})
                for place in places[1:-1]:
                    inside = inside.setdefault(int(place), {})
                inside[int(places[-1])] = tensor.to(device)
        self.states = {key: _folded(one) for key, one in nested.items()}


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
