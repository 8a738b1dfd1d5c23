"""The classifiers of a transfer suite: trained side by side, beside SentEval's way, one after another.

The same vectors (words hashed to ±1, averaged; of more than 256 numbers, random features of those), the same folds,
the same protocol: SentEval's prototyping setting. Beside it, what each reaches.
"""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from measure import interleaved, row, save
from seqloom.evaluation.transfer import SETTINGS, TASKS
from seqloom.evaluation.transfer.folds import SEED, stratified
from seqloom.evaluation.transfer.settings import DECAYS
from seqloom.evaluation.transfer.suite import Job, score
from seqloom.files import data_root

ROUNDS = 3
SETTING = SETTINGS["prototyping"]
PACKAGES = ("torch", "numpy")


def hashed(texts: list[str], size: int) -> np.ndarray:
    """Vectors of texts (texts, size)."""

    def word(text: str) -> np.ndarray:
        digest = hashlib.sha256(text.lower().encode()).digest()
        return np.unpackbits(np.frombuffer(digest, np.uint8)) * 2.0 - 1

    known = {one: word(one) for text in texts for one in text.split() or ["."]}
    means = np.stack([np.mean([known[one] for one in text.split() or ["."]], axis=0) for text in texts])
    if size <= means.shape[1]:
        return means[:, :size]
    return np.tanh(means @ np.random.RandomState(0).standard_normal((means.shape[1], size)))


class Plain:
    """One classifier in torch, trained as SentEval trains it."""

    def __init__(self, size: int, classes: int, decay: float) -> None:
        self.random = np.random.RandomState(SEED)
        torch.manual_seed(SEED)
        self.model: nn.Module = nn.Sequential(nn.Linear(size, classes))
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), weight_decay=decay)

    def fit(self, rows: tuple[Tensor, Tensor], dev: tuple[Tensor, Tensor] | None = None) -> float:
        """Train until dev accuracy has failed to rise often enough; without dev rows, a twentieth of the rows is it."""
        vectors, labels = rows
        if dev is None:
            order = torch.from_numpy(self.random.permutation(len(labels)))
            spared = int(0.05 * len(labels))
            dev = vectors[order[:spared]], labels[order[:spared]]
            vectors, labels = vectors[order[spared:]], labels[order[spared:]]
        how, best, failures, passes = SETTING.perceptron, -1.0, 0, 0
        kept = self.model
        while failures <= how.tenacity and passes <= how.epochs:
            for _ in range(how.epoch_size):
                self.learn(vectors, labels, how.batch)
            passes += how.epoch_size
            accuracy = self.score(*dev)
            if accuracy > best:
                best, kept = accuracy, copy.deepcopy(self.model)
            else:
                failures += 1
        self.model = kept
        return best

    def learn(self, vectors: Tensor, labels: Tensor, batch: int) -> None:
        """One pass over the rows."""
        order = self.random.permutation(len(labels))
        for start in range(0, len(labels), batch):
            rows = torch.from_numpy(order[start : start + batch])
            loss = self.loss(self.model(vectors[rows]), labels[rows])
            loss.item()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def score(self, vectors: Tensor, labels: Tensor) -> float:
        """The accuracy on some rows."""
        with torch.no_grad():
            return float((self.model(vectors).argmax(1) == labels).double().mean())


Rows = tuple[Tensor, Tensor]


def searched(vectors: Tensor, labels: Tensor) -> tuple[float, float]:
    """The best weight decay by cross-validation, and what it reaches."""
    fold = stratified(labels.numpy(), SETTING.folds)
    scores = []
    for decay in DECAYS:
        found = []
        for one in range(SETTING.folds):
            train, dev = torch.from_numpy(fold != one), torch.from_numpy(fold == one)
            model = Plain(vectors.shape[1], int(labels.max()) + 1, decay)
            model.fit((vectors[train], labels[train]), (vectors[dev], labels[dev]))
            found.append(model.score(vectors[dev], labels[dev]))
        scores.append(round(100 * float(np.mean(found)), 2))
    return DECAYS[int(np.argmax(scores))], max(scores)


def tested(train: Rows, test: Rows) -> tuple[float, float]:
    """Search the decay on some rows, train on them, and test on others: dev and test accuracy."""
    decay, dev = searched(*train)
    model = Plain(train[0].shape[1], int(train[1].max()) + 1, decay)
    model.fit(train)
    return dev, round(100 * model.score(*test), 2)


def plainly(job: Job) -> tuple[float, float]:
    """The protocol with one classifier after another."""
    rows = {
        part: (torch.from_numpy(one[0]).float(), torch.from_numpy(job.gold[part].astype(np.int64)))
        for part, one in job.vectors.items()
    }
    if TASKS[job.task].protocol == "folds":
        return tested(rows["train"], rows["test"])
    vectors, labels = rows["all"]
    fold = stratified(labels.numpy(), SETTING.folds)
    found = []
    for one in range(SETTING.folds):
        train, test = torch.from_numpy(fold != one), torch.from_numpy(fold == one)
        found.append(tested((vectors[train], labels[train]), (vectors[test], labels[test])))
    dev, test_accuracy = np.mean(found, axis=0)
    return round(float(dev), 2), round(float(test_accuracy), 2)


def together(job: Job) -> tuple[float, float]:
    """The protocol as the library runs it."""
    result = score(job)
    return result["dev"]["accuracy"], result["test"]["accuracy"]


def job(task: str, size: int) -> Job:
    """The task's vectors."""
    parts = TASKS[task].source.read(Path(data_root())).parts
    gold = {name: one.gold for name, one in parts.items()}
    return Job(task, "", SETTING, gold, {name: (hashed(one.texts[0], size),) for name, one in parts.items()})


def measured() -> Iterator[dict[str, Any]]:
    """The rows of the table."""
    for size, tasks, rounds in ((64, ("MR", "TREC"), ROUNDS), (1024, ("CR", "TREC"), 1)):
        jobs = [job(task, size) for task in tasks]
        figures: Mapping[str, dict[str, tuple[float, float]]] = {"ours": {}, "plain": {}}

        def ours(jobs: list[Job] = jobs, told: Any = figures["ours"]) -> None:
            told.update({one.task: together(one) for one in jobs})

        def rival(jobs: list[Job] = jobs, told: Any = figures["plain"]) -> None:
            told.update({one.task: plainly(one) for one in jobs})

        taken = interleaved({"ours": ours, "plain": rival}, rounds)
        both = "; ".join(
            f"{task} dev {figures['ours'][task][0]} test {figures['ours'][task][1]}, "
            f"plainly {figures['plain'][task][0]} and {figures['plain'][task][1]}"
            for task in tasks
        )
        yield row(
            "transfer_suite",
            taken["ours"],
            taken["plain"],
            rival_name="one classifier after another",
            unit="s",
            shapes=f"{' and '.join(tasks)}, {size} numbers, prototyping setting ({both})",
            packages=PACKAGES,
            rounds=rounds,
            headline="MR" in tasks,
        )


if __name__ == "__main__":
    save("transfer_suite", measured())
