from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seqloom.evaluation.evaluate import evaluate, outputs, predict
from seqloom.model.folder import Assembly, load
from seqloom.model.task import Batcher
from tests import tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(finished: Path) -> Assembly:
    return load(finished)


def test_predictions_come_in_the_order_of_the_file_whatever_the_batch(model: Assembly) -> None:
    rows = tiny.batcher(model, "pos", "test")
    predicted = predict(model.network, rows)
    assert predict(model.network, rows, rows=1) == predicted
    assert predict(model.network, rows, rows=3) == predicted
    gold = [rows.gold(row) for row in range(len(rows.columns))]
    assert [len(tags) for tags in predicted] == [len(tags) for tags in gold]
    assert len({len(tags) for tags in gold}) > 1
    pairs = [pair for one, other in zip(predicted, gold, strict=True) for pair in zip(one, other, strict=True)]
    right = sum(one == other for one, other in pairs)
    assert evaluate(model.network, rows)["accuracy"] == pytest.approx(100 * right / len(pairs))
    assert right > 0.8 * len(pairs), "the order is right only if most predictions are"


def test_a_split_cut_to_some_rows_is_evaluated_on_them(model: Assembly) -> None:
    whole = tiny.batcher(model, "kind", "test")
    chosen = np.array([1, 4, 5])
    part = Batcher(whole.task, whole.columns.select(chosen), model.vocabularies)
    assert predict(model.network, part) == [predict(model.network, whole)[row] for row in chosen]
    half = Batcher(whole.task, replace(whole.columns).select(chosen[:0]), model.vocabularies)
    assert predict(model.network, half) == []


def test_the_network_learns_nothing_and_gets_its_mode_back(model: Assembly) -> None:
    rows = tiny.batcher(model, "kind", "test")
    for learning in (True, False):
        model.network.train(learning)
        for _, _, output in outputs(model.network, rows, device=CPU):
            assert not model.network.training
            assert not output.scores.requires_grad
        assert model.network.training is learning


class Casts(TorchDispatchMode):
    """Counts how often each tensor is cast to bfloat16, by where it lies."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[int]()

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        named = named or {}
        if function is torch.ops.aten._to_copy.default and named.get("dtype") == torch.bfloat16:
            self.counts[given[0].data_ptr()] += 1
        return function(*given, **named)


def test_in_half_precision_weights_are_cast_once_for_all_batches_and_nothing_is_learnt(model: Assembly) -> None:
    rows = tiny.batcher(model, "kind", "test")
    weights = [one.data_ptr() for one in model.network.head("kind").parameters() if one.dim() > 1]
    with torch.autocast("cpu", torch.bfloat16), Casts() as casts:
        found = list(outputs(model.network, rows, rows=2))
    assert [len(places) for places, _, _ in found] == [2, 2, 2, 1]
    assert not any(output.scores.requires_grad for _, _, output in found)
    assert [casts.counts[one] for one in weights] == [1] * len(weights)


def test_an_error_gives_the_mode_back_too(model: Assembly) -> None:
    model.network.train()
    running = outputs(model.network, tiny.batcher(model, "kind", "test"), device=CPU, rows=1)
    next(running)
    running.close()
    assert model.network.training
    model.network.eval()
