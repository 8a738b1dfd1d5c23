import json
from pathlib import Path

import numpy as np
import pytest

import seqloom
from seqloom.api import Model
from seqloom.config import source_of
from seqloom.errors import ConfigError, DataError, ModelError
from tests import tiny


@pytest.fixture(scope="module")
def model(finished: Path) -> Model:
    return seqloom.load(finished)


def test_public_names_are_found_when_first_used() -> None:
    assert seqloom.Model is Model
    assert seqloom.train.__module__ == "seqloom.api"
    assert seqloom.nn.__name__ == "seqloom.nn"
    with pytest.raises(
        AttributeError, match="no trian; it has Model, Vectors, concat, expand, load, nn, train"
    ):
        _ = seqloom.trian


def test_train_from_values_or_a_file_gives_the_best_model(corpus: Path, tmp_path: Path) -> None:
    config = tiny.one(corpus)
    ours = seqloom.train(config, out=tmp_path / "values", training__steps=4, training__clip=None, seed=3)
    file = tiny.written_yaml(tmp_path / "c.yaml", {**tiny.one(corpus, steps=4, clip=None), "seed": 3})
    seqloom.train(file, out=tmp_path / "file")
    assert tiny.weights(tmp_path / "values", "best") == tiny.weights(tmp_path / "file", "best")
    assert ours.predict("pos", ["the moth"]) == seqloom.load(tmp_path / "file").predict("pos", ["the moth"])
    assert config == tiny.one(corpus), "what was given is left as it was"
    with pytest.raises(ConfigError, match=r'training.stepps  no key "stepps"; did you mean "steps"'):
        seqloom.train(config, out=tmp_path / "wrong", training__stepps=4)


@pytest.mark.parametrize(
    "value",
    [
        "data/😀.txt",
        None,
        True,
        3,
        1e-05,
        "yes",
        "1",
        "a: b",
        ["x", 1],
        {"type": "sgd", "rate": 0.5},
        "${data}/é",
    ],
)
def test_overrides_stay_what_they_are(value: object) -> None:
    source = source_of({"training": {"steps": 1}}, {"training__given": value})
    assert source.values == {"training": {"steps": 1, "given": value}}


def test_paths_and_numbers_of_numpy_are_plain_values(corpus: Path) -> None:
    source = source_of({"a": {"path": corpus, "seed": np.int64(4)}, "b": [1]}, {"b__0": np.float32(0.5)})
    assert source.values == {"a": {"path": str(corpus), "seed": 4}, "b": [0.5]}


def test_paths_may_be_overridden_by_paths(corpus: Path) -> None:
    source = source_of(tiny.one(corpus), {"tasks__pos__reader__train": corpus / "x"})
    assert source.values["tasks"]["pos"]["reader"]["train"] == str(corpus / "x")


def test_what_a_model_knows_of_itself(model: Model, finished: Path) -> None:
    assert model.tasks == ("pos", "kind")
    assert model.encoders == ("shared",)
    assert model.figures == json.loads((finished / "best" / "metrics.json").read_text())
    assert model.task("kind").figures == ("accuracy", "f1_macro")
    assert (model.has("pos", "dev"), model.has("pos", "test")) == (True, True)


def test_predict_takes_text_tokens_and_tables_alike(model: Model) -> None:
    texts = [
        "the moth sees",
        ["the", "moth", "sees"],
        {"text": "the moth sees"},
        {"text": ["the", "moth", "sees"]},
    ]
    assert model.predict("pos", texts) == [["DET", "NOUN", "VERB"]] * 4
    assert model.predict("kind", iter(texts)) == ["DET"] * 4
    assert model.predict("kind", []) == []


def test_questions_that_cannot_be_answered_name_the_choices(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has several tasks; name one with task \(--task\): pos, kind"):
        model.predict(None, ["a"])
    with pytest.raises(ModelError, match=r'no task "poss"; did you mean "pos"\? \(kind, pos\)'):
        model.predict("poss", ["a"])
    with pytest.raises(ModelError, match="task pos reads text; text is missing"):
        model.predict("pos", [{"txt": "a"}])
    with pytest.raises(DataError, match="input:2: text: the text has no tokens"):
        model.predict("pos", ["a", ""])
    with pytest.raises(DataError, match=r"nowhere.txt: no such file"):
        model.evaluate("pos", tmp_path / "nowhere.txt")
    with pytest.raises(ModelError, match=r'no split "tset"; did you mean "test"\?'):
        model.evaluate("pos", split="tset")
    with pytest.raises(ModelError, match="takes a list of texts, found one text; put it into a list"):
        model.predict("pos", "the moth")
    with pytest.raises(ModelError, match="takes a list of texts"):
        model.encode("the moth")
    with pytest.raises(ModelError, match="has no encoder"):
        model.encode(["a"], encoder="missing")
    with pytest.raises(ModelError, match="is not among the"):
        model.near("unheard-of")


def test_evaluate_tells_figures_and_how_they_came_about(model: Model, corpus: Path) -> None:
    told = model.evaluate("pos", corpus / "pos-dev.txt")
    assert told == {
        "task": "pos",
        "file": str(corpus / "pos-dev.txt"),
        "rows": tiny.SIZES["dev"],
        "precision": "float32",
        "figures": model.figures["dev"]["pos"],
        "protocol": "accuracy: share of tokens with the right label, in percent",
    }
    assert model.evaluate("pos", split="dev") == told
    assert model.evaluate("pos")["figures"] == model.figures["test"]["pos"]


def test_a_split_without_a_file_is_told(corpus: Path) -> None:
    model = Model(tiny.untrained(tiny.one(corpus)))
    assert not model.has("pos", "test")
    with pytest.raises(ModelError, match=r"task pos has no test file; name one with file \(--file\)"):
        model.evaluate()


def test_a_classifier_tells_the_probability_of_each_label(model: Model) -> None:
    texts = ["the moth sees", "river"]
    told = model.explain("kind", texts)
    assert [one["prediction"] for one in told] == model.predict("kind", texts)
    for one in told:
        shares = one["probabilities"]
        assert set(shares) == {"DET", "NOUN"}
        assert sum(shares.values()) == pytest.approx(1)
        assert max(shares, key=shares.__getitem__) == one["prediction"]


def test_encode_and_near(model: Model) -> None:
    vectors = model.encode(["the moth sees", ["river"]])
    assert isinstance(vectors, np.ndarray)
    assert vectors.shape == (2, 12)
    states = model.encode(["the moth sees", ["river"]], tokens=True)
    assert [one.shape for one in states] == [(3, 12), (1, 12)]
    np.testing.assert_allclose(vectors[0], states[0].mean(0), atol=1e-6)
    assert len(model.near("moth", 3)) == 3


def test_what_is_no_text_or_model_is_told(model: Model) -> None:
    with pytest.raises(DataError, match="input:2: a text is a string or a list of tokens, found None"):
        model.encode(["the moth", None])  # type: ignore[list-item]
    with pytest.raises(ModelError, match="takes texts or lists of tokens, found 5"):
        model.predict("pos", [{"text": 5}])
    with pytest.raises(ConfigError, match="batch is at least 1, not 0"):
        model.encode(["the moth"], batch=0)
    for wrong in ([model], "run", (model, "shared", 1)):
        with pytest.raises(ModelError, match="concat takes models, or pairs of a model and an encoder's name"):
            seqloom.concat(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("one", [3, None])
def test_what_is_no_text_is_refused(model: Model, one: object) -> None:
    with pytest.raises(ModelError, match=f"takes texts, lists of tokens or dicts of them, found {one}"):
        model.predict("pos", ["the moth", one])  # type: ignore[list-item]


def test_a_saved_model_stands_alone(model: Model, corpus: Path, tmp_path: Path) -> None:
    model.save(tmp_path / "copy")
    copy = seqloom.load(tmp_path / "copy")
    texts = ["a small crow lifts the unheard-of lamp", "stone"]
    assert copy.predict("pos", texts) == model.predict("pos", texts)
    np.testing.assert_array_equal(copy.encode(texts), model.encode(texts))
    with pytest.raises(ModelError, match="copy: is there already; name a folder that is not, or remove it"):
        model.save(tmp_path / "copy")
    assert [one.name for one in tmp_path.iterdir()] == ["copy"]
