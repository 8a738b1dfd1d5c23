"""Words added to a model: how the map is fitted, what stays, what cannot be done."""

import numpy as np
import pytest

from seqloom import Vectors, expand, load
from seqloom.api import Model
from seqloom.deploy.linear import LinearMap
from seqloom.errors import ConfigError, DataError, ModelError
from tests import tiny

random = np.random.default_rng(3)


def turned(size):
    return np.linalg.qr(random.normal(size=(size, size)))[0]


@pytest.fixture
def model(corpus):
    return Model(tiny.untrained(tiny.two(corpus)))


def learnt(model, embedder="words"):
    return model._assembly.network.embedders[embedder].table.weight.detach().numpy()


def store(model, more=("heron", "Lake"), noise=0.0):
    """A turned, shifted copy of the model's own vectors, with more words; and their vectors in the model."""
    known = list(model._assembly.vocabularies["words"])[2:]
    own = np.concatenate([learnt(model)[2:], random.normal(size=(len(more), 6))]).astype(np.float32)
    there = 3 * own @ turned(6) + 1 + noise * random.normal(size=own.shape)
    return Vectors.of([*known, *more], there.astype(np.float32), "theirs"), own[-len(more) :]


@pytest.mark.parametrize("how", [{}, {"ridge": 1e-6}, {"how": "orthogonal"}], ids=str)
def test_a_map_that_is_there_is_found(model, how):
    vectors, own = store(model)
    wider, report = expand(model, vectors, **how)
    ids = [wider._assembly.vocabularies["words"].id(word) for word in ("heron", "Lake")]
    np.testing.assert_allclose(learnt(wider)[ids], own, atol=1e-4)
    fit = report.fits[0]
    assert (fit.embedder, fit.shared, fit.held_out, report.added, report.missing) == ("words", 14, 1, 2, 0)
    assert fit.explained > 99.9
    assert fit.cosine > 0.999
    assert fit.first == 100


def test_words_without_a_vector_in_the_model_say_nothing_of_the_map(model):
    vectors, own = store(model)
    model._assembly.network.embedders["words"].table.weight.data[2:6] = 0
    wider, report = expand(model, vectors)
    assert report.fits[0].shared == 10
    assert report.fits[0].explained > 99.9
    ids = [wider._assembly.vocabularies["words"].id(word) for word in ("heron", "Lake")]
    np.testing.assert_allclose(learnt(wider)[ids], own, atol=1e-4)
    model._assembly.network.embedders["words"].table.weight.data.zero_()
    with pytest.raises(
        DataError, match="the table of embedder words has vectors for 0; take vectors that share"
    ):
        expand(model, vectors)


def test_all_else_stays(model, tmp_path):
    vectors, _ = store(model)
    wider, _ = expand(model, vectors, ["heron", "nowhere", "heron", "moth", ""])
    texts = ["the moth sees", "river"]
    for one in (wider, reloaded(wider, tmp_path)):
        np.testing.assert_array_equal(one.encode(texts), model.encode(texts))
        assert one.predict("kind", texts) == model.predict("kind", texts)
        assert np.abs(one.encode(["heron"]) - model.encode(["heron"])).max() > 1e-3
        assert "training" in one._assembly.settings
    assert len(learnt(wider)) == len(learnt(model)) + 1


def reloaded(model, folder):
    model.save(folder / "wider")
    return load(folder / "wider")


def test_words_may_be_replaced(model):
    vectors, _ = store(model)
    fewer, _ = expand(model, vectors, ["moth", "heron"], replace=True)
    assert list(fewer._assembly.vocabularies["words"]) == ["<pad>", "<unk>", "moth", "heron"]
    np.testing.assert_array_equal(fewer.encode(["moth"]), model.encode(["moth"]))
    np.testing.assert_array_equal(fewer.encode(["river"]), model.encode(["unheard-of"]))


def test_every_table_of_the_vocabulary_gets_a_map_of_its_own(corpus):
    config = tiny.one(corpus)
    config["embedders"]["both"] = {"type": "concat", "of": ["words", {"type": "word", "size": 3}]}
    config["encoders"]["shared"]["input"] = "both"
    model = Model(tiny.untrained(config))
    wider, report = expand(model, store(model)[0])
    assert [fit.embedder for fit in report.fits] == ["words", "both-word"]
    assert learnt(wider, "both-word").shape == (len(learnt(model)) + 2, 3)
    assert wider.encode(["heron"]).shape == (1, 6)


def test_words_are_added_as_the_vocabulary_lists_them(corpus):
    config = tiny.one(corpus)
    config["embedders"]["words"]["lower"] = True
    model = Model(tiny.untrained(config))
    wider, _ = expand(model, store(model, ("Lake", "LAKE"))[0])
    assert list(wider._assembly.vocabularies["words"])[-1] == "lake"
    np.testing.assert_array_equal(wider.encode(["Lake"]), wider.encode(["lAKE"]))


def test_a_ridge_shrinks_and_few_pairs_leave_the_smallest_map():
    source, target = random.normal(size=(3, 5)), random.normal(size=(3, 2))
    plain = LinearMap.least_squares(source, target)
    np.testing.assert_allclose(plain(source), target)
    assert np.abs(LinearMap.least_squares(source, target, 10.0).weight).sum() < np.abs(plain.weight).sum()
    turn = LinearMap.orthogonal(random.normal(size=(9, 5)), random.normal(size=(9, 2))).weight
    np.testing.assert_allclose(turn.T @ turn, np.eye(2) * (turn.T @ turn)[0, 0], atol=1e-12)


def test_what_cannot_be_done_is_told(model, corpus):
    vectors, _ = store(model)
    with pytest.raises(DataError, match="share 0 of the model's 16 words; take vectors of its language"):
        expand(model, Vectors.of(["zzz"], np.ones((1, 4), np.float32)))
    with pytest.raises(ConfigError, match="which words shall replace"):
        expand(model, vectors, replace=True)
    for words in ([], ["nowhere", ""]):
        with pytest.raises(ConfigError, match="knows any of the words, so none would be left"):
            expand(model, vectors, words, replace=True)
    with pytest.raises(ConfigError, match="takes a list of words, found one text"):
        expand(model, vectors, "heron")
    with pytest.raises(ConfigError, match=r'no way \(how\) "orthogonl"; did you mean "orthogonal"'):
        expand(model, vectors, how="orthogonl")
    with pytest.raises(ConfigError, match=r"a ridge is 0 or more, found -1.0"):
        expand(model, vectors, ridge=-1.0)
    with pytest.raises(ConfigError, match="a turn has no ridge"):
        expand(model, vectors, how="orthogonal", ridge=1.0)
    with pytest.raises(ModelError, match='no word embedder "wrds"; it has words'):
        expand(model, vectors, embedder="wrds")
    words = list(vectors.words)
    for broken in (words[0], "heron"):
        rows = np.ones((len(words), 4), np.float32)
        rows[words.index(broken)] = np.nan
        with pytest.raises(DataError, match=f'the vector of "{broken}"'):
            expand(model, Vectors.of(words, rows), ["heron"])
    config = tiny.one(corpus)
    config["embedders"]["words"] = {"type": "chars"}
    with pytest.raises(ModelError, match="has no word embedder of its own"):
        expand(Model(tiny.untrained(config)), vectors)


def test_figures_of_other_words_are_left_behind(model):
    model._assembly.figures = {"dev": {"pos": {"accuracy": 90.0}}}
    wider, _ = expand(model, store(model)[0], ["heron"])
    assert not wider.figures


def test_the_command_tells_the_fit(model, tmp_path, seqloom):
    model.save(tmp_path / "model")
    vectors, _ = store(model)
    rows = [
        f"{word} {' '.join(map(str, row))}"
        for word, row in zip(vectors.words, vectors.matrix.tolist(), strict=True)
    ]
    (tmp_path / "vectors.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "words.txt").write_text("heron\nnowhere\n")
    words = ("expand", tmp_path / "model", "--vectors", tmp_path / "vectors.txt", "-o", tmp_path / "wider")
    said = seqloom(*words, "--words", tmp_path / "words.txt")
    assert said.code == 0, said.error
    assert said.out.startswith(
        "words: 100.0 % of variance explained, cosine 1.000, nearest 100.0 % (1 held out of 14"
    )
    assert "1 words added, 1 have no vector and stay unknown" in said.error
    assert "heron" in (tmp_path / "wider" / "vocabulary" / "words.txt").read_text()
