"""Numbers of the original DME programs."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from seqloom.heads.retrieve import Retrieve
from seqloom.nn import pool
from seqloom.nn.ranking import hinge_ranking, ranks
from tests.golden.dme_models import FOLDER, embedder, encoder, perceptron

BATCH = load_file(FOLDER / "batch.safetensors")
INDEX = json.loads((FOLDER / "index.json").read_text())
CONFIGURATIONS = INDEX["configurations"]
RETRIEVAL = json.loads((FOLDER / "retrieval.json").read_text())
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


@torch.no_grad()
def test_captions_and_images_have_the_originals_vectors_and_loss():
    weights = load_file(FOLDER / "retrieval.safetensors")
    own = {name.replace("cap_encoder.", ""): value for name, value in weights.items()}
    images = functional.normalize(weights["image_features"], dim=1)
    images = functional.linear(
        images, own["weight.img_encoder.projector.weight"], own["weight.img_encoder.projector.bias"]
    )
    images = functional.normalize(images, dim=1)
    torch.testing.assert_close(images, weights["image_vectors"], atol=1e-5, rtol=0)
    for plain in (True, False):
        sentences = Sentences(own, CONFIGURATIONS["proj_sum-dep_softmax"], "relu", plain)
        captions = functional.normalize(sentences.encode(*side("premise")), dim=1)
        mark = "" if plain else "clean."
        torch.testing.assert_close(captions, weights[f"{mark}caption_vectors"], atol=1e-5, rtol=0)
        loss = hinge_ranking(captions @ images.t(), 0.2)
        torch.testing.assert_close(loss, weights[f"{mark}loss"], atol=1e-5, rtol=0)
    loss = hinge_ranking(images @ weights["caption_vectors"].t(), 0.2)
    torch.testing.assert_close(loss, weights["loss_swapped"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("margin", RETRIEVAL["loss_by_margin"])
def test_the_hardest_negatives_cost_what_they_do_in_the_original(margin):
    weights = load_file(FOLDER / "retrieval.safetensors")
    scores = weights["loss_batch.a"] @ weights["loss_batch.b"].t()
    found = float(hinge_ranking(scores, float(margin)))
    assert found == pytest.approx(RETRIEVAL["loss_by_margin"][margin], abs=1e-4)
    masked = RETRIEVAL["loss_by_margin_masked_same_image"]
    images = torch.tensor(masked["image_ids"])
    found = float(hinge_ranking(scores, float(margin), images.unsqueeze(0) == images.unsqueeze(1)))
    assert found == pytest.approx(masked["loss"][margin], abs=1e-4)


@pytest.mark.parametrize("folds", [1, 5])
def test_ranks_are_those_of_the_original(folds):
    weights = load_file(FOLDER / "retrieval.safetensors")
    scores = weights["rank.captions"] @ weights["rank.images"].t()
    own = weights["rank.caption_image"].unsqueeze(1) == torch.arange(scores.shape[1])
    if folds == 1:
        assert ranks(scores, own).tolist() == RETRIEVAL["rank_lists"]["caption_to_image"]
        assert ranks(scores.t(), own.t()).tolist() == RETRIEVAL["rank_lists"]["image_to_caption"]
    head = Retrieve(
        Retrieve.Config(target="vector", features=8, folds=folds, grouped=True), size=8, vocabularies={}
    )
    images = weights["rank.images"][weights["rank.caption_image"]]
    rows = [
        {"source": caption, "target": image}
        for caption, image in zip(weights["rank.captions"].tolist(), images.tolist(), strict=True)
    ]
    found = head.score(rows, weights["rank.caption_image"].tolist())
    mark = "1k_" if folds == 5 else ""
    names = {"r1": "r1", "r5": "r5", "r10": "r10", "mean": "mr", "median": "med_r"}
    for way, letter in (("forward", "i"), ("backward", "c")):
        for name, theirs in names.items():
            assert found[f"{way}_{name}"] == pytest.approx(
                RETRIEVAL["rank_stats"][f"{letter}_{mark}{theirs}"]
            ), name
        assert found[f"{way}_mrr"] == pytest.approx(100 * RETRIEVAL["rank_stats"][f"{letter}_{mark}mrr"])
