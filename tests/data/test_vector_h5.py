"""GenSen's HDF5 files of word vectors."""

from pathlib import Path

import numpy as np
import pytest

from seqloom.data import vector_h5
from seqloom.data.vectors import Vectors, convert
from seqloom.errors import DataError

h5py = pytest.importorskip("h5py")
GOLDEN = Path(__file__).parents[1] / "golden" / "gensen" / "vectors.h5"


def written(path, **sets):
    with h5py.File(path, "w") as file:
        for name, value in sets.items():
            file[name] = value
    return path


def test_it_is_opened_and_converted_as_any_vectors(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_h5, "_BLOCK", 10)
    vectors = Vectors.open(GOLDEN)
    with h5py.File(GOLDEN) as file:
        matrix = file["embedding"][()]
    assert (len(vectors), vectors.size) == (48, 7)
    assert {"x\x85y", "p\u2028q", "n\xa0b"} <= set(vectors.words)
    np.testing.assert_array_equal(vectors.rows(vectors.words), matrix)
    assert convert(GOLDEN, tmp_path / "store").words == 48
    np.testing.assert_array_equal(Vectors.open(tmp_path / "store").rows(["über"]), vectors.rows(["über"]))


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ({"embedding": np.ones((3, 2)), "words_flatten": "a\nb"}, "lists 2 words, embedding has 3 rows"),
        ({"embedding": np.ones((3, 2))}, "should hold a matrix embedding and its words .* it holds embedding"),
        ({}, "it holds nothing"),
        ({"embedding/of": np.ones((1, 2)), "words_flatten": "a"}, "should hold a matrix embedding"),
        ({"embedding": np.array([[b"x"]]), "words_flatten": "a"}, "should hold a matrix embedding"),
        ({"embedding": np.ones((1, 2)), "words_flatten/of": "a"}, "should hold a matrix embedding"),
    ],
)
def test_what_does_not_fit_is_told(sets, told, tmp_path):
    with pytest.raises(DataError, match=told):
        Vectors.open(written(tmp_path / "one.h5", **sets))


def test_a_torn_file_is_told(tmp_path):
    (tmp_path / "one.h5").write_bytes(GOLDEN.read_bytes()[:600])
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        Vectors.open(tmp_path / "one.h5")
