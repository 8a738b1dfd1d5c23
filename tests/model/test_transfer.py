"""Parts out of other models: what they compute, what of them learns, and that their folders stand alone."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqloom.api import load as load_model
from seqloom.data.batch import Text
from seqloom.errors import ConfigError
from seqloom.model.folder import Assembly, load, save
from tests import tiny
from tests.letters import TAGGER, assembled, letters

ROWS = np.arange(3)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained for a moment on two tasks."""
    corpus = tiny.write_corpus(tmp_path_factory.mktemp("corpus"))
    config = tiny.two(corpus, steps=2, evaluate_every=2)
    config["encoders"]["shared"]["layers"] = 2
    tiny.trained(config, corpus / "run")
    return corpus / "run"


def over(corpus: Path, path: Path, encoder: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """A tagger over a context embedder of the model at a path, or over an encoder out of it."""
    config = tiny.one(corpus)
    if encoder is None:
        config["embedders"] = {"cove": {"type": "context", "of": str(path), **keys}}
        config["encoders"]["shared"]["input"] = "cove"
    else:
        config["encoders"]["shared"] = {"type": "saved", "input": "words", "path": str(path), **encoder}
    return config


def read(model: Assembly, words: list[str], task: str) -> Text:
    mine = model.tasks[task]
    columns, field = mine.from_examples([{"text": words}]), mine.fields["text"]
    return field.collate(columns["text"], field.tables(columns["text"], model.vocabularies), columns.numbers)


def vectors(model: Assembly, words: list[str], task: str = "pos") -> torch.Tensor:
    """What the task's embedder makes of a text."""
    return model.network.eval().embedders[model.plan.routes[task][0]](read(model, words, task))


def layers(model: Assembly, words: list[str], task: str = "pos") -> list[torch.Tensor]:
    """The vectors of a text, then what each layer of the task's encoder makes of it."""
    found = vectors(model, words, task)
    encoder = model.network.encoders[model.plan.routes[task][1]]
    return [found, *encoder(found, torch.tensor([len(words)])).layers]


@torch.no_grad()
@pytest.mark.parametrize("before", [False, True])
def test_a_context_embedder_gives_what_the_encoder_there_gives(corpus, origin, before):
    words = ["each", "moth", "never-seen"]
    come, bottom, top = layers(load(origin), words)
    expected = {"top": [top], "mix": [(bottom + top) / 2], "[0, 1]": [bottom, top], "[1, 0]": [top, bottom]}
    for chosen, columns in expected.items():
        listed = [int(one) for one in chosen if one.isdigit()] or chosen
        model = tiny.untrained(over(corpus, origin, layers=listed, input=before))
        found = vectors(model, words)
        assert found.shape[-1] == model.network.embedders["cove"].size
        torch.testing.assert_close(found, torch.cat([come] * before + columns, -1))


@torch.no_grad()
def test_a_saved_encoder_gives_what_it_gave_there(corpus, origin):
    model, there = tiny.untrained(over(corpus, origin, {})), load(origin)
    x, lengths = torch.randn(2, 3, 6), torch.tensor([3, 2])
    ours, theirs = model.network.train().encoders["shared"](x, lengths), there.network.eval().encoders["shared"]
    torch.testing.assert_close(ours.states, theirs(x, lengths).states)


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_frozen_stays_in_evaluation_and_out_of_every_graph(corpus, origin, frozen):
    model = tiny.untrained(over(corpus, origin, trainable=not frozen))
    cove = model.network.train().embedders["cove"]
    inside = list(cove.inside.parameters())
    assert {one.requires_grad for one in inside} == {not frozen}
    assert {one.training for one in cove.inside.modules()} == {not frozen}
    assert cove(read(model, ["moth", "sees"], "pos")).requires_grad == (not frozen)
    learnt = {name for name, one in model.network.named_parameters() if one.requires_grad}
    assert any(name.startswith("embedders.cove.") for name in learnt) == (not frozen)


def test_gradients_go_through_a_frozen_encoder_to_what_it_reads(corpus, origin):
    model = tiny.untrained(over(corpus, origin, {"part": "encoders.shared"}))
    model.network.train()(tiny.batcher(model, "pos").batch(ROWS)).loss.backward()
    assert model.network.embedders["words"].table.weight.grad.any()
    assert all(one.grad is None for one in model.network.encoders["shared"].parameters())
    tuned = tiny.untrained(over(corpus, origin, {"frozen": False}))
    tuned.network.train()(tiny.batcher(tuned, "pos").batch(ROWS)).loss.backward()
    assert all(one.grad is not None for one in tuned.network.encoders["shared"].parameters())


@pytest.mark.parametrize("encoder", [None, {}], ids=["context", "saved"])
def test_training_leaves_a_frozen_part_as_it_was_and_its_folder_stands_alone(corpus, origin, tmp_path, encoder):
    moved = shutil.copytree(origin, tmp_path / "moved")
    tiny.trained(over(corpus, moved, encoder), tmp_path / "run")
    shutil.rmtree(moved)
    model = load(tmp_path / "run")
    inside = (model.network.embedders["cove"] if encoder is None else model.network.encoders["shared"]).inside
    found = (inside.encoder if encoder is None else inside).state_dict()
    expected = load(origin).network.encoders["shared"].state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert str(moved) in (tmp_path / "run/best/README.md").read_text()
    assert load_model(tmp_path / "run").predict("pos", ["each moth sees"])


def test_a_run_goes_on_where_its_origin_is_gone(corpus, origin, tmp_path):
    moved = shutil.copytree(origin, tmp_path / "moved")
    config = over(corpus, moved, layers="mix", trainable=True)
    config["training"]["save_every"] = 3
    tiny.trained(config, tmp_path / "whole")
    with pytest.raises(tiny.Killed):
        tiny.trained(config, tmp_path / "cut", writers=[tiny.KillAt(2)])
    shutil.rmtree(moved)
    tiny.trained(config, tmp_path / "cut", resume=True)
    assert tiny.weights(tmp_path / "cut") == tiny.weights(tmp_path / "whole")
    config["embedders"]["cove"]["layers"] = "top"
    with pytest.raises(ConfigError, match=r"embedders\.cove\.layers changed"):
        tiny.trained(config, tmp_path / "cut", resume=True)


@torch.no_grad()
def test_models_over_models_keep_their_vocabularies_apart(tmp_path):
    """The third reads characters by a vocabulary of its own, and by that of the first through the second."""
    inner = {"type": "context", "of": str(letters(6)), "layers": [0, 1], "input": True}
    encoder = {"shared": {"type": "lstm", "input": "cove", "hidden": 4}}
    second = assembled({"cove": inner}, encoder, {"one": TAGGER})
    save(tmp_path, second)
    both = {"type": "concat", "of": [{"type": "chars"}, "cove"]}
    outer = {"cove": {"type": "context", "of": str(tmp_path)}, "both": both}
    third = assembled(outer, {"shared": encoder["shared"] | {"input": "both"}}, {"one": TAGGER})
    assert {"chars", "cove+cove+chars"} == {name for name in third.vocabularies if "." not in name}
    words = ["ab-1", "C"]
    torch.testing.assert_close(
        vectors(second, words, "one"), torch.cat(layers(load(letters(6)), words, "one"), -1)
    )
    expected = layers(second, words, "one")[-1]
    torch.testing.assert_close(vectors(third, words, "one")[..., -4:], expected)
    (tmp_path / "third").mkdir()
    save(tmp_path / "third", third)
    shutil.rmtree(tmp_path / "vocabulary")
    torch.testing.assert_close(vectors(load(tmp_path / "third"), words, "one")[..., -4:], expected)
