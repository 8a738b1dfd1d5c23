"""How a task's classifiers are chosen and scored, as in SentEval: percents, rounded where it rounds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqloom.data.schedule import nested as drawn
from seqloom.evaluation.transfer.classifiers import Classifiers
from seqloom.evaluation.transfer.folds import SEED, Fit, stratified, watched
from seqloom.evaluation.transfer.settings import Settings
from seqloom.metrics import label_scores

Result = dict[str, Any]


def percent(share: float) -> float:
    """A share as SentEval writes it: in percent, to two places."""
    return round(100 * float(share), 2)


def limited(rows: np.ndarray, settings: Settings) -> np.ndarray:
    """The rows that may be learnt from: all, or `first` of them, drawn so that fewer are part of more."""
    first = settings.first
    return rows if first is None or first >= len(rows) else rows[drawn(len(rows), first, settings.seed)]


def _inner(rows: np.ndarray, labels: np.ndarray, folds: int, seed: int, stop_seed: int) -> list[Fit]:
    fold = stratified(labels[rows], folds, seed)
    return [watched(rows[fold != one], rows[fold == one], stop_seed) for one in range(folds)]


def _means(accuracy: np.ndarray) -> list[float]:
    """What each penalty reaches over folds (folds, penalties)."""
    return [percent(mean) for mean in accuracy.mean(0)]


def nested(vectors: np.ndarray, labels: np.ndarray, settings: Settings) -> Result:
    """Cross-validation in which every fold searches its penalty by a cross-validation of its own."""
    problem = Classifiers(vectors, labels, settings, "nested")
    # The folds stay the same whatever the seed, as in SentEval.
    fold, count = stratified(labels, settings.folds), settings.folds
    outer = [limited(np.flatnonzero(fold != one), settings) for one in range(count)]
    fits = [fit for rows in outer for fit in _inner(rows, labels, count, SEED, settings.seed)]
    accuracy = problem.train(fits).accuracy.reshape(count, count, -1)
    scores = [_means(one) for one in accuracy]
    chosen = [problem.penalties[int(np.argmax(one))] for one in scores]
    final = problem.train([problem.last(rows) for rows in outer], chosen)
    tests = []
    for one in range(count):
        rows = np.flatnonzero(fold == one)
        tests.append(percent(np.mean(final.predicted(one, rows)[0] == labels[rows])))
    trace = [
        {"scores": found, "penalty": penalty, "test": test}
        for found, penalty, test in zip(scores, chosen, tests, strict=True)
    ]
    dev = round(float(np.mean([max(one) for one in scores])), 2)
    return {
        "dev": {"accuracy": dev},
        "test": {"accuracy": round(float(np.mean(tests)), 2)},
        "rows": {"all": len(labels)},
        "penalties": list(problem.penalties),
        "trace": trace,
    }


def folds(parts: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], settings: Settings) -> Result:
    """A penalty searched by cross-validation of the training part, and a test part."""
    vectors = np.concatenate([parts["train"], parts["test"]])
    gold = np.concatenate([labels["train"], labels["test"]])
    problem = Classifiers(vectors, gold, settings, "folds")
    rows = limited(np.arange(len(labels["train"])), settings)
    found = problem.train(_inner(rows, gold, settings.folds, settings.seed, settings.seed))
    scores = _means(found.accuracy)
    chosen = problem.penalties[int(np.argmax(scores))]
    test = np.arange(len(labels["train"]), len(gold))
    predicted = problem.train([problem.last(rows)], [chosen]).predicted(0, test)[0]
    return _told(problem, scores, chosen, predicted, gold[test], {"accuracy": max(scores)}, rows)


def split(
    parts: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], settings: Settings, searches: bool = True
) -> Result:
    """A penalty searched on a dev part, by which training stops too, and a test part."""
    order = ("train", "dev", "test")
    gold = np.concatenate([labels[part] for part in order])
    problem = Classifiers(np.concatenate([parts[part] for part in order]), gold, settings, "split", searches)
    train, dev, test = np.split(np.arange(len(gold)), np.cumsum([len(labels[part]) for part in order])[:-1])
    rows = limited(train, settings)
    # The classifier that SentEval trains anew with the best penalty is the one that it has seen already.
    found = problem.train([watched(rows, dev, settings.seed)])
    scores = _means(found.accuracy)
    best = int(np.argmax(scores))
    predicted = found.predicted(0, test)[best]
    return _told(
        problem, scores, problem.penalties[best], predicted, gold[test], {"accuracy": max(scores)}, rows
    )


def _told(
    problem: Classifiers,
    scores: list[float],
    chosen: float,
    predicted: np.ndarray,
    gold: np.ndarray,
    dev: Mapping[str, float],
    rows: np.ndarray,
) -> Result:
    test = {"accuracy": percent(np.mean(predicted == gold))}
    if set(gold.tolist()) == {0, 1}:
        test["f1"] = percent(label_scores(predicted.tolist(), gold.tolist())[1].f1)
    return {
        "dev": dict(dev),
        "test": test,
        "rows": {"train": len(rows), "test": len(gold)},
        "penalties": list(problem.penalties),
        "trace": [{"scores": scores, "penalty": chosen}],
    }
