"""Numbers of the original DME programs."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from seqloom.nn import pool
from tests.golden.dme_models import FOLDER, embedder, encoder, perceptron

BATCH = load_file(FOLDER / "batch.safetensors")
INDEX = json.loads((FOLDER / "index.json").read_text())
CONFIGURATIONS = INDEX["configurations"]
ACTIVATIONS = ("none", "relu")


def golden(name):
    return load_file(FOLDER / f"nli-{name}.safetensors")


class Sentences:
    """The original's sentence encoder over ids, with its two defects or without them."""

    def __init__(self, weights, settings, activation, plain):
        self.tables = [
            weights[f"weight.encoder.embedder.embedders.{name}.embedder.weight"]
            for name in settings["set_order"]
        ]
        self.mix = embedder(weights, settings, activation, over_padding=plain)
        self.recurrent, self.plain = encoder(weights), plain

    def vectors(self, ids, lengths):
        """The mixed vectors (batch, time, size) and their weights."""
        return self.mix([functional.embedding(ids, table) for table in self.tables], lengths)

    def encode(self, ids, lengths):
        """(batch, size) of each sentence."""
        states = self.recurrent(self.vectors(ids, lengths)[0], lengths).states
        return states.max(1).values if self.plain else pool(states, lengths, "max")


def side(name):
    return BATCH[name].t(), BATCH[f"{name}_lengths"]


def real(values, lengths):
    """Values (batch, time, ...) with zeros past a row's end."""
    past = torch.arange(values.shape[1]) >= lengths.unsqueeze(1)
    return values.masked_fill(past.unsqueeze(-1), 0)


@torch.no_grad()
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("plain", [False, True], ids=["clean", "plain"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_words_are_mixed_as_in_the_original(name, plain, activation):
    weights, mark = golden(name), activation if plain else f"{activation}.clean"
    ids, lengths = side("premise")
    mixed, attention = Sentences(weights, CONFIGURATIONS[name], activation, plain).vectors(ids, lengths)
    shown = (lambda values: values) if plain else (lambda values: real(values, lengths))
    expected = weights[f"{mark}.embedder_out"].transpose(0, 1)
    torch.testing.assert_close(shown(mixed), expected, atol=1e-5, rtol=0)
    assert (attention is None) == (f"{mark}.attention" not in weights)
    if attention is not None:
        expected = weights[f"{mark}.attention"].transpose(0, 1)
        torch.testing.assert_close(shown(attention), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("plain", [False, True], ids=["clean", "plain"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_entailment_is_scored_as_in_the_original(name, plain, activation):
    weights, mark = golden(name), activation if plain else f"{activation}.clean"
    sentences = Sentences(weights, CONFIGURATIONS[name], activation, plain)
    u, v = (sentences.encode(*side(one)) for one in ("premise", "hypothesis"))
    torch.testing.assert_close(u, weights[f"{mark}.u"], atol=1e-5, rtol=0)
    torch.testing.assert_close(v, weights[f"{mark}.v"], atol=1e-5, rtol=0)
    logits = perceptron(weights)(torch.cat([u, v, (u - v).abs(), u * v], 1))
    torch.testing.assert_close(logits, weights[f"{mark}.logits"], atol=1e-5, rtol=0)
    loss = functional.cross_entropy(logits, BATCH["labels"] - 1, reduction="sum")
    torch.testing.assert_close(loss, weights[f"{mark}.loss_sum"], atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("plain", [False, True], ids=["clean", "plain"])
def test_texts_are_classified_as_in_the_original(plain):
    weights = load_file(FOLDER / "textclass.safetensors")
    sentences = Sentences(weights, CONFIGURATIONS["proj_sum-no_dep_softmax"], "relu", plain)
    logits = perceptron(weights)(sentences.encode(*side("premise")))
    torch.testing.assert_close(logits, weights["logits" if plain else "clean.logits"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_as_many_parameters_are_trained_as_in_the_original(name):
    settings, weights = CONFIGURATIONS[name], golden(name)
    parts = embedder(weights, settings, "relu"), encoder(weights), perceptron(weights)
    assert sum(one.numel() for part in parts for one in part.parameters()) == settings["trainable_parameters"]
