"""Many runs: one a seed, one a point of a grid, and the mean and spread of their figures."""

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from seqloom.errors import ConfigError
from seqloom.experiment.run import SUMMARY, Result, ready, run
from seqloom.experiment.table import check, open_config
from seqloom.files import read_json, write_json
from seqloom.training.report import Writer

LONGEST = 255
"""Bytes of the longest name of a folder, on common systems."""


def points(grid: Sequence[str]) -> list[list[str]]:
    """The settings of every point of a grid given as `key=value,value` for each of its axes."""
    axes: dict[str, list[str]] = {}
    for axis in grid:
        key, equals, text = axis.partition("=")
        if not equals or not text:
            raise ConfigError(
                f'--grid {axis}: should read key.path=value,value, such as "training.batch=16,32"'
            )
        if key in axes:
            raise ConfigError(f"--grid {axis}: {key} has values already; put all of them into one --grid")
        values = _values(text)
        if twice := [one for one in values if values.count(one) > 1]:
            raise ConfigError(f"--grid {axis}: {twice[0]} stands there twice")
        axes[key] = [f"{key}={value}" for value in values]
    return [list(point) for point in product(*axes.values())]


def _values(text: str) -> list[str]:
    """What stands between commas, but for those inside a table or a list."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found


def run_many(
    path: str | Path,
    out: str | Path,
    *,
    settings: Sequence[str] = (),
    seeds: int = 1,
    grid: Sequence[str] = (),
    resume: bool = False,
    follow: Callable[[Path], Sequence[Writer]] = lambda folder: (),
) -> dict[str, list[Result]]:
    """Run every point of a grid with every seed, each in a folder of its own; results by point.

    Seeds are the configuration's and those that follow it. `summary.json` holds the mean and the spread (sample
    standard deviation) of every figure at every point, and which is `best` by what is watched on dev.

    Args:
        path: the configuration.
        out: holds the folders of the runs.
        settings: what is set at every point, as `key=value`.
        seeds: how many runs a point has.
        grid: its axes, as `key=value,value`.
        resume: go on with runs that are there.
        follow: gives the writers of events for the run in a folder.
    """
    found: dict[str, list[Result]] = {}
    todo: dict[Path, tuple[str, list[str]]] = {}
    for point, number in product(points(grid), range(seeds)):
        name, mine = ",".join(point), point
        seed = check(open_config(path, settings, point)).seed + number
        if number:
            mine = [*point, f"seed={seed}"]
        folder = Path(out) / name.replace("/", "-") / (f"seed-{seed}" if seeds > 1 else "")
        if len(name.encode()) > LONGEST:
            raise ConfigError(
                f"{name[:60]}... is too long for the name of a folder; train this point by itself"
            )
        if folder in todo:
            raise ConfigError(f"{name} and {todo[folder][0]} would both be written to {folder}")
        todo[folder] = name, mine
    for folder, (_, mine) in todo.items():
        ready(open_config(path, settings, mine), folder, resume=resume)
    _check_summary(Path(out), {name for name, _ in todo.values()}, resume)
    for folder, (name, mine) in todo.items():
        result = run(open_config(path, settings, mine), folder, resume=resume, writers=follow(folder))
        found.setdefault(name, []).append(result)
    told = {name: summary(results) | {"best": name == best(found)} for name, results in found.items()}
    write_json(Path(out) / SUMMARY, told)
    return found


def _check_summary(out: Path, names: Collection[str], resume: bool) -> None:
    """Refuse to write over what other runs came to."""
    if not (out / SUMMARY).exists():
        return
    others = [name or "as configured" for name in read_json(out / SUMMARY) if name not in names]
    if not resume or others:
        what = f"{out} holds {SUMMARY} of {', '.join(others) if others else 'such runs'}"
        remedy = "name these points too, with --resume" if others else "go on with them by --resume"
        raise ConfigError(f"{what}; {remedy}, or name another folder with --out")


def best(found: Mapping[str, Sequence[Result]]) -> str | None:
    """The point whose watched figure on dev is the best, by the mean over its runs; None where a run has none."""
    watched = {name: [one.watched for one in results] for name, results in found.items()}
    if any(value is None for values in watched.values() for value in values):
        return None
    return max(
        watched, key=lambda name: statistics.fmean(value for value in watched[name] if value is not None)
    )


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Mean and spread of each figure over some results, by split, task and name."""
    told: dict[str, Any] = {"seeds": len(results)}
    for split in ("dev", "test"):
        first = getattr(results[0], split)
        told[split] = {
            task: {name: _spread([getattr(one, split)[task][name] for one in results]) for name in figures}
            for task, figures in first.items()
        }
    return told


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and spread; one value has none."""
    spread = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "spread": spread}
