from pathlib import Path

import numpy as np
import pytest

from seqloom.api import Model
from seqloom.deploy import encode as module
from seqloom.deploy.encode import encode, encode_file, route
from seqloom.errors import DataError, ModelError
from seqloom.model.folder import Assembly, load
from tests import tiny

TEXTS = [["the", "moth", "sees"], ["river"], ["a", "grey", "unheard-of", "word", "finds", "lamp"]]


@pytest.fixture(scope="module")
def model(finished: Path) -> Assembly:
    return load(finished)


@pytest.fixture(scope="module")
def pair(corpus: Path) -> Assembly:
    """Two tasks, each with an encoder of its own."""
    config = tiny.two(corpus)
    config["encoders"]["other"] = {"type": "gru", "input": "words", "hidden": 3}
    config["tasks"]["kind"]["encoder"] = "other"
    return tiny.untrained(config)


def test_a_vector_is_pooled_from_the_states_of_its_tokens_alone(model: Assembly) -> None:
    states = encode(model, TEXTS, tokens=True)
    assert [one.shape for one in states] == [(3, 12), (1, 12), (6, 12)]
    for pool, expected in (
        ("mean", [one.mean(0) for one in states]),
        ("max", [one.max(0) for one in states]),
        ("last", [np.concatenate([one[-1, :6], one[0, 6:]]) for one in states]),
    ):
        vectors = encode(model, TEXTS, pool=pool)  # type: ignore[arg-type]
        assert isinstance(vectors, np.ndarray)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, np.stack(expected), atol=1e-6)


def test_texts_keep_their_order_and_do_not_touch_each_other(model: Assembly) -> None:
    together = encode(model, TEXTS * 5, batch=4)
    alone = np.concatenate([encode(model, [text]) for text in TEXTS] * 5)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.abs(alone[0] - alone[1]).max() > 0.01


def test_no_texts_give_no_vectors(model: Assembly) -> None:
    assert encode(model, []).shape == (0, 12)  # type: ignore[union-attr]
    assert encode(model, [], tokens=True) == []


def test_a_text_without_tokens_is_refused_by_its_number(model: Assembly) -> None:
    with pytest.raises(DataError, match="input:2: text: the text has no tokens"):
        encode(model, [["a"], []])


def test_a_very_long_text(model: Assembly) -> None:
    assert np.isfinite(encode(model, [["moth"] * 100_000])).all()


def test_an_encoder_is_named_by_itself_or_by_a_task(pair: Assembly) -> None:
    assert (route(pair, "shared"), route(pair, "other"), route(pair, "kind")) == ("pos", "kind", "kind")
    assert encode(pair, TEXTS, encoder="other").shape == (3, 3)  # type: ignore[union-attr]
    with pytest.raises(
        ModelError, match=r"has several encoders; name one with encoder \(--encoder\): other, shared"
    ):
        encode(pair, TEXTS)
    with pytest.raises(ModelError, match='has no encoder "othr"; its encoders: other, shared'):
        encode(pair, TEXTS, encoder="othr")


def test_a_file_is_encoded_line_by_line(
    model: Assembly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    lines = [" ".join(text) for text in TEXTS]
    (tmp_path / "in.txt").write_text("\n".join([lines[0], "", lines[1], "  ", "", lines[2]]))
    assert encode_file(model, tmp_path / "in.txt", tmp_path / "out.npy", pool="max") == (6, 12)
    found = np.load(tmp_path / "out.npy")
    np.testing.assert_allclose(found[[0, 2, 5]], encode(model, TEXTS, pool="max"), atol=1e-6)
    assert not found[[1, 3, 4]].any()


def test_a_line_is_one_text_also_for_a_task_that_reads_two(corpus: Path, tmp_path: Path) -> None:
    config = tiny.one(corpus)
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("premise\thypothesis\tlabel\nthe moth\tsees\tx\nriver\tthe lamp\ty\n")
    reader = {"type": "table", "train": str(pairs)}
    config["tasks"] = {"pair": {"reader": reader, "encoder": "shared", "head": {"type": "pair"}}}
    model = tiny.untrained(config)
    (tmp_path / "in.txt").write_text("the moth sees.\nriver\tlamp\n")
    assert encode_file(model, tmp_path / "in.txt", tmp_path / "out.npy") == (2, 6)
    expected = encode(model, [["the", "moth", "sees", "."], ["river", "lamp"]])
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)
    np.testing.assert_allclose(Model(model).encode(["the moth sees.", "river lamp"]), expected, atol=1e-6)


def test_an_empty_file_gives_an_empty_array(model: Assembly, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("")
    assert encode_file(model, tmp_path / "in.txt", tmp_path / "out.npy") == (0, 12)
    assert np.load(tmp_path / "out.npy").shape == (0, 12)


def test_a_file_that_breaks_leaves_the_old_array(model: Assembly, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"fine\n\xff\n")
    (tmp_path / "out.npy").write_text("old")
    with pytest.raises(DataError, match=r"in.txt:2: byte 0xff"):
        encode_file(model, tmp_path / "in.txt", tmp_path / "out.npy")
    assert (tmp_path / "out.npy").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
