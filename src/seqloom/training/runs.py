"""Finished or running runs read back from their folders, grouped into those that differ by the seed alone."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from seqloom.config import parse
from seqloom.errors import ModelError
from seqloom.files import read_json
from seqloom.training.report import EVENTS, Event, Figures, events

CONFIG, RESULT = "config.yaml", "result.json"
SEED = re.compile(r"(^|[-_,/])(training\.)?seed[-_=]?\d+(?=$|[-_,/])")
PIECE = re.compile(r"[/,]|(?<=[a-z]{2})[-_](?=\d+(?:$|[/,]))")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Values over steps; what was not finite is NaN."""

    steps: Floats
    values: Floats

    @classmethod
    def of(cls, points: Mapping[int, float | None]) -> "Curve":
        """A curve through points in the order of their steps."""
        steps = sorted(points)
        values = [math.nan if points[step] is None else points[step] for step in steps]
        return cls(np.array(steps, float), np.array(values, float))

    def known(self) -> "Curve":
        """The curve without the points that are not finite."""
        finite = np.isfinite(self.values)
        return Curve(self.steps[finite], self.values[finite])


@dataclass(frozen=True)
class Run:
    """One run: its name beneath the folders asked for, and what its folder tells."""

    folder: Path
    name: str

    @cached_property
    def events(self) -> list[Event]:
        """Its events, in order."""
        return events(self.folder)

    @cached_property
    def result(self) -> Mapping[str, Any]:
        """The `result.json` of an ended run; of one that is not ended, the best evaluation so far."""
        path = self.folder / RESULT
        return cast("dict[str, Any]", read_json(path)) if path.is_file() else self._sofar()

    @cached_property
    def config(self) -> str:
        """The configuration of its last or best model as text, empty before the first is saved."""
        paths = (self.folder / place / CONFIG for place in (".", "last", "best"))
        return next(
            (path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()), ""
        )

    @property
    def pieces(self) -> tuple[str, ...]:
        """Its name without the seed, in pieces: `out/size=100/seed-3` is (out, size=100)."""
        return tuple(filter(None, PIECE.split(SEED.sub("", self.name))))

    @cached_property
    def tasks(self) -> Mapping[str, Mapping[str, Any]]:
        """The tasks and their sizes, as the run told them when it started."""
        return next((event["tasks"] for event in reversed(self.events) if event["event"] == "start"), {})

    @property
    def parameters(self) -> Mapping[str, int]:
        """How many parameters each part of its model has, and `all` together."""
        return next((one.get("parameters", {}) for one in self.events if one["event"] == "start"), {})

    @cached_property
    def losses(self) -> dict[str, Curve]:
        """The training loss of each task."""
        points: dict[str, dict[int, float | None]] = {}
        for event in self.chosen("train"):
            for task, of in event["tasks"].items():
                points.setdefault(task, {})[event["step"]] = of["loss"]
        return {task: Curve.of(of) for task, of in points.items()}

    @cached_property
    def scores(self) -> dict[tuple[str, str], Curve]:
        """The figures on the dev set, by task and name of the figure."""
        points: dict[tuple[str, str], dict[int, float | None]] = {}
        for event in self.chosen("evaluate"):
            if event["split"] == "dev":
                for task, of in event["figures"].items():
                    for name, value in of.items():
                        points.setdefault((task, name), {})[event["step"]] = value
        return {key: Curve.of(of) for key, of in points.items()}

    @property
    def shares(self) -> dict[str, dict[str, float]]:
        """The sums over the run of `steps`, `tokens` and `loss` (a step's mean loss added up), by task."""
        sums: dict[str, dict[str, float]] = {"steps": {}, "tokens": {}, "loss": {}}
        for event in self.chosen("train"):
            for task, of in event["tasks"].items():
                loss = max(of["loss"] or 0.0, 0.0) * of["steps"]
                for what, amount in (("steps", of["steps"]), ("tokens", of["tokens"]), ("loss", loss)):
                    sums[what][task] = sums[what].get(task, 0.0) + amount
        return sums

    @property
    def tokens(self) -> float:
        """The tokens it has trained on."""
        return sum(self.shares["tokens"].values())

    @property
    def speed(self) -> float:
        """Tokens a second of training, evaluations left out."""
        seconds = 0.0
        for event in self.chosen("train"):
            tokens = sum(of["tokens"] for of in event["tasks"].values())
            seconds += tokens / (event["tokens_per_second"] or math.inf)
        return self.tokens / seconds if seconds else 0.0

    @property
    def ended(self) -> str:
        """Why it ended, or empty while it has not."""
        return next((event["reason"] for event in reversed(self.events) if event["event"] == "end"), "")

    def chosen(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event["event"] == kind]

    def sentences(self, task: str) -> int | None:
        """The training sentences of a task."""
        return self.tasks.get(task, {}).get("sentences")

    def figures(self, split: str) -> Figures:
        """The best figures on `dev`, or those on `test`."""
        return self.result.get("best" if split == "dev" else split) or {}

    def _sofar(self) -> dict[str, Any]:
        told = self.chosen("evaluate")
        best = next((event for event in reversed(told) if event["split"] == "dev" and event["best"]), None)
        test = next((event for event in reversed(told) if event["split"] == "test"), None)
        found = {"best_step": best["step"], "best": best["figures"]} if best else {}
        return found | ({"test": test["figures"]} if test else {})


Groups = Mapping[str, Sequence[Run]]


def find(paths: Sequence[str | Path]) -> list[Run]:
    """The runs in these folders: each is a run, or holds runs somewhere beneath it.

    Raises:
        ModelError: a folder is missing or holds no run.
    """
    asked = [Path(path) for path in paths]
    common = os.path.commonpath([path.resolve().parent for path in asked])
    folders = dict.fromkeys(folder.resolve() for path in asked for folder in _within(path))
    return [Run(folder, folder.relative_to(common).as_posix()) for folder in folders]


def _within(path: Path) -> list[Path]:
    if not path.is_dir():
        raise ModelError("no such folder; name the one that `seqloom train --out` wrote", path)
    if (path / EVENTS).is_file():
        return [path]
    found = sorted((file.parent for file in path.rglob(EVENTS)), key=_natural)
    if not found:
        what = f"holds no run ({EVENTS} is neither in it nor beneath it)"
        raise ModelError(f"{what}; train one with `seqloom train FILE --out {path}`", path)
    return found


def _natural(path: Path) -> list[tuple[float, str]]:
    pieces = re.split(r"(\d+)", path.as_posix())
    return [(float(piece), "") if piece.isdigit() else (math.inf, piece) for piece in pieces]


def grouped(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs by the name they share: those of one group differ by the seed alone."""
    return _collected(runs, [run.pieces for run in runs])


def series(runs: Sequence[Run], task: str) -> dict[str, list[Run]]:
    """The runs by the line they lie on when drawn over the sentences of `task`.

    A piece of the name that the number of sentences tells anyway (`100` in `mono/100`) is left out.
    """
    rows = [run.pieces for run in runs]
    sizes = [run.sentences(task) for run in runs]
    told = [place for place in range(max(map(len, rows), default=0)) if _told(rows, sizes, place)]
    return _collected(runs, [tuple(_without(row, told)) for row in rows])


def _told(rows: Sequence[tuple[str, ...]], sizes: Sequence[int | None], place: int) -> bool:
    pieces = [row[place : place + 1] for row in rows]
    keys = [(tuple(_without(row, [place])), size) for row, size in zip(rows, sizes, strict=True)]
    seen: dict[Any, tuple[str, ...]] = {}
    return len(set(pieces)) > 1 and all(
        seen.setdefault(key, piece) == piece for key, piece in zip(keys, pieces, strict=True)
    )


def _collected(runs: Sequence[Run], rows: Sequence[tuple[str, ...]]) -> dict[str, list[Run]]:
    """The runs by the pieces of their names in which they differ, or by the whole names where they do not."""
    distinct = set(rows)
    places = range(min(map(len, rows), default=0))
    shared = [place for place in places if len(distinct) > 1 and len({row[place] for row in distinct}) == 1]
    groups: dict[str, list[Run]] = {}
    for run, row in zip(runs, rows, strict=True):
        name = ", ".join(_without(row, shared)) or "/".join(row) or "runs"
        groups.setdefault(name, []).append(run)
    return groups


def _without(row: Sequence[str], places: Sequence[int]) -> list[str]:
    return [piece for place, piece in enumerate(row) if place not in places]


def watched(runs: Sequence[Run]) -> str | None:
    """The task that the runs watch; where none is named, the first of all runs whose sentences differ, or the first."""
    for run in runs:
        if run.config and (watch := parse(run.config, f"{run.folder}/{CONFIG}").at(("training", "watch"))):
            return str(watch).partition(".")[0]
    # A relative that only some runs have is no axis: with it or without it are two ways to train, not two sizes.
    common = [task for task in (runs[0].tasks if runs else ()) if all(task in run.tasks for run in runs)]
    tasks = common or list(dict.fromkeys(task for run in runs for task in run.tasks))
    differing = [task for task in tasks if len({run.sentences(task) for run in runs}) > 1]
    return next(iter(differing or tasks), None)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation over seeds, which is 0 for one alone; NaN where one is not finite."""
    if not all(map(math.isfinite, values)) or not values:
        return math.nan, math.nan
    return mean(values), stdev(values) if len(values) > 1 else 0.0
