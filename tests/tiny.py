"""Made-up data, configurations that learn from it in a moment, and ways to end a run before its time."""

import contextlib
import json
import multiprocessing
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

from seqloom.cli import main
from seqloom.config import source_of
from seqloom.experiment import Result, check, run
from seqloom.model.build import build
from seqloom.model.folder import Assembly
from seqloom.model.plan import lay_out
from seqloom.model.task import Batcher, bind, fit
from seqloom.model.transfer import carried
from seqloom.training.report import events

WORDS = {
    "DET": ["the", "a", "each"],
    "ADJ": ["grey", "old", "small"],
    "NOUN": ["moth", "lamp", "river", "stone", "crow"],
    "VERB": ["sees", "finds", "lifts"],
}
SHAPES = [["DET", "NOUN", "VERB"], ["NOUN", "VERB", "NOUN"], ["DET", "ADJ", "NOUN", "VERB", "DET", "NOUN"]]
SIZES = {"train": 20, "dev": 6, "test": 7}

Sentence = list[tuple[str, str]]


def sentences(count: int, seed: int) -> list[Sentence]:
    """Tagged sentences of 3 or 6 words."""
    random = Random(seed)
    shapes = [random.choice(SHAPES) for _ in range(count)]
    return [[(random.choice(WORDS[tag]), tag) for tag in shape] for shape in shapes]


def tagged(rows: Sequence[Sentence]) -> str:
    """Sentences as a CoNLL file."""
    return "\n".join("".join(f"{word} {tag}\n" for word, tag in row) for row in rows)


def labelled(rows: Sequence[Sentence]) -> str:
    """Sentences as a table that labels them by their first tag."""
    return "label\ttext\n" + "".join(f"{row[0][1]}\t{' '.join(word for word, _ in row)}\n" for row in rows)


def write_corpus(folder: Path) -> Path:
    """Three files for each of two tasks."""
    for number, (split, size) in enumerate(SIZES.items()):
        (folder / f"pos-{split}.txt").write_text(tagged(sentences(size, number)))
        (folder / f"kind-{split}.tsv").write_text(labelled(sentences(size, 10 + number)))
    return folder


def task(corpus: Path, name: str, splits: Sequence[str] = tuple(SIZES), **reader: Any) -> dict[str, Any]:
    """The table of a task of the made-up corpus: `pos` or `kind`."""
    kind, ending, head = {"pos": ("conll", "txt", "tag"), "kind": ("table", "tsv", "classify")}[name]
    files = {split: str(corpus / f"{name}-{split}.{ending}") for split in splits}
    return {"reader": {"type": kind, **files, **reader}, "encoder": "shared", "head": {"type": head}}


def one(corpus: Path, splits: Sequence[str] = ("train", "dev"), **training: Any) -> dict[str, Any]:
    """A tagger without dropout."""
    return {
        "embedders": {"words": {"type": "word", "size": 6}},
        "encoders": {"shared": {"type": "lstm", "input": "words", "hidden": 6}},
        "tasks": {"pos": task(corpus, "pos", splits)},
        "training": {"device": "cpu", "steps": 6, "batch": 4, "evaluate_every": 3, **training},
    }


def two(corpus: Path, splits: Sequence[str] = ("train", "dev"), **training: Any) -> dict[str, Any]:
    """A tagger and a classifier over one encoder with dropout."""
    encoder = {"type": "lstm", "input": "words", "hidden": 6, "bidirectional": True, "dropout": 0.3}
    return {
        "embedders": {"words": {"type": "word", "size": 6, "dropout": 0.1}},
        "encoders": {"shared": encoder},
        "tasks": {name: task(corpus, name, splits) for name in ("pos", "kind")},
        "training": {"device": "cpu", "steps": 9, "batch": 4, "evaluate_every": 4, "save_every": 3, **training},
    }


def fitted(corpus: Path) -> dict[str, Any]:
    """Two tasks trained until most of what they say is right."""
    fast = {"type": "adam", "rate": 0.1}
    return two(corpus, list(SIZES), steps=40, batch=8, evaluate_every=20, save_every=20, optimizer=fast)


def trained(config: Mapping[str, Any], out: Path, **how: Any) -> Result:
    """Train a configuration into a folder."""
    return run(source_of(config, {}), out, **how)


def untrained(config: Mapping[str, Any], seed: int = 1) -> Assembly:
    """The model of a configuration before the first step."""
    table = check(source_of(config, {}))
    plan = lay_out(table)
    tasks = bind(table, plan)
    training = {name: train for name, one in tasks.items() if (train := one.read("train"))}
    parts = carried(plan)
    vocabularies = fit(tasks, training, parts.vocabularies)
    network = build(plan, tasks, vocabularies, stores={}, weights=parts.weights, seed=seed)
    return Assembly(table.model_dump(), plan, tasks, vocabularies, network, {})


def batcher(model: Assembly, name: str, split: str = "train") -> Batcher:
    """The batches of a split of a task."""
    columns = model.tasks[name].read(split)
    assert columns is not None
    return Batcher(model.tasks[name], columns, model.vocabularies)


def weights(run: Path, model: str = "last") -> bytes:
    """The weights of a run, as they lie on the disk."""
    return (run / model / "weights.safetensors").read_bytes()


def told(run: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The events of a run without what depends on the clock."""
    clock = {"time", "elapsed", "tokens_per_second"}
    kept = [event for event in events(run) if kind in (None, event["event"])]
    return [{key: value for key, value in event.items() if key not in clock} for event in kept]


class Killed(BaseException):
    """What nothing in the program catches, so that it leaves a run as a kill would."""


class KillAt:
    """A writer that ends a run at the `count`-th event of a kind; a save is told before it is written."""

    def __init__(self, count: int, kind: str = "save") -> None:
        self.count, self.kind = count, kind

    def write(self, event: Mapping[str, Any]) -> None:
        """Count, and end the run when it is time."""
        self.count -= event["event"] == self.kind
        if not self.count:
            self.end()

    def end(self) -> None:
        """End the run."""
        raise Killed

    def close(self) -> None:
        """Nothing is held open."""


class InterruptAt(KillAt):
    """A writer that presses Ctrl-C."""

    def end(self) -> None:
        """Press it once."""
        self.count = -1
        signal.raise_signal(signal.SIGINT)


_forks = multiprocessing.get_context("forkserver")
# Processes are forked off one that has imported everything, so that a kill costs no start of Python.
_forks.set_forkserver_preload(["seqloom.experiment", "seqloom.training.display", "torch._dynamo"])


def started(work: Any, *words: Any) -> BaseProcess:
    """A process of its own that calls `work`."""
    process = _forks.Process(target=work, args=words, daemon=True)
    process.start()
    return process


def command(words: Sequence[str], said: Path) -> None:
    """Run the command line as a process of its own does; what it says goes into a file."""
    sys.argv = ["seqloom", *words]
    with said.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        main()


def written_yaml(path: Path, config: Mapping[str, Any]) -> Path:
    """A configuration as a file; JSON is YAML too."""
    path.write_text(json.dumps(config, indent=1))
    return path
