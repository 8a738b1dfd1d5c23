"""The published layout of GenSen as a model folder, and what is no such layout."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloom import load
from seqloom.deploy import gensen
from seqloom.deploy.legacy import import_gensen
from seqloom.errors import ModelError

FOLDER = Path(__file__).parents[1] / "golden" / "gensen"
PREFIX = FOLDER / "small_one"


class Runs:
    """What writes a file when an ordinary unpickler meets it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w')",)


def copied(folder, weights=None, words=None):
    """The files of a published encoder, with other weights or other words."""
    for end in (".model", "_vocab.pkl"):
        shutil.copy(f"{PREFIX}{end}", folder / f"one{end}")
        (folder / f"one{end}").chmod(0o644)
    if weights is not None:
        torch.save(weights, folder / "one.model")
    if words is not None:
        (folder / "one_vocab.pkl").write_bytes(pickle.dumps(words, protocol=2))
    return folder / "one"


def held():
    return dict(torch.load(f"{PREFIX}.model", weights_only=True))


def test_the_command_writes_a_folder_that_encodes(tmp_path, seqloom):
    said = seqloom("import", "gensen", PREFIX, tmp_path / "model")
    assert said.code == 0, said.error
    (tmp_path / "in.txt").write_text("Hello world .\n")
    assert seqloom("encode", tmp_path / "model", tmp_path / "in.txt", "-o", tmp_path / "out.npy").code == 0
    model = load(tmp_path / "model")
    found = np.load(tmp_path / "out.npy")
    np.testing.assert_allclose(found, model.encode(["hello WORLD ."], pool="last"), atol=1e-6)
    assert "seqloom encode FOLDER" in (tmp_path / "model" / "README.md").read_text()
    assert seqloom("import", "gensen", PREFIX, tmp_path / "kept", "--keep-case").code == 0
    assert np.abs(load(tmp_path / "kept").encode(["Hello world ."]) - found).max() > 1e-3


def test_which_case_texts_are_read_in_is_told(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("seqloom.deploy.legacy.notice", said.append)
    import_gensen(PREFIX, tmp_path / "low")
    listed = dict(enumerate(gensen.words(FOLDER / "small_one_vocab.pkl")))
    prefix = copied(tmp_path, words={"id2word": listed | {9: "Moth"}})
    import_gensen(prefix, tmp_path / "high")
    assert [one.split(": ")[1].partition(";")[0] for one in said] == [
        "reads texts in lower case, for no listed word has a capital letter",
        'reads capital letters as they are, for the listed word "Moth" has one',
    ]
    for name, lower in (("low", True), ("high", False)):
        assert load(tmp_path / name)._assembly.settings["embedders"]["words"]["lower"] == lower
    import_gensen(PREFIX, tmp_path / "asked", lower=False)
    assert len(said) == 2


def test_the_encoder_is_taken_out_of_a_checkpoint_of_its_training(tmp_path):
    weights = {f"module.{name}": one for name, one in held().items()} | {"module.decoders.0.x": torch.zeros(3)}
    import_gensen(copied(tmp_path, weights), tmp_path / "model")
    import_gensen(PREFIX, tmp_path / "published")
    text = ["hello world ."]
    assert np.array_equal(load(tmp_path / "model").encode(text), load(tmp_path / "published").encode(text))


@pytest.mark.parametrize("place", [".model", "_vocab.pkl"])
def test_nothing_that_a_file_holds_is_run(tmp_path, place):
    prefix = copied(tmp_path)
    (tmp_path / f"one{place}").write_bytes(pickle.dumps({"id2word": Runs(tmp_path / "ran")}, protocol=2))
    if place == ".model":
        torch.save({"odd": Runs(tmp_path / "ran")}, tmp_path / "one.model")
    with pytest.raises(
        ModelError, match=rf"one{place}: holds more than .* (__)?builtin(s|__)\.exec, which could be"
    ):
        import_gensen(prefix, tmp_path / "model")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "model").exists()


SPECIAL = dict(enumerate(["<s>", "<pad>", "</s>", "<unk>"]))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            {"id2word": {**SPECIAL, 4: "a"}},
            "lists 5 words, the table has 44 rows; they are of different models",
        ),
        ({"id2word": {**SPECIAL, 5: "a"}}, "lists 5 words, but none of number 4"),
        ({"id2word": {**SPECIAL, 0: "a"}}, 'begins with "a" as number 0, where "<s>" should be'),
        ({"id2word": {0: "<s>"}}, "lists 1 words, where <s>, <pad>, </s>, <unk> should be at least"),
        ({"id2word": {**SPECIAL, 4: "\ud800"}}, "is not a whole vocabulary"),
        ({"words": {}}, "is not a whole vocabulary"),
        ([], "is not a whole vocabulary"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_told(words, told, tmp_path):
    with pytest.raises(ModelError, match=told):
        import_gensen(copied(tmp_path, words=words), tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one.pop("src_embedding.weight"), "the weight src_embedding.weight is missing"),
        (
            lambda one: one.update({"src_embedding.weight": torch.zeros(44)}),
            r"the weight src_embedding.weight has shape \(44,\), not \(words, size\)",
        ),
        (lambda one: one.pop("encoder.weight_hh_l0"), "encoder.weight_hh_l0 is missing"),
        (lambda one: one.pop("encoder.bias_hh_l0"), r"encoder.bias_hh_l0 has shape None, not \(15,\)"),
        (
            lambda one: one["src_embedding.weight"].fill_(torch.nan),
            "src_embedding.weight holds a number that is inf",
        ),
        (
            lambda one: one.update({"encoder.weight_hh_l0": torch.zeros(0, 0)}),
            "l0 is no plain array of numbers",
        ),
        (lambda one: one.update({"encoder.bias_hh_l0": torch.zeros(15).to_sparse()}), "l0 is no plain array"),
        (lambda one: one.update({"encoder.bias_hh_l9": torch.zeros(15)}), "has a layer 9, and 9 weights"),
        (lambda one: one.update({"encoder.odd": torch.zeros(1)}), r"encoder.odd has shape \(1,\), not None"),
    ],
)
def test_weights_that_do_not_fit_are_named(change, told, tmp_path):
    weights = held()
    change(weights)
    with pytest.raises(ModelError, match=told):
        import_gensen(copied(tmp_path, weights), tmp_path / "model")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"\.: names no files; give what PREFIX.model and PREFIX_vocab.pkl"):
        import_gensen(Path("."), tmp_path / "model")
    with pytest.raises(ModelError, match=r"none.model: no such file"):
        import_gensen(tmp_path / "none", tmp_path / "model")
    shutil.copy(f"{PREFIX}.model", tmp_path / "one.model")
    with pytest.raises(ModelError, match=r"one_vocab.pkl: no such file; it belongs beside the weights"):
        import_gensen(tmp_path / "one", tmp_path / "model")
