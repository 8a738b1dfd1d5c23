"""A run that ends before its time and is resumed is the run that was never broken, bit for bit."""

import shutil
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from seqloom.training.report import EVENTS
from seqloom.training.stopping import Interrupted
from tests import tiny

VARIANTS: dict[str, dict[str, Any]] = {
    "sgd, plateau": {
        "optimizer": {"type": "sgd", "rate": 0.5, "momentum": 0.9, "nesterov": True},
        "schedule": {"type": "plateau", "factor": 0.3},
        "sampling": {"type": "interval", "every": {"pos": 3}},
        "evaluate_every": 1,
    },
    "adam, moving average": {
        "averaging": {"type": "moving", "decay": 0.7, "start": 2},
        "schedule": {"type": "exponential", "every": 2, "warmup": 4},
        "sampling": {"type": "proportional"},
    },
    "adamw, token budget": {
        "optimizer": {"type": "adamw", "rate": 0.02},
        "schedule": {"type": "linear", "warmup": 2},
        "batch": {"tokens": 20},
    },
    "adagrad, accumulated, mean average": {
        "optimizer": {"type": "adagrad", "rate": 0.1},
        "averaging": {"type": "mean", "start": 4},
        "accumulate": 2,
        "schedule": {"type": "cosine"},
    },
    "an optimiser a task": {
        "per_task": {
            "pos": {"optimizer": {"type": "sgd", "rate": 0.5, "momentum": 0.9}},
            "kind": {"optimizer": {"type": "adam"}, "schedule": {"type": "plateau", "warmup": 2}},
        },
        "sampling": {"type": "weighted", "weights": {"pos": 2.0}},
    },
    "epochs, bfloat16, frozen": {
        "steps": None,
        "epochs": 1.0,
        "precision": "bfloat16",
        "freeze": ["embedders.*"],
        "rates": {"heads.*": 0.1},
    },
}


def same(broken: Path, unbroken: Path) -> None:
    assert tiny.told(broken) == tiny.told(unbroken)
    for model in ("last", "best"):
        assert tiny.weights(broken, model) == tiny.weights(unbroken, model)


@pytest.mark.parametrize("name", VARIANTS)
def test_killed_at_every_save(name: str, corpus: Path, tmp_path: Path) -> None:
    config = tiny.two(corpus, **VARIANTS[name])
    tiny.trained(config, tmp_path / "unbroken")
    saves = len(tiny.told(tmp_path / "unbroken", "save"))
    assert saves >= 3
    for _ in range(saves - 1):
        # The first save is written; the second ends the run before it is.
        with pytest.raises(tiny.Killed):
            tiny.trained(config, tmp_path / "broken", resume=True, writers=[tiny.KillAt(2)])
    tiny.trained(config, tmp_path / "broken", resume=True)
    same(tmp_path / "broken", tmp_path / "unbroken")


@pytest.mark.parametrize("events", [1, 2])
def test_interrupted_between_saves(events: int, corpus: Path, tmp_path: Path) -> None:
    config = tiny.two(corpus)
    tiny.trained(config, tmp_path / "unbroken")
    with pytest.raises(Interrupted):
        tiny.trained(config, tmp_path / "broken", writers=[tiny.InterruptAt(events, "train")])
    assert tiny.told(tmp_path / "broken")[-1]["reason"] == "interrupted"
    tiny.trained(config, tmp_path / "broken", resume=True)
    assert tiny.weights(tmp_path / "broken") == tiny.weights(tmp_path / "unbroken")
    assert tiny.told(tmp_path / "broken", "evaluate") == tiny.told(tmp_path / "unbroken", "evaluate")


def test_longer_than_planned_is_as_if_planned_so(corpus: Path, tmp_path: Path) -> None:
    planned = tiny.two(corpus, steps=8)
    tiny.trained(tiny.two(corpus, steps=4), tmp_path / "longer")
    tiny.trained(planned, tmp_path / "longer", resume=True)
    tiny.trained(planned, tmp_path / "planned")
    assert tiny.weights(tmp_path / "longer") == tiny.weights(tmp_path / "planned")


def test_a_finished_run_is_left_as_it_is(finished: Path, corpus: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    tiny.trained(tiny.fitted(corpus), copy, resume=True)
    same(copy, finished)


def killed(words: list[str], run: Path, share: float, whole: int) -> None:
    """Train in a process of its own and kill it when it has told that share of what an unbroken run tells."""
    process = tiny.started(tiny.command, words, run.with_suffix(".log"))
    while process.is_alive() and not _told_so_much(run, share * whole):
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, run.with_suffix(".log").read_text()


def _told_so_much(run: Path, size: float) -> bool:
    path = run / EVENTS
    return path.exists() and path.stat().st_size > size


def kill_and_resume(corpus: Path, folder: Path, steps: int, kills: int) -> None:
    config = tiny.two(corpus, steps=steps, evaluate_every=10, save_every=3)
    tiny.trained(config, folder / "unbroken")
    whole = (folder / "unbroken" / EVENTS).stat().st_size
    file = tiny.written_yaml(folder / "two.yaml", config)
    random = Random(kills)
    for share in sorted(random.uniform(0.02, 0.9) for _ in range(kills)):
        killed(
            ["train", str(file), "--out", str(folder / "broken"), "--resume"], folder / "broken", share, whole
        )
    tiny.trained(config, folder / "broken", resume=True)
    same(folder / "broken", folder / "unbroken")


def test_killed_twice(corpus: Path, tmp_path: Path) -> None:
    kill_and_resume(corpus, tmp_path, steps=20, kills=2)


@pytest.mark.slow
def test_killed_ten_times(corpus: Path, tmp_path: Path) -> None:
    kill_and_resume(corpus, tmp_path, steps=100, kills=10)
