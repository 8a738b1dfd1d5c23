"""Word vectors matched to a vocabulary, kept in stores that tell when they are damaged, and asked for neighbours."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from seqloom.data import vector_files
from seqloom.data.vectors import Vectors, Way, convert
from seqloom.errors import ConfigError, DataError

SMALL = "the 0.1 -0.25\n. . . 1 2\nThe 3 4\nwant 5e-1 .5\n"


@pytest.fixture
def write(tmp_path):
    def writing(content: str) -> Path:
        path = tmp_path / "vectors.txt"
        path.write_text(content)
        return path

    return writing


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("vectors")


def test_looser_forms_serve_words_that_have_no_vector_of_their_own(write):
    path = write("DOG 1 1\nDog 2 2\ndog 3 3\nB52 4 4\nb17 5 5\n5 x 6 6\n12 7 7\n\u0393\u03a3 8 8\n")
    asked = ["dog", "DoG", "B52", "b99", "9 x", "99", "cat", "\u03b3\u03c2", "B17"]
    match = Vectors.open(path).match(asked)
    assert match.vectors[:, 0].tolist() == [3, 1, 4, 4, 6, 7, 0, 8, 5]
    ways = [
        Way.EXACT,
        Way.LOWER,
        Way.EXACT,
        Way.DIGITS,
        Way.DIGITS,
        Way.DIGITS,
        Way.MISSING,
        Way.LOWER,
        Way.LOWER,
    ]
    assert match.ways.tolist() == ways
    assert match.ranks.tolist() == [2, 0, 3, 3, 5, 6, -1, 7, 4]
    assert match.coverage.missing == ("cat",)
    assert (
        "88.9% of 9 words have a vector: 2 as they are, 3 in lower case, 3 with digits as 0; 1 missing"
        in str(match.coverage)
    )
    assert Vectors.open(path).match(asked, loosest="lower").ways.max() == Way.LOWER
    assert Vectors.open(path).match(asked, loosest="exact").coverage.exact == 2


fields = st.text(st.sampled_from("aAbB09Σσ."), max_size=3)
cased = st.builds(
    lambda field, letter: f"{field}{letter}".strip(), fields | fields.map("{} ".format), st.sampled_from("aBσΣ")
)


@settings(deadline=None, max_examples=60)
@given(
    names=st.lists(cased, min_size=1, max_size=12), asked=st.lists(cased, max_size=8), chunk=st.integers(1, 60)
)
def test_a_match_follows_the_rule_and_is_the_same_from_a_file_and_from_memory(names, asked, chunk, folder):
    path = folder / "cased.txt"
    path.write_text("".join(f"{name} {rank}.0 1\n" for rank, name in enumerate(names)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_files, "CHUNK", chunk)
        opened = Vectors.open(path, header="none")
        match = opened.match(asked)
    assert match.vectors[:, 0].tolist() == [_by_the_rule(word, names) for word in asked]
    again = Vectors.of(opened.words, opened.matrix).match(asked)
    assert (again.vectors == match.vectors).all()
    assert (again.ways == match.ways).all()


def _by_the_rule(word: str, names: list[str]) -> int:
    forms = (str, str.lower, lambda name: re.sub(r"\d", "0", name.lower()))
    return next((rank for form in forms for rank, name in enumerate(names) if form(name) == form(word)), 0)


def test_a_store_is_safetensors_with_a_word_a_line_and_drops_repeated_words(write, tmp_path):
    done = convert(write(SMALL + "the 9 9\n"), tmp_path / "store")
    assert (done.words, done.size, done.repeated, done.dtype) == (4, 2, 1, "float32")
    tensors = load_file(tmp_path / "store/vectors.safetensors")
    expected = np.array([[0.1, -0.25], [1, 2], [3, 4], [0.5, 0.5]], np.float32)
    assert (tensors["vectors"] == expected).all()
    assert (tmp_path / "store/words.txt").read_text() == "the\n. . .\nThe\nwant\n"
    store = Vectors.open(tmp_path / "store")
    assert (store.matrix == expected).all()
    assert not store.matrix.flags.writeable
    assert len(store) == 4
    assert ". . ." in store
    assert "nope" not in store
    assert (store.rows(["want", "the"]) == expected[[3, 0]]).all()
    with pytest.raises(DataError, match='"nope" has no vector \\(1 of 2 words have none\\)'):
        store.rows(["the", "nope"])


def test_the_needed_part_of_a_file_serves_as_well_as_the_whole(write, tmp_path):
    path = write("the 1 1\nTHE 2 2\nDog 3 3\nno 4 4\ndOG 5 5\nx1 6 6\nX2 7 7\n. . . 8 8\n. no 9 9\n")
    asked = ["The", "dog", "X9", ". . ."]
    assert convert(path, tmp_path / "store", only=asked).words == 4
    store = Vectors.open(tmp_path / "store")
    assert list(store.words) == ["the", "Dog", "x1", ". . ."]
    assert (store.match(asked).vectors == Vectors.open(path).match(asked).vectors).all()


def test_half_precision_halves_the_store_and_refuses_what_it_cannot_hold(write, tmp_path):
    whole = convert(write(SMALL), tmp_path / "whole")
    half = convert(tmp_path / "whole", tmp_path / "half", dtype="float16", limit=3)
    assert half.bytes < whole.bytes
    store = Vectors.open(tmp_path / "half")
    assert store.rows(["the"]).dtype == np.float32
    assert store.rows(["the"]).tolist() == [[np.float16(0.1), -0.25]]
    assert list(store.words) == ["the", ". . .", "The"]
    with pytest.raises(DataError, match="too large for float16"):
        convert(write("a 70000 1\n"), tmp_path / "half", dtype="float16")
    assert list(Vectors.open(tmp_path / "half").words) == ["the", ". . .", "The"]


@pytest.mark.parametrize("name", ["vectors.safetensors", "words.txt"])
def test_a_store_that_is_cut_or_lacks_a_file_says_so(name, write, tmp_path):
    convert(write(SMALL), tmp_path / "store")
    content = (tmp_path / "store" / name).read_bytes()
    (tmp_path / "store" / name).write_bytes(content[:-3])
    told = f"{name}: the store is damaged: {len(content)} bytes were written, {len(content) - 3} are there"
    with pytest.raises(DataError, match=told):
        Vectors.open(tmp_path / "store")
    (tmp_path / "store" / name).unlink()
    with pytest.raises(DataError, match="0 are there; convert the vectors again"):
        Vectors.open(tmp_path / "store")


def test_a_store_whose_matrix_or_words_are_anothers_says_so(write, tmp_path):
    convert(write(SMALL), tmp_path / "store")
    matrix = tmp_path / "store/vectors.safetensors"
    content = matrix.read_bytes()
    matrix.write_bytes(content.replace(b'"shape": [4, 2]', b'"shape": [2, 4]'))
    with pytest.raises(DataError, match="4 x 2 numbers were written"):
        Vectors.open(tmp_path / "store")
    matrix.write_bytes(bytes(len(content)))
    with pytest.raises(DataError, match="head is not that of a matrix"):
        Vectors.open(tmp_path / "store")
    matrix.write_bytes(content)
    text = tmp_path / "store/words.txt"
    text.write_text(text.read_text().replace("The\n", "The "))
    with pytest.raises(DataError, match="4 words were written, 3 are there"):
        _ = Vectors.open(tmp_path / "store").words
    (tmp_path / "store/info.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(DataError, match="not a store of word vectors"):
        Vectors.open(tmp_path / "store")


def test_a_conversion_replaces_a_store_but_nothing_else(write, tmp_path):
    convert(write(SMALL), tmp_path / "store")
    convert(write("new 1 2\n"), tmp_path / "store")
    assert list(Vectors.open(tmp_path / "store").words) == ["new"]
    with pytest.raises(DataError, match="is not overwritten"):
        convert(write(SMALL), tmp_path)
    with pytest.raises(DataError, match="no word vectors to write"):
        convert(write(SMALL), tmp_path / "store", only=["nope"])
    assert list(Vectors.open(tmp_path / "store").words) == ["new"]


def test_unknown_words_get_what_the_policy_says(write):
    match = Vectors.open(write("a 4 0\nb 0 2\n")).match(["x", "b", "a", "y"])
    assert match.filled("zero").tolist() == [[0, 0], [0, 2], [4, 0], [0, 0]]
    assert match.filled("rare")[[0, 3]].tolist() == [[2, 1], [2, 1]]
    assert (match.filled("normal", seed=1) == match.filled("normal", seed=1)).all()
    assert (match.filled("normal", seed=1)[0] != match.filled("normal", seed=2)[0]).all()
    assert (match.filled("normal")[[1, 2]] == match.vectors[[1, 2]]).all()
    assert (abs(match.filled("uniform")[0]) < 1.5**0.5).all()
    with pytest.raises(ConfigError, match='"mean" is none of zero, normal, uniform, rare'):
        match.filled("mean")
    with pytest.raises(DataError, match="none of the 1 words has a vector"):
        Vectors.open(write("a 4 0\n")).match(["x"]).filled("rare")


def test_normal_vectors_have_the_spread_of_those_found():
    values = np.random.default_rng(0).normal(0, 3, (50, 40)).astype(np.float32)
    match = Vectors.of([f"w{number}" for number in range(50)], values).match(["w1", *map(str, range(99))])
    assert match.filled("normal")[1:].std() == pytest.approx(match.vectors[0].std(), rel=0.05)


def test_near_words_are_those_of_the_highest_cosine(write, tmp_path):
    path = write("a 1 0\nb 2 1\nzero 0 0\nc -1 0\nd 5 0\n")
    convert(path, tmp_path / "store", dtype="float16")
    for opened in (Vectors.open(path), Vectors.open(tmp_path / "store")):
        assert opened.near("a", 2) == [("d", pytest.approx(1)), ("b", pytest.approx(0.8**0.5))]
        assert [word for word, _ in opened.near(np.array([-3.0, 0.0]), 9)] == ["c", "zero", "b", "a", "d"]
