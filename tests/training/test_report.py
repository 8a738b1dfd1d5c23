"""Events survive kills and resumes without loss or doubling; the display and the trackers follow them."""

import io
import json
import math
import os
import sys
import time
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from seqloom import progress
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.training.display import RichDisplay, results
from seqloom.training.report import EVENTS, Report, events, measured, rounded, short
from seqloom.training.tracking import TensorBoardWriter

TASKS = {"ner": {"sentences": 30, "tokens": 300}, "pos": {"sentences": 40, "tokens": 500}}
CLOCKS = {"time", "elapsed", "tokens_per_second"}


def drive(report, first, last, save_every=13):
    """Steps first+1 to last as a trainer would take them; the (step, offset) of each save."""
    saves = []
    for step in range(first + 1, last + 1):
        task = "pos" if step % 3 == 0 else "ner"
        report.step(step, task, 5.0 / step, step % 7, 10 + step % 5, 0.01 / step, 4)
        if step % 17 == 0:
            report.evaluate(step, {"ner": {"f1": 50.0 + step}}, best=step % 2 == 0)
        if step % save_every == 0:
            report.save(step, "last")
            saves.append((step, report.offset))
    return saves


def timeless(folder):
    return [{key: value for key, value in event.items() if key not in CLOCKS} for event in events(folder)]


def started(folder, **options):
    report = Report(folder, **options)
    report.start(60, TASKS, 0)
    return report


class Kept:
    def __init__(self):
        self.events, self.closed = [], 0

    def write(self, event):
        self.events.append(event)

    def close(self):
        self.closed += 1


@settings(max_examples=20, deadline=None)
@given(killed=st.integers(1, 60), torn=st.binary(max_size=9), every=st.integers(1, 20))
def test_a_killed_and_resumed_run_tells_what_the_unbroken_run_does(tmp_path_factory, killed, torn, every):
    whole, broken = (tmp_path_factory.mktemp(name) for name in ("whole", "broken"))
    report = started(whole, every=every)
    drive(report, 0, 60)
    report.end(60, "steps")
    saves = [(0, None), *drive(started(broken, every=every), 0, killed)]
    with (broken / EVENTS).open("ab") as file:
        file.write(torn)
    step, offset = saves[-1]
    resumed = Report(broken, at=offset, every=every)
    resumed.start(60, TASKS, step)
    drive(resumed, step, 60)
    resumed.end(60, "steps")
    told, expected = timeless(broken), timeless(whole)
    assert told[1:] == expected[1:]
    assert told[0] == expected[0]


def test_sums_lose_and_double_nothing(tmp_path):
    report = started(tmp_path, every=7)
    drive(report, 0, 60)
    report.end(60, "steps")
    trained = [event["tasks"] for event in events(tmp_path) if event["event"] == "train"]
    total = {
        what: sum(of[what] for tasks in trained for of in tasks.values())
        for what in ("steps", "tokens", "sentences")
    }
    assert total == {"steps": 60, "tokens": sum(10 + step % 5 for step in range(1, 61)), "sentences": 240}


def test_a_window_holds_means_by_count_and_closes_at_its_multiple_of_steps(tmp_path):
    report = started(tmp_path, every=2)
    for step, (task, loss, count) in enumerate([("ner", 1.0, 1), ("ner", 4.0, 3), ("pos", 2.0, 5)], 1):
        report.step(step, task, loss, count, 10, 0.5)
    report.end(3, "patience")
    _, first, second, end = events(tmp_path)
    assert (first["step"], first["tasks"].keys(), first["tasks"]["ner"]["loss"]) == (2, {"ner"}, 3.25)
    assert (first["tasks"]["ner"]["steps"], first["tasks"]["ner"]["count"], first["rate"]) == (2, 4, 0.5)
    assert (second["step"], second["tasks"]["pos"]["loss"], end["reason"]) == (3, 2.0, "patience")


def test_what_is_not_finite_is_null_in_strict_json(tmp_path):
    report = started(tmp_path)
    report.step(1, "ner", math.nan, 2, 10, 0.1)
    report.evaluate(1, {"ner": {"loss": math.inf}}, best=False)
    report.end(1, "diverged")
    lines = (tmp_path / EVENTS).read_text().splitlines()
    _, train, evaluated, _ = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert train["tasks"]["ner"]["loss"] is None
    assert evaluated["figures"] == {"ner": {"loss": None}}


def test_a_torn_last_line_is_left_out(tmp_path):
    started(tmp_path)
    with (tmp_path / EVENTS).open("ab") as file:
        file.write(b'{"event": "end", "step": 1}')
    assert [event["event"] for event in events(tmp_path)] == ["start"]


@pytest.mark.parametrize("line", [b"{torn", b"[1]", b'{"step": 1}', b"\xff\xfe"])
def test_a_broken_line_is_named(tmp_path, line):
    started(tmp_path)
    with (tmp_path / EVENTS).open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(DataError, match=rf"{EVENTS}:2: "):
        events(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ModelError, match="holds no run"):
        events(tmp_path / "nowhere")


def test_without_an_offset_the_file_starts_anew(tmp_path):
    started(tmp_path).end(5, "steps")
    started(tmp_path)
    assert [event["event"] for event in events(tmp_path)] == ["start"]


def test_a_longer_resumed_run_tells_its_new_length_and_adds_up_the_time(tmp_path):
    report = started(tmp_path)
    report.save(60, "last")
    edited = (tmp_path / EVENTS).read_text().splitlines()
    last = json.loads(edited[-1]) | {"elapsed": 1000.0}
    (tmp_path / EVENTS).write_text(edited[0] + "\n" + json.dumps(last) + "\n")
    resumed = Report(tmp_path, at=(tmp_path / EVENTS).stat().st_size)
    resumed.start(90, TASKS, 60)
    start = events(tmp_path)[-1]
    assert (start["event"], start["steps"], start["resumed"]) == ("start", 90, 60)
    assert start["elapsed"] >= 1000


def test_a_file_cut_short_is_taken_up_at_its_last_whole_line(tmp_path, caplog):
    report = started(tmp_path)
    report.save(1, "last")
    offset = report.offset
    os.truncate(tmp_path / EVENTS, offset - 5)
    Report(tmp_path, at=offset).start(60, TASKS, 1)
    assert [event["event"] for event in events(tmp_path)] == ["start"]
    assert "cut short" in caplog.text


def test_writers_hear_everything_and_a_test_after_the_end(tmp_path):
    writer = Kept()
    with Report(tmp_path, [writer]) as report:
        report.start(2, TASKS, 0)
        report.step(1, "ner", 1.0, 1, 1, 0.1)
        report.notice("look")
        report.end(1, "interrupted")
        report.evaluate(1, {"ner": {"f1": 80.0}}, best=False, split="test")
    assert [event["event"] for event in writer.events] == ["start", "notice", "train", "end", "evaluate"]
    assert writer.events == events(tmp_path)
    assert writer.closed


def test_without_a_folder_nothing_is_kept():
    report = started(None)
    report.save(1, "last")
    assert report.offset == 0


class Shown(progress.Silent):
    def __init__(self):
        self.moved, self.notes, self.open, self.notices = 0, [], None, []

    @contextmanager
    def bar(self, what, total):
        self.open = (what, total)
        yield self
        self.open = None

    def advance(self, amount=1, *, note=""):
        self.moved += amount
        self.notes.append(note)

    def notice(self, text):
        self.notices.append(text)


def test_the_bar_follows_the_steps_from_where_the_run_resumed():
    display = Shown()
    with progress.showing(display):
        report = Report(None)
        report.start(60, TASKS, 20)
        assert display.open == ("training", 60)
        drive(report, 20, 60)
        report.notice("look")
        report.end(60, "steps")
    assert (display.moved, display.open, display.notices) == (60, None, ["look"])
    assert "dev ner 101.00" in display.notes[-1]
    assert "tokens/s" in display.notes[-1]


def shown(interactive, **options):
    console = Console(file=io.StringIO(), force_terminal=interactive, force_interactive=interactive, width=100)
    return RichDisplay(console, **options), console.file


def told(display):
    with progress.showing(display):
        report = Report(None, [display])
        report.start(60, TASKS, 0)
        drive(report, 0, 20)
        report.notice("watch [this] " + "x" * 200)
        report.end(20, "patience")


def test_where_nobody_watches_lines_are_plain():
    display, file = shown(False, seconds=0.0)
    told(display)
    text = file.getvalue()
    assert "training 17/60" in text
    assert "dev at step 17\n  ner  f1 67.00\n" in text
    assert "watch [this] " + "x" * 200 + "\n" in text
    assert text.endswith("end at step 20: patience, 0:00\n")
    assert text.isprintable() or set(filter(lambda letter: not letter.isprintable(), text)) == {"\n"}


def test_where_time_is_short_no_line_is_said():
    display, file = shown(False, seconds=1000.0)
    with progress.showing(display):
        list(progress.track(range(1000), "reading"))
    assert file.getvalue() == ""


@pytest.fixture
def now(monkeypatch):
    """What the clock shows, to be set."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_lines_tell_the_time_that_is_left(now):
    display, file = shown(False, seconds=10.0)
    with display.bar("training", 100) as bar:
        bar.advance(50)
        now[0] = 60.0
        bar.advance(10, note="fine")
        now[0] = 90.0
        bar.advance(20)
    assert file.getvalue() == "training 60/100  4:00 left  fine\ntraining 80/100  1:00 left  fine\n"


def test_more_steps_than_were_expected_take_no_negative_time(now):
    display, file = shown(False, seconds=10.0)
    with display.bar("training", 100) as bar:
        bar.advance(50)
        now[0] = 60.0
        bar.advance(55)
    assert file.getvalue() == "training 105/105\n"
    display, file = shown(True)
    with display.bar("training", 100) as bar:
        bar.advance(105)
        display._bars.refresh()
        assert "105/105" in file.getvalue()


def test_bars_vanish_from_a_terminal_and_results_stay():
    display, file = shown(True)
    told(display)
    text = file.getvalue()
    assert "training" in text
    assert "dev at step 17" in text
    assert "watch [this]" in text
    assert not display._bars.tasks


def test_a_long_bar_in_a_terminal_is_drawn_with_its_count_and_words():
    display, file = shown(True)
    with display.bar("training", 200) as bar:
        bar.advance(120, note="loss ner 0.5")
        display._bars.refresh()
        assert "120/200" in file.getvalue()
        assert "loss ner 0.5" in file.getvalue()


def test_results_are_lines_and_the_rest_is_counted():
    figures = {f"t{number}": {"f1": 1.0 * number, "recall": None} for number in range(9, 12)}
    assert results(figures, named=2) == [
        "  t9   f1 9.00  recall nan",
        "  t10  f1 10.00  recall nan",
        "  and 1 more tasks",
    ]


def test_numbers_are_said_as_people_say_them():
    assert [short(number) for number in (7, 950, 12340, 2e6)] == ["7", "950", "12.3k", "2M"]
    assert [rounded(number) for number in (83.123, 0.51234, -2.0, 3e40, None)] == [
        "83.12",
        "0.5123",
        "-2.00",
        "3.00e+40",
        "nan",
    ]
    assert [measured(83.123, 0.4, 3), measured(0.5, 0.01, 2), measured(83.0, 0.0, 1)] == [
        "83.12 ± 0.40",
        "0.5000 ± 0.0100",
        "83.00",
    ]


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    return {name: [(one.step, one.value) for one in read.Scalars(name)] for name in read.Tags()["scalars"]}


def test_tensorboard_holds_the_numbers_once_after_a_resume(tmp_path):
    report = started(None, writers=[TensorBoardWriter(tmp_path)], every=10)
    drive(report, 0, 40)
    resumed = Report(None, [TensorBoardWriter(tmp_path)], every=10)
    resumed.start(60, TASKS, 30)
    drive(resumed, 30, 60)
    resumed.end(60, "steps")
    found = scalars(tmp_path)
    assert found["dev/ner.f1"] == [(17, 67.0), (34, 84.0), (51, 101.0)]
    steps = [step for step, _ in found["loss/ner"]]
    assert steps == sorted(set(steps))
    assert steps[-1] == 60


def test_tensorboard_that_is_not_installed_is_told_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r'pip install "seqloom\[track\]"'):
        TensorBoardWriter(tmp_path)
