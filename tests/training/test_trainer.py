import math
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seqloom.api import Model
from seqloom.data.batch import Batch, Output
from seqloom.data.schedule import nested
from seqloom.errors import ConfigError, TrainingError
from seqloom.model.network import Network
from seqloom.training.stopping import Interrupted, Wish
from tests import tiny


def tensors(run: Path, model: str = "last") -> dict[str, Tensor]:
    return {name: one.clone() for name, one in load_file(run / model / "weights.safetensors").items()}


def assert_near(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=0, atol=1e-6, msg=name)


def test_equal_runs_give_equal_files_and_another_seed_others(corpus: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        tiny.trained({**tiny.two(corpus), "seed": seed}, tmp_path / name)
    for file in ("weights.safetensors", "training.safetensors"):
        a, b, c = ((tmp_path / run / "last" / file).read_bytes() for run in "abc")
        assert a == b != c


def test_half_batches_accumulated_are_a_whole_batch(tmp_path: Path) -> None:
    rows = tiny.sentences(8, seed=3)
    (tmp_path / "pos-train.txt").write_text(tiny.tagged(rows))
    sgd = {"optimizer": {"type": "sgd", "rate": 1.0}, "clip": 0.5, "steps": 2}
    tiny.trained(tiny.one(tmp_path, ["train"], **sgd, batch=8), tmp_path / "whole")
    tiny.trained(tiny.one(tmp_path, ["train"], **sgd, batch=4, accumulate=2), tmp_path / "halves")
    assert_near(tensors(tmp_path / "whole"), tensors(tmp_path / "halves"))
    whole, halves = (tiny.told(tmp_path / run, "train")[0]["tasks"]["pos"] for run in ("whole", "halves"))
    assert halves == whole | {"loss": pytest.approx(whole["loss"])}
    assert (whole["count"], whole["sentences"]) == (2 * sum(map(len, rows)), 2 * len(rows))


def test_steps_of_a_mean_over_rows_are_as_much_larger_as_rows_have_words(tmp_path: Path) -> None:
    rows = tiny.sentences(8, seed=3)
    (tmp_path / "pos-train.txt").write_text(tiny.tagged(rows))
    sgd = {"optimizer": {"type": "sgd", "rate": 0.1}, "clip": None, "steps": 2, "batch": 8}
    each = sum(map(len, rows)) / len(rows)
    larger = {**sgd, "optimizer": {"type": "sgd", "rate": 0.1 * each}}
    tiny.trained(tiny.one(tmp_path, ["train"], **larger), tmp_path / "units")
    tiny.trained(tiny.one(tmp_path, ["train"], **sgd, mean="rows"), tmp_path / "rows")
    tiny.trained(
        tiny.one(tmp_path, ["train"], **{**sgd, "batch": 4}, accumulate=2, mean="rows"), tmp_path / "halves"
    )
    assert_near(tensors(tmp_path / "rows"), tensors(tmp_path / "units"))
    assert_near(tensors(tmp_path / "rows"), tensors(tmp_path / "halves"))


def test_a_sample_is_trained_on_and_nothing_else(corpus: Path, tmp_path: Path) -> None:
    rows = tiny.sentences(tiny.SIZES["train"], seed=0)
    chosen = nested(len(rows), 6, 0)
    assert chosen.tolist() != list(range(6))
    (tmp_path / "pos-train.txt").write_text(tiny.tagged([rows[number] for number in chosen]))
    sampled = tiny.one(corpus, ["train"])
    sampled["tasks"]["pos"]["reader"]["sample"] = 6
    tiny.trained(sampled, tmp_path / "sampled")
    tiny.trained(tiny.one(tmp_path, ["train"]), tmp_path / "alone")
    assert tiny.weights(tmp_path / "sampled") == tiny.weights(tmp_path / "alone")


def test_without_dev_the_last_weights_are_the_best(corpus: Path, tmp_path: Path) -> None:
    result = tiny.trained(tiny.one(corpus, ["train"]), tmp_path)
    assert (result.step, result.best_step, result.dev) == (6, 6, {})
    assert tiny.weights(tmp_path, "best") == tiny.weights(tmp_path)
    assert tiny.told(tmp_path, "evaluate") == []


def test_patience_ends_a_run_and_the_best_model_stays(corpus: Path, tmp_path: Path) -> None:
    slow = {"optimizer": {"type": "adam", "rate": 1e-6}, "evaluate_every": 2}
    result = tiny.trained(tiny.one(corpus, **slow, steps=100, patience=2), tmp_path / "run")
    assert (result.step, result.best_step) == (6, 2)
    assert tiny.told(tmp_path / "run", "end")[0]["reason"] == "patience"
    tiny.trained(tiny.one(corpus, **slow, steps=2), tmp_path / "short")
    assert tiny.weights(tmp_path / "run", "best") == tiny.weights(tmp_path / "short")
    assert tiny.weights(tmp_path / "run", "best") != tiny.weights(tmp_path / "run")


@pytest.mark.parametrize("watch", [None, "pos", "kind.f1_macro"])
def test_best_is_what_the_watched_figure_says(watch: str | None, corpus: Path, tmp_path: Path) -> None:
    fast = {"type": "adam", "rate": 0.2}
    result = tiny.trained(tiny.two(corpus, watch=watch, evaluate_every=1, optimizer=fast), tmp_path)
    best, steps = -1.0, []
    for event in tiny.told(tmp_path, "evaluate"):
        of = event["figures"]
        mean = (of["pos"]["accuracy"] + of["kind"]["accuracy"]) / 2
        value = {None: mean, "pos": of["pos"]["accuracy"], "kind.f1_macro": of["kind"]["f1_macro"]}[watch]
        assert event["best"] == (value > best)
        best, steps = max(best, value), steps + [event["step"]] * event["best"]
    assert result.best_step == steps[-1]
    assert len(steps) > 1


def test_epochs_are_those_of_the_watched_task(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.two(corpus, steps=None, epochs=1.5, watch="kind"), tmp_path)
    steps = [one["tasks"]["kind"]["steps"] for one in tiny.told(tmp_path, "train") if "kind" in one["tasks"]]
    assert sum(steps) == math.ceil(1.5 * tiny.SIZES["train"] / 4)
    assert tiny.told(tmp_path, "end")[0]["reason"] == "steps"


def test_evaluation_does_not_disturb_training(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.two(corpus, evaluate_every=1), tmp_path / "often")
    tiny.trained(tiny.two(corpus, evaluate_every=9), tmp_path / "seldom")
    assert tiny.weights(tmp_path / "often") == tiny.weights(tmp_path / "seldom")


def test_frozen_weights_stay_and_rates_slow_others(corpus: Path, tmp_path: Path) -> None:
    slow = {"freeze": ["encoders.*"], "rates": {"embedders.*": 1e-3}, "optimizer": {"type": "sgd", "rate": 1.0}}
    tiny.trained(tiny.one(corpus, ["train"], **slow, steps=1), tmp_path / "one")
    tiny.trained(tiny.one(corpus, ["train"], **slow, steps=2), tmp_path / "two")
    first, second = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    moved = {name: float((second[name] - first[name]).abs().max()) for name in first}
    assert all((change == 0) == name.startswith("encoders.") for name, change in moved.items())
    assert moved["embedders.words.table.weight"] < 1e-3 < max(moved.values())


def test_a_task_needs_something_to_learn(corpus: Path, tmp_path: Path) -> None:
    globs = ["embedders.*", "encoders.*", "heads.kind.*"]
    with pytest.raises(ConfigError, match=r"training.freeze: leaves task kind nothing to learn"):
        tiny.trained(tiny.two(corpus, freeze=globs), tmp_path)


def test_bfloat16_computes_so_and_keeps_float32_weights(corpus: Path, tmp_path: Path) -> None:
    fast = {"steps": 30, "evaluate_every": 10, "optimizer": {"type": "adam", "rate": 0.05}}
    tiny.trained(tiny.one(corpus, **fast), tmp_path / "full")
    tiny.trained(tiny.one(corpus, precision="bfloat16", **fast), tmp_path / "half")
    full, half = tensors(tmp_path / "full"), tensors(tmp_path / "half")
    assert {one.dtype for one in half.values()} == {torch.float32}
    assert tiny.weights(tmp_path / "full") != tiny.weights(tmp_path / "half")
    losses = [
        [one["tasks"]["pos"]["loss"] for one in tiny.told(tmp_path / run, "train")] for run in ("full", "half")
    ]
    assert losses[0][-1] < 0.5 * losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert full.keys() == half.keys()


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_autocast_around_a_run_changes_nothing_that_it_learns(
    corpus: Path, tmp_path: Path, precision: str, enabled: bool
) -> None:
    config = tiny.one(corpus, precision=precision, steps=4)
    tiny.trained(config, tmp_path / "plain")
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        tiny.trained(config, tmp_path / "within")
    assert tiny.weights(tmp_path / "within") == tiny.weights(tmp_path / "plain")


def test_averaged_weights_are_evaluated_and_saved(corpus: Path, tmp_path: Path) -> None:
    fast = {"optimizer": {"type": "adam", "rate": 0.1}, "evaluate_every": 4}
    for steps in (2, 3, 4):
        tiny.trained(tiny.one(corpus, **fast, steps=steps), tmp_path / str(steps))
    averaged = tiny.one(corpus, **fast, steps=4, averaging={"type": "mean", "start": 2})
    result = tiny.trained(averaged, tmp_path / "mean")
    each = [tensors(tmp_path / str(steps)) for steps in (2, 3, 4)]
    mean = {name: torch.stack([one[name] for one in each]).mean(0) for name in each[0]}
    assert_near(tensors(tmp_path / "mean"), mean)
    assert_near(tensors(tmp_path / "mean", "best"), mean)
    assert Model.load(tmp_path / "mean").evaluate("pos", split="dev")["figures"] == result.dev["pos"]


def break_fourth_loss(patch: pytest.MonkeyPatch, how: Callable[[Tensor], Tensor]) -> None:
    forward, calls = Network.forward, count(1)

    def broken(self: Network, batch: Batch, state: object = None) -> Output:
        output = forward(self, batch, state)
        if self.training and next(calls) == 4:
            assert output.loss is not None
            return replace(output, loss=how(output.loss))
        return output

    patch.setattr(Network, "forward", broken)


def test_a_loss_that_is_no_number_stops_the_run_and_names_its_rows(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_fourth_loss(monkeypatch, lambda loss: loss * math.nan)
    with pytest.raises(TrainingError) as fault:
        tiny.trained(tiny.one(corpus, save_every=2), tmp_path / "run")
    message = str(fault.value)
    assert message.startswith("the loss of task pos is nan at step 4 (rows: ")
    rows = message.partition("rows: ")[2].partition(")")[0].split(", ")
    path = str(corpus / "pos-train.txt")
    reader = tiny.untrained(tiny.one(corpus)).tasks["pos"].reader
    assert len(set(rows)) == 4
    assert set(rows) <= {f"{path}:{example['line']}" for example in reader.read(path)}
    assert f"the last good state is in {tmp_path / 'run' / 'last'}; a lower training.optimizer.rate" in message
    assert tiny.told(tmp_path / "run")[-1]["reason"] == "diverged"
    tiny.trained(tiny.one(corpus, ["train"], steps=2, evaluate_every=3), tmp_path / "short")
    assert tiny.weights(tmp_path / "run") == tiny.weights(tmp_path / "short")


def test_weights_that_are_no_numbers_are_never_kept(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_fourth_loss(monkeypatch, lambda loss: loss + (loss * 0).sqrt())
    message = r"embedders.words.table.weight is not finite after step 4; the last good state is in .*; a lower"
    with pytest.raises(TrainingError, match=message):
        tiny.trained(tiny.one(corpus, save_every=2), tmp_path)
    assert all(one.isfinite().all() for one in tensors(tmp_path).values())


def test_a_huge_rate_without_clipping_is_told(corpus: Path, tmp_path: Path) -> None:
    huge = {"optimizer": {"type": "sgd", "rate": 1e38}, "clip": None}
    message = (
        r"the loss of task pos is (nan|inf) at step [23] .*; no state to go on from was saved yet; a lower"
    )
    with pytest.raises(TrainingError, match=message):
        tiny.trained(tiny.one(corpus, **huge), tmp_path)


def test_a_run_gives_signals_back(corpus: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        tiny.trained(tiny.one(corpus), tmp_path, writers=[tiny.InterruptAt(1, "train")])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_interrupt_stops_at_once() -> None:
    wish = Wish()
    with wish.heard():
        signal.raise_signal(signal.SIGTERM)
        assert wish.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_run_may_stand_in_any_thread(corpus: Path, tmp_path: Path) -> None:
    thread = Thread(target=tiny.trained, args=[tiny.one(corpus), tmp_path / "thread"])
    thread.start()
    thread.join()
    tiny.trained(tiny.one(corpus), tmp_path / "main")
    assert tiny.weights(tmp_path / "thread") == tiny.weights(tmp_path / "main")


def test_a_figure_that_is_no_number_is_the_worst(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([50.0, math.nan, 90.0, -math.inf])
    monkeypatch.setattr("seqloom.training.trainer.evaluate", lambda *_, **__: {"accuracy": next(figures)})
    result = tiny.trained(tiny.one(corpus, steps=4, evaluate_every=1), tmp_path)
    assert (result.best_step, result.watched) == (3, 90.0)
    assert [one["best"] for one in tiny.told(tmp_path, "evaluate")] == [True, False, True, False]


def test_a_model_is_kept_though_its_figures_are_no_numbers(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqloom.training.trainer.evaluate", lambda *_, **__: {"accuracy": math.nan})
    result = tiny.trained(tiny.one(corpus), tmp_path)
    assert (result.step, result.best_step, result.watched) == (6, 3, None)


def test_a_run_that_begins_at_its_goal_is_over_and_can_go_on(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.one(corpus), tmp_path / "first")
    begun = tiny.one(corpus, begin={"path": str(tmp_path / "first")}, goal=0.001)
    for resume in (False, True):
        result = tiny.trained(begun, tmp_path / "second", resume=resume)
        assert (result.step, result.best_step) == (0, 0)
    assert tiny.weights(tmp_path / "second") == tiny.weights(tmp_path / "first", "best")
    shutil.rmtree(tmp_path / "first")
    begun["training"]["goal"] = 0.002
    with pytest.raises(ConfigError, match=r"training\.goal changed"):
        tiny.trained(begun, tmp_path / "second", resume=True)
    with pytest.raises(ConfigError, match=r"these files are missing:\n.*training\.begin\.path"):
        tiny.trained(begun, tmp_path / "third")


def test_schedules_end_with_the_run_where_relatives_go_by_rows(tmp_path: Path) -> None:
    rows = {"pos": 40, "kind": 400}
    (tmp_path / "pos-train.txt").write_text(tiny.tagged(tiny.sentences(rows["pos"], 1)))
    (tmp_path / "kind-train.tsv").write_text(tiny.labelled(tiny.sentences(rows["kind"], 2)))
    sampling = {"type": "related", "target": "pos", "mix": "rows", "factor": 1.0}
    table = tiny.two(tmp_path, ["train"], steps=None, epochs=1, sampling=sampling, schedule={"type": "linear"})
    result = tiny.trained(table, tmp_path / "run")
    (start,) = tiny.told(tmp_path / "run", "start")
    assert start["steps"] == pytest.approx(result.step, rel=0.25)
    assert result.step > 100


def test_a_task_whose_epochs_count_must_be_drawn(tmp_path: Path) -> None:
    (tmp_path / "pos-train.txt").write_text(tiny.tagged(tiny.sentences(4, 1)))
    (tmp_path / "kind-train.tsv").write_text(tiny.labelled(tiny.sentences(4, 2)))
    (tmp_path / "kind-dev.tsv").write_text(tiny.labelled(tiny.sentences(4, 3)))
    sampling = {"type": "related", "target": "pos", "cross_task": ["kind"], "mix": "epoch"}
    table = tiny.two(tmp_path, ["train"], steps=None, epochs=1, sampling=sampling, watch="kind")
    table["tasks"]["kind"] = tiny.task(tmp_path, "kind", ["train", "dev"])
    with pytest.raises(ConfigError, match="task kind, which epochs are counted by, would never be drawn"):
        tiny.trained(table, tmp_path / "run")


def test_labels_that_a_begun_model_does_not_list_are_told(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.trained(tiny.one(corpus, ["train"]), tmp_path / "first")
    file = tmp_path / "pos-train.txt"
    file.write_text((corpus / "pos-train.txt").read_text().replace("VERB", "VX"))
    begin = {"path": str(tmp_path / "first")}
    tiny.trained(tiny.one(tmp_path, ["train"], begin=begin), tmp_path / "second")
    assert f'the label "VX" is not among those of {begin["path"]}, and teaches nothing; with' in caplog.text
    caplog.clear()
    begin["parts"] = ["embedders.*", "encoders.*"]
    tiny.trained(tiny.one(tmp_path, ["train"], begin=begin), tmp_path / "third")
    assert "not among" not in caplog.text
    file.write_text(re.sub("(DET|NOUN|ADJ|VX)\n", r"\1-new\n", file.read_text()))
    begin.pop("parts")
    with pytest.raises(ConfigError, match="and none of the others is; with"):
        tiny.trained(tiny.one(tmp_path, ["train"], begin=begin), tmp_path / "fourth")
