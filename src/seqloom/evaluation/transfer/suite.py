"""The suite: which tasks can be run, their jobs side by side, and the report that comes of them."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqloom.config import unknown
from seqloom.errors import ConfigError
from seqloom.evaluation.transfer import protocols, retrieval, similarity
from seqloom.evaluation.transfer.corpora import Absent, Corpus
from seqloom.evaluation.transfer.settings import SETTINGS, Settings
from seqloom.evaluation.transfer.tasks import TASKS, Task, named
from seqloom.evaluation.transfer.vectors import Encode, Encoder, columns, paired
from seqloom.files import data_root
from seqloom.progress import Bar, bar

Report = dict[str, Any]
PACKAGES = ("seqloom", "torch", "numpy", "scikit-learn")
LEARNING = ("nested", "folds", "split", "relatedness")
"""The protocols that learn from labelled examples, of which there can be fewer."""


def transfer(
    encode: Encode | Mapping[str, Encode] | Encoder,
    *,
    tasks: Iterable[str] | None = None,
    setting: str | Settings = "default",
    data: str | Path | None = None,
    first: Sequence[int] = (),
    workers: int = 1,
    name: str = "encoder",
) -> Report:
    """What the vectors of an encoder are worth on the tasks of the suite, by SentEval's protocol.

    Args:
        encode: texts → vectors (texts, size), as the `encode` of a sentence-transformers model or of `seqloom.Model`;
            or several by the name of their pooling, of which each task takes the one that is best on its dev data; or
            an `Encoder`, whose vectors are kept on disk.
        tasks: their names; None for all whose data are there.
        setting: `default`, `prototyping` or `logistic`, or settings of one's own.
        data: the data root; None for the usual one.
        first: also learn from only so many labelled examples, for a curve.
        workers: processes that train classifiers.
        name: of the encoder, in tables.

    Returns:
        A report of plain values: of each task its figures or why it was not run, with all that they depend on.

    Raises:
        ConfigError: no such task or setting.
        DataError: the data of a task that was asked for are not there, or cannot be read.
        ModelError: what came is not a vector of finite numbers for each text.
    """
    how = setting_of(setting)
    encoder = _encoder(encode)
    root = Path(data_root() if data is None else data)
    corpora = dict(_corpora(named(tasks) if tasks is not None else TASKS.values(), root, tasks is not None))
    ready = {task: one for task, one in corpora.items() if isinstance(one, Corpus)}
    several = [how, *(replace(how, first=count) for count in first)]
    results = _results(encoder, ready, several, workers)
    told: dict[str, dict[str, Any]] = {
        task: _best([results[task, pool, None] for pool in encoder.pools])
        if task in ready
        else {"not_run": one}
        for task, one in corpora.items()
    }
    learnt = [task for task in ready if TASKS[task].protocol in LEARNING]
    curve = {str(count): {task: results[task, told[task]["pool"], count] for task in learnt} for count in first}
    of_encoder = {"name": name, "fingerprint": encoder.fingerprint, "tokenizer": encoder.tokenizer}
    when = {"versions": _versions(), "date": date.today().isoformat()}
    return of_encoder | {"settings": how.told(), "tasks": told, "curve": curve} | when


def setting_of(setting: str | Settings) -> Settings:
    """Settings by name; raises a ConfigError that says which is nearest."""
    if isinstance(setting, Settings):
        return setting
    if setting not in SETTINGS:
        raise ConfigError(unknown("setting", setting, SETTINGS))
    return SETTINGS[setting]


def _encoder(encode: Encode | Mapping[str, Encode] | Encoder) -> Encoder:
    if isinstance(encode, Encoder):
        return encode
    return Encoder(encode if isinstance(encode, Mapping) else {"": encode})


def _corpora(tasks: Iterable[Task], root: Path, asked: bool) -> Iterator[tuple[str, Corpus | str]]:
    """The data of each task, or why it cannot be run."""
    for task in tasks:
        try:
            yield task.name, task.source.read(root)
        except Absent as fault:
            if asked:
                raise
            yield task.name, f"{', '.join(fault.missing)} missing" if fault.partly else "no data"


def _best(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The result whose pooling is best on dev; the first where there is no dev part."""
    best = max(results, key=lambda one: one.get("dev", {}).get(TASKS[one["task"]].stopped_by, 0.0))
    return best | {"pools": len(results)}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Job:
    """One task to score with one setting: its gold by part, its vectors by part, the vectors of images."""

    task: str
    pool: str
    settings: Settings
    gold: Mapping[str, np.ndarray]
    vectors: Mapping[str, tuple[np.ndarray, ...]]
    features: np.ndarray | None = None


def _results(
    encoder: Encoder, corpora: Mapping[str, Corpus], settings: Sequence[Settings], workers: int
) -> dict[tuple[str, str, int | None], dict[str, Any]]:
    rounds = [(task, pool) for task in corpora for pool in encoder.pools]
    found = {}
    with bar("transfer suite", len(rounds) * len(settings)) as running, _runner(workers) as run:
        going = []
        for task, pool in rounds:
            vectors = columns(encoder, pool, corpora[task].parts, task)
            gold = {name: one.gold for name, one in corpora[task].parts.items()}
            for one in settings:
                if one.first is None or TASKS[task].protocol in LEARNING:
                    job = Job(task, pool, one, gold, vectors, corpora[task].features)
                    going.append((job.task, job.pool, one.first, run(job, running)))
        for task, pool, first, result in going:
            corpus = corpora[task]
            data = {"data": dict(corpus.files), "lacking": list(corpus.lacking)}
            found[task, pool, first] = {"task": task, "pool": pool} | result() | data
    return found


Run = Callable[[Job, Bar], Callable[[], dict[str, Any]]]


@contextmanager
def _runner(workers: int) -> Iterator[Run]:
    """Score jobs at once, or hand them to processes while others are encoded."""
    if workers <= 1:

        def at_once(job: Job, running: Bar) -> Callable[[], dict[str, Any]]:
            result = score(job)
            running.advance(note=job.task)
            return lambda: result

        yield at_once
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:

        def handed(job: Job, running: Bar) -> Callable[[], dict[str, Any]]:
            going = pool.submit(score, job)
            going.add_done_callback(lambda _: running.advance(note=job.task))
            return going.result

        yield handed


def score(job: Job) -> dict[str, Any]:
    """The figures of a task on vectors, with the protocol that they follow."""
    task = TASKS[job.task]
    settings = _adapted(task, job.settings)
    result = _PROTOCOLS[task.protocol](job, task, settings)
    protocol: dict[str, Any] = {"name": task.protocol}
    if task.protocol != "similarity" and len(next(iter(job.vectors.values()))) > 1:
        protocol["pairs"] = task.pairs
    if task.protocol in ("nested", "folds", "split"):
        protocol |= settings.told()
    elif task.protocol != "similarity":
        protocol["seed"] = settings.seed
    return result | {"protocol": protocol}


def _adapted(task: Task, settings: Settings) -> Settings:
    perceptron = settings.perceptron
    if task.linear:
        perceptron = replace(perceptron, hidden=0)
    if not task.searches:
        # Its half a million pairs are passed fifteen times at most.
        perceptron = replace(perceptron, epochs=15, epoch_size=1)
    return replace(settings, perceptron=perceptron)


def _single(job: Job, task: Task) -> dict[str, np.ndarray]:
    return {
        part: paired(*columns, task.pairs) if len(columns) == 2 else columns[0]
        for part, columns in job.vectors.items()
    }


def _nested(job: Job, task: Task, settings: Settings) -> dict[str, Any]:
    return protocols.nested(_single(job, task)["all"], job.gold["all"], settings)


def _folds(job: Job, task: Task, settings: Settings) -> dict[str, Any]:
    return protocols.folds(_single(job, task), job.gold, settings)


def _split(job: Job, task: Task, settings: Settings) -> dict[str, Any]:
    return protocols.split(_single(job, task), job.gold, settings, task.searches)


def _relatedness(job: Job, task: Task, settings: Settings) -> dict[str, Any]:
    rows = protocols.limited(np.arange(len(job.gold["train"])), settings)
    return similarity.relatedness(_single(job, task), job.gold, settings.seed, rows)


def _similarity(job: Job, task: Task, settings: Settings) -> dict[str, Any]:
    return similarity.cosine({name: (one[0], one[1]) for name, one in job.vectors.items()}, job.gold)


def _retrieval(job: Job, task: Task, settings: Settings) -> dict[str, Any]:
    assert job.features is not None
    return retrieval.retrieval(_single(job, task), job.gold, job.features, settings.seed)


_PROTOCOLS: Mapping[str, Callable[[Job, Task, Settings], dict[str, Any]]] = {
    "nested": _nested,
    "folds": _folds,
    "split": _split,
    "relatedness": _relatedness,
    "similarity": _similarity,
    "retrieval": _retrieval,
}
