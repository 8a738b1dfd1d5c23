"""The state of a run beside its last model: optimisers, averages and counters, as tensors and JSON, no pickle."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.errors import ModelError
from seqloom.files import read_json, write_json
from seqloom.model.folder import read_tensors, write_tensors

TENSORS, COUNTERS = "training.safetensors", "training.json"
LAYOUT = 1


def save(folder: Path, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
    """Write the state of a run into a folder that is being made."""
    write_tensors(folder / TENSORS, tensors)
    write_json(folder / COUNTERS, {"layout": LAYOUT, **counters})


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the state of a run.

    Raises:
        ModelError: the folder holds none, or one that is damaged or of another layout.
    """
    if not (folder / COUNTERS).is_file():
        raise ModelError("holds a model, but no run to go on with; train into a new folder with --out", folder)
    counters = read_json(folder / COUNTERS)
    if not isinstance(counters, dict) or counters.get("layout") != LAYOUT:
        raise ModelError(
            "was written by another version of seqloom; finish the run with that one", folder / COUNTERS
        )
    return read_tensors(folder / TENSORS), counters


def optimizer_tensors(
    mark: str, optimizer: torch.optim.Optimizer, names: Mapping[Any, str]
) -> dict[str, Tensor]:
    """An optimiser's state by `mark/parameter/key`; numbers are kept as tensors too."""
    return {
        f"{mark}/{names[parameter]}/{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if value is not None
    }


def restore_optimizer(
    mark: str,
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    """Put an optimiser's state back; raises ModelError if it belongs to other parameters."""
    fused = optimizer.defaults.get("fused")
    for parameter, key, value in _states(mark, parameters, tensors):
        # Only fused optimisers count steps beside the parameter; the others do it on the CPU.
        optimizer.state[parameter][key] = value.to(parameter.device) if fused or value.dim() else value


def _states(
    mark: str, parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> Iterator[tuple[nn.Parameter, str, Tensor]]:
    for name, value in tensors.items():
        owner, _, rest = name.partition("/")
        if owner != mark:
            continue
        parameter, _, key = rest.rpartition("/")
        if parameter not in parameters:
            raise ModelError(f"the run's optimiser knows {parameter}, which this model lacks; start a new run")
        yield parameters[parameter], key, value
