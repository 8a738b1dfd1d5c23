"""Plots that compare: what each task had of a run, and what more data or another setting brings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqloom.training.canvas import COLOURS, LINES, PALE, PANELS, cut, key, line, panels, sizes
from seqloom.training.report import measured
from seqloom.training.runs import Groups, Run, series, spread, watched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ROWS = 50

Pairs = Sequence[tuple[str, str]]
Look = Mapping[str, Any]


def shares(groups: Groups) -> "Figure | None":
    """The share of each task in the steps, the tokens and the loss: stacked bars, one panel a group of runs."""
    from matplotlib.patches import Patch

    summed = dict([(name, one) for name, runs in groups.items() if (one := _summed(runs))["steps"]][:PANELS])
    totals = _added([one["steps"] for one in summed.values()])
    if len(totals) < 2:
        return None
    colours = dict(zip(sorted(totals, key=lambda task: -totals[task]), COLOURS, strict=False))
    handles = {task: Patch(color=colour) for task, colour in colours.items()}
    if others := len(totals) - len(colours):
        handles[f"{others} others"] = Patch(color=PALE)
    note = "of the steps, of the tokens, and of the loss summed over the steps"
    figure, axes = panels(list(summed) if len(groups) > 1 else [""], "Shares of the tasks", note, handles, 1.5)
    for axis, one in zip(axes, summed.values(), strict=True):
        _bars(axis, one, colours)
    return figure


def _summed(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    shares = [run.shares for run in runs]
    return {what: _added([one[what] for one in shares]) for what in ("steps", "tokens", "loss")}


def _added(amounts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for one in amounts:
        for task, amount in one.items():
            sums[task] = sums.get(task, 0.0) + amount
    return sums


def _bars(axis: "Axes", summed: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> None:
    for place, amounts in enumerate(summed.values()):
        whole, left = sum(amounts.values()), 0.0
        named = {task: amounts.get(task, 0.0) for task in colours}
        pieces = [*named.items(), ("", whole - sum(named.values()))]
        for task, amount in pieces if whole > 0 else []:
            share = 100 * amount / whole
            look: dict[str, Any] = {"color": colours.get(task, PALE), "edgecolor": "white", "linewidth": 0.6}
            axis.barh(place, share, 0.72, left, **look)
            if share >= 6:
                shade = "white" if task else "black"
                axis.text(
                    left + share / 2, place, f"{share:.0f}%", color=shade, ha="center", va="center", fontsize=8
                )
            left += share
    axis.set_yticks(range(len(summed)), list(summed))
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    axis.set_xticks([])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def learning(groups: Groups) -> "Figure | None":
    """The best figure of each task over its training sentences where runs differ in them, else by group of runs."""
    runs = [run for one in groups.values() for run in one]
    split = "test" if all(run.figures("test") for run in runs) else "dev"
    task = watched(runs)
    pairs = _pairs(runs, split, task)
    if len(runs) < 2 or task is None or not pairs:
        return None
    title = f"Figures on {split}, at each run's best step"
    if len({run.sentences(task) for run in runs}) > 1:
        return _by_sentences(runs, pairs, split, task, title)
    return _by_group(groups, pairs, split, title)


def _by_sentences(runs: Sequence[Run], pairs: Pairs, split: str, task: str, title: str) -> "Figure":
    lines = dict(list(series(runs, task).items())[:LINES])
    note = f"over the training sentences of {task}; band: standard deviation over seeds"
    figure, axes = panels([" ".join(pair) for pair in pairs], title, note, key(lines))
    for axis, pair in zip(axes, pairs, strict=True):
        for place, one in enumerate(lines.values()):
            _curve(axis, one, pair, split, task, line(place))
    sizes(axes, f"training sentences of {task}")
    return figure


def _by_group(groups: Groups, pairs: Pairs, split: str, title: str) -> "Figure":
    drawn = dict(list(groups.items())[:ROWS])
    note = "small dots: seeds; large: their mean and standard deviation"
    note += f"; the first {ROWS} of {len(groups)} groups" if len(groups) > ROWS else ""
    height, columns = 0.55 + 0.22 * len(drawn), min(2, len(pairs))
    figure, axes = panels([" ".join(pair) for pair in pairs], title, note, {}, height, columns)
    for place, (axis, pair) in enumerate(zip(axes, pairs, strict=True)):
        _dots(axis, drawn, pair, split, named=place % 2 == 0)
    return figure


def _pairs(runs: Sequence[Run], split: str, first: str | None) -> Pairs:
    """Each task with its first figure, the one it is watched by; the watched task comes first."""
    found = {task: next(iter(of)) for run in runs for task, of in run.figures(split).items() if of}
    return sorted(found.items(), key=lambda pair: pair[0] != first)[:PANELS]


def _values(runs: Sequence[Run], pair: tuple[str, str], split: str) -> list[float]:
    task, name = pair
    values = [run.figures(split).get(task, {}).get(name) for run in runs]
    return [value for value in values if value is not None]


def _curve(axis: "Axes", runs: Sequence[Run], pair: tuple[str, str], split: str, task: str, look: Look) -> None:
    by_size: dict[int, list[Run]] = {}
    for run in runs:
        by_size.setdefault(run.sentences(task) or 0, []).append(run)
    values = {size: found for size in sorted(by_size) if (found := _values(by_size[size], pair, split))}
    means, deviations = np.array([spread(of) for of in values.values()]).reshape(-1, 2).T
    axis.fill_between(
        list(values), means - deviations, means + deviations, color=look["color"], alpha=0.15, linewidth=0
    )
    axis.plot(list(values), means, **look, marker="o", markersize=5, markeredgecolor="white")


def _dots(axis: "Axes", groups: Groups, pair: tuple[str, str], split: str, *, named: bool) -> None:
    for place, runs in enumerate(groups.values()):
        if not (values := _values(runs, pair, split)):
            continue
        mean, deviation = spread(values)
        axis.errorbar(mean, place, xerr=deviation, fmt="o", color=COLOURS[0], markersize=5.5, elinewidth=1.5)
        if len(values) > 1:
            seeds: dict[str, Any] = {"color": COLOURS[1], "markersize": 3, "markeredgewidth": 0, "alpha": 0.7}
            axis.plot(values, [place] * len(values), "o", **seeds)
        told = measured(mean, deviation, len(values))
        axis.text(1.02, place, told, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.set_yticks(range(len(groups)), [cut(name, 40) for name in groups] if named else [""] * len(groups))
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
