import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
import torch

from seqloom.errors import ConfigError, DataError, ModelError, SeqloomError
from seqloom.training.checkpoint import load, save
from tests import tiny

Disk = Callable[[int], AbstractContextManager[None]]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors = {"a/b": torch.arange(6.0).reshape(2, 3).T, "c": torch.tensor(7)}
    save(tmp_path, tensors, {"step": 3, "draws": {"pos": 2}})
    found, counters = load(tmp_path)
    assert counters == {"layout": 1, "step": 3, "draws": {"pos": 2}}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


DAMAGES: dict[str, tuple[Callable[[Path], object], type[SeqloomError], str]] = {
    "truncated tensors": (
        lambda last: truncate(last / "training.safetensors"),
        ModelError,
        "training.safetensors: is not a whole safetensors file",
    ),
    "no tensors": (
        lambda last: (last / "training.safetensors").unlink(),
        ModelError,
        "training.safetensors: cannot be read: No such file or directory; use another copy",
    ),
    "truncated weights": (
        lambda last: truncate(last / "weights.safetensors"),
        ModelError,
        "weights.safetensors: is not a whole safetensors file",
    ),
    "truncated counters": (
        lambda last: truncate(last / "training.json"),
        DataError,
        r"training.json:\d+: not JSON",
    ),
    "a model without a state": (
        lambda last: (last / "training.json").unlink(),
        ModelError,
        "last: holds a model, but no run to go on with; train into a new folder with --out",
    ),
    "another layout": (
        lambda last: (last / "training.json").write_text(json.dumps({"layout": 9})),
        ModelError,
        "training.json: was written by another version of seqloom",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_state_is_told_with_what_is_wrong(
    name: str, finished: Path, corpus: Path, tmp_path: Path
) -> None:
    damage, kind, message = DAMAGES[name]
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    damage(run / "last")
    with pytest.raises(kind, match=message):
        tiny.trained(tiny.fitted(corpus), run, resume=True)


class FillDiskAt(tiny.KillAt):
    """A writer that leaves less room than the model needs, when a save is told and before it is written."""

    def __init__(self, count: int, run: Path, disk: Disk, stack: ExitStack) -> None:
        super().__init__(count)
        self.run, self.disk, self.stack = run, disk, stack

    def end(self) -> None:
        self.stack.enter_context(self.disk((self.run / "last" / "weights.safetensors").stat().st_size - 1))


def test_a_full_disk_leaves_the_state_before(corpus: Path, tmp_path: Path, full_disk: Disk) -> None:
    config = tiny.two(corpus)
    tiny.trained(config, tmp_path / "unbroken")
    run = tmp_path / "run"
    with ExitStack() as stack, pytest.raises(OSError, match="File too large"):
        tiny.trained(config, run, writers=[FillDiskAt(2, run, full_disk, stack)])
    assert load(run / "last")[1]["at"]["step"] == 3
    tiny.trained(config, run, resume=True)
    assert tiny.weights(run) == tiny.weights(tmp_path / "unbroken")
    assert tiny.told(run) == tiny.told(tmp_path / "unbroken")


def test_a_kill_between_the_two_renames_of_a_save(corpus: Path, tmp_path: Path) -> None:
    config = tiny.two(corpus)
    tiny.trained(config, tmp_path / "unbroken")
    run = tmp_path / "run"
    with pytest.raises(tiny.Killed):
        tiny.trained(config, run, writers=[tiny.KillAt(2)])
    (run / "last").rename(run / ".last.previous")
    with pytest.raises(ConfigError, match="holds a run; go on with it by --resume"):
        tiny.trained(config, run)
    tiny.trained(config, run, resume=True)
    assert tiny.weights(run) == tiny.weights(tmp_path / "unbroken")
