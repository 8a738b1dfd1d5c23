"""Predictions and figures of a network on some columns."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from seqloom.data.batch import Batch, Output
from seqloom.data.schedule import in_order
from seqloom.evaluation.running import measure
from seqloom.model.network import Network
from seqloom.model.streaming import Streamer
from seqloom.model.task import Batcher, Task
from seqloom.nn.precision import forget_casts, unlearning
from seqloom.progress import track

ROWS = 64
"""Rows a batch when nothing is learnt."""


def outputs(
    network: Network,
    batcher: Batcher,
    *,
    device: torch.device | None = None,
    rows: int = ROWS,
    what: str = "",
) -> Iterator[tuple[np.ndarray, Batch, Output]]:
    """Run every row of the batcher's split once, longest first; yields the rows' places, their batch and output.

    Args:
        network: put into evaluation mode, and back after.
        batcher: whose rows.
        device: where to run; the CPU if None.
        rows: rows a batch.
        what: the words of a progress bar, if one is wanted.
    """
    numbers, device = batcher.columns.numbers, device or torch.device("cpu")
    half = torch.is_autocast_enabled(device.type)
    groups = in_order(batcher.lengths(), rows, full=half)
    learning = network.training
    network.eval()
    forget_casts()
    try:
        with unlearning():
            for places in track(groups, what) if what else groups:
                batch = batcher.batch(numbers[places]).to(device)
                yield places, batch, network(batch)
    finally:
        network.train(learning)


def predict(
    network: Network, batcher: Batcher, *, device: torch.device | None = None, rows: int = ROWS, what: str = ""
) -> list[Any]:
    """One prediction for each row of the batcher's split, in its order."""
    found: list[Any] = [None] * len(batcher.columns)
    head = network.head(batcher.task.name)
    for places, batch, output in outputs(network, batcher, device=device, rows=rows, what=what):
        _put(found, places, head.decode(output, batch))
    return found


def explain(network: Network, batcher: Batcher) -> list[dict[str, Any]]:
    """What lies behind the prediction of each row of the batcher's split, in its order.

    That is what the head says of it and, where sets of vectors are mixed, `weights`: by text and set, of each token.
    """
    found: list[Any] = [None] * len(batcher.columns)
    head = network.head(batcher.task.name)
    for places, batch, output in outputs(network, batcher):
        weights = [{"weights": _own(batcher.task, one)} if one else {} for one in network.weights(batch)]
        told = zip(head.explain(output, batch), weights, strict=True)
        _put(found, places, [{**one, **weighed} for one, weighed in told])
    return found


def _own(task: Task, weights: Mapping[str, Mapping[str, list[float]]]) -> dict[str, dict[str, list[float]]]:
    """Weights by column and set, of a text's own tokens: not of the end symbol that running text is read from."""
    found = {}
    for column, sets in weights.items():
        own = slice(None)
        if task.fields[column].runs:
            own = slice(None, -1) if task.turned else slice(1, None)
        found[column] = {name: one[own] for name, one in sets.items()}
    return found


def evaluate(
    network: Network, batcher: Batcher, *, device: torch.device | None = None, rows: int = ROWS, what: str = ""
) -> dict[str, float]:
    """The figures of the task on the batcher's split; rates in percent."""
    return evaluate_groups(network, batcher, {}, device=device, rows=rows, what=what)[0]


def evaluate_groups(
    network: Network,
    batcher: Batcher,
    groups: Mapping[str, Sequence[int]],
    *,
    device: torch.device | None = None,
    rows: int = ROWS,
    what: str = "",
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The figures of all rows, and those of each group that come of predictions; a group is places in the split."""
    if isinstance(batcher, Streamer):
        return measure(network, batcher, device=device, what=what), {}
    head = network.head(batcher.task.name)
    predicted: list[Any] = [None] * len(batcher.columns)
    sums, count = Counter[str](), 0
    for places, batch, output in outputs(network, batcher, device=device, rows=rows, what=what):
        _put(predicted, places, head.decode(output, batch))
        if output.loss is not None:
            sums.update({"loss": float(output.loss), **output.sums})
            count += output.count
    gold = [batcher.gold(row) for row in batcher.columns.numbers.tolist()]
    whole = head.score(predicted, gold) | (head.measured(sums, count) if head.measures else {})
    apart = {
        name: head.score([predicted[place] for place in places], [gold[place] for place in places])
        for name, places in groups.items()
    }
    return whole, apart


def _put(found: list[Any], places: np.ndarray, values: list[Any]) -> None:
    for place, one in zip(places.tolist(), values, strict=True):
        found[place] = one
