"""Weights of words as pictures: one heat map for each thing that an explanation says by weights."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqloom.errors import ConfigError
from seqloom.progress import notice
from seqloom.training.canvas import COLOURS, cut, save, styled

MOST = 50
"""Rows that are drawn."""
CELL, WIDEST = 0.3, 40.0
"""The sides of a cell and of a whole map, in inches, at most."""
LETTER, LETTERS = 0.085, 24
"""Inches that a letter of a label takes, and the most letters."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Weights from 0 to 1, a row for each name in `down`, in it a weight for each name in `across`."""

    name: str
    across: Sequence[str]
    down: Sequence[str]
    weights: Sequence[Sequence[float]]


def heat_maps(told: Mapping[str, Any]) -> Iterator[HeatMap]:
    """What can be drawn of an explanation: the best translation's attention, and what sets of vectors weigh.

    Args:
        told: one explanation with its texts, as `Model.explain` gives it.
    """
    for best in told.get("translations", [])[:1]:
        if "attention" in best and best["words"] and told["source"]:
            yield HeatMap("attention", told["source"], best.get("pieces", best["words"]), best["attention"])
    for text, sets in told.get("weights", {}).items():
        if told[text]:
            yield HeatMap(f"weights-{text}", told[text], list(sets), list(sets.values()))


def drawn(lines: Iterable[str], folder: Path, most: int = MOST) -> Iterator[str]:
    """Pass explanations on, a JSON object a line, and draw the first of them as files `ROW-WHAT.png` in a folder.

    Args:
        lines: explanations; null, for a row without text, counts as a row.
        folder: made if it is not there.
        most: rows that are drawn; where there are more, a notice says so.

    Raises:
        ConfigError: matplotlib is not installed, or nothing is explained by weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for row, one in enumerate(lines, 1):
        if row <= most:
            _draw_row(json.loads(one), folder / f"{row:0{len(str(most))}}")
        elif row == most + 1:
            notice(f"heat maps are drawn of the first {most} rows, no more")
        yield one


def _draw_row(told: Mapping[str, Any] | None, start: Path) -> None:
    if told is None:
        return
    if not told.keys() & {"translations", "weights"}:
        what = "this task is not explained by weights of words; head translate and embedder meta are"
        raise ConfigError(f"--plot: {what}; leave --plot out")
    for one in heat_maps(told):
        draw(one, start.with_name(f"{start.name}-{one.name}.png"))


def draw(one: HeatMap, path: Path) -> Path:
    """Draw a heat map, white for 0, as a PNG file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with styled():
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure

        across, down = ([cut(name, LETTERS) for name in names] for names in (one.across, one.down))
        figure = Figure(figsize=_sides(across, down), layout="constrained")
        axis = figure.subplots()
        shades = LinearSegmentedColormap.from_list("weights", ["white", COLOURS[0]])
        image = axis.imshow(one.weights, cmap=shades, vmin=0, vmax=1, aspect="equal")
        axis.set_xticks(range(len(across)), across, rotation=90)
        axis.set_yticks(range(len(down)), down)
        axis.xaxis.tick_top()
        axis.grid(visible=False)
        figure.colorbar(image, ax=axis, ticks=[0, 1], shrink=0.8, pad=0.02).outline.set_visible(False)
        return save(figure, path)


def _sides(across: Sequence[str], down: Sequence[str]) -> tuple[float, float]:
    """Width and height of a figure in inches: cells, the labels before and above them, and the key."""
    cell = min(CELL, WIDEST / max(len(across), len(down)))
    return (
        cell * len(across) + LETTER * max(map(len, down)) + 0.9,
        max(0.8, cell * len(down)) + LETTER * max(map(len, across)) + 0.3,
    )
