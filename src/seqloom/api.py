"""The public model: load it, predict, evaluate, encode; and training from Python."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from seqloom.config import Source, override, unknown, write_yaml
from seqloom.config import parse as parse_config
from seqloom.config import read as read_config
from seqloom.deploy.encode import Pool, encode, encode_file, route
from seqloom.deploy.near import near
from seqloom.deploy.predict import predicted, written
from seqloom.errors import ModelError
from seqloom.evaluation.evaluate import ROWS, evaluate_groups
from seqloom.experiment import Result, run
from seqloom.files import locate, replacing_folder
from seqloom.model import folder
from seqloom.model.folder import Assembly
from seqloom.model.streaming import evaluated
from seqloom.model.task import SPLITS, Task
from seqloom.readers import Example

Input = str | Sequence[str] | Mapping[str, Any]
"""One input: raw text, a list of tokens, or, for tasks with several texts, a dict of them."""
One = TypeVar("One")


class Model:
    """A trained model: tag, classify, evaluate and encode with it. Get one by `seqloom.load` or `seqloom.train`."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        assembly.network.eval()

    @classmethod
    def load(cls, path: str | Path) -> "Model":
        """Read a model folder, or a run folder's best model; raises ModelError where there is none or it is damaged."""
        return cls(folder.load(path))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks."""
        return tuple(self._assembly.tasks)

    @property
    def encoders(self) -> tuple[str, ...]:
        """The names of its encoders."""
        return tuple(self._assembly.plan.encoders)

    @property
    def figures(self) -> Mapping[str, Any]:
        """The figures it was saved with, by split, task and name."""
        return self._assembly.figures

    def task(self, name: str | None = None) -> Task:
        """A task by name, or the only one; raises ModelError where it is unclear which."""
        tasks = self._assembly.tasks
        if name is None and len(tasks) > 1:
            raise ModelError(f"has several tasks; name one with task (--task): {', '.join(tasks)}")
        name = next(iter(tasks)) if name is None else name
        if name not in tasks:
            raise ModelError(unknown("task", name, tasks))
        return tasks[name]

    def predict(self, task: str | None, texts: Iterable[Input]) -> list[Any]:
        """One prediction an input, in the reader's own terms: for a tagger, a list of tags."""
        return predicted(self._assembly, self.task(task), [self.example(task, one) for one in _many(texts)])

    def explain(self, task: str | None, texts: Iterable[Input]) -> list[dict[str, Any]]:
        """For each input its texts and what lies behind the prediction, as plain values; see `Head.explain`."""
        examples = [self.example(task, one) for one in _many(texts)]
        return predicted(self._assembly, self.task(task), examples, explain=True)

    def predict_file(
        self,
        task: str | None,
        path: Path | None,
        *,
        as_data: bool = False,
        as_json: bool = False,
        explain: bool = False,
    ) -> Iterator[str]:
        """The predictions for a file (None: standard input) as text; see `deploy.predict.written`."""
        how = {"as_data": as_data, "as_json": as_json, "explain": explain}
        return written(self._assembly, self.task(task), path, **how)

    def has(self, task: str, split: str) -> bool:
        """Whether the configuration names a file for a split (train, dev, test) of a task, and it is there."""
        paths = self._files(self.task(task), split)
        return bool(paths) and all(locate(path).is_file() for path in paths)

    @staticmethod
    def _files(task: Task, split: str) -> tuple[str, ...]:
        if split not in SPLITS:
            raise ModelError(unknown("split", split, SPLITS))
        reader: Any = task.table.reader
        paths: tuple[str, ...] = reader.files(split)
        return paths

    def near(self, word: str, count: int = 10, embedder: str | None = None) -> list[tuple[str, float]]:
        """The words whose learnt vectors are most like a word's, with their cosines; see `deploy.near`."""
        return near(self._assembly, word, count, embedder)

    def example(self, task: str | None, one: Input) -> Example:
        """An input as the task's reader would give it: raw text is cut into tokens by the reader's rule."""
        mine = self.task(task)
        if isinstance(one, str):
            return mine.reader.parse(one)
        if isinstance(one, Mapping):
            if lacking := [name for name in mine.texts if name not in one]:
                raise ModelError(
                    f"task {mine.name} reads {', '.join(mine.texts)}; {', '.join(lacking)} is missing"
                )
            raw = {name: text for name in mine.texts if isinstance(text := one[name], str)}
            cut = {name: list(one[name]) for name in mine.texts if name not in raw}
            return mine.reader.example(raw) | cut
        if len(mine.texts) > 1:
            raise ModelError(f"task {mine.name} reads several texts; give a dict with {', '.join(mine.texts)}")
        return {mine.texts[0]: list(one)}

    @staticmethod
    def _tokens(task: Task, value: str | Sequence[str]) -> list[str]:
        return task.reader.tokens(value) if isinstance(value, str) else list(value)

    def evaluate(
        self,
        task: str | None = None,
        file: str | Path | None = None,
        *,
        split: str = "test",
        by: str | None = None,
    ) -> dict[str, Any]:
        """The figures of a task on a file, or on one of the files of its configuration, with their protocol.

        With `by`, a column of the data such as the genre, there are `groups`: the figures of the rows of each value.

        Raises:
            ModelError: no such split, or no file is given and the configuration names none for the split.
            DataError: the file cannot be read, or has no column `by`.
        """
        mine = self.task(task)
        paths = (str(file),) if file is not None else self._files(mine, split)
        if not paths:
            raise ModelError(f"task {mine.name} has no {split} file; name one with file (--file)")
        columns = mine.columns(*paths)
        batcher = evaluated(mine, columns, self._assembly.vocabularies)
        groups = mine.groups(paths, by) if by else {}
        what = f"evaluating {mine.name}"
        figures, apart = evaluate_groups(self._assembly.network, batcher, groups, what=what)
        told = {
            "task": mine.name,
            "file": " + ".join(paths),
            "rows": len(columns),
            "figures": figures,
            "protocol": mine.head.protocol(mine.table.head),
        }
        sizes = {name: {"rows": len(groups[name]), "figures": one} for name, one in apart.items()}
        return told | ({"groups": sizes} if by else {})

    def encode(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        pool: Pool = "mean",
        tokens: bool = False,
        batch: int = ROWS,
        encoder: str | None = None,
    ) -> np.ndarray | list[np.ndarray]:
        """Vectors of texts: (texts, size), or with `tokens` a list of (time, size) arrays; see `deploy.encode`."""
        task = self._assembly.tasks[route(self._assembly, encoder)]
        cut = (self._tokens(task, one) for one in _many(texts))
        return encode(self._assembly, cut, pool=pool, tokens=tokens, batch=batch, encoder=encoder)

    def encode_file(
        self, path: Path, out: Path, *, pool: Pool = "mean", encoder: str | None = None
    ) -> tuple[int, int]:
        """Write a vector for each line of a text file as a numpy array; returns its shape (lines, size)."""
        return encode_file(self._assembly, path, out, pool=pool, encoder=encoder)

    def save(self, path: str | Path) -> None:
        """Write the model folder, in place of one that is there."""
        with replacing_folder(path) as partial:
            folder.save(partial, self._assembly)


def _many(texts: Iterable[One]) -> Iterable[One]:
    """The texts, unless they are one text, which would be read letter by letter."""
    if isinstance(texts, str):
        raise ModelError("takes a list of texts, found one text; put it into a list")
    return texts


def load(path: str | Path) -> Model:
    """The model in a folder; see `Model.load`."""
    return Model.load(path)


def source_of(config: str | Path | Mapping[str, Any], overrides: Mapping[str, Any]) -> Source:
    """A configuration from a file or plain values, with `training__steps=100` read as training.steps."""
    source = parse_config(write_yaml(config)) if isinstance(config, Mapping) else read_config(config)
    # JSON is YAML, so that None, True and strings stay what they are.
    values = {key.replace("__", "."): json.dumps(value, default=str) for key, value in overrides.items()}
    override(source, [f"{key}={value}" for key, value in values.items()])
    return source


def train(
    config: str | Path | Mapping[str, Any],
    *,
    out: str | Path = "runs/seqloom",
    resume: bool = False,
    **overrides: Any,
) -> Model:
    """Train a configuration, a file or plain values, into the run folder `out`; returns the best model.

    Overrides are written `training__steps=100`. Raises ConfigError with every mistake in the configuration.
    """
    result: Result = run(source_of(config, overrides), out, resume=resume)
    return Model.load(result.folder)
