import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqloom.api import load
from seqloom.data.batch import Batch, Text
from seqloom.deploy.legacy import import_mlmt
from seqloom.errors import ModelError
from seqloom.heads.tag import _as_bio
from seqloom.model import folder
from seqloom.model.network import Network
from seqloom.model.task import Batcher
from tests.golden.mlmt_models import FACTS, part, seven_models

PUBLISHED = Path(__file__).parents[1] / "golden" / "mlmt" / "model.mdl"
LONG = [["loopt.", "Parijs"], ["hond.a"], ["honden", "Utrech", "loopt.", "Parijs"]]
"""Words as long as each other, so that the original's filters see no padding; some with unknown characters."""


@pytest.fixture(scope="module")
def originals() -> Network:
    """The seven golden models."""
    return seven_models()


@pytest.fixture
def held() -> dict[str, Any]:
    """What the published checkpoint holds, to be changed."""
    found: dict[str, Any] = torch.load(PUBLISHED, weights_only=True)
    return found


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., folder.Assembly]:
    """Import a checkpoint, by default the published one, and load the model folder."""

    def assembly(held: object = None) -> folder.Assembly:
        file = PUBLISHED if held is None else tmp_path / "model.mdl"
        if held is not None:
            torch.save(held, file)
        import_mlmt(file, tmp_path / "out")
        return folder.load(tmp_path / "out")

    return assembly


def published(name: str, held: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint as it would be with another of the golden models in it."""
    facts = FACTS["models"][name]
    held["model"] = {"lstm_crf": part(f"{name}.weight")}
    held["vocab"]["token"] = FACTS["vocab"][f"token_{facts['language']}"]
    held["vocab"]["label"] = FACTS["vocab"][facts["task"]]
    return held


def unpadded(network: Network, model: str, scores: torch.Tensor, lengths: torch.Tensor) -> list[list[int]]:
    """The original's best paths, had it not padding, label 0, among its labels."""
    scores = scores.clone()
    scores[..., 0] = -1e4
    return network.head(model).universal.crf.viterbi(scores, lengths)


@pytest.mark.parametrize("name", FACTS["models"])
def test_an_imported_tagger_has_the_originals_scores_and_best_paths(name, imported, held, originals):
    golden, model = part(name), imported(published(name, held))
    lengths = golden["lengths"]
    model.network.embedders["characters"].network.windows_over_padding = True
    characters = golden["chars"].view(*golden["tokens"].shape, -1)
    text = Text({"words": golden["tokens"], "chars": characters}, lengths)
    with torch.inference_mode():
        scores = model.network.eval()(Batch("target", {"text": text}, range(len(lengths)))).scores
    torch.testing.assert_close(scores, golden["scores"][..., 1:], atol=1e-5, rtol=0)
    paths = [
        [label + 1 for label in row]
        for row in model.network.head("target").universal.crf.viterbi(scores, lengths)
    ]
    assert paths == unpadded(originals, name, golden["scores"], lengths)
    golden_paths = [row[row >= 0].tolist() for row in golden["viterbi_path"]]
    assert any(0 not in best for best in golden_paths)
    assert all(path == best for path, best in zip(paths, golden_paths, strict=True) if 0 not in best)


def test_it_tags_text_by_the_words_and_characters_of_the_checkpoint(imported, held, originals, tmp_path):
    imported()
    numbers = held["vocab"]
    words = torch.zeros(3, 4, dtype=torch.int64)
    characters = torch.zeros(3, 4, 6, dtype=torch.int64)
    for row, sentence in enumerate(LONG):
        words[row, : len(sentence)] = torch.tensor([numbers["token"].get(word, 1) for word in sentence])
        codes = [[numbers["char"].get(letter, 1) for letter in word] for word in sentence]
        characters[row, : len(sentence)] = torch.tensor(codes)
    lengths = torch.tensor([len(sentence) for sentence in LONG])
    text = Text({"first": words, "chars": characters}, lengths)
    with torch.inference_mode():
        scores = originals(Batch("tgt", {"text": text}, range(3))).scores
    labels = list(numbers["label"])
    best = [[labels[one] for one in row] for row in unpadded(originals, "tgt", scores, lengths)]
    as_bio = [_as_bio(row) for row in best]
    assert load(tmp_path / "out").predict("target", LONG) == as_bio
    assert len({tag for row in as_bio for tag in row}) > 1


def test_padding_is_no_label(imported, held):
    model = imported()
    assert model.vocabularies["target.tags"].symbols == tuple(held["vocab"]["label"])[1:]
    original, own = held["model"]["crf"]["transition"], model.network.head("target").universal.crf.transitions
    assert torch.equal(own, original[1:, 1:])


def test_the_settings_are_the_checkpoints(imported):
    model = imported()
    table, encoder = model.settings["embedders"], model.settings["encoders"]["shared"]
    assert table["characters"]["filters"] == {2: 3, 3: 3}
    assert (table["characters"]["highway"], table["characters"]["activation"]) == (2, "selu")
    assert table["text"]["dropout"] == encoder["output_dropout"] == 0.5
    head = model.settings["tasks"]["target"]["head"]
    assert (head["scheme"], head["constraints"], head["specific"]) == ("bioes", "none", True)
    assert model.vocabularies["words"].symbols[:3] == ("<pad>", "<unk>", "de")
    assert model.network.head("target").universal.crf.forbidden is None


def test_words_that_are_spelt_as_our_marks_are_unknown_words(imported, held):
    held["vocab"]["token"]["<unk>"] = held["vocab"]["token"].pop("een")
    model = imported(held)
    assert model.vocabularies["words"].symbols[6:] == ("Parijs", ".")
    task = model.tasks["target"]
    batcher = Batcher(task, task.from_examples([{"text": ["<unk>", "."]}]), model.vocabularies, gold=False)
    vectors = model.network.embedders["words"](batcher.batch(np.array([0])).text("text"))
    original = held["model"]["lstm_crf"]["word_embedding.weight"]
    assert torch.equal(vectors, original[[1, 8]].unsqueeze(0))


def test_a_checkpoint_of_the_time_is_read(held, tmp_path):
    torch.save(held, tmp_path / "old.mdl", _use_new_zipfile_serialization=False)
    import_mlmt(tmp_path / "old.mdl", tmp_path / "old")
    import_mlmt(PUBLISHED, tmp_path / "new")
    assert [(tmp_path / one / "weights.safetensors").read_bytes() for one in ("old", "new")] == [
        (tmp_path / "new" / "weights.safetensors").read_bytes()
    ] * 2


def put(*keys: str, value: Any = None, drop: bool = False) -> Callable[[dict[str, Any]], None]:
    """A change of what a checkpoint holds."""

    def change(held: dict[str, Any]) -> None:
        *around, last = keys
        for key in around:
            held = held[key]
        held.pop(last) if drop else held.update({last: value})

    return change


WEIGHTS = ("model", "lstm_crf")
CHANGES = {
    "no weights": (put("model", value={"lstm": {}}), 'model should hold "lstm_crf", found a table of lstm'),
    "no settings": (put("args", drop=True), 'the file should hold "args", found a table of model, vocab'),
    "no words": (put("vocab", "token", drop=True), 'vocab should hold "token", found a table of label, char'),
    "words as a list": (put("vocab", "token", value=["de"]), "vocab.token should be a table, found list"),
    "a weight less": (
        put(*WEIGHTS, "lstm.bias_hh_l0", drop=True),
        "weights do not fit each other and the vocabularies: lstm.bias_hh_l0 is missing",
    ),
    "no table of words": (
        put(*WEIGHTS, "word_embedding.weight", drop=True),
        "the weight word_embedding.weight is missing",
    ),
    "a weight more": (put(*WEIGHTS, "lstm.weight_ih_l1", value=torch.zeros(1)), "lstm.weight_ih_l1 is unknown"),
    "a weight of another shape": (
        put(*WEIGHTS, "crf.transition", value=torch.zeros(7, 7)),
        r"crf.transition should have shape \(8, 8\), has \(7, 7\)",
    ),
    "a weight of another form": (
        put(*WEIGHTS, "char_embedding.convs.0.weight", value=torch.zeros(3)),
        r"char_embedding.convs.0.weight should have 4 dimensions, has shape \(3,\)",
    ),
    "a weight that is none": (put(*WEIGHTS, "crf.transition", value=1.0), "crf.transition is not a tensor"),
    "a word more": (
        put("vocab", "token", "park", value=9),
        r"word_embedding.weight should have shape \(10, 6\), has \(9, 6\)",
    ),
    "a number twice": (
        put("vocab", "char", "z", value=3),
        r"vocab.char should number its 20 entries from 0 on, <\$PAD\$> and <\$UNK\$> first; only files of the",
    ),
    "labels without padding": (
        put("vocab", "label", value={"O": 0, "B-LOC": 1}),
        r"vocab.label should number its 2 entries from 0 on, <\$PAD\$> first",
    ),
    "an activation of its own": (
        put("args", "charhw_func", value="rrelu"),
        'embedders.characters.activation  should be .*, found "rrelu"',
    ),
    "no activation": (
        put("args", "charhw_func", drop=True),
        'args should hold "charhw_func", found a table of',
    ),
    "two groups of one width": (
        put(*WEIGHTS, "char_embedding.convs.1.weight", value=torch.zeros(3, 1, 2, 4)),
        r"several groups of filters of one width \(2, 2\), which seqloom has not",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_missing_or_does_not_fit_is_told(name, held, imported, tmp_path):
    change, told = CHANGES[name]
    change(held)
    with pytest.raises(
        ModelError, match=f"model.mdl: cannot be read as a tagger of MLMT: .*{told}.*give the .mdl"
    ):
        imported(held)
    assert not (tmp_path / "out").exists()


class Harmful:
    """What would make a folder where it is read by a plain loader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_run(tmp_path, imported):
    with pytest.raises(ModelError, match=r"plain values: posix.mkdir, which could be code and is not run; get"):
        imported({"model": Harmful(tmp_path / "harm")})
    assert not (tmp_path / "harm").exists()


FILES = {
    "cut short": lambda path: path.write_bytes(PUBLISHED.read_bytes()[:-300]),
    "empty": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("hello\n"),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_checkpoint(name, tmp_path):
    FILES[name](tmp_path / "x.mdl")
    with pytest.raises(ModelError, match=r"x.mdl: is not a whole file of torch.save \(\w+\); get another copy"):
        import_mlmt(tmp_path / "x.mdl", tmp_path / "out")


def test_no_file_and_a_checkpoint_of_another_kind(tmp_path, imported):
    with pytest.raises(ModelError, match="nowhere: no such file"):
        import_mlmt(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ModelError, match='the file should hold "model", found Tensor'):
        imported(torch.zeros(2))


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    for place in ("mine", "mine/file"):
        with pytest.raises(
            ModelError, match=f"{place}: is there already; name a folder that is not, or remove it"
        ):
            import_mlmt(PUBLISHED, tmp_path / place)
    assert (tmp_path / "mine" / "file").exists()
    (tmp_path / "empty").mkdir()
    import_mlmt(PUBLISHED, tmp_path / "empty")
    assert load(tmp_path / "empty").tasks == ("target",)
