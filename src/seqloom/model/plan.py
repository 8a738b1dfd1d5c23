"""The plan: every part of a model under one name, who refers to whom, and the route of each task."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain, count
from typing import Any

from seqloom.config import Choice, Table, field_choice
from seqloom.data.tokens import Index
from seqloom.embedders import indexes
from seqloom.embedders.word import Word
from seqloom.errors import ConfigError
from seqloom.model.tables import ModelTable


@dataclass
class Plan:
    """The parts to build, private ones named after their owners.

    Args:
        embedders: tables by name, every one after those it refers to.
        members: by embedder, what the reference fields of its table name.
        encoders: tables by name.
        routes: by task, the names of its embedder and its encoder.
    """

    embedders: dict[str, Table] = field(default_factory=dict)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    encoders: dict[str, Table] = field(default_factory=dict)
    routes: dict[str, tuple[str, str]] = field(default_factory=dict)

    def indexes(self, embedder: str) -> tuple[Index, ...]:
        """How texts must be looked up for an embedder and all that it is made of; each vocabulary once.

        Raises:
            ConfigError: two embedders share a vocabulary but read it in different ways.
        """
        found: dict[str, Index] = {}
        for name in self.closure(embedder):
            for index in indexes(name, self.embedders[name]):
                same_vocabulary(found, index)
        return tuple(found.values())

    def closure(self, embedder: str) -> Iterator[str]:
        """The names of an embedder and of all that it is made of; one that is used twice comes twice."""
        yield embedder
        for name in self.references(embedder, "embedders"):
            yield from self.closure(name)

    def references(self, embedder: str, family: str) -> Iterator[str]:
        """The names of the embedders, or of the `vectors`, that an embedder's table refers to."""
        table = type(self.embedders[embedder])
        for key, value in self.members[embedder].items():
            ruling = field_choice(table, key)
            if ruling is not None and ruling.family == family:
                yield from value if isinstance(value, list) else [value]


def same_vocabulary(found: dict[str, Index], index: Index) -> None:
    """Add an index; one that reads a known vocabulary in another way is a ConfigError."""
    known = found.setdefault(index.vocabulary, index)
    if known != index:
        what = f'two embedders read the vocabulary "{index.vocabulary}" in different ways ({_differing(known, index)})'
        raise ConfigError(f"{what}; let them agree, or give one a vocabulary of its own: vocabulary: other")


def _differing(one: Index, other: Index) -> str:
    listing = ("minimum", "most", "order")
    ways = [asdict(index.view) | {key: getattr(index, key) for key in listing} for index in (one, other)]
    return ", ".join(
        f"{key}: {value} and {ways[1][key]}" for key, value in ways[0].items() if value != ways[1][key]
    )


def lay_out_embedders(tables: Mapping[str, Table]) -> Plan:
    """The plan of embedders alone, all named."""
    plan = Plan()
    laying = _Laying(tables, {}, plan)
    for name in tables:
        laying.embedder(name, "")
    return plan


def lay_out(table: ModelTable) -> Plan:
    """The plan of a model's tables; names must have been checked."""
    plan = Plan()
    laying = _Laying(table.embedders, table.encoders, plan)
    for name, task in table.tasks.items():
        encoder = laying.encoder(task.encoder, name)
        source = task.embedder if task.embedder is not None else getattr(plan.encoders[encoder], "input", None)
        owner = name if task.embedder is not None else encoder
        embedder = laying.embedder(source, owner) if source is not None else ""
        plan.routes[name] = (embedder, encoder)
    return plan


@dataclass
class _Laying:
    embedders: Mapping[str, Table]
    encoders: Mapping[str, Table]
    plan: Plan

    def encoder(self, value: str | Table, owner: str) -> str:
        name = value if isinstance(value, str) else owner
        self.plan.encoders[name] = self.encoders[name] if isinstance(value, str) else value
        return name

    def embedder(self, value: str | Table, owner: str) -> str:
        """The name of an embedder, laid out with all it is made of; a private one is named after its owner."""
        if isinstance(value, str):
            name = value
            value = self.embedders.get(name) or Word.Config(type="word", vectors=name)
        else:
            name = owner
        if name not in self.plan.embedders:
            members = self._members(value, name)
            self.plan.members[name] = members
            self.plan.embedders[name] = value
        return name

    def _members(self, table: Table, name: str) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key in type(table).model_fields:
            ruling, value = field_choice(type(table), key), getattr(table, key)
            if ruling is None or value is None:
                continue
            if isinstance(value, list):
                members[key] = [self._member(ruling, one, name) for one in value]
            else:
                members[key] = self._member(ruling, value, name)
        return members

    def _member(self, ruling: Choice, value: Any, owner: str) -> str:
        if ruling.family != "embedders":
            return str(value)
        return self.embedder(value, "" if isinstance(value, str) else self._free(f"{owner}-{_type(value)}"))

    def _free(self, name: str) -> str:
        """The name, or the name with the first number that makes it new."""
        taken = {*self.plan.embedders, *self.embedders}
        names = chain([name], (f"{name}{number}" for number in count(2)))
        return next(one for one in names if one not in taken)


def _type(table: Table) -> str:
    return str(getattr(table, "type", ""))
