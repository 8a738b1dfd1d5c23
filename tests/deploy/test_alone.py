"""An encoder alone: what it keeps, and what takes it."""

import numpy as np
import pytest

from seqloom.api import Model
from seqloom.config import source_of
from seqloom.deploy.alone import alone
from seqloom.deploy.encode import encode
from seqloom.errors import ConfigError, ModelError
from seqloom.experiment import check
from seqloom.files import replacing_folder
from seqloom.model.folder import load, save
from seqloom.model.task import Batcher
from tests import tiny

TEXTS = [["the", "moth", "sees"], ["river"]]


def saved(model, folder):
    with replacing_folder(folder) as partial:
        save(partial, model)
    return folder


@pytest.fixture
def whole(corpus):
    """Two tasks, each with an encoder and one with an embedder of its own."""
    config = tiny.two(corpus)
    own = {"type": "concat", "of": ["words", {"type": "chars"}]}
    config["encoders"]["other"] = {"type": "gru", "input": own, "hidden": 3}
    config["tasks"]["kind"]["encoder"] = "other"
    return tiny.untrained(config)


def test_a_language_model_encodes_texts_without_the_ends_of_its_lines(corpus):
    (corpus / "lines").write_text("the moth sees\n" * 9)
    reader = {"type": "lines", "train": str(corpus / "lines")}
    table = {
        "embedders": {"words": {"type": "word", "size": 4}},
        "encoders": {"stack": {"type": "awd", "input": "words", "hidden": 5, "layers": 1}},
        "tasks": {"lm": {"reader": reader, "encoder": "stack", "head": {"type": "language"}}},
        "training": {"steps": 1},
    }
    model = tiny.untrained(table)
    own, without = (encode(one, TEXTS, tokens=True) for one in (model, alone(model)))
    assert [len(one) for one in own] == [3, 1]
    for one, other in zip(own, without, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["shared", "other", "pos"])
def test_an_encoder_alone_encodes_as_in_its_model(name, whole, tmp_path):
    one = load(saved(alone(whole, name), tmp_path / "one"))
    np.testing.assert_array_equal(encode(one, TEXTS), encode(whole, TEXTS, encoder=name))
    assert list(one.plan.encoders) == ["other" if name == "other" else "shared"]
    assert {part.split(".")[0] for part in one.network.state_dict()} == {"embedders", "encoders"}
    assert sorted(one.vocabularies) == (["chars", "words"] if name == "other" else ["words"])
    assert "training" not in one.settings
    again = alone(one)
    assert again.settings == one.settings


def test_words_cut_into_pieces_are_so_alone_too(tmp_path):
    (tmp_path / "train.tsv").write_text("the moths see\tdie Motten sehen\na river\tein Fluss\n")
    reader = {"type": "parallel", "train": str(tmp_path / "train.tsv"), "subwords": {"size": 30}}
    config = {
        "embedders": {"words": {"type": "word", "size": 4}},
        "encoders": {"shared": {"type": "lstm", "input": "words", "hidden": 4}},
        "tasks": {"mt": {"reader": reader, "encoder": "shared", "head": {"type": "translate", "hidden": 4}}},
        "training": {"steps": 1},
    }
    whole = tiny.untrained(config)
    task = whole.tasks["mt"]
    learned = task.learn(task.read("train"))
    whole.vocabularies |= learned
    one = Model(load(saved(alone(whole), tmp_path / "one")))
    text = ["the river sees moths"]
    np.testing.assert_array_equal(one.encode(text, tokens=True)[0], Model(whole).encode(text, tokens=True)[0])
    assert set(learned) < set(one._assembly.vocabularies)
    assert "mt.target" not in one._assembly.vocabularies


def test_other_models_are_built_on_it(corpus, whole, tmp_path):
    folder = str(saved(alone(whole, "shared"), tmp_path / "one"))
    context = tiny.one(corpus)
    context["embedders"] = {"words": {"type": "context", "of": folder}}
    encoder = tiny.one(corpus)
    encoder["encoders"]["shared"] = {"type": "saved", "input": "words", "path": folder}
    expected = encode(whole, TEXTS, encoder="shared", tokens=True)
    built = tiny.untrained(context)
    text = built.tasks["pos"].from_examples([{"text": one} for one in TEXTS])
    ids = Batcher(built.tasks["pos"], text, built.vocabularies).batch(text.numbers).text("text")
    np.testing.assert_allclose(built.network.eval().embedders["words"](ids)[0].detach(), expected[0], atol=1e-6)
    assert encode(tiny.untrained(encoder), TEXTS).shape == (2, 12)


def test_which_encoder_must_be_clear(whole):
    with pytest.raises(ModelError, match="has several encoders"):
        alone(whole)


def test_its_predictions_are_vectors(whole):
    model = Model(alone(whole, "shared", pool="max"))
    vectors = model.encode(TEXTS, pool="max")
    np.testing.assert_allclose(model.predict(None, TEXTS), vectors, atol=1e-6)


def test_nothing_is_trained_with_it(corpus):
    config = tiny.one(corpus)
    config["tasks"]["pos"]["head"] = {"type": "encode"}
    with pytest.raises(ConfigError, match="learns nothing; it is for encoders that are saved alone"):
        check(source_of(config, {}))
