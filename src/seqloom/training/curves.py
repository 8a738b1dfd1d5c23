"""Plots of runs: losses and scores over steps; `draw` makes these, the comparisons and the page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqloom.training import page
from seqloom.training.canvas import (
    LINES,
    PALE,
    PANELS,
    RED,
    key,
    line,
    logarithmic,
    panels,
    save,
    say,
    steps,
    styled,
)
from seqloom.training.comparisons import learning, shares
from seqloom.training.report import rounded
from seqloom.training.runs import Curve, Groups, Run, find, grouped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More groups than this are drawn without their single runs and best steps, which would hide one another.
FEW = 6

Chosen = Callable[[Run], Curve | None]


def draw(runs: Sequence[str | Path], out: str | Path) -> list[Path]:
    """Draw the runs in these folders: PNG files and one page, `report.html`, in `out`; returns their paths.

    Plots of an earlier call that these runs have nothing for are removed.

    Raises:
        ModelError: a folder is missing or holds no run.
        ConfigError: matplotlib is not installed.
    """
    groups = grouped(find(runs))
    pictures = []
    with styled():
        for kind in (learning, scores, losses, shares):
            path = Path(out) / f"{kind.__name__}.png"
            if figure := kind(groups):
                pictures.append(save(figure, path))
            else:
                path.unlink(missing_ok=True)
    return [*pictures, page.write(Path(out) / "report.html", groups, pictures)]


def smoothed(curve: Curve) -> Curve:
    """The curve under a Gaussian window of a sixtieth of its points; eight points or fewer stay as they are."""
    known = curve.known()
    if len(known.steps) <= 8:
        return known
    width = max(1.0, len(known.steps) / 60)
    reach = np.arange(-round(3 * width), round(3 * width) + 1)
    window = np.exp(-0.5 * (reach / width) ** 2)
    inside = slice(len(reach) // 2, len(reach) // 2 + len(known.steps))
    sums = np.convolve(known.values, window)[inside]
    return Curve(known.steps, sums / np.convolve(np.ones_like(known.values), window)[inside])


def averaged(curves: Iterable[Curve]) -> Curve:
    """The mean of curves over the steps that all of them span, each drawn straight between its points."""
    known = [one for curve in curves if len((one := curve.known()).steps)]
    if not known:
        return Curve.of({})
    every = np.unique(np.concatenate([one.steps for one in known]))
    first, last = max(one.steps[0] for one in known), min(one.steps[-1] for one in known)
    shared = every[(every >= first) & (every <= last)]
    return Curve(shared, np.mean([np.interp(shared, one.steps, one.values) for one in known], axis=0))


def losses(groups: Groups) -> "Figure | None":
    """Training loss over steps, one panel a task: each run thin; smoothed, and averaged over seeds, bold."""
    tasks = list(dict.fromkeys(task for runs in groups.values() for run in runs for task in run.losses))
    if len(tasks) > PANELS:
        return _crowd(groups, "Training loss", {"mean loss an item": list(map(_loss, tasks))})
    if not tasks:
        return None
    note = "mean loss an item (a token, a sentence)" + _thin(groups, "; thin: as it was") + "; bold: smoothed"
    figure, axes = panels(tasks, "Training loss", note + _over(groups), key(groups))
    for axis, task in zip(axes, tasks, strict=True):
        for place, runs in enumerate(_first(groups)):
            _lines(axis, runs, _loss(task), line(place), smoothed, thin=len(groups) <= FEW)
            for run in runs:
                if run.ended == "diverged" and task in run.losses:
                    _diverged(axis, run.losses[task].known())
        logarithmic(axis)
    steps(axes)
    return figure


def scores(groups: Groups) -> "Figure | None":
    """Figures on the dev set over steps, one panel a task and figure; a dot marks each run's best step."""
    pairs = list(dict.fromkeys(pair for runs in groups.values() for run in runs for pair in run.scores))
    if len(pairs) > PANELS:
        # The first figure of a task is the one it is watched by.
        pairs = list({task: (task, name) for task, name in reversed(pairs)}.values())[::-1]
    if len(pairs) > PANELS:
        names = dict.fromkeys(name for _, name in pairs)
        return _crowd(
            groups, "Scores on dev", {of: [_score(pair) for pair in pairs if pair[1] == of] for of in names}
        )
    if not pairs:
        return None
    note = "on the dev set of each task" + _thin(groups, "; dot: the best step of a run") + _over(groups)
    figure, axes = panels([" ".join(pair) for pair in pairs], "Scores on dev", note, key(groups))
    for axis, pair in zip(axes, pairs, strict=True):
        for place, runs in enumerate(_first(groups)):
            _lines(axis, runs, _score(pair), line(place), Curve.known, thin=len(groups) <= FEW)
            for run in runs if len(groups) <= FEW else []:
                _best(axis, run, pair, line(place)["color"], told=len(groups) == len(runs) == 1)
    steps(axes)
    return figure


def _loss(task: str) -> Chosen:
    return lambda run: run.losses.get(task)


def _score(pair: tuple[str, str]) -> Chosen:
    return lambda run: run.scores.get(pair)


def _first(groups: Groups) -> list[Sequence[Run]]:
    return list(groups.values())[:LINES]


def _thin(groups: Groups, note: str) -> str:
    return note if len(groups) <= FEW else ""


def _over(groups: Groups) -> str:
    note = "; seeds averaged" if any(len(runs) > 1 for runs in groups.values()) else ""
    return note + (f"; the first {LINES} of {len(groups)} groups" if len(groups) > LINES else "")


def _lines(
    axis: "Axes",
    runs: Sequence[Run],
    chosen: Chosen,
    look: dict[str, Any],
    smooth: Callable[[Curve], Curve],
    *,
    thin: bool,
) -> None:
    curves = [one for run in runs if (one := chosen(run))]
    for one in curves if thin else []:
        axis.plot(one.steps, one.values, color=look["color"], alpha=0.3, linewidth=0.8)
    bold = averaged(map(smooth, curves))
    axis.plot(bold.steps, bold.values, **look, marker="o" if len(bold.steps) == 1 else None, markersize=4)


def _diverged(axis: "Axes", curve: Curve) -> None:
    if len(curve.steps):
        step, value = float(curve.steps[-1]), float(curve.values[-1])
        axis.plot(step, value, marker="x", color=RED, markersize=6, markeredgewidth=1.6)
        say(axis, "diverged", (step, value), RED, xytext=(4, 11), ha="right", bbox=None)


def _best(axis: "Axes", run: Run, pair: tuple[str, str], colour: str, *, told: bool) -> None:
    curve, step = run.scores.get(pair, Curve.of({})).known(), run.result.get("best_step")
    if step is None or step not in curve.steps:
        return
    value = float(curve.values[curve.steps == step][0])
    size = 6 if told else 4
    axis.plot(step, value, "o", color=colour, markersize=size, markeredgecolor="white", markeredgewidth=0.9)
    if told:
        axis.axvline(step, color=PALE, linewidth=0.8, zorder=0)
        side = {"ha": "right", "xytext": (-3, -14)} if step > sum(axis.get_xlim()) / 2 else {"xytext": (3, -14)}
        say(axis, rounded(value), (step, value), colour, **side)


def _crowd(groups: Groups, title: str, kinds: Mapping[str, Sequence[Chosen]]) -> "Figure":
    """Panels for more tasks than could have one each: the median task, the middle half, and each task in grey."""
    kinds = dict(list(kinds.items())[:PANELS])
    note = "bold: the median task; band: the middle half of the tasks" + _over(groups)
    figure, axes = panels([f"{name}, {len(of)} tasks" for name, of in kinds.items()], title, note, key(groups))
    for axis, tasks in zip(axes, kinds.values(), strict=True):
        for place, runs in enumerate(_first(groups)):
            curves = [averaged(smoothed(one) for run in runs if (one := chosen(run))) for chosen in tasks]
            _quartiles(axis, [one for one in curves if len(one.steps)], line(place), every=len(groups) == 1)
        logarithmic(axis)
    steps(axes)
    return figure


def _quartiles(axis: "Axes", curves: Sequence[Curve], look: dict[str, Any], *, every: bool) -> None:
    if not curves:
        return
    # Where fewer than half of the tasks have a point yet, or still, a median would be of those few alone.
    first, last = (float(np.median([one.steps[end] for one in curves])) for end in (0, -1))
    grid = np.linspace(first, last, 200)
    values = [np.interp(grid, one.steps, one.values) for one in curves]
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    for one in curves if every else []:
        axis.plot(one.steps, one.values, color=PALE, linewidth=0.5, alpha=0.6, zorder=1)
    axis.fill_between(grid, low, high, color=look["color"], alpha=0.18, linewidth=0)
    axis.plot(grid, middle, **look)
