"""Context vectors kept on disk: the same as those computed, and computed once."""

import json

import numpy as np
import pytest
import torch

from seqloom.config import source_of
from seqloom.data.kept import KeptVectors
from seqloom.embedders.context import Inner
from seqloom.errors import ConfigError
from seqloom.experiment import check
from seqloom.model.folder import load
from tests import tiny
from tests.letters import letters
from tests.model.test_transfer import over, read


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path / "cache"))


def texts(model, *rows):
    task = model.tasks["pos"]
    columns, field = task.from_examples([{"text": row} for row in rows]), task.fields["text"]
    return field.collate(columns["text"], field.tables(columns["text"], model.vocabularies), columns.numbers)


@torch.no_grad()
@pytest.mark.parametrize("keys", [{}, {"input": True}, {"input": True, "layers": "mix"}])
def test_what_is_kept_is_what_is_computed_and_it_is_computed_once(tmp_path, monkeypatch, keys):
    model = tiny.untrained(over(tiny.write_corpus(tmp_path), letters(6), cache=True, **keys))
    cove = model.network.embedders["cove"]
    text = texts(model, ["each", "moth", "never-seen"], ["moth"])
    computed, first = cove.eval()(text), cove.train()(text)
    torch.testing.assert_close(first, computed)
    monkeypatch.setattr(Inner, "forward", lambda self, text: pytest.fail("computed again"))
    assert torch.equal(cove.train()(text), first)
    cove._kept = None
    assert torch.equal(cove(texts(model, ["moth"])), first[1:, :1])


@torch.no_grad()
def test_prediction_keeps_nothing(tmp_path):
    model = tiny.untrained(over(tiny.write_corpus(tmp_path), letters(6), cache=True))
    model.network.eval().embedders["cove"](read(model, ["each"], "pos"))
    assert not list((tmp_path / "cache").glob("context/*"))


def test_training_comes_to_the_same_whether_vectors_are_kept_or_not(tmp_path):
    corpus, losses, weights = tiny.write_corpus(tmp_path), {}, {}
    for name, cache in (("without", False), ("filled", True), ("read", True)):
        config = over(corpus, letters(6), cache=cache)
        config["training"] |= {"steps": 6, "evaluate_every": 6}
        tiny.trained(config, tmp_path / name)
        weights[name] = load(tmp_path / name).network.state_dict()
        losses[name] = [json.dumps(event["figures"]) for event in tiny.told(tmp_path / name, "evaluate")]
    assert losses["without"] == losses["filled"] == losses["read"]
    for key, one in weights["filled"].items():
        assert torch.equal(one, weights["read"][key]), key
        torch.testing.assert_close(one, weights["without"][key])


def test_vectors_that_learn_are_not_kept(tmp_path):
    config = over(tiny.write_corpus(tmp_path), letters(6), cache=True, trainable=True)
    with pytest.raises(ConfigError, match="cache keeps vectors that never change"):
        check(source_of(config, {}))


def test_several_add_at_once_and_what_a_kill_left_is_passed_over(tmp_path):
    one, other = KeptVectors(tmp_path, 3), KeptVectors(tmp_path, 3)
    for store, number in ((one, 1), (other, 2), (one, 3)):
        store.add(bytes([number]) * 16, np.full((number, 3), number, np.float32))
    for rows in tmp_path.glob("*.rows"):
        rows.write_bytes(rows.read_bytes() + b"torn")
    last = max(tmp_path.glob("*.float32"), key=lambda path: path.stat().st_size)
    last.write_bytes(last.read_bytes()[:-1])
    found = KeptVectors(tmp_path, 3)
    assert len(found) == 2
    assert found.get(bytes([2]) * 16, 2).tolist() == [[2.0] * 3] * 2
    assert found.get(bytes([3]) * 16, 3) is None
