"""Curves of a system's experiments: a figure over a size, such as the number of labelled sentences to learn from.

A row of `experiments.toml` is a point of a curve if it says `curve = [PANEL, LINE]` and `at = N`; its `rival` is a
point of the rival's, `plot` and `axis` are what the figure and its axis are called. Rows that are not recorded yet are
left out, and leave no trace but a shorter line.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqloom.training.canvas import GREY, key, line, panels, save, sizes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]

PLOT, AXIS = "What labelled sentences bring", "labelled sentences of the target"
RIVAL = "CRF with hand-made features"
_RIVAL: dict[str, Any] = {
    "color": GREY,
    "linestyle": (0, (1, 1.5)),
    "linewidth": 1.2,
    "marker": "D",
    "markersize": 3.5,
}
_UNITS = {"f1": "F1", "accuracy": "accuracy in percent"}


def draw(listed: Mapping[str, Row], known: Mapping[str, Row], path: Path) -> Path | None:
    """Draw the curves of the listed experiments as far as they are known; returns the file, None if none is known.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    rows = {name: row for name, row in listed.items() if "curve" in row}
    there = [name for name in rows if name in known]
    if not there:
        return None
    names = list(
        dict.fromkeys(rows[name]["curve"][1] for name in rows)
    )  # lines that are missing keep their colours
    shown = list(dict.fromkeys(rows[name]["curve"][0] for name in there))
    unit = known[there[0]]["figure"]
    with styled():
        from matplotlib.lines import Line2D

        used = {rows[name]["curve"][1] for name in there}
        legend = {name: handle for name, handle in key(names).items() if name in used}
        if any(row.get("rival") is not None for row in rows.values()):
            legend[RIVAL] = Line2D([], [], **_RIVAL)
        note = f"{_UNITS.get(unit, unit)} on the whole test file; bars: standard deviation over seeds"
        figure, axes = panels(shown, rows[there[0]].get("plot", PLOT), note, legend)
        for axis, panel in zip(axes, shown, strict=True):
            _rival(axis, [row for row in rows.values() if row["curve"][0] == panel])
            for place, name in enumerate(names):
                chosen = [one for one in there if rows[one]["curve"] == [panel, name]]
                _line(axis, {rows[one]["at"]: known[one] for one in chosen}, line(place))
        sizes(axes, rows[there[0]].get("axis", AXIS))
        return save(figure, path)


def _line(axis: "Axes", points: Mapping[int, Row], look: Mapping[str, Any]) -> None:
    places = sorted(points)
    values = [points[place]["value"] for place in places]
    spreads = [points[place]["spread"] or 0.0 for place in places]
    axis.errorbar(places, values, spreads, fmt="none", ecolor=look["color"], elinewidth=1.2, capsize=2.5)
    axis.plot(places, values, **look, marker="o", markersize=5, markeredgecolor="white")


def _rival(axis: "Axes", rows: Sequence[Row]) -> None:
    points = {row["at"]: row["rival"] for row in rows if row.get("rival") is not None}
    axis.plot(sorted(points), [points[place] for place in sorted(points)], **_RIVAL)
