"""Tasks: a reader, a head's fields, and the way between them; reading their splits and fitting vocabularies."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from seqloom.config import kinds, unknown
from seqloom.data import columns as store
from seqloom.data.batch import Batch
from seqloom.data.columns import Columns
from seqloom.data.counted import Counted
from seqloom.data.fields import Field, TextField
from seqloom.data.running import RunningText
from seqloom.data.schedule import nested
from seqloom.data.tokens import Index
from seqloom.data.vocabulary import Vocabularies, Vocabulary
from seqloom.encoders.saved import backward
from seqloom.errors import DataError
from seqloom.files import locate, sha256
from seqloom.heads import Head
from seqloom.model.plan import Plan, same_vocabulary
from seqloom.model.tables import ModelTable, TaskTable
from seqloom.progress import notice, track
from seqloom.readers import SPLITS as SPLITS
from seqloom.readers import Example, First, Reader


@dataclass(frozen=True)
class Task:
    """One task, frozen: what it reads and how.

    Args:
        name: its name in the configuration.
        table: its table.
        reader: built from the table.
        head: the class of its head.
        fields: by column; texts know the indexes that the task's embedder needs.
    """

    name: str
    table: TaskTable
    reader: Reader
    head: type[Head]
    fields: Mapping[str, Field]

    @property
    def texts(self) -> list[str]:
        """The columns of the texts that it reads."""
        return [name for name, field in self.fields.items() if field.text and not field.gold]

    @property
    def targets(self) -> list[str]:
        """The columns of the texts that it is to produce."""
        return [name for name, field in self.fields.items() if field.text and field.gold]

    @property
    def runs(self) -> bool:
        """Whether its texts follow on one another, and are read as one."""
        return any(field.runs for field in self.fields.values())

    @property
    def turned(self) -> bool:
        """Whether they are read from the end."""
        return any(getattr(field, "backward", False) for field in self.fields.values())

    @property
    def stored(self) -> dict[str, Field]:
        """The fields that have a column of their own."""
        return {name: field for name, field in self.fields.items() if not field.of}

    @property
    def group(self) -> str | None:
        """The `share` group of its head, if it has one."""
        return getattr(self.table.head, "share", None)

    @property
    def labels(self) -> str:
        """What stands before the names of its label vocabularies: its own name, or `shared.GROUP`."""
        return f"shared.{self.group}" if self.group else self.name

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of its figures, the watched one first."""
        return self.head.figures(self.table.head)

    def vocabularies(self, everything: Vocabularies) -> dict[str, Vocabulary]:
        """The vocabularies by the names that its fields and its head know them by."""
        mark = f"{self.labels}."
        own = {name.removeprefix(mark): one for name, one in everything.items() if name.startswith(mark)}
        return {**{name: one for name, one in everything.items() if "." not in name}, **own}

    def learn(self, training: Columns, brought: Vocabularies = MappingProxyType({})) -> dict[str, Vocabulary]:
        """What its reader learns from the training columns, or is brought, by the names the model keeps it by."""
        learned = {name: one for name in self.reader.learns() if (one := brought.get(f"{self.name}.{name}"))}
        if not learned:
            words = {name: training[name].counts() for name in (*self.texts, *self.targets)}
            learned = dict(self.reader.learn(words, f"tasks.{self.name}.reader"))
        self.reader.recall(learned)
        return {f"{self.name}.{name}": one for name, one in learned.items()}

    def recall(self, everything: Vocabularies) -> None:
        """Give its reader what it learnt back; a KeyError names what is missing."""
        mark = f"{self.name}."
        own = {name.removeprefix(mark): one for name, one in everything.items() if name.startswith(mark)}
        self.reader.recall(own)

    def read(self, split: str) -> Columns | None:
        """The columns of a split, cut to the sample asked for, or None where the task has no such file."""
        config: Any = self.table.reader
        if not (paths := config.files(split)):
            return None
        columns = self.columns(*paths)
        return self._chosen(columns) if split == "train" else columns

    def _chosen(self, columns: Columns) -> Columns:
        """The rows to train on."""
        config: Any = self.table.reader
        rows = np.arange(len(columns)) if config.sample == "all" else self._sample(len(columns))
        if config.within is not None:
            short = columns.lengths([*self.texts, *self.targets]).max(1)[rows] <= config.within
            rows = rows[short]
            self._tell_long(int((~short).sum()), len(rows))
        return columns if len(rows) == len(columns) else columns.select(rows)

    def _tell_long(self, left_out: int, kept: int) -> None:
        config: Any = self.table.reader
        what = f"{left_out:,} training rows have a text of more than {config.within:,} tokens"
        if not kept:
            raise DataError(f"{what}, and no other is there; raise tasks.{self.name}.reader.within")
        if left_out:
            notice(f"tasks.{self.name}: {what} and are left out (reader key `within`)")

    def columns(self, *paths: str) -> Columns:
        """The columns of a file, or of several one after another, from the cache where they were read before.

        Raises:
            DataError: the file is missing or broken, holds nothing, or lacks a column.
        """
        where = " + ".join(str(locate(path)) for path in paths)
        config: Any = self.table.reader
        stored = {name: _plain(field) for name, field in self.stored.items()}

        def make(folder: Any) -> Columns:
            examples = map(self.reader.cut, track(self._examples(paths), f"reading {where}"))
            return store.build(examples, stored, path=where, longest=config.longest, folder=folder)

        columns = store.cached(self._key(paths, stored), stored, make, where)
        if not len(columns):
            raise DataError(
                "holds no examples; an empty file, or not in the form that the reader expects", where
            )
        if lacking := [name for name in self.stored if name not in columns]:
            raise DataError(f"has no column {' and no '.join(lacking)}, which task {self.name} reads", where)
        return columns

    def groups(self, paths: Sequence[str], by: str) -> dict[str, list[int]]:
        """The places of the files' rows by their value in a column.

        Raises:
            DataError: the reader gives no such column.
        """
        found: dict[str, list[int]] = {}
        for place, example in enumerate(self._examples(paths)):
            if by not in example:
                what = f"{unknown('column', by, example)}; name it in tasks.{self.name}.reader.columns"
                raise DataError(what, " + ".join(str(locate(path)) for path in paths))
            found.setdefault(str(example[by]), []).append(place)
        return found

    def _examples(self, paths: Sequence[str]) -> Iterator[Example]:
        """The examples of the files; of several, the lines are numbered on, as if they were one."""
        if len(paths) == 1:
            yield from self.reader.read(paths[0])
            return
        before = last = 0
        for path in paths:
            before, where = before + last, str(locate(path))
            for example in self.reader.read(path):
                last = int(example["line"])
                yield {**example, "line": before + last, store.PLACE: (where, last)}

    def _key(self, paths: Sequence[str], stored: Mapping[str, Field]) -> dict[str, Any]:
        """All that the columns of the files depend on."""
        config: Any = self.table.reader
        files = [self.reader.files(path) for path in paths]
        for path, read in zip(paths, files, strict=True):
            if not all(locate(one).is_file() for one in read):
                next(iter(self.reader.read(path)), None)
        key: dict[str, Any] = {
            "files": [sha256(one) for read in files for one in read],
            "reader": [config.type, config.content()],
            "texts": [*self.texts, *self.targets],
            "suffixes": [locate(path).suffixes for path in paths],  # a reader may go by them
            "fields": {name: repr(field) for name, field in stored.items()},
            "longest": config.longest,
        }
        if self.reader.learned:
            key["learned"] = self.reader.learned
        if variants := [one for one in map(self.reader.variant, paths) if one]:
            key["variant"] = variants
        return key

    def from_examples(self, examples: Iterable[Example]) -> Columns:
        """The columns of examples in memory; gold columns may be left out."""
        return store.build(examples, self.stored, path="input", longest=None)

    def _sample(self, rows: int) -> np.ndarray:
        config: Any = self.table.reader
        wanted = config.sample.first if isinstance(config.sample, First) else config.sample
        if isinstance(wanted, int) and wanted > rows:
            notice(f"tasks.{self.name}.reader.sample: there are {rows:,} training rows, fewer than {wanted:,}")
        if isinstance(config.sample, First):
            return np.arange(min(rows, config.sample.first))
        return nested(rows, config.sample, config.sample_seed)


def _plain(field: Field) -> Field:
    """A field as it is stored: what a text is looked up in does not matter there."""
    return field.reading(()) if isinstance(field, TextField) else field


def bind(table: ModelTable, plan: Plan) -> dict[str, Task]:
    """The tasks of a model."""
    tasks = {}
    for name, one in table.tasks.items():
        head = kinds("heads")[getattr(one.head, "type", "")]
        reader = kinds("readers")[getattr(one.reader, "type", "")]
        assert issubclass(head, Head)
        assert issubclass(reader, Reader)
        indexes = plan.indexes(plan.routes[name][0]) if plan.routes[name][0] else ()
        turned = backward(plan.encoders[plan.routes[name][1]])
        fields = {key: _reading(field, indexes, turned) for key, field in head.fields(one.head).items()}
        texts, targets = (
            tuple(key for key, field in fields.items() if field.text and field.gold == gold)
            for gold in (False, True)
        )
        tasks[name] = Task(name, one, reader(one.reader, texts, targets), head, fields)
    return tasks


def _reading(field: Field, indexes: Sequence[Index], turned: bool) -> Field:
    field = replace(field, backward=turned) if isinstance(field, RunningText) else field
    return field.reading(indexes) if isinstance(field, TextField) else field


def fit(
    tasks: Mapping[str, Task],
    training: Mapping[str, Columns],
    carried: Vocabularies = MappingProxyType({}),
) -> dict[str, Vocabulary]:
    """The vocabularies of all tasks from their training columns: texts' shared by name, labels' private to a task.

    Args:
        tasks: by name.
        training: by the tasks' names.
        carried: the vocabularies that parts of other models bring along; they are taken as they are.

    Raises:
        ConfigError: two embedders read one vocabulary in different ways.
    """
    check_indexes(tasks)
    counted: dict[str, Counted] = {}
    for name, task in tasks.items():
        for key, field in task.stored.items():
            for vocabulary, one in field.counted(training[name][key]).items():
                _merge(counted, f"{task.labels}.{vocabulary}" if one.private else vocabulary, one)
    fitted = {name: one.fit() for name, one in counted.items() if name not in carried}
    return dict(sorted({**fitted, **carried}.items()))


def check_indexes(tasks: Mapping[str, Task]) -> dict[str, Index]:
    """How each vocabulary is read; two embedders that do it in different ways are a ConfigError."""
    indexes: dict[str, Index] = {}
    for task in tasks.values():
        for field in task.fields.values():
            for index in field.indexes if isinstance(field, TextField) else ():
                same_vocabulary(indexes, index)
    return indexes


def _merge(counted: dict[str, Counted], place: str, new: Counted) -> None:
    known = counted.setdefault(place, replace(new, counts={}))
    for symbol, count in new.counts.items():
        known.counts[symbol] = known.counts.get(symbol, 0) + count


class Batcher:
    """Makes batches of some columns of a task: ids are looked up in tables made once for the columns."""

    def __init__(self, task: Task, columns: Columns, vocabularies: Vocabularies, *, gold: bool = True) -> None:
        self.task, self.columns = task, columns
        known = task.vocabularies(vocabularies)
        self.fields = {
            name: field
            for name, field in task.fields.items()
            if (field.of or name) in columns and (gold or not field.gold)
        }
        self.tables = {
            name: field.tables(columns[field.of or name], known) for name, field in self.fields.items()
        }

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of some rows, by their numbers in the columns."""
        made = {
            name: one.collate(self.columns[one.of or name], self.tables[name], rows)
            for name, one in self.fields.items()
        }
        return Batch(self.task.name, made, rows.tolist())

    def gold(self, row: int) -> Any:
        """A row's gold value as the head's `score` wants it."""
        stored = {name: self.columns[name].row(row) for name, field in self.task.stored.items() if field.gold}
        return self.task.head.gold(stored)

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The rows, by their numbers in the columns, that stand at some places of the split."""
        return places if self.columns.rows is None else self.columns.rows[places]

    def pace(self, rows: np.ndarray) -> float:
        """How large a step these rows are worth, in that of a batch."""
        return 1.0

    def where(self, rows: np.ndarray) -> str:
        """Where some rows began, for messages."""
        return ", ".join(self.columns.where(row) for row in rows[:5].tolist()) + (
            ", ..." if len(rows) > 5 else ""
        )

    def lengths(self) -> np.ndarray:
        """(rows of the split, texts) the lengths of the texts to read, then of those to produce."""
        return self.columns.lengths([*self.task.texts, *self.task.targets])
