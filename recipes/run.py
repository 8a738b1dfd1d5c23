"""Run a system's experiments and record their figures: python recipes/run.py SYSTEM [NAME ...].

`recipes/SYSTEM/experiments.toml` lists them: a configuration, its settings, the figure that counts. Each result is
written to `recipes/SYSTEM/results/NAME.json`, one object a file. From these files the tables and plots of the READMEs
are written anew: what stands between `<!-- end -->` and one of `<!-- results: PATTERN -->`, `<!-- grid: NAME -->`,
`<!-- curves: PATTERN in FILE.png -->`, `<!-- gains: NAME in FILE.png -->`, `<!-- course: NAME in FILE.png -->` and, for
the reports of `seqloom transfer` in a folder, `<!-- suite: FOLDER in FILE.png -->`; the project's own README says
`results of SYSTEM: PATTERN`. A run that was interrupted is resumed; one that is recorded is skipped unless it is named,
and learnt anew with --again. A file of a result is only written where its figures are others.
"""

import argparse
import json
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import curves
import grids
import numpy
import torch

import seqloom
from seqloom.api import Model
from seqloom.cli.terminal import shown
from seqloom.config import unknown
from seqloom.errors import ConfigError, SeqloomError
from seqloom.evaluation.transfer import tables as suites
from seqloom.experiment import check, missing_files, open_config, run
from seqloom.files import read_json, write_json, write_text
from seqloom.training import transfers
from seqloom.training.report import Writer, events
from seqloom.training.stopping import Interrupted

ROOT = Path(__file__).parent
MARKED = re.compile(
    r"(?P<open><!-- (?P<what>results|curves|grid|gains|course|suite)(?: of (?P<system>\w+))?: "
    r"(?P<pattern>\S+)(?: in (?P<file>\S+))? -->\n)"
    r"(?P<body>.*?)<!-- end -->",
    re.DOTALL,
)
Row = dict[str, Any]


def listed_in(system: str) -> dict[str, Any]:
    """What a system's `experiments.toml` says."""
    with (ROOT / system / "experiments.toml").open("rb") as file:
        return tomllib.load(file)


def experiments(system: str) -> dict[str, Row]:
    """The experiments of a system, by name."""
    return grids.expanded(listed_in(system))


def results(system: str) -> dict[str, Row]:
    """The recorded results of a system, by name."""
    paths = sorted((ROOT / system / "results").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def perform(
    system: str, name: str, row: Row, runs: Path, again: bool = False, writers: Sequence[Writer] = ()
) -> Row:
    """Train an experiment with each of its seeds, in new run folders if `again`; returns what is to be recorded."""
    config = ROOT / system / row["config"]
    seeds = list(range(1, row.get("seeds", 1) + 1))
    values, seconds = [], 0.0
    if again and "adjust" not in row:
        source = open_config(config, row.get("set", []))
        if missing := missing_files(check(source), source):
            raise ConfigError(f"missing: {missing[0]}; nothing was removed")
        shutil.rmtree(runs / system / row.get("run", name), ignore_errors=True)
    for seed in seeds:
        source = open_config(config, [*row.get("set", []), f"seed={seed}"])
        folder = runs / system / row.get("run", name) / f"seed-{seed}"
        result = run(source, folder, resume=True, writers=writers)
        seconds += events(folder)[-1]["elapsed"]
        task, figure = row["watch"].split(".")
        test = result.test[task] if "adjust" not in row else adjusted(folder, task, row["adjust"])
        values.append(test[figure])
        print(f"{system}/{name} seed {seed}: {figure} {values[-1]:.2f}", flush=True)
    more = {"course": course(runs / system / name / "seed-1", row["watch"])} if row.get("course") else {}
    return recorded(system, name, row, values, seeds) | {"minutes": round(seconds / 60, 1), **more}


def course(folder: Path, watch: str) -> list[tuple[float, float]]:
    """A run's figure on dev by epoch: it is evaluated once in each."""
    task, figure = watch.split(".")
    told = [one for one in events(folder) if one["event"] == "evaluate" and one["split"] == "dev"]
    return [(round(one["step"] / told[0]["step"], 2), round(one["figures"][task][figure], 2)) for one in told]


def adjusted(folder: Path, task: str, settings: Sequence[str]) -> Mapping[str, float]:
    """The test figures of a trained model whose head is used in another way."""
    model = Model.load(folder)
    model.adjust(task, settings)
    figures: Mapping[str, float] = model.evaluate(task)["figures"]
    return figures


def recorded(system: str, name: str, row: Row, values: Sequence[float], seeds: Sequence[int]) -> Row:
    """The object that stands in a result's file, without its duration."""
    return {
        "name": name,
        "figure": row["watch"].split(".")[1],
        "value": round(fmean(values), 3),
        "spread": round(stdev(values), 3) if len(values) > 1 else None,
        "values": [round(value, 3) for value in values],
        "seeds": list(seeds),
        "published": row.get("published"),
        "rival": row.get("rival"),
        "data": row.get("data", ""),
        "command": f"python recipes/run.py {system} {name}",
        "versions": {
            "seqloom": seqloom.__version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "date": date.today().isoformat(),
    }


def difference(system: str, name: str, row: Row, known: Mapping[str, Row]) -> Row | None:
    """The gain of one recorded experiment over another, seed by seed; None while one of them is missing."""
    pair = [known.get(one) for one in row["gain"]]
    if pair[0] is None or pair[1] is None:
        return None
    if pair[0]["seeds"] != pair[1]["seeds"]:
        return None
    values = [better - base for better, base in zip(pair[0]["values"], pair[1]["values"], strict=True)]
    minutes = round(pair[0]["minutes"] + pair[1]["minutes"], 1)
    return recorded(system, name, row, values, pair[0]["seeds"]) | {"minutes": minutes}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """A Markdown table of results."""
    yield "| experiment | figure | ours | spread | seeds | rival | published | minutes |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        spread = "" if row["spread"] is None else f"{row['spread']:.2f}"
        others = [str(row.get(key) if row.get(key) is not None else "") for key in ("rival", "published")]
        cells = [row["name"], row["figure"], f"{row['value']:.2f}", spread, str(len(row["seeds"])), *others]
        yield f"| {' | '.join(cells)} | {row['minutes']} |"


def write_tables(system: str) -> None:
    """Write a system's tables and plots anew, in its README and in that of the whole project."""
    for path, own in ((ROOT / system / "README.md", system), (ROOT.parent / "README.md", None)):
        if path.exists():
            text = path.read_text(encoding="utf-8")
            write_text(path, MARKED.sub(partial(_fresh, system=system, own=own, folder=path.parent), text))


def _fresh(found: re.Match[str], system: str, own: str | None, folder: Path) -> str:
    """What stands between two marks, anew if it is of the system's results."""
    if (found["system"] or own) != system:
        return found[0]
    if found["what"] == "suite":
        return f"{found['open']}{_suite(found, folder)}\n<!-- end -->"
    if found["what"] in ("grid", "gains", "course"):
        return (
            f"{found['open']}{_grid(found, listed_in(system)['grids'], results(system), folder)}\n<!-- end -->"
        )
    pattern = re.compile(found["pattern"])
    listed = {name: row for name, row in experiments(system).items() if pattern.fullmatch(name)}
    known = {name: row for name, row in results(system).items() if name in listed}
    if found["what"] == "curves":
        words = next((row["plot"] for row in listed.values() if "plot" in row), curves.PLOT)
        body = _plot(found, folder, words, curves.draw, listed, known)
    else:
        body = "\n".join(table([known[name] for name in listed if name in known]))
    return f"{found['open']}{body if known else 'Not run yet.'}\n<!-- end -->"


def _grid(found: re.Match[str], listed: Mapping[str, Any], known: Mapping[str, Row], folder: Path) -> str:
    grid = listed[found["pattern"]]
    if found["what"] == "grid":
        return "\n".join(grids.table(grid, known))
    draw = grids.draw if found["what"] == "gains" else grids.draw_course
    return _plot(found, folder, grid["plot"], draw, grid, known)


def _suite(found: re.Match[str], folder: Path) -> str:
    """The table and the chart of the reports of `seqloom transfer` in a folder."""
    reports = [suites.read(path) for path in sorted((folder / found["pattern"]).glob("*.json"))]
    if not reports:
        return "Not run yet."
    chart = _plot(found, folder, "The transfer suite", transfers.draw, reports)
    return f"{suites.markdown(reports)}\n{chart}"


def _plot(found: re.Match[str], folder: Path, words: str, draw: Callable[..., Path | None], *drawn: Any) -> str:
    """The Markdown of a figure, which is drawn; without matplotlib what stands there stays."""
    try:
        path = draw(*drawn, folder / found["file"])
    except ConfigError as fault:
        print(f"{found['file']} is not drawn anew: {fault}", file=sys.stderr)
        return found["body"].rstrip("\n")
    return f"![{words}]({found['file']})" if path else "Not run yet."


def main() -> None:
    """Run what is asked for, record it, and write tables and plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", help="a folder of recipes, such as mlmt")
    parser.add_argument("names", nargs="*", help="experiments; all that are not recorded yet, if none is named")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the run folders go")
    parser.add_argument(
        "--again",
        action="store_true",
        help="learn anew, in new run folders (what only uses another's model is measured anew)",
    )
    parser.add_argument("--tables", action="store_true", help="only write the tables and plots anew")
    words = parser.parse_intermixed_args()
    systems = sorted(path.parent.name for path in ROOT.glob("*/experiments.toml"))
    if words.system not in systems:
        raise ConfigError(unknown("system", words.system, systems))
    if not words.tables:
        with shown() as display:
            record(words, [display])
    write_tables(words.system)


def record(words: argparse.Namespace, writers: Sequence[Writer]) -> None:
    """Run and record experiments, the gains after all others."""
    listed, folder = experiments(words.system), ROOT / words.system / "results"
    for name in words.names:
        if name not in listed:
            raise ConfigError(unknown("experiment", name, listed))
    todo = {name: listed[name] for name in words.names or listed if words.names or "large" not in listed[name]}
    for name, row in todo.items():
        if "gain" not in row and (words.again or words.names or not (folder / f"{name}.json").exists()):
            keep(folder / f"{name}.json", perform(words.system, name, row, words.runs, words.again, writers))
    for name, row in listed.items():
        if "gain" in row and (gain := difference(words.system, name, row, results(words.system))):
            keep(folder / f"{name}.json", gain)


def keep(path: Path, row: Row) -> None:
    """Write a result; where its figures are there already, they keep their day, versions and minutes."""
    before = read_json(path) if path.exists() else {}
    if before.get("values") == row["values"]:
        row = row | {key: before[key] for key in ("date", "versions", "minutes") if key in before}
    if row != before:
        write_json(path, row)


if __name__ == "__main__":
    try:
        main()
    except SeqloomError as fault:
        sys.exit(str(fault))
    except Interrupted:
        sys.exit("stopped; the run's state is saved: the same command, without --again, goes on")
