"""Two processes train as one does on their joint batches, and go the same way, whatever happens to one of them."""

import json
import math
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import distributed as dist

from seqloom.data.batch import Batch, Output
from seqloom.errors import ConfigError, SeqloomError
from seqloom.model.network import Network
from seqloom.training.distributed import Ranks, ranks
from seqloom.training.stopping import Interrupted
from seqloom.training.trainer import Trainer
from tests import tiny
from tests.training.test_resume import same

pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="needs gloo")


def plain(corpus: Path, **training: Any) -> dict[str, Any]:
    """A tagger with a CRF and a classifier without dropout, whose weights change by the gradient itself."""
    config = tiny.two(corpus, splits=["train"], **training)
    config["embedders"]["words"]["dropout"] = config["encoders"]["shared"]["dropout"] = 0.0
    config["tasks"]["pos"]["head"]["crf"] = True
    config["training"] |= {"optimizer": {"type": "sgd", "rate": 1.0}, "clip": None, "steps": 4}
    return config


def text(corpus: Path) -> dict[str, Any]:
    """A language model of three streams, of which the ranks have two and one."""
    reader = {"type": "lines", "train": str(corpus / "kind-train.tsv"), "dev": str(corpus / "kind-dev.tsv")}
    config = tiny.one(corpus, stream={"window": 3}, batch=3)
    config["tasks"] = {"lm": {"reader": reader, "encoder": "shared", "head": {"type": "language"}}}
    return config


EVEN: dict[str, dict[str, Any]] = {
    "odd batches": {"batch": 5},
    "a row a batch": {"batch": 1},
    "accumulated": {"batch": 3, "accumulate": 3},
}
"""Ways to make batches that two ranks cannot share equally."""
PLATEAU = {"schedule": {"type": "plateau", "factor": 0.3}, "evaluate_every": 1}


@dataclass(frozen=True)
class Job:
    """A run for two ranks, and what befalls one of them on the way."""

    name: str
    config: Mapping[str, Any]
    out: Path
    mishap: str = ""

    def beside(self, rank: int) -> Path:
        """Where a rank leaves what it has to tell, without its ending."""
        return self.out.with_name(f"{self.name}-{rank}")


def work(rank: int, port: int, jobs: Sequence[Job]) -> None:
    """Do the jobs, one after another, as a process that torchrun has started."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    written: list[str] = []
    sys.addaudithook(lambda event, words: written.extend(changed(event, words)))
    for job in jobs:
        with pytest.MonkeyPatch.context() as patch:
            told = kept_aside(patch, job.beside(rank))
            writers = befallen(patch, job.mishap, rank)
            try:
                tiny.trained(job.config, job.out, resume=True, writers=writers)
            except (SeqloomError, Interrupted) as fault:
                told["said"] = f"{type(fault).__name__}: {fault}"
        told["wrote"] = any(path.startswith(f"{job.out}/") for path in written)
        Path(f"{job.beside(rank)}.json").write_text(json.dumps(told))


def changed(event: str, words: tuple[Any, ...]) -> Iterator[str]:
    """The path that an audited event writes, if it does."""
    opened = event == "open" and bool((words[2] or 0) & (os.O_WRONLY | os.O_RDWR))
    if opened or event in ("os.rename", "os.remove", "os.truncate"):
        yield str(words[0])


def kept_aside(patch: pytest.MonkeyPatch, path: Path) -> dict[str, Any]:
    """Let the rank keep its own weights when training ends; what it tells, with its last step."""
    fit, told = Trainer.fit, dict[str, Any](said="nothing")

    def kept(trainer: Trainer) -> Any:
        try:
            return fit(trainer)
        finally:
            told["step"] = trainer.at.step
            save_file(trainer.network.state_dict(), f"{path}.safetensors")

    patch.setattr(Trainer, "fit", kept)
    return told


def befallen(patch: pytest.MonkeyPatch, mishap: str, rank: int) -> list[Any]:
    """Let a mishap befall its rank; the writers of its run."""
    if mishap == "killed":
        return [KillHere(2)]
    if mishap and rank == 1:
        forward, calls = Network.forward, count(1)

        def struck(self: Network, batch: Batch, state: object = None) -> Output:
            output = forward(self, batch, state)
            if not self.training or next(calls) != 4:
                return output
            if mishap == "interrupted":
                signal.raise_signal(signal.SIGINT)
                return output
            assert output.loss is not None
            return replace(output, loss=output.loss * math.nan)

        patch.setattr(Network, "forward", struck)
    return []


class KillHere(tiny.KillAt):
    """A writer that kills its process; only the leading rank has writers."""

    def end(self) -> None:
        """Kill it."""
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Done:
    """What pairs of ranks left behind."""

    folder: Path
    codes: Sequence[int | None]

    def told(self, name: str) -> list[dict[str, Any]]:
        """What each rank of a run told."""
        return [json.loads((self.folder / f"{name}-{rank}.json").read_text()) for rank in range(2)]

    def own(self, name: str) -> list[bytes]:
        """The weights that each rank of a run ended with."""
        return [(self.folder / f"{name}-{rank}.safetensors").read_bytes() for rank in range(2)]


def pair(jobs: Sequence[Job]) -> list[int | None]:
    """Do jobs with two ranks; their exit codes."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    both = [tiny.started(work, rank, store.port, jobs) for rank in range(2)]
    for one in both:
        one.join(300)
        one.kill()
        one.join()
    return [one.exitcode for one in both]


@pytest.fixture(scope="module")
def done(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Every run of two ranks, by two pairs of processes: the first ends with a kill."""
    folder = tmp_path_factory.mktemp("pairs")
    first = [Job(name, plain(corpus, **keys), folder / name) for name, keys in EVEN.items()]
    whole = tiny.two(corpus, list(tiny.SIZES), **PLATEAU)
    first += [Job("unbroken", whole, folder / "unbroken")]
    first += [Job("text", text(corpus), folder / "text")]
    first += [Job("text, broken", text(corpus), folder / "text, broken", "interrupted")]
    first += [Job(name, whole, folder / name, name) for name in ("nan", "interrupted", "killed")]
    second = [Job(f"{name}, resumed", whole, folder / name) for name in ("interrupted", "killed")]
    second += [Job("text, resumed", text(corpus), folder / "text, broken")]
    return Done(folder, [*pair(first), *pair(second)])


@pytest.mark.parametrize("name", EVEN)
def test_two_ranks_give_the_gradients_of_one_process(
    name: str, done: Done, corpus: Path, tmp_path: Path
) -> None:
    tiny.trained(plain(corpus, **EVEN[name]), tmp_path / "one")
    one, two = (
        load_file(run / "last" / "weights.safetensors") for run in (tmp_path / "one", done.folder / name)
    )
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=0, atol=1e-6, msg=key)
    ours, theirs = (tiny.told(run, "train") for run in (done.folder / name, tmp_path / "one"))
    for left, right in zip(ours, theirs, strict=True):
        for task, sums in right["tasks"].items():
            assert left["tasks"][task] == sums | {"loss": pytest.approx(sums["loss"], abs=1e-6)}


@pytest.mark.parametrize("name", [*EVEN, "unbroken", "text", "interrupted, resumed", "killed, resumed"])
def test_both_ranks_end_with_the_weights_and_only_the_first_writes(name: str, done: Done) -> None:
    first, second = done.own(name)
    assert first == second
    assert [told["said"] for told in done.told(name)] == ["nothing", "nothing"]
    assert [told["wrote"] for told in done.told(name)] == [True, False]


def test_a_run_whose_rank_was_killed_goes_on_as_if_nothing_had_happened(done: Done) -> None:
    assert done.codes == [-signal.SIGKILL, 0, 0, 0]
    survivor = json.loads((done.folder / "killed-1.json").read_text())
    assert survivor["said"].startswith("TrainingError: another process of the run has ended")
    same(done.folder / "killed", done.folder / "unbroken")


def test_an_interrupt_to_one_rank_stops_both_after_the_step_with_their_state_saved(done: Done) -> None:
    assert [(told["said"], told["step"]) for told in done.told("interrupted")] == [("Interrupted: ", 5)] * 2
    assert tiny.told(done.folder / "interrupted", "evaluate") == tiny.told(done.folder / "unbroken", "evaluate")
    assert tiny.weights(done.folder / "interrupted") == tiny.weights(done.folder / "unbroken")


def test_every_rank_goes_on_from_the_states_of_its_own_streams(done: Done) -> None:
    assert done.told("text, broken")[1]["step"] < done.told("text")[1]["step"]
    assert [told["said"] for told in done.told("text, resumed")] == ["nothing", "nothing"]
    assert tiny.weights(done.folder / "text, broken") == tiny.weights(done.folder / "text")


def test_a_loss_that_is_no_number_on_one_rank_stops_both(done: Done) -> None:
    first, second = done.told("nan")
    for told in (first, second):
        assert re.match(r"TrainingError: the loss of task (pos|kind) is nan at step 4 \(rows: ", told["said"])
        assert "the last good state is in " in told["said"]
    assert "(rows: those of another process)" in first["said"]
    assert re.search(r"\(rows: \S+-train\.t\w+:\d+", second["said"])


def test_a_rank_without_a_row_takes_the_first_for_nothing() -> None:
    shares = [Ranks(rank, 3).share(np.array([4, 7])) for rank in range(3)]
    assert [(rows.tolist(), counts) for rows, counts in shares] == [([4], True), ([7], True), ([4], False)]


def test_more_ranks_than_gpus_are_refused_on_every_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for key, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(key, value)
    with (
        pytest.raises(ConfigError, match="started 2 processes for 1 GPUs; lower --nproc-per-node"),
        ranks(torch.device("cuda")),
    ):
        pass
