"""Time the sides of a comparison in turn, on one thread, and write down how they did."""

import gc
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from seqloom.files import write_json
from seqloom.processes import settle

RESULTS = Path(__file__).parent / "results"

Side = Callable[[], object]


def interleaved(sides: Mapping[str, Side], rounds: int = 21, seconds: float = 0.02) -> dict[str, float]:
    """The median CPU seconds of one call of each side.

    In every round each side runs in turn, as many calls as take about `seconds`, so that whatever else the machine
    does falls on all of them alike. CPU time of the process is taken, not the clock's; the first calls, which warm
    up, are not counted. The process is settled as the command line's is, for all sides.
    """
    settle()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    with threadpool_limits(1):
        calls = {name: _calls(side, seconds) for name, side in sides.items()}
        for _ in range(rounds):
            for name, side in sides.items():
                taken[name].append(_seconds(side, calls[name]))
    return {name: median(times) for name, times in taken.items()}


def _calls(side: Side, seconds: float) -> int:
    if _seconds(side, 1) >= seconds:
        return 1
    return max(1, round(seconds / _seconds(side, 2)))


def _seconds(side: Side, calls: int) -> float:
    gc.collect()
    gc.disable()
    start = time.process_time()
    for _ in range(calls):
        side()
    taken = time.process_time() - start
    gc.enable()
    return taken / calls


def bfloat16_units() -> bool:
    """Whether this processor has units for products in bfloat16."""
    return any(on for unit, on in torch.cpu.get_capabilities().items() if "bf16" in unit)


def row(
    name: str,
    ours: float,
    rival: float,
    *,
    rival_name: str,
    unit: str,
    shapes: str,
    packages: Sequence[str],
    rounds: int,
    headline: bool = False,
    more_is_better: bool = False,
    dtype: str = "float32",
) -> dict[str, Any]:
    """One line of a results file; `ratio` is how many times better than the rival we are, whatever the unit."""
    ratio = ours / rival if more_is_better else rival / ours
    versions = {"python": platform.python_version()} | {package: version(package) for package in packages}
    return {
        "name": name,
        "ours": float(f"{ours:.4g}"),
        "rival": float(f"{rival:.4g}"),
        "rival_name": rival_name,
        "unit": unit,
        "ratio": round(ratio, 2),
        "headline": headline,
        "shapes": shapes,
        "dtype": dtype,
        "threads": 1,
        "processor": "with bfloat16 units" if bfloat16_units() else "without bfloat16 units",
        "rounds": rounds,
        "versions": versions,
        "date": date.today().isoformat(),
    }


def save(name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the rows and write them to `results/NAME.json`."""
    rows = list(rows)
    for each in rows:
        print(
            f"{each['name']:<12}  {each['shapes']:<40}  ours {each['ours']:<8} {each['rival_name']} {each['rival']} "
            f"{each['unit']}  x{each['ratio']}{'  *' if each['headline'] else ''}"
        )
    write_json(RESULTS / f"{name}.json", rows)
