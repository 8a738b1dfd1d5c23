"""Tables and learning curves of recipes hold what the files of results say, rows that are missing left out."""

import json
import sys
from pathlib import Path

import pytest

from seqloom.errors import ConfigError

RECIPES = Path(__file__).parent.parent / "recipes"
LISTED = "\n".join(
    f"[tag-{n}-{name}]\nwatch = 'nl.f1'\ncurve = ['Dutch', '{name}']\nat = {n}\nrival = {n / 10}\n"
    for n in (10, 100)
    for name in ("alone", "unseen", "together")
)
PAGE = "<!-- curves: tag-.* in curves.png -->\nold\n<!-- end -->\n<!-- results: tag-.* -->\nold\n<!-- end -->\n"


def result(name: str, value: float, spread: float | None = None) -> str:
    row = {"name": name, "figure": "f1", "value": value, "spread": spread, "seeds": [1], "minutes": 2.0}
    return json.dumps(row)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """recipes/run.py over a made-up project with one system, three of whose six rows are recorded."""
    monkeypatch.syspath_prepend(RECIPES)
    for name in ("run", "curves", "grids"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import run

    system = tmp_path / "recipes" / "made"
    (system / "results").mkdir(parents=True)
    (system / "experiments.toml").write_text(LISTED)
    (system / "README.md").write_text(PAGE)
    (tmp_path / "README.md").write_text(
        "<!-- results of made: tag-10-.* -->\n<!-- end -->\n<!-- results of other: .* -->\nkept\n<!-- end -->\n"
    )
    for name, value, spread in [
        ("tag-10-alone", 20, None),
        ("tag-100-alone", 40, 1.5),
        ("tag-10-together", 50, 0.5),
    ]:
        (system / "results" / f"{name}.json").write_text(result(name, value, spread))
    monkeypatch.setattr(run, "ROOT", tmp_path / "recipes")
    return run


def test_tables_are_written_between_marks_in_both_pages(run):
    run.write_tables("made")
    page = (run.ROOT / "made" / "README.md").read_text()
    assert "old" not in page
    assert "(curves.png)" in page
    assert (run.ROOT / "made" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert page.count("| tag-") == 3
    assert "| tag-100-alone | f1 | 40.00 | 1.50 | 1 |" in page
    whole = (run.ROOT.parent / "README.md").read_text()
    assert [line.split(" | ")[0] for line in whole.splitlines() if "f1" in line] == [
        "| tag-10-alone",
        "| tag-10-together",
    ]
    assert "kept" in whole
    run.write_tables("made")
    assert (run.ROOT / "made" / "README.md").read_text() == page


def test_a_curve_goes_through_its_known_points_and_a_missing_one_leaves_no_trace(run, monkeypatch):
    drawn = {}
    monkeypatch.setattr(run.curves, "save", lambda figure, path: drawn.setdefault("figure", figure))
    run.curves.draw(run.experiments("made"), run.results("made"), Path("unused"))
    (axis,) = drawn["figure"].axes
    lines = {tuple(map(tuple, line.get_xydata())) for line in axis.lines if line.get_linestyle() != "None"}
    assert {((10, 20), (100, 40)), ((10, 50),), ((10, 1), (100, 10))} <= lines
    named = [text.get_text() for text in drawn["figure"].legends[0].get_texts()]
    assert named == ["alone", "together", run.curves.RIVAL]
    assert axis.get_xscale() == "log"


def test_without_matplotlib_tables_are_written_and_the_plot_stays(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run.write_tables("made")
    page = (run.ROOT / "made" / "README.md").read_text()
    assert page.startswith("<!-- curves: tag-.* in curves.png -->\nold\n")
    assert page.count("| tag-") == 3
    assert (
        'curves.png is not drawn anew: plots need matplotlib: pip install "seqloom[plot]"'
        in capsys.readouterr().err
    )


GRID = """
[grids.both]
config = "both.yaml"
small = ["hidden=10"]
full = ["hidden=300"]
axis = "pairs"
plot = "What they bring"
mean = true
seeds = 2
[grids.both.columns.words]
title = "words"
seeds = 3
size = 0
[grids.both.columns.more]
set = ["words=more"]
size = 100
line = "better"
at = 7
[grids.both.columns.most]
large = true
full = ["words=most"]
[grids.both.columns.told]
of = "more"
adjust = ["beam=1"]
[grids.both.rows.one]
title = "One"
watch = "t.accuracy"
rival = 90.6
set = ["data=one"]
published = {words = 94.9}
[grids.both.rows.two]
watch = "t.accuracy"
small = ["epochs=1"]
"""


@pytest.fixture
def grid(run):
    """The made-up system with a grid, three of whose four cells are recorded."""
    system = run.ROOT / "made"
    (system / "experiments.toml").write_text(GRID)
    (system / "README.md").write_text(
        "<!-- grid: both -->\n<!-- end -->\n<!-- gains: both in gains.png -->\n<!-- end -->\n"
    )
    (system / "results" / "one-words.json").write_text(result("one-words", 90))
    (system / "results" / "one-more.json").write_text(result("one-more", 91.5, 0.25))
    (system / "results" / "two-more.json").write_text(result("two-more", 80.5))
    (system / "results" / "full-one-most.json").write_text(result("full-one-most", 92))
    return run


def test_a_grid_is_an_experiment_for_each_row_and_column(grid):
    listed = grid.experiments("made")
    assert list(listed) == [
        f"{size}{row}-{column}"
        for row in ("one", "two")
        for column in ("words", "more", "most", "told")
        for size in ("", "full-")
        if (size, column) != ("", "most")
    ]
    assert listed["full-one-most"]["set"] == ["hidden=300", "data=one", "words=most"]
    assert listed["two-more"]["set"] == ["hidden=10", "epochs=1", "words=more"]
    assert listed["full-one-more"]["set"] == ["hidden=300", "data=one", "words=more"]
    assert listed["one-words"]["published"] == 94.9
    assert listed["two-told"]["set"] == listed["two-more"]["set"]
    assert [listed["full-two-told"][key] for key in ("run", "adjust")] == ["full-two-more", ["beam=1"]]
    assert listed["one-more"]["published"] is None
    point = {key: listed["one-more"][key] for key in ("curve", "at", "axis", "plot")}
    assert point == {"curve": ["One", "better"], "at": 7, "axis": "pairs", "plot": "What they bring"}
    assert "curve" not in listed["one-words"]
    assert [listed[f"one-{column}"]["seeds"] for column in ("words", "more")] == [3, 2]


def test_a_grid_is_written_as_a_table_and_its_gains_are_drawn(grid):
    grid.write_tables("made")
    page = (grid.ROOT / "made" / "README.md").read_text()
    assert "| data | rival | words | more | most | told |\n|---|---|---|---|---|---|" in page
    assert "| One | 90.6 | 90.0 (94.9) | 91.5 ± 0.2 | 92.0 | – |" in page
    assert "| two |  | – | 80.5 | – | – |\n| mean | | – | 86.0 | – | – |\n" in page
    assert "![What they bring](gains.png)" in page


def test_gains_are_over_the_column_of_no_size(grid, monkeypatch):
    drawn = {}
    monkeypatch.setattr(grid.grids, "save", lambda figure, path: drawn.setdefault("figure", figure))
    grid.grids.draw(grid.listed_in("made")["grids"]["both"], grid.results("made"), Path("unused"))
    (axis,) = drawn["figure"].axes
    assert next(line.get_xydata().tolist() for line in axis.lines if line.get_label() != "unused") == [
        [0, 0],
        [100, 1.5],
    ]


def test_full_sizes_are_only_run_where_they_are_named(grid, monkeypatch):
    ran = []
    monkeypatch.setattr(
        grid, "perform", lambda system, name, row, runs, again, writers: ran.append(name) or {"values": [1]}
    )
    monkeypatch.setattr(sys, "argv", ["run.py", "made"])
    monkeypatch.setattr(grid, "write_tables", lambda system: None)
    grid.main()
    assert ran == ["one-told", "two-words", "two-told"]
    monkeypatch.setattr(sys, "argv", ["run.py", "made", "full-two-more"])
    grid.main()
    assert ran[-1] == "full-two-more"


def test_what_is_not_listed_is_told_with_what_is(grid, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run.py", "mad"])
    with pytest.raises(ConfigError, match='no system "mad"; did you mean "made"'):
        grid.main()
    monkeypatch.setattr(sys, "argv", ["run.py", "made", "one-word"])
    with pytest.raises(ConfigError, match='no experiment "one-word"; did you mean "one-words"'):
        grid.main()


def test_a_result_keeps_its_day_as_long_as_its_figures_are_the_same(run, tmp_path):
    path = tmp_path / "one.json"
    run.keep(path, {"values": [1.0], "date": "2020-01-01"})
    run.keep(path, {"values": [1.0], "date": "2030-01-01"})
    assert json.loads(path.read_text())["date"] == "2020-01-01"
    run.keep(path, {"values": [1.0], "date": "2030-01-01", "rival": 3})
    assert json.loads(path.read_text()) == {"values": [1.0], "date": "2020-01-01", "rival": 3}
    run.keep(path, {"values": [2.0], "date": "2030-01-01"})
    assert json.loads(path.read_text())["date"] == "2030-01-01"


COURSE = """
[grids.recite]
config = "recite.yaml"
course = "words right"
plot = "By heart"
note = "of a text"
[grids.recite.columns.dense]
[grids.recite.columns.sparse]
[grids.recite.rows.text]
watch = "lm.accuracy"
[grids.recite.rows.licensed]
watch = "lm.accuracy"
large = true
"""


def test_figures_on_dev_are_recorded_by_epoch_and_drawn(run, tmp_path, monkeypatch):
    (run.ROOT / "made" / "experiments.toml").write_text(COURSE)
    listed = run.experiments("made")
    assert [listed[name].get("large") for name in ("text-dense", "licensed-dense")] == [None, True]
    told = [
        {"event": "evaluate", "split": "dev", "step": step, "figures": {"lm": {"accuracy": value}}}
        for step, value in ((50, 20.0), (100, 30.5), (104, 31.0))
    ]
    monkeypatch.setattr(run, "events", lambda folder: [{"event": "start"}, *told])
    found = run.course(tmp_path, "lm.accuracy")
    assert found == [(1.0, 20.0), (2.0, 30.5), (2.08, 31.0)]
    row = json.loads(result("text-dense", 31.0)) | {"course": found}
    drawn = {}
    monkeypatch.setattr(run.grids, "save", lambda figure, path: drawn.setdefault("figure", figure))
    grid = run.listed_in("made")["grids"]["recite"]
    run.grids.draw_course(grid, {"text-dense": row}, Path("unused"))
    assert drawn["figure"].axes[0].lines[0].get_xydata().tolist() == [list(one) for one in found]
    assert run.grids.draw_course(grid, {}, Path("unused")) is None
    assert [line.split(" | ")[0] for line in run.grids.table(grid, {"text-dense": row})][2:] == ["| text"]


def test_reports_of_the_transfer_suite_become_a_table(grid, tmp_path, monkeypatch):
    (tmp_path / "reports").mkdir()
    report = {
        "name": "mine",
        "settings": {"folds": 5, "seed": 1},
        "curve": {},
        "tasks": {"MR": {"test": {"accuracy": 71.25}}},
    }
    (tmp_path / "reports/mine.json").write_text(json.dumps(report))
    monkeypatch.setattr(grid.transfers, "draw", lambda reports, path: path)
    marked = grid.MARKED.search("<!-- suite: reports in chart.png -->\n<!-- end -->")
    text = grid._fresh(marked, "made", "made", tmp_path)
    assert "| MR | 71.2 |" in text
    assert "![The transfer suite](chart.png)" in text
