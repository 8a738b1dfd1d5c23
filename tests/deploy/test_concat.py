"""Encoders side by side: in memory, in a folder, from the command line."""

import numpy as np
import pytest

import seqloom as library
from seqloom.api import Model
from seqloom.deploy import bulk
from seqloom.errors import DataError, ModelError
from tests import tiny

TEXTS = ["the moth sees", "river"]


@pytest.fixture
def models(corpus):
    """A model with two encoders, and one with one."""
    config = tiny.two(corpus)
    config["encoders"]["other"] = {"type": "gru", "input": "words", "hidden": 3}
    config["tasks"]["kind"]["encoder"] = "other"
    return Model(tiny.untrained(config)), Model(tiny.untrained(tiny.one(corpus), seed=2))


def side_by_side(models, **how):
    first, second = models
    found = [first.encode(TEXTS, encoder="other", **how), second.encode(TEXTS, **how)]
    return [np.concatenate(one, -1) for one in zip(*found, strict=True)]


@pytest.mark.parametrize("how", [{}, {"pool": "last"}, {"pool": "max"}, {"tokens": True}], ids=str)
def test_vectors_stand_side_by_side_also_out_of_a_folder(models, tmp_path, how):
    both = library.concat((models[0], "other"), models[1])
    assert both.encoders == ("other", "shared")
    both.save(tmp_path / "both")
    for one in (both, library.load(tmp_path / "both"), library.concat(library.load(tmp_path / "both"))):
        for found, expected in zip(one.encode(TEXTS, **how), side_by_side(models, **how), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_folder_stands_alone_and_is_encoded_with(models, tmp_path, seqloom):
    models[0].save(tmp_path / "whole")
    models[1].save(tmp_path / "two")
    said = seqloom("extract", tmp_path / "whole", "--encoder", "other", "-o", tmp_path / "one")
    assert said.code == 0, said.error
    said = seqloom("concat", tmp_path / "one", tmp_path / "two", "-o", tmp_path / "both")
    assert said.code == 0, said.error
    (tmp_path / "one").rename(tmp_path / "gone")
    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    words = ("encode", tmp_path / "both", tmp_path / "in.txt", "-o", tmp_path / "out.npy")
    said = seqloom(*words, "--workers", 2)
    assert said.code == 0, said.error
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), side_by_side(models), atol=1e-6)
    assert not [path for path in (tmp_path / "both").rglob("*") if path.suffix in (".pkl", ".pt")]


def test_what_it_cannot_do_is_told(models, tmp_path):
    with pytest.raises(ModelError, match="has several encoders"):
        library.concat(*models)
    with pytest.raises(ModelError, match="at least one"):
        library.concat()
    both = library.concat((models[0], "other"), models[1])
    for asked in (
        lambda: both.predict(None, TEXTS),
        lambda: both.predict(None, []),
        lambda: both.explain(None, []),
        lambda: both.adjust(None, ["beam=3"]),
        lambda: both.near("moth"),
        lambda: library.expand(both, library.Vectors.of(["moth"], np.ones((1, 2), np.float32))),
        lambda: both.encode(TEXTS, encoder="other"),
    ):
        with pytest.raises(ModelError, match="holds encoders side by side"):
            asked()
    both.save(tmp_path / "both")
    (tmp_path / "both" / "config.yaml").write_text("version: 1\nconcat: here\n")
    with pytest.raises(ModelError, match="concat should list the folders of its encoders"):
        library.load(tmp_path / "both")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_line_that_is_cut_into_different_numbers_of_tokens_is_told(corpus, tmp_path, monkeypatch, workers):
    config = tiny.two(corpus)
    whole = Model(tiny.untrained(config))
    config["tasks"]["kind"]["reader"]["tokenizer"] = "characters"
    both = library.concat((whole, "kind"), (Model(tiny.untrained(config)), "kind"))
    with pytest.raises(DataError, match=r"input:2: the encoders cut the text .* \(1, 5\); encode whole texts"):
        both.encode(["a", "river"], tokens=True)
    monkeypatch.setattr(bulk, "CHUNK", 3)
    (tmp_path / "in.txt").write_text("a\n\na\n\nriver\n")
    with pytest.raises(DataError, match=r"in.txt:5: the encoders cut the text"):
        both.encode_file(tmp_path / "in.txt", tmp_path / "out.npy", tokens=True, workers=workers)


@pytest.mark.parametrize(
    ("command", "words"),
    [("extract", ["-o", "x"]), ("expand", ["--vectors", "v.txt", "-o", "x"]), ("predict", ["in.txt"])],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_folder_that_only_encodes_says_so(models, tmp_path, seqloom, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.txt").write_text("moth 1 2\n")
    library.concat(models[1]).save("both")
    said = seqloom(command, "both", *words)
    assert said.code == 1
    assert "both: holds encoders side by side, which only encode" in said.error
    assert "take one of its models (encoder1)" in said.error


def test_the_command_says_how_one_of_several_encoders_is_taken(models, tmp_path, seqloom):
    models[0].save(tmp_path / "whole")
    said = seqloom("concat", tmp_path / "whole", "-o", tmp_path / "both")
    assert said.code == 1
    remedy = f"take one out with `seqloom extract {tmp_path / 'whole'} --encoder shared -o ONE`"
    assert f"has several encoders (shared, other); {remedy}" in said.error
