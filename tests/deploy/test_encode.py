import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloom.deploy import encode as module
from seqloom.deploy.encode import TextEncoder, encode, route
from seqloom.errors import DataError, ModelError
from seqloom.model.folder import Assembly, assemble, load
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


def test_in_half_precision_vectors_are_near_and_still_float32(model: Assembly) -> None:
    exact = encode(model, TEXTS), *encode(model, TEXTS, tokens=True)
    with torch.autocast("cpu", torch.bfloat16):
        near = encode(model, TEXTS), *encode(model, TEXTS, tokens=True)
    for one, other in zip(near, exact, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=0.03)
    assert not np.array_equal(near[0], exact[0])


def test_no_texts_give_no_vectors(model: Assembly) -> None:
    assert encode(model, []).shape == (0, 12)  # type: ignore[union-attr]
    assert encode(model, [], tokens=True) == []


def test_a_text_without_tokens_is_refused_by_its_number(model: Assembly) -> None:
    with pytest.raises(DataError, match="input:2: the text has no tokens; leave it out"):
        encode(model, [["a"], []])


def test_very_long_texts_go_a_few_at_a_time(model: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.isfinite(encode(model, [["moth"] * 100_000])).all()
    expected = encode(model, TEXTS)
    monkeypatch.setattr(module, "TOKENS", 4)
    lengths = np.array([[9], [2], [2], [1]])
    assert [len(rows) for rows in module._batches(lengths, 4, full=True)] == [1, 1, 1, 1]
    np.testing.assert_allclose(encode(model, TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("section", "part", "key", "value"),
    [("embedders", "words", "lower", True), ("encoders", "shared", "residual", True)],
)
def test_a_digest_changes_with_what_vectors_depend_on(pair, section, part, key, value) -> None:
    settings = copy.deepcopy(pair.settings)
    before = TextEncoder(assemble(settings, pair.vocabularies, pair.network.state_dict()), "shared").digest()
    assert before == TextEncoder(pair, "shared").digest()
    assert settings[section][part][key] != value
    settings[section][part][key] = value
    after = TextEncoder(assemble(settings, pair.vocabularies, pair.network.state_dict()), "shared").digest()
    assert before != after


def test_an_encoder_is_named_by_itself_or_by_a_task(pair: Assembly) -> None:
    assert (route(pair, "shared"), route(pair, "other"), route(pair, "kind")) == ("pos", "kind", "kind")
    assert encode(pair, TEXTS, encoder="other").shape == (3, 3)  # type: ignore[union-attr]
    with pytest.raises(
        ModelError, match=r"has several encoders; name one with encoder \(--encoder\): other, shared"
    ):
        encode(pair, TEXTS)
    with pytest.raises(ModelError, match='has no encoder "othr"; its encoders: other, shared'):
        encode(pair, TEXTS, encoder="othr")
