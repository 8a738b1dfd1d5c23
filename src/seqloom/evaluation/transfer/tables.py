"""Reports of the suite as Markdown: tasks in rows, encoders in columns."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqloom.errors import DataError
from seqloom.evaluation.transfer.tasks import TASKS
from seqloom.files import read_json

Report = Mapping[str, Any]
CORRELATIONS = ("pearson", "spearman")


def markdown(reports: Sequence[Report]) -> str:
    """The table of some reports, the curve of each that has one, and what the figures are."""
    told = [*_table(reports), "", *_notes(reports)]
    for one in reports:
        if any(one["curve"].values()):
            told += ["", f"{one['name']}, learning from fewer labelled examples:", "", *_curve(one)]
    return "\n".join(told) + "\n"


def figures(result: Mapping[str, Any], task: str) -> dict[str, float]:
    """The test figures that a table shows, in percent; the first is the task's main one. None where it was not run."""
    if "test" not in result:
        return {}
    test, main = result["test"], TASKS[task].figure
    shown = {
        "accuracy": ["accuracy", *(["f1"] if task == "MRPC" else [])],
        "pearson": ["pearson", "spearman"],
        "r1": ["image_r1", "image_r10", "caption_r1", "caption_r10"],
    }[main]
    return {name: test[name] * (100 if name in CORRELATIONS else 1) for name in shown}


def read(path: Path) -> Report:
    """A report that was written; raises a DataError where the file is none."""
    found = read_json(path)
    if not isinstance(found, dict) or not {"name", "tasks", "settings", "curve"} <= found.keys():
        raise DataError("is no report of `seqloom transfer`", path)
    return found


def _table(reports: Sequence[Report]) -> Iterator[str]:
    names = [name for name in TASKS if any(name in one["tasks"] for one in reports)]
    yield f"| | {' | '.join(one['name'] for one in reports)} |"
    yield f"|---|{'---|' * len(reports)}"
    for name in names:
        cells = [_cell(one["tasks"].get(name, {}), name) for one in reports]
        yield f"| {name} | {' | '.join(cells)} |"


def _cell(result: Mapping[str, Any], task: str) -> str:
    found = figures(result, task)
    if not found:
        return f"not run: {result['not_run']}" if "not_run" in result else "-"
    pool = f" ({result['pool']})" if result.get("pools", 1) > 1 else ""
    return " / ".join(f"{value:.1f}" for value in found.values()) + pool


def _curve(report: Report) -> Iterator[str]:
    names = list(next(iter(report["curve"].values())))
    counts = list(report["curve"])
    yield f"| | {' | '.join([*counts, 'all'])} |"
    yield f"|---|{'---|' * (len(counts) + 1)}"
    for name in names:
        results = [*(report["curve"][count][name] for count in counts), report["tasks"][name]]
        cells = [f"{next(iter(figures(one, name).values())):.1f}" for one in results]
        yield f"| {name} | {' | '.join(cells)} |"


def _notes(reports: Sequence[Report]) -> Iterator[str]:
    figures = (
        "Accuracy on test, in percent; MRPC: accuracy / F1; SICK-R, STS: Pearson / Spearman, times 100, means over "
        "sets; Captions: R@1 / R@10 of images, then of captions."
    )
    names: dict[str, list[str]] = {}
    for one in reports:
        names.setdefault(_classifiers(one["settings"]), []).append(one["name"])
    if len(names) == 1:
        yield f"{figures} Classifiers: {next(iter(names))}."
        return
    yield figures
    for told, which in names.items():
        yield ""
        yield f"Classifiers of {', '.join(dict.fromkeys(which))}: {told}."


def _classifiers(settings: Mapping[str, Any]) -> str:
    how = settings.get("perceptron")
    if how is None:
        kind = "scikit-learn's logistic regression"
    else:
        layer = f"a hidden layer of {how['hidden']}" if how["hidden"] else "linear"
        kind = f"{layer}, {how['optimizer']}, batch {how['batch']}, tenacity {how['tenacity']}, "
        kind += f"epoch size {how['epoch_size']}"
    return f"{kind}, {settings['folds']} folds, seed {settings['seed']}"
