"""How every plot looks: one style, colours that the colour-blind tell apart, panels under a title and a key."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqloom.errors import ConfigError
from seqloom.files import replacing
from seqloom.training.report import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow and black, which are too faint and too loud for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5A5A5A")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
GREY, PALE, RED = "#6B6B6B", "#C9C9C9", "#B00020"
PANELS = 12
LINES = len(COLOURS) * len(DASHES)
WIDTH, LONGEST = 8.0, 80
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": GREY,
    "axes.edgecolor": PALE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "text.parse_math": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.dpi": 200,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of this module while the context is open.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise ConfigError('plots need matplotlib: pip install "seqloom[plot]"') from None
    style: Any = {**matplotlib.rcParamsDefault, **STYLE, "backend": "agg"}
    with matplotlib.rc_context(style):
        yield


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure as a PNG file, whole or not at all, without a date: equal figures are equal files."""
    with replacing(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})
    return path


def line(place: int) -> dict[str, Any]:
    """The colour and dashes of the line in this place of a key."""
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place // len(COLOURS) % len(DASHES)]}


def panels(
    names: Sequence[str],
    title: str,
    note: str,
    key: Mapping[str, Any],
    height: float | None = None,
    columns: int | None = None,
) -> tuple["Figure", list["Axes"]]:
    """A figure of named panels (of `height` inches) under a title, a note, and a key of names and handles."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = columns or {1: 1, 2: 2, 4: 2}.get(len(names), 3)
    rows = math.ceil(len(names) / columns)
    head = 0.62 + (0.04 + 0.21 * math.ceil(len(key) / _columns(key)) if key else 0.0)
    tall = head + rows * (height or (3.6 if len(names) == 1 else 2.15))
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - head / tall), w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(WIDTH, tall), layout=layout)
    _head(figure, title, note, key, tall)
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in grid[len(names) :]:
        axis.remove()
    for axis, name in zip(grid, names, strict=False):
        axis.set_title(cut(name, 96 // columns))
    return figure, grid[: len(names)]


def _head(figure: "Figure", title: str, note: str, key: Mapping[str, Any], tall: float) -> None:
    left = 0.1 / WIDTH
    figure.text(left, 1 - 0.12 / tall, title, fontsize=13, fontweight="bold", va="top")
    figure.text(left, 1 - 0.37 / tall, note, fontsize=9, color=GREY, va="top")
    if key:
        figure.legend(
            list(key.values()),
            [cut(name, LONGEST) for name in key],
            loc="upper left",
            bbox_to_anchor=(left, 1 - 0.58 / tall),
            ncols=_columns(key),
            borderpad=0,
            borderaxespad=0,
            handlelength=2,
            columnspacing=1.6,
        )


def _columns(key: Mapping[str, Any]) -> int:
    return max(1, min(len(key), 116 // (min(max(map(len, key)), LONGEST) + 7)))


def cut(name: str, most: int) -> str:
    """A name of at most so many letters; a long one loses its beginning, as names of runs differ in their ends."""
    return name if len(name) <= most else "…" + name[1 - most :]


def key(names: Iterable[str]) -> dict[str, Any]:
    """The handles of so many lines for a key; a line alone needs none."""
    from matplotlib.lines import Line2D

    listed = list(names)[:LINES]
    return {name: Line2D([], [], **line(place)) for place, name in enumerate(listed)} if len(listed) > 1 else {}


def steps(axes: Sequence["Axes"]) -> None:
    """Label the horizontal axes as steps; only the lowest panel of each column says the word."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    lows, highs = zip(*(axis.get_xlim() for axis in axes), strict=True)
    for axis in axes:
        axis.set_xlim(min(lows), max(highs))
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    _label(axes, "step")


def sizes(axes: Sequence["Axes"], what: str) -> None:
    """Label the horizontal axes as sizes, at each size that was tried; logarithmic if they span a factor of five."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    for axis in axes:
        tried = sorted({value for one in axis.lines for value in np.asarray(one.get_xdata(), float).tolist()})
        if tried and tried[-1] >= 5 * tried[0] > 0:
            axis.set_xscale("log")
        axis.xaxis.set_major_locator(FixedLocator(tried))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    _label(axes, what)


def _label(axes: Sequence["Axes"], what: str) -> None:
    columns = {place.colspan.start: axis for axis in axes if (place := axis.get_subplotspec())}
    for axis in columns.values():
        axis.set_xlabel(what)


def logarithmic(axis: "Axes") -> None:
    """Make the vertical axis logarithmic, with plain numbers, where the lines on it span a factor of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = np.concatenate([np.asarray(one.get_ydata(), float) for one in axis.lines] or [np.zeros(1)])
    values = values[np.isfinite(values)]
    if not values.size or values.min() <= 0 or values.max() < 10 * values.min():
        return
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def say(axis: "Axes", text: str, place: tuple[float, float], colour: str, **more: Any) -> None:
    """Write a small remark beside a point, on a white ground."""
    halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}
    given = {"xytext": (5, 5), "fontsize": 8, "bbox": halo, **more}
    axis.annotate(text, place, textcoords="offset points", color=colour, **given)
