"""The suite's classifiers: training many at once is training each alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.evaluation.transfer import MtebEncoder
from seqloom.evaluation.transfer.folds import spared, stratified, watched
from seqloom.evaluation.transfer.perceptrons import Perceptron, fit
from seqloom.evaluation.transfer.similarity import spread

PENALTIES = [1e-4, 0.3]
QUICK = Perceptron(batch=16, tenacity=2, epoch_size=1, epochs=12)


@pytest.fixture(scope="module")
def problem():
    random = np.random.RandomState(0)
    vectors = random.standard_normal((103, 6)).astype(np.float32)
    labels = (vectors[:, 0] + 0.7 * random.standard_normal(103) > 0).astype(np.int64) + (vectors[:, 1] > 1)
    return torch.from_numpy(vectors), torch.from_numpy(labels)


def fits(labels, folds=4):
    fold = stratified(labels.numpy(), folds)
    return [watched(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(folds)]


@pytest.mark.parametrize(
    "settings",
    [
        QUICK,
        replace(QUICK, optimizer="rmsprop"),
        replace(QUICK, optimizer="adadelta", loss="sum"),
        replace(QUICK, hidden=5, dropout=0.3, batch=13),
    ],
    ids=["adam", "rmsprop", "adadelta", "hidden"],
)
def test_classifiers_trained_together_are_those_trained_alone(problem, settings):
    vectors, labels = problem
    together = fit(vectors, labels, fits(labels), np.tile(PENALTIES, (4, 1)), settings)
    for place in range(4):
        for kind, penalty in enumerate(PENALTIES):
            alone = fit(vectors, labels, [fits(labels)[place]], np.array([[penalty]]), settings)
            assert alone.accuracy[0, 0] == together.accuracy[place, kind]
            for one, many in zip(alone.parameters[0], together.parameters[place], strict=True):
                torch.testing.assert_close(one[:, :, 0], many[:, :, kind], atol=1e-5, rtol=1e-4)


def test_a_classifier_is_the_best_it_was(problem):
    vectors, labels = problem
    (one,) = fits(labels)[:1]
    fitted = fit(vectors, labels, [one], np.array([PENALTIES]), replace(QUICK, optimizer="rmsprop"))
    dev = torch.from_numpy(one.dev)
    right = (fitted.predicted(0, vectors[dev]) == labels[dev]).double().mean(1)
    np.testing.assert_allclose(right.numpy(), fitted.accuracy[0])
    assert fitted.accuracy[0, 0] > 0.6


def test_a_linear_classifier_takes_the_steps_of_torch(problem):
    vectors, labels = problem
    rows = np.arange(90)
    (one,) = [watched(rows, np.arange(90, 103), seed=3)]
    settings = Perceptron(batch=32, tenacity=0, epoch_size=1, epochs=0, optimizer="rmsprop")
    found = fit(vectors, labels, [one], np.array([[0.1]]), settings, seed=3)
    torch.manual_seed(3)
    layer = torch.nn.Linear(6, 3)
    optimizer = torch.optim.RMSprop(layer.parameters(), weight_decay=0.1)
    order = torch.from_numpy(np.random.RandomState(3).permutation(90))
    for batch in (order[:32], order[32:64], order[64:]):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(vectors[batch]), labels[batch]).backward()
        optimizer.step()
    torch.testing.assert_close(found.parameters[0][0][0, :, 0, :-1], layer.weight.detach())
    torch.testing.assert_close(found.parameters[0][0][0, :, 0, -1], layer.bias.detach())


def test_rows_that_are_spared_are_not_learnt_from():
    one = spared(np.arange(100, 200))
    assert len(one.dev) == 5
    assert sorted([*one.train, *one.dev]) == list(range(100, 200))


def test_folds_of_too_few_rows_are_refused():
    with pytest.raises(
        ConfigError, match=r"4 examples cannot make 5 folds, .* \(--first\), or with fewer folds"
    ):
        stratified(np.array([0, 0, 1, 1]), 5)


def test_scores_are_spread_over_their_neighbours():
    np.testing.assert_allclose(spread(np.array([3.2, 5.0])), [[0, 0, 0.8, 0.2, 0], [0, 0, 0, 0, 1]], atol=1e-6)


def encode(texts):
    return np.array([[len(text), 1.0] for text in texts])


def test_mteb_hands_over_batches_or_texts_and_gets_vectors():
    model = MtebEncoder(encode, "me/mine")
    batches = [{"text": ["a", "bb"], "title": ["", ""]}, {"text": [" "]}]
    settings = {
        "task_metadata": None,
        "hf_split": "test",
        "hf_subset": "en",
        "prompt_type": None,
        "batch_size": 2,
    }
    np.testing.assert_array_equal(model.encode(batches, **settings), [[1, 1], [2, 1], [1, 1]])
    np.testing.assert_array_equal(model.encode(["a", "bb"], task_name="x"), [[1, 1], [2, 1]])


def test_mteb_s_similarities_are_cosines():
    model, first, second = MtebEncoder(encode), [[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [2.0, 0.0]]
    half = 0.5**0.5
    np.testing.assert_allclose(model.similarity(first, second), [[half, 1], [0, 0]])
    np.testing.assert_allclose(model.similarity_pairwise(first, second), [half, 0])


def test_mteb_reads_the_model_s_name(monkeypatch):
    stand_in = type("ModelMeta", (), {"create_empty": staticmethod(dict)})
    modules = {"mteb": object(), "mteb.models": object()}
    modules["mteb.models.model_meta"] = type("module", (), {"ModelMeta": stand_in})
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    assert MtebEncoder(encode, "me/mine", "f00d").mteb_model_meta == {"name": "me/mine", "revision": "f00d"}
    monkeypatch.setitem(__import__("sys").modules, "mteb.models.model_meta", None)
    with pytest.raises(ConfigError, match="pip install mteb"):
        _ = MtebEncoder(encode).mteb_model_meta
