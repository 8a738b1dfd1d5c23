"""The tables of vectors, embedders, encoders and tasks, and the check of the names between them."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal

from pydantic import Field

import seqloom.embedders
import seqloom.encoders
import seqloom.heads
import seqloom.readers
from seqloom.config import (
    Checked,
    Choice,
    Count,
    FilePath,
    Key,
    Name,
    Positive,
    Source,
    Table,
    Trail,
    definitions,
    kinds,
    nearest,
    singular,
    unknown,
)
from seqloom.errors import ConfigError

SECTIONS = ("vectors", "embedders", "encoders")


class VectorsTable(Table):
    """A store of word vectors: a folder made by `seqloom vectors convert`, or a text or binary file of them.

    `size` is filled in when a model is saved, so that its folder needs the store no longer.
    """

    path: FilePath
    size: Count | None = None


class TaskTable(Table):
    """What a task reads, the way its texts take, and its head; `embedder` replaces the encoder's own input."""

    reader: Annotated[Table, Choice("readers")]
    encoder: Annotated[str | Table, Choice("encoders", names=("encoders",))]
    embedder: Annotated[str | Table, Choice("embedders", names=("embedders", "vectors"))] | None = None
    head: Annotated[Table, Choice("heads")]
    weight: Positive = 1.0


class ModelTable(Checked):
    """All that a model is made of."""

    version: Literal[1] = 1
    vectors: dict[Name, VectorsTable] = {}
    embedders: dict[Name, Annotated[Table, Choice("embedders")]] = {}
    encoders: dict[Name, Annotated[Table, Choice("encoders")]] = {}
    tasks: Annotated[dict[Name, TaskTable], Field(min_length=1)]


def discover() -> None:
    """Import every part: the four folders, and the modules of installed packages' entry points `seqloom.parts`.

    Raises:
        ConfigError: an installed package's parts cannot be imported.
    """
    for package in (seqloom.readers, seqloom.embedders, seqloom.encoders, seqloom.heads):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    for plugin in entry_points(group="seqloom.parts"):
        _load(plugin)


def _load(plugin: EntryPoint) -> None:
    """Import what a package adds; whatever a stranger's code raises, its user is told whose it is."""
    try:
        plugin.load()
    except Exception as fault:
        owner = plugin.dist.name if plugin.dist else "an unknown package"
        what = f'{owner}: its parts "{plugin.name} = {plugin.value}" cannot be imported'
        remedy = "update the package, or uninstall it"
        raise ConfigError(f"{what} ({type(fault).__name__}: {fault}); {remedy}") from fault


@dataclass
class Names:
    """Follows the names of a source from its tasks down, and notes what is unknown, unused or in a circle."""

    source: Source
    used: set[tuple[str, Key]] = field(default_factory=set)
    trail: list[tuple[str, Key]] = field(default_factory=list)

    def check(self) -> None:
        """Note every mistake in the source."""
        self._repeated()
        for name, task in _section(self.source, "tasks").items():
            for ruling, value, path in definitions(TaskTable, task, ("tasks", name)):
                self._visit(ruling, value, path)
            self._routed(name, task)
        for section in SECTIONS:
            for name in _section(self.source, section):
                if (section, name) not in self.used:
                    what = "nothing uses it; name it in a task, encoder or embedder, or take it out"
                    self.source.fault((section, name), what)

    def _repeated(self) -> None:
        seen: dict[Key, str] = {}
        for section in (*SECTIONS, "tasks"):
            for name in _section(self.source, section):
                if name in seen:
                    what = f'the name "{name}" is taken in {seen[name]}; every name stands for one thing'
                    self.source.fault((section, name), what)
                seen[name] = section

    def _visit(self, ruling: Choice, value: Any, path: Trail) -> None:
        if isinstance(value, str) and ruling.names:
            self._name(ruling, value, path)
        elif isinstance(value, dict):
            self._inside(ruling.family, value, path)

    def _name(self, ruling: Choice, name: str, path: Trail) -> None:
        section = next((one for one in ruling.names if name in _section(self.source, one)), None)
        if section is None:
            valid = {str(known): (one, known) for one in ruling.names for known in _section(self.source, one)}
            self.source.fault(path, unknown(singular(ruling.family), name, valid))
            if near := nearest(name, list(valid)):
                self._follow(*valid[near])
            return
        if (section, name) in self.trail:
            self.source.fault(path, f'"{name}" is made of itself')
            return
        self._follow(section, name)

    def _follow(self, section: str, name: Key) -> None:
        if (section, name) in self.used:
            return
        self.used.add((section, name))
        self.trail.append((section, name))
        self._inside(section, _section(self.source, section)[name], (section, name))
        self.trail.pop()

    def _inside(self, family: str, value: Any, path: Trail) -> None:
        if not isinstance(value, dict):
            return
        one = kinds(family).get(str(value.get("type")))
        if one is None:
            self._guess(value)
            return
        for ruling, inner, where in definitions(one.Config, value, path):
            self._visit(ruling, inner, where)

    def _guess(self, value: Any) -> None:
        """A table of an unknown kind is a mistake already; what its words name should not be called unused too."""
        if isinstance(value, str):
            for section in SECTIONS:
                if value in _section(self.source, section):
                    self._follow(section, value)
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                self._guess(inner)

    def _routed(self, name: Key, task: Any) -> None:
        """A task's texts need vectors: from its own embedder or its encoder's input."""
        if not isinstance(task, dict) or "embedder" in task:
            return
        encoder = task.get("encoder")
        if isinstance(encoder, str):
            encoder = _section(self.source, "encoders").get(encoder)
        kind = kinds("encoders").get(str(encoder.get("type"))) if isinstance(encoder, dict) else None
        if (
            kind
            and "input" in kind.Config.model_fields
            and isinstance(encoder, dict)
            and "input" not in encoder
        ):
            what = "its encoder has no input; give the encoder an input, or the task an embedder"
            self.source.fault(("tasks", name), what)


def _section(source: Source, name: str) -> Mapping[Key, Any]:
    found = source.values.get(name)
    return found if isinstance(found, dict) else {}


def check_columns(table: ModelTable, source: Source) -> None:
    """Note every task whose reader does not give what its head reads."""
    for name, task in table.tasks.items():
        reader, head = _kind("readers", task.reader), _kind("heads", task.head)
        gives = reader.gives(task.reader)
        stored = [column for column, field in head.fields(task.head).items() if not field.of]
        needs = [column for column in stored if column != "line"]  # which every example has
        if gives is not None and (lacking := [column for column in needs if column not in gives]):
            kind = getattr(task.reader, "type", "")
            what = f"the head reads {', '.join(needs)}, but the reader {kind} gives {', '.join(sorted(gives))}"
            source.fault(("tasks", name, "reader"), f"{what}; {', '.join(lacking)} is missing")


def check_groups(table: ModelTable, source: Source) -> None:
    """Note every head whose settings differ from those of the first in its `share` group."""
    firsts: dict[tuple[str, str], str] = {}
    for name, task in table.tasks.items():
        group = getattr(task.head, "share", None)
        if group is None:
            continue
        first = firsts.setdefault((_kind("heads", task.head).kind, group), name)
        known, apart = table.tasks[first].head, _kind("heads", task.head).apart
        differ = [
            key
            for key in type(known).model_fields
            if key not in apart and getattr(known, key) != getattr(task.head, key)
        ]
        if differ:
            what = (
                f'differs from tasks.{first}.head in {", ".join(differ)}; heads that share "{group}" must agree'
            )
            source.fault(("tasks", name, "head"), what)


def _kind(family: str, table: Table) -> Any:
    return kinds(family)[getattr(table, "type", "")]
