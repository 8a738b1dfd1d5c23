"""The public model: load it, predict, evaluate, encode; and training from Python."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from seqloom.config import source_of, unknown
from seqloom.data.vectors import Vectors
from seqloom.deploy import bulk
from seqloom.deploy.concat import SideBySide, Whole, joined
from seqloom.deploy.encode import Pool, encoded
from seqloom.deploy.expand import Expansion
from seqloom.deploy.expand import expand as expanded
from seqloom.deploy.near import near
from seqloom.deploy.predict import predicted, written
from seqloom.errors import ModelError
from seqloom.evaluation.evaluate import evaluate_groups
from seqloom.experiment import Result, run
from seqloom.files import locate, replacing_folder
from seqloom.model import folder
from seqloom.model.adjusting import adjust
from seqloom.model.folder import Assembly
from seqloom.model.streaming import evaluated
from seqloom.model.task import SPLITS, Task
from seqloom.nn.precision import products
from seqloom.readers import Example

Input = str | Sequence[str] | Mapping[str, Any]
"""One input: raw text, a list of tokens, or, for tasks with several texts, a dict of them."""
One = TypeVar("One")
ONLY_ENCODES = "holds encoders side by side, which only encode; for all else take one of its models"


class Model:
    """A trained model: tag, classify, evaluate and encode with it. Get one by `seqloom.load` or `seqloom.train`."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        assembly.network.eval()

    @classmethod
    def load(cls, path: str | Path) -> "Model":
        """Read a model folder, or a run folder's best model; raises ModelError where there is none or it is damaged."""
        if folders := joined(path):
            raise ModelError(f"{ONLY_ENCODES} ({', '.join(one.name for one in folders)})", path)
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
        examples = [self.example(task, one) for one in _many(texts)]
        return predicted(self._assembly, self.task(task), examples)

    def adjust(self, task: str | None, settings: Sequence[str]) -> None:
        """Change how a task's head is used from here on, by settings such as `sampling.temperature=0.7`.

        Raises:
            ConfigError: a key that cannot be changed once a model is trained, or a wrong value.
        """
        adjust(self._assembly, self.task(task).name, settings)

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
        mine = self.task(task)
        return written(self._assembly, mine, path, **how)

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
        if not isinstance(one, Iterable):
            raise ModelError(f"takes texts, lists of tokens or dicts of them, found {one!r}")
        if isinstance(one, Mapping):
            if lacking := [name for name in mine.texts if name not in one]:
                raise ModelError(
                    f"task {mine.name} reads {', '.join(mine.texts)}; {', '.join(lacking)} is missing"
                )
            raw = {name: text for name in mine.texts if isinstance(text := one[name], str)}
            cut = {name: self._words(one[name]) for name in mine.texts if name not in raw}
            return mine.reader.example(raw) | cut
        if len(mine.texts) > 1:
            raise ModelError(f"task {mine.name} reads several texts; give a dict with {', '.join(mine.texts)}")
        return {mine.texts[0]: list(one)}

    @staticmethod
    def _words(text: Any) -> list[str]:
        if not isinstance(text, Iterable):
            raise ModelError(f"takes texts or lists of tokens, found {text!r:.60}")
        return list(text)

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
            "precision": products(),
            "protocol": mine.head.protocol(mine.table.head),
        }
        sizes = {name: {"rows": len(groups[name]), "figures": one} for name, one in apart.items()}
        return told | ({"groups": sizes} if by else {})

    def encode(
        self,
        texts: Iterable[str | Sequence[str]],
        *,
        pool: Pool | None = None,
        tokens: bool = False,
        batch: int | None = None,
        encoder: str | None = None,
    ) -> np.ndarray | list[np.ndarray]:
        """Vectors of texts: (texts, size), or with `tokens` a list of (time, size) arrays.

        Args:
            texts: raw, cut by the reader's rule, or lists of tokens.
            pool: "mean", "max" or "last", which is [forward at the end; backward at the start]. None: what an encoder
                that was saved alone says, else "mean".
            tokens: whether to give each token's state instead.
            batch: texts at a time, at most; None: as many as suit the encoder's size.
            encoder: its name, where there are several; a task's name takes that task's embedder with it.

        Raises:
            DataError: a text has no tokens; it is told by its number.
        """
        given, one = list(_many(texts)), self._vectorizer(encoder)
        return encoded(one, given, pool=pool, tokens=tokens, batch=batch)

    def encode_file(
        self,
        path: str | Path,
        out: str | Path,
        *,
        pool: Pool | None = None,
        tokens: bool = False,
        workers: int = 1,
        encoder: str | None = None,
    ) -> tuple[int, int]:
        """Write the vectors of a text file's lines as .npy or .parquet; see `deploy.bulk.encode_file`."""
        one = self._vectorizer(encoder)
        return bulk.encode_file(one, Path(path), Path(out), pool=pool, tokens=tokens, workers=workers)

    def _vectorizer(self, encoder: str | None) -> Whole | SideBySide:
        return Whole(self._assembly, encoder)

    def save_encoder(self, path: str | Path, encoder: str | None = None) -> None:
        """Write an encoder alone, with the embedder that it reads, as a model folder that only encodes."""
        self._vectorizer(encoder).save(Path(path))

    def save(self, path: str | Path) -> None:
        """Write the model folder; a ModelError where something is there."""
        folder.vacant(Path(path))
        with replacing_folder(path) as partial:
            folder.save(partial, self._assembly)


class Concatenation(Model):
    """Encoders of several models side by side, with a model's `encode` and no tasks; `seqloom.concat` makes one."""

    def __init__(self, encoders: SideBySide) -> None:
        self._side_by_side = encoders

    @classmethod
    def load(cls, path: str | Path) -> "Concatenation":
        """Read a folder that `save` wrote; raises ModelError where there is none."""
        folders = joined(path)
        if folders is None:
            raise ModelError("holds no encoders side by side; read it with seqloom.load", path)
        return concat(*map(Model.load, folders))

    @property
    def tasks(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def encoders(self) -> tuple[str, ...]:
        """The names of the encoders, each in its own model."""
        return tuple(one.model.plan.routes[one.task.name][1] for one in self._side_by_side.members)

    @property
    def figures(self) -> Mapping[str, Any]:
        """None."""
        return {}

    @property
    def _assembly(self) -> Assembly:  # type: ignore[override]  # a model's is set, this one never
        raise ModelError(ONLY_ENCODES)

    def _vectorizer(self, encoder: str | None) -> SideBySide:
        if encoder is not None:
            raise ModelError("holds encoders side by side and runs them all; leave encoder (--encoder) out")
        return self._side_by_side

    def save(self, path: str | Path) -> None:
        """Write a folder that holds each encoder alone, as a model folder of its own."""
        self._side_by_side.save(Path(path))


def concat(*models: Model | tuple[Model, str]) -> Concatenation:
    """Encoders side by side in one object: each vector is the first one's, then the second one's, and so on.

    Args:
        models: models, or pairs of a model and the name of one of its encoders.

    Raises:
        ModelError: no model, or one with several encoders of which none is named.
    """
    if not models:
        raise ModelError("concat takes at least one model")
    pairs = [one if isinstance(one, tuple) else (one, None) for one in models]
    for one in pairs:
        if len(one) != 2 or not isinstance(one[0], Model | Concatenation):
            raise ModelError(
                f"concat takes models, or pairs of a model and an encoder's name, found {one[0]!r:.60}"
            )
    members: list[Whole] = []
    for model, name in pairs:
        found = model._vectorizer(name)
        members += found.members if isinstance(found, SideBySide) else [found]
    return Concatenation(SideBySide(tuple(members)))


def _many(texts: Iterable[One]) -> Iterable[One]:
    """The texts, unless they are one text, which would be read letter by letter."""
    if isinstance(texts, str):
        raise ModelError("takes a list of texts, found one text; put it into a list")
    return texts


def load(path: str | Path) -> Model:
    """The model in a folder, or the encoders side by side that `concat` made; see `Model.load`."""
    return Model.load(path) if joined(path) is None else Concatenation.load(path)


def expand(
    model: Model, vectors: Vectors, words: Iterable[str] | None = None, **how: Any
) -> tuple[Model, Expansion]:
    """A model that knows more words, and how well their vectors fit; see `deploy.expand.expand`."""
    found = expanded(model._assembly, vectors, words, **how)
    return Model(found.model), found


def train(
    config: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    resume: bool = False,
    **overrides: Any,
) -> Model:
    """Train a configuration, a file or plain values, into the run folder `out`; returns the best model.

    Without `out` it is `runs/NAME` for the file NAME.yaml, as by the command, and `runs/seqloom` for values.

    Overrides are written `training__steps=100`. Raises ConfigError with every mistake in the configuration.
    """
    name = "seqloom" if isinstance(config, Mapping) else Path(config).stem
    result: Result = run(source_of(config, overrides), out or Path("runs") / name, resume=resume)
    return Model.load(result.folder)
