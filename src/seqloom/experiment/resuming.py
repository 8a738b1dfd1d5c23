"""Whether a run that is resumed is the run it was."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from seqloom.config import Source
from seqloom.errors import ConfigError
from seqloom.experiment.table import Experiment

FREE = ("steps", "epochs", "patience", "evaluate_every", "save_every", "device", "threads")
"""Keys of `training` that may change when a run is resumed."""


def filled(saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a run, with the defaults of the keys that were added since it began."""
    table = Experiment.check(Source(deepcopy(dict(saved))))
    return saved if table is None else table.model_dump()


def same(saved: Mapping[str, Any], given: Mapping[str, Any], out: Path) -> None:
    """A resumed run must be the run it was; only how long and where it runs may change."""
    changed = [key for key in _differences(saved, given) if key not in {f"training.{free}" for free in FREE}]
    if changed:
        what = f"the configuration is not that of the run in {out}: {', '.join(changed[:8])} changed"
        raise ConfigError(f"{what}; put it back, or train into another folder with --out")


def _differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*map(str, left), *map(str, right)}):
            inside = f"{path}.{key}" if path else key
            yield from _differences(_get(left, key), _get(right, key), inside)
    elif left != right:
        yield path


def _get(table: Mapping[Any, Any], key: str) -> Any:
    return next((value for known, value in table.items() if str(known) == key), None)
