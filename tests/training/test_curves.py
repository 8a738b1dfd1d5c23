"""Runs are found and grouped, plots hold the numbers of their runs, the page stands alone."""

import json
import math
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from seqloom.errors import ConfigError, ModelError
from seqloom.training.canvas import STYLE, cut, styled
from seqloom.training.comparisons import learning, shares
from seqloom.training.curves import averaged, draw, losses, scores, smoothed
from seqloom.training.report import Report
from seqloom.training.runs import Curve, find, grouped, series, spread, watched

SIZES = {"ner": {"sentences": 100}, "pos": {"sentences": 500}}


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 40)


def train(folder, top=80.0, tasks=SIZES, steps=40, evaluate=10, reason="steps", watch="ner", test=None):
    """A made-up run: each task's loss is 8 / step, its f1 rises to `top` at step 30 and falls by one after it."""
    report = Report(folder, every=5)
    report.start(steps, tasks, 0, {"embedders.words": 2000, "encoders.shared": 5060, "all": 7060})
    names = list(tasks)
    for step in range(1, steps + 1):
        task = names[step % len(names)]
        report.step(step, task, 8.0 / step, 10, 100 if task == "ner" else 300, 0.1, 4)
        if evaluate and step % evaluate == 0:
            value = top - abs(30 - step) / 10
            report.evaluate(step, {name: {"f1": value, "recall": value / 2} for name in names}, best=step <= 30)
    report.end(steps, reason)
    (folder / "last").mkdir(parents=True, exist_ok=True)
    (folder / "last/config.yaml").write_text(f"seed: 1\nnote: <b>&</b>\ntraining: {{watch: {watch}.f1}}\n")
    if test is not None:
        figures = {"best_step": 30, "best": {"ner": {"f1": top}}, "test": {"ner": {"f1": test}}}
        (folder / "result.json").write_text(json.dumps(figures))
    return folder


def drawn(plot, *folders):
    with styled():
        return plot(grouped(find(folders)))


def titles(figure):
    return [axis.get_title(loc="left") for axis in figure.axes]


def test_runs_are_found_in_their_natural_order(tmp_path):
    for name in ("seed-10", "seed-2", "more/seed-1"):
        Report(tmp_path / "out" / name).start(1, {}, 0)
    assert [run.name for run in find([tmp_path / "out"])] == ["out/more/seed-1", "out/seed-2", "out/seed-10"]
    two = [tmp_path / "out/seed-2", tmp_path / "out/more/seed-1", tmp_path / "out/seed-2"]
    assert [run.name for run in find(two)] == ["seed-2", "more/seed-1"]


@pytest.mark.parametrize(("made", "what"), [(False, "no such folder"), (True, "holds no run.*seqloom train")])
def test_a_folder_without_runs_is_refused_with_a_remedy(tmp_path, made, what):
    if made:
        (tmp_path / "runs").mkdir()
    with pytest.raises(ModelError, match=f"runs: {what}"):
        draw([tmp_path / "runs"], tmp_path / "out")


def test_groups_differ_by_more_than_the_seed(tmp_path):
    for name in ("rate=1e-3/seed-1", "rate=1e-3/seed-2", "rate=1e-2,seed=1"):
        Report(tmp_path / "out" / name).start(1, {}, 0)
    groups = grouped(find([tmp_path / "out"]))
    assert {name: len(runs) for name, runs in groups.items()} == {"rate=1e-2": 1, "rate=1e-3": 2}
    assert list(grouped(find([tmp_path / "out/rate=1e-3"]))) == ["rate=1e-3"]


def test_a_line_is_named_by_what_the_size_does_not_tell(tmp_path):
    for name in (
        "mono-100/seed-1",
        "mono-100/seed-2",
        "mono-200/seed-1",
        "multi-100/seed-1",
        "multi-200/seed-1",
    ):
        sentences = int(re.search(r"\d+", name)[0])
        Report(tmp_path / name).start(1, {"ner": {"sentences": sentences}}, 0)
    lines = series(find([tmp_path]), "ner")
    assert {name: len(runs) for name, runs in lines.items()} == {"mono": 3, "multi": 2}


def test_the_watched_task_is_the_config_s_or_the_one_whose_size_differs(tmp_path):
    one, other = (train(tmp_path / name, watch="pos") for name in ("a", "b"))
    assert watched(find([one, other])) == "pos"
    for folder, sentences in ((one, 1), (other, 2)):
        (folder / "last/config.yaml").unlink()
        Report(folder).start(1, {"ner": {"sentences": 9}, "pos": {"sentences": sentences}}, 0)
    assert watched(find([one, other])) == "pos"
    assert watched(find([one])) == "ner"


def test_means_and_spreads_over_seeds():
    assert spread([80.0, 82.0, 84.0]) == (82.0, 2.0)
    assert spread([80.0]) == (80.0, 0.0)
    assert math.isnan(spread([80.0, math.nan])[0])


def test_smoothing_keeps_a_constant_and_skips_what_is_not_finite():
    values = np.full(200, 3.0)
    values[50] = math.nan
    curve = smoothed(Curve(np.arange(200.0), values))
    assert len(curve.steps) == 199
    assert np.allclose(curve.values, 3.0)
    noisy = smoothed(Curve(np.arange(200.0), np.tile([1.0, -1.0], 100)))
    assert np.abs(noisy.values[10:-10]).max() < 0.01


def test_an_average_spans_what_all_curves_span():
    curve = averaged([Curve.of({10: 1.0, 20: 2.0, 30: 3.0}), Curve.of({5: None, 20: 4.0, 40: 6.0})])
    assert dict(zip(curve.steps, curve.values, strict=True)) == {20: 3.0, 30: 4.0}
    assert len(averaged([]).steps) == 0


def test_losses_hold_the_windows_of_each_task(tmp_path):
    figure = drawn(losses, train(tmp_path / "run"))
    assert titles(figure) == ["pos", "ner"]
    ner = figure.axes[1].lines[0]
    assert list(ner.get_xdata()) == [5, 10, 15, 20, 25, 30, 35, 40]
    assert ner.get_ydata()[0] == pytest.approx((8 / 2 + 8 / 4) / 2)


def test_a_run_that_diverged_is_marked_at_its_last_finite_loss(tmp_path):
    folder = tmp_path / "run"
    report = Report(folder, every=1)
    report.start(9, SIZES, 0)
    for step, loss in enumerate((3.0, 2.0, math.nan), 1):
        report.step(step, "ner", loss, 1, 1, 0.1)
    report.end(3, "diverged")
    axis = drawn(losses, folder).axes[0]
    assert [text.get_text() for text in axis.texts] == ["diverged"]
    assert (list(axis.lines[-1].get_xdata()), list(axis.lines[-1].get_ydata())) == ([2], [2])


def test_scores_mark_the_best_step(tmp_path):
    figure = drawn(scores, train(tmp_path / "run"))
    assert titles(figure) == ["ner f1", "ner recall", "pos f1", "pos recall"]
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["80.00"]
    assert any(list(line.get_xdata()) == [30] and list(line.get_ydata()) == [80] for line in axis.lines)


def test_many_tasks_are_drawn_as_a_crowd_with_its_median(tmp_path):
    folder = train(tmp_path / "run", tasks={f"t{number}": {} for number in range(40)}, steps=120)
    figure = drawn(losses, folder)
    assert titles(figure) == ["mean loss an item, 40 tasks"]
    assert len(figure.axes[0].lines) == 41
    assert titles(drawn(scores, folder)) == ["f1, 40 tasks"]
    others = drawn(shares, folder).legends[0].get_texts()[-1].get_text()
    assert others == "33 others"


def test_between_few_and_many_only_watched_figures_are_drawn(tmp_path):
    folder = train(tmp_path / "run", tasks={f"t{number}": {} for number in range(8)})
    assert titles(drawn(scores, folder)) == [f"t{number} f1" for number in range(8)]


def test_shares_are_those_of_steps_tokens_and_loss(tmp_path):
    axis = drawn(shares, train(tmp_path / "run", steps=2)).axes[0]
    widths = {what: [] for what in ("steps", "tokens", "loss")}
    for bar in axis.patches:
        widths[["steps", "tokens", "loss"][round(bar.get_y() + bar.get_height() / 2)]].append(
            round(bar.get_width(), 2)
        )
    assert widths == {"steps": [50, 50, 0], "tokens": [75, 25, 0], "loss": [66.67, 33.33, 0]}
    assert drawn(shares, train(tmp_path / "alone", tasks={"ner": {}})) is None


def test_learning_curves_hold_means_over_seeds_by_sentences(tmp_path):
    for sentences, tops in ((100, (70.0, 72.0)), (1000, (80.0, 82.0))):
        for seed, top in enumerate(tops):
            train(tmp_path / f"mono-{sentences}/seed-{seed}", top, {"ner": {"sentences": sentences}})
    figure = drawn(learning, tmp_path)
    assert titles(figure) == ["ner f1"]
    line = figure.axes[0].lines[0]
    assert dict(zip(line.get_xdata(), line.get_ydata(), strict=True)) == {100: 71, 1000: 81}
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["100", "1k"]
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(81 + math.sqrt(2))


def test_runs_of_one_size_are_compared_by_group_on_test_where_all_have_it(tmp_path):
    for name, test in (("small/seed-1", 70.0), ("small/seed-2", 74.0), ("large/seed-1", 75.0)):
        train(tmp_path / name, test=test)
    figure = drawn(learning, tmp_path)
    assert "on test" in figure.texts[0].get_text()
    assert [text.get_text() for text in figure.axes[0].texts] == ["75.00", "72.00 ± 2.83"]
    assert drawn(learning, tmp_path / "large") is None


class Page(HTMLParser):
    """The text and the addresses of a page; unbalanced tags fail."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.addresses = [], "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text


def test_the_page_stands_alone_and_escapes_what_it_is_given(tmp_path):
    for name, top in (("a<i>/seed-1", 80.0), ("a<i>/seed-2", 82.0), ("b/seed-1", 70.0)):
        train(tmp_path / "runs" / name, top)
    *pictures, written = draw([tmp_path / "runs"], tmp_path / "out")
    assert [path.name for path in pictures] == ["learning.png", "scores.png", "losses.png", "shares.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    page = Page(written.read_text())
    assert len(page.addresses) == 4
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    for words in ("encoders.shared5,060", "81.00 ± 1.41", "80.00  82.00", "a<i>", "note: <b>&</b>"):
        assert words in page.text


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"evaluate": 0}, ["losses", "shares"]),
        ({"steps": 1, "evaluate": 1}, ["scores", "losses"]),
        ({"steps": 0}, []),
    ],
)
def test_a_run_that_has_hardly_begun_is_drawn_as_far_as_it_goes(tmp_path, options, names):
    *pictures, written = draw([train(tmp_path / "run", **options)], tmp_path / "out")
    assert [path.stem for path in pictures] == names
    assert ("No evaluation yet" in written.read_text()) == ("scores" not in names)


def test_plots_of_an_earlier_report_do_not_stay(tmp_path):
    draw([train(tmp_path / "whole")], tmp_path / "out")
    draw([train(tmp_path / "begun", evaluate=0)], tmp_path / "out")
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert there == {"losses.png", "shares.png", "report.html"}


def test_matplotlib_that_is_not_installed_is_told_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r'pip install "seqloom\[plot\]"'):
        draw([train(tmp_path / "run")], tmp_path / "out")


def test_a_long_name_keeps_its_end():
    assert cut("rate=0.1", 8) == "rate=0.1"
    assert cut("encoders.hidden=100", 8) == "…den=100"
