"""The suite: which tasks can be run, their jobs side by side, and the report that comes of them."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.config import unknown
from seqloom.errors import ConfigError, ModelError
from seqloom.evaluation.transfer import protocols, retrieval, similarity
from seqloom.evaluation.transfer.corpora import Absent, Corpus
from seqloom.evaluation.transfer.settings import SETTINGS, Settings
from seqloom.evaluation.transfer.tasks import TASKS, Task, named, singled
from seqloom.evaluation.transfer.vectors import Encode, Encoder, columns, paired
from seqloom.files import data_root
from seqloom.processes import serve
from seqloom.progress import bar

Report = dict[str, Any]
Result = dict[str, Any]
Key = tuple[str, str, int | None]
"""What a result is of: the task, the pooling, and how many labelled examples of a curve; None for the task itself."""
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
    each: Callable[[Report], None] | None = None,
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
        each: is given the report so far whenever figures come in, so that none are lost where a later task fails.

    Returns:
        A report of plain values: of each task its figures or why it was not run, with all that they depend on.

    Raises:
        ConfigError: no such task or setting, or too few examples for one.
        DataError: the data of a task that was asked for by its own name are not there, or those of any cannot be read.
        ModelError: what came is not a vector of finite numbers for each text.
    """
    how, encoder = setting_of(setting), _encoder(encode)
    corpora = dict(_corpora(tasks, Path(data_root() if data is None else data)))
    ready = {task: one for task, one in corpora.items() if isinstance(one, Corpus)}
    settings = {count: how if count is None else replace(how, first=count) for count in (None, *first)}
    of_encoder = {"name": name, "fingerprint": encoder.fingerprint, "tokenizer": encoder.tokenizer}
    when = {"versions": _versions(), "date": date.today().isoformat()}
    found: dict[Key, Result] = {}

    def so_far() -> Report:
        told = _told(found, corpora, encoder.pools)
        return of_encoder | {"settings": how.told(), "tasks": told, "curve": _curve(found, told, first)} | when

    for key, result in _results(encoder, ready, settings, workers):
        found[key] = result
        if each is not None:
            each(so_far())
    return so_far()


def _told(
    found: Mapping[Key, Result], corpora: Mapping[str, Corpus | str], pools: Iterable[str]
) -> dict[str, Result]:
    """Of each task its best result, or why there is none."""
    told: dict[str, Result] = {}
    for task, corpus in corpora.items():
        results = [found.get((task, pool, None)) for pool in pools]
        whole = [one for one in results if one is not None]
        if isinstance(corpus, str):
            told[task] = {"not_run": corpus}
        elif len(whole) < len(results):
            told[task] = {"not_run": "not finished"}
        else:
            told[task] = _best(whole)
    return told


def _curve(
    found: Mapping[Key, Result], told: Mapping[str, Result], first: Sequence[int]
) -> dict[str, dict[str, Result]]:
    """By number of examples the result of each task that has one for all of them, with the task's own pooling."""
    pools = {task: one["pool"] for task, one in told.items() if "pool" in one}
    whole = {task: pool for task, pool in pools.items() if all((task, pool, count) in found for count in first)}
    return {str(count): {task: found[task, pool, count] for task, pool in whole.items()} for count in first}


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


def _corpora(names: Iterable[str] | None, root: Path) -> Iterator[tuple[str, Corpus | str]]:
    """The data of each task, or why it cannot be run."""
    asked = None if names is None else list(names)
    needed = singled(asked or ())
    for task in TASKS.values() if asked is None else named(asked):
        try:
            yield task.name, task.source.read(root)
        except Absent as fault:
            if task.name in needed:
                raise
            yield task.name, f"{', '.join(fault.missing)} missing" if fault.partly else "no data"


def _best(results: Sequence[Result]) -> Result:
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


def _jobs(
    encoder: Encoder, corpora: Mapping[str, Corpus], settings: Mapping[int | None, Settings]
) -> Iterator[tuple[Key, Job]]:
    """What is to be scored; a task's texts are encoded when its first job is asked for."""
    for task, corpus in corpora.items():
        for pool in encoder.pools:
            vectors = columns(encoder, pool, corpus.parts, task)
            gold = {name: one.gold for name, one in corpus.parts.items()}
            for count, one in settings.items():
                if count is None or TASKS[task].protocol in LEARNING:
                    yield (task, pool, count), Job(task, pool, one, gold, vectors, corpus.features)


def _results(
    encoder: Encoder, corpora: Mapping[str, Corpus], settings: Mapping[int | None, Settings], workers: int
) -> Iterator[tuple[Key, Result]]:
    """Each result as soon as it is there."""
    learning = sum(TASKS[task].protocol in LEARNING for task in corpora)
    total = len(encoder.pools) * (len(corpora) + learning * (len(settings) - 1))

    def whole(key: Key, done: "Future[Result]") -> tuple[Key, Result]:
        task, pool, _ = key
        data = {"data": dict(corpora[task].files), "lacking": list(corpora[task].lacking)}
        running.advance(note=task)
        return key, {"task": task, "pool": pool} | done.result() | data

    with bar("transfer suite", total) as running, _runner(workers) as run:
        going: dict[Future[Result], Key] = {}
        for key, job in _jobs(encoder, corpora, settings):
            going[run(job)] = key
            for one in [one for one in going if one.done()]:
                yield whole(going.pop(one), one)
        for one in as_completed(going):
            yield whole(going[one], one)


Run = Callable[[Job], "Future[Result]"]


@contextmanager
def _runner(workers: int) -> Iterator[Run]:
    """Score jobs at once, or hand them to processes while others are encoded."""
    if workers <= 1:
        yield _scored
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), serve)
    try:
        yield lambda job: pool.submit(score, job)
    except BrokenProcessPool:
        what = "a process that scores ended or could not start, as where memory is short"
        raise ModelError(f'{what}; take fewer workers; a script needs if __name__ == "__main__"') from None
    finally:
        pool.shutdown(cancel_futures=True)


def _scored(job: Job) -> "Future[Result]":
    done: Future[Result] = Future()
    done.set_result(score(job))
    return done


def score(job: Job) -> Result:
    """The figures of a task on vectors, with the protocol that they follow; raises ConfigError for too few rows."""
    task = TASKS[job.task]
    settings = _adapted(task, job.settings)
    try:
        result = _PROTOCOLS[task.protocol](job, task, settings)
    except ConfigError as fault:
        raise ConfigError(f"{task.name}: {fault}") from None
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
