import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from seqloom.config import read
from seqloom.errors import ModelError
from seqloom.experiment import check
from seqloom.files import replacing_folder
from seqloom.model.folder import find, load, save
from tests import tiny


@pytest.fixture
def model(finished: Path, tmp_path: Path) -> Path:
    """A copy of a model folder, to be damaged."""
    return Path(shutil.copytree(finished / "best", tmp_path / "model"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_model_that_is_loaded_and_saved_is_the_same_files(model: Path, tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "copy") as partial:
        save(partial, load(model))
    assert files(tmp_path / "copy") == files(model)
    assert set(files(model)) == {
        "README.md",
        "config.yaml",
        "metrics.json",
        "weights.safetensors",
        *(f"vocabulary/{name}.txt" for name in ("words", "pos.tags", "kind.label")),
    }


def test_the_configuration_in_the_folder_is_the_one_that_was_trained(corpus: Path, tmp_path: Path) -> None:
    config = tiny.two(corpus, clip=None, rates={"heads.*": 0.5}, batch={"tokens": 30})
    config["embedders"]["words"] = {"type": "chars", "filters": {2: 3, 3: 4}, "size": 4}
    tiny.trained(config, tmp_path / "run")
    table = check(read(tmp_path / "run" / "best" / "config.yaml"))
    assert table.training.clip is None
    assert table.model_dump()["training"]["batch"] == {"tokens": 30}
    assert table.model_dump()["embedders"]["words"]["filters"] == {2: 3, 3: 4}
    tiny.trained(table.model_dump(), tmp_path / "again")
    assert tiny.weights(tmp_path / "again") == tiny.weights(tmp_path / "run")


def test_a_run_folder_stands_for_its_best_model(finished: Path, tmp_path: Path) -> None:
    assert find(finished) == finished / "best"
    assert find(finished / "last") == finished / "last"
    shutil.copytree(finished / "last", tmp_path / "last")
    assert find(tmp_path) == tmp_path / "last"


def test_a_kill_between_the_two_renames_is_mended(model: Path) -> None:
    model.rename(model.with_name(".model.previous"))
    (model.with_name(".model.partial")).mkdir()
    assert load(model).tasks.keys() == {"pos", "kind"}


def test_no_folder_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"nowhere: does not exist; a model folder holds config.yaml and weights"
    ):
        load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="is not a model or run folder"):
        load(tmp_path)


def truncate(model: Path) -> None:
    path = model / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def store_as_torch_does(model: Path) -> None:
    path = model / "weights.safetensors"
    tensors = {name: one.clone() for name, one in load_file(path).items()}
    torch.save(tensors, path)


def change(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def changed(model: Path) -> None:
        path = model / "weights.safetensors"
        tensors = {name: one.clone() for name, one in load_file(path).items()}
        change(tensors)
        save_file(tensors, path)

    return changed


def put(name: str, text: str) -> Callable[[Path], None]:
    return lambda model: (model / name).write_text(text) and None


def replace(old: str, new: str) -> Callable[[Path], None]:
    return lambda model: put("config.yaml", (model / "config.yaml").read_text().replace(old, new))(model)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncate, r"weights.safetensors: is not a whole safetensors file \(.*; use another copy"),
    "a torch file": (store_as_torch_does, "weights.safetensors: is not a whole safetensors file"),
    "empty": (put("weights.safetensors", " "), "weights.safetensors: is not a whole safetensors file"),
    "a weight less": (
        change(lambda tensors: tensors.pop("embedders.words.table.weight")),
        "the weights are of another model: embedders.words.table.weight is missing",
    ),
    "a weight more": (
        change(lambda tensors: tensors.update(bias=torch.zeros(1))),
        "the weights are of another model: bias is unknown",
    ),
    "a weight of another shape": (
        change(lambda tensors: tensors.update({"embedders.words.table.weight": torch.zeros(3, 6)})),
        r"embedders.words.table.weight has shape \(3, 6\), not \(\d+, 6\)",
    ),
    "another model": (
        change(lambda tensors: [tensors.pop(name) for name in list(tensors)]),
        r"is missing; .* and \d+ more",
    ),
    "an unknown kind": (
        replace("type: lstm", "type: lstmm"),
        r'the configuration does not fit this seqloom:\n.*config.yaml:\d+ .*no encoder "lstmm"; did you mean "lstm"',
    ),
    "an unknown key": (replace("hidden: 6", "hidden: 6\n    width: 2"), r'config.yaml:\d+ .* no key "width"'),
    "not YAML": (put("config.yaml", "tasks: ["), r"does not fit this seqloom:\n.*config.yaml:1 .*not YAML"),
    "no vocabularies": (lambda model: shutil.rmtree(model / "vocabulary"), "`vocabulary` is missing or empty"),
    "a vocabulary less": (
        lambda model: (model / "vocabulary" / "words.txt").unlink(),
        "the vocabulary 'words' is missing; restore the model folder",
    ),
    "a vocabulary that is not UTF-8": (
        lambda model: (model / "vocabulary" / "words.txt").write_bytes(b"\xff\n") and None,
        "words.txt: the vocabulary cannot be read .* restore the model folder",
    ),
    "a word less": (put("vocabulary/words.txt", "<pad>\n<unk>\n"), r"not \(2, 6\)"),
    "a word twice": (put("vocabulary/words.txt", "<pad>\n<unk>\na\na\n"), 'the vocabulary lists "a" twice'),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_or_foreign_folder_is_told_with_what_is_wrong(name: str, model: Path) -> None:
    damage, message = DAMAGES[name]
    damage(model)
    with pytest.raises(ModelError, match=message):
        load(model)


def test_the_card_tells_tasks_figures_and_size(finished: Path) -> None:
    card = (finished / "last" / "README.md").read_text()
    network = load(finished).network
    assert "| pos | tag |" in card
    assert "## Figures on dev" in card
    assert f"- all: {sum(one.numel() for one in network.parameters()):,} parameters" in card
    assert "seqloom predict FOLDER --task pos input.txt" in card
