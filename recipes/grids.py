"""Grids of experiments: one configuration with rows of data and columns of settings, as the tables of papers are.

A table `[grids.NAME]` of `experiments.toml` has a `config`, settings that hold throughout (`set`), `rows` and
`columns`. Each row says its `watch`, and each row and column may `set` more and describe its `data`. The experiment of
a row and a column is called ROW-COLUMN. Where the grid has `small`, settings for a laptop (rows may have more of
them), there is full-ROW-COLUMN too, which leaves them out, takes those of `full` and is only run where it is named; of
a `large` row or column there is this one alone, and a grid that is `large` is run as it stands, where it is named.
With `mean`, the table ends with the mean of each column that is whole. `seeds` stands for the grid, a row or a column,
of which the last has its way. A column `of` another one does not train: it has that one's model, its head used by the
settings of `adjust`. A column with `line` and `at` is a point of curves, whose `plot` and `axis` the grid says. With
`course`, the words for what its curves show, a grid's figures on dev are recorded by epoch and can be drawn as they
rose.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from seqloom.training.canvas import key, line, panels, save, sizes, styled

Row = dict[str, Any]
Grid = Mapping[str, Any]


def expanded(listed: Mapping[str, Any]) -> dict[str, Row]:
    """All experiments of a list: those that stand there, and those of its grids."""
    found = {name: row for name, row in listed.items() if name != "grids"}
    for grid in listed.get("grids", {}).values():
        for row, column in product(grid["rows"], grid["columns"]):
            large = _large(grid) | _large(grid["rows"][row]) | _large(grid["columns"][column])
            if not (large and "small" in grid):
                found[f"{row}-{column}"] = _cell(grid, row, column, "small") | large
            if "small" in grid:
                found[f"full-{row}-{column}"] = _cell(grid, row, column, "full") | {"large": True}
    return found


def _large(grid: Grid) -> Row:
    return {"large": True} if grid.get("large") else {}


def _cell(grid: Grid, row: str, column: str, size: str) -> Row:
    of_row, of_column = grid["rows"][row], grid["columns"][column]
    trained = of_column.get("of", column)
    sets = [one.get(key, []) for one in (grid, of_row, grid["columns"][trained]) for key in (size, "set")]
    described = [one["data"] for one in (of_row, of_column) if "data" in one]
    return {
        "config": grid["config"],
        "set": [setting for one in sets for setting in one],
        "watch": of_row["watch"],
        "seeds": of_column.get("seeds") or of_row.get("seeds") or grid.get("seeds", 1),
        "rival": of_row.get("rival"),
        "published": of_row.get("published", {}).get(column),
        "data": "; ".join(described),
        "course": "course" in grid,
        **(_point(grid, of_row.get("title", row), of_column) if "line" in of_column else {}),
    } | (_borrowed(f"{row}-{trained}", of_column, size) if "of" in of_column else {})


def _point(grid: Grid, panel: str, column: Row) -> Row:
    return {key: grid[key] for key in ("axis", "plot")} | {
        "curve": [panel, column["line"]],
        "at": column["at"],
    }


def _borrowed(cell: str, column: Row, size: str) -> Row:
    return {"run": f"full-{cell}" if size == "full" else cell, "adjust": column["adjust"]}


def table(grid: Grid, known: Mapping[str, Row]) -> Iterator[str]:
    """The grid as a Markdown table: means over seeds with their spread, what was published in brackets."""
    columns = {name: one.get("title", name) for name, one in grid["columns"].items()}
    yield f"| data | rival | {' | '.join(columns.values())} |"
    yield f"|{'---|' * (2 + len(columns))}"
    for name, row in grid["rows"].items():
        found = {column: known.get(_called(grid, name, column)) for column in columns}
        if row.get("large") and not any(found.values()):
            continue
        cells = [_figure(one, row, column) for column, one in found.items()]
        rival = row.get("rival")
        yield f"| {row.get('title', name)} | {'' if rival is None else rival} | {' | '.join(cells)} |"
    if grid.get("mean"):
        yield f"| mean | | {' | '.join(_mean(grid, known, column) for column in columns)} |"


def _mean(grid: Grid, known: Mapping[str, Row], column: str) -> str:
    """The mean of a column, where all of its cells are known."""
    cells = [known.get(_called(grid, row, column)) for row in grid["rows"]]
    return f"{fmean(one['value'] for one in cells if one):.1f}" if all(cells) else "–"


def _called(grid: Grid, row: str, column: str) -> str:
    """The experiment that stands in a table: the small one, where there is such."""
    only = "small" in grid and (_large(grid["rows"][row]) or _large(grid["columns"][column]))
    return f"full-{row}-{column}" if only else f"{row}-{column}"


def draw_course(grid: Grid, known: Mapping[str, Row], path: Path) -> Path | None:
    """Draw each cell's figure on dev over the epochs; returns the file, None if nothing is known."""
    titles = {}
    for (row, about), (column, one) in product(grid["rows"].items(), grid["columns"].items()):
        title = one.get("title", column)
        titles[f"{row}-{column}"] = title if len(grid["rows"]) == 1 else f"{about.get('title', row)}, {title}"
    there = {
        title: known[name]["course"] for name, title in titles.items() if known.get(name, {}).get("course")
    }
    if not there:
        return None
    with styled():
        figure, axes = panels([grid["course"]], grid["plot"], grid["note"], key(there))
        for place, points in enumerate(there.values()):
            axes[0].plot(*zip(*points, strict=True), **line(place), marker="o", markersize=4)
        axes[0].set_xlabel("epochs")
        return save(figure, path)


def _figure(result: Row | None, row: Mapping[str, Any], column: str) -> str:
    published = row.get("published", {}).get(column)
    spread = f" ± {result['spread']:.1f}" if result and result["spread"] is not None else ""
    ours = f"{result['value']:.1f}{spread}" if result else "–"
    return ours if published is None else f"{ours} ({published})"


def draw(grid: Grid, known: Mapping[str, Row], path: Path) -> Path | None:
    """Draw what each column gains over the one of no size; returns the file, None if nothing is known.

    A column is a point of the curves if it has a `size`, the amount of what it adds; `axis` of the grid says of what.
    """
    columns = {name: one["size"] for name, one in grid["columns"].items() if "size" in one}
    base = min(columns, key=columns.__getitem__)
    lines = {}
    for name, row in grid["rows"].items():
        there = {columns[one]: known[f"{name}-{one}"]["value"] for one in columns if f"{name}-{one}" in known}
        if columns[base] in there and len(there) > 1:
            gains = sorted((size, value - there[columns[base]]) for size, value in there.items())
            lines[row.get("title", name)] = gains
    if not lines:
        return None
    with styled():
        note = "on the whole test file; one line for each set of data"
        figure, axes = panels(["points over the column without"], grid["plot"], note, key(lines))
        for place, points in enumerate(lines.values()):
            axes[0].plot(*zip(*points, strict=True), **line(place), marker="o", markersize=5)
        sizes(axes, grid["axis"])
        return save(figure, path)
