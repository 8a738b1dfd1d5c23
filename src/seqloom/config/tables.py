"""Tables and parts: what a configuration may hold, and the classes filed under the kinds it names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic_core import CoreSchema, core_schema

from seqloom.config.source import Trail

Share = Annotated[float, Field(ge=0, lt=1)]
"""A share of something, such as a dropout: from 0 up to, not including, 1."""
Natural = Annotated[int, Field(ge=0)]
"""A whole number from 0."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What randomness comes from: generators take 63 bits."""
Count = Annotated[int, Field(ge=1)]
"""A whole number from 1."""
Positive = Annotated[float, Field(gt=0)]
"""A number above 0."""


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
"""A name that a configuration gives: of a part, a task, a vocabulary or a group."""


class DataPath:
    """Marks a key that names a file to read; `${data}` in it is the data root."""


FilePath = Annotated[str, Field(min_length=1), DataPath()]


class Table(BaseModel):
    """A table of a configuration: unknown keys are refused, values are never silently converted."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        defer_build=True,
        validate_default=False,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    def changed(self, *keys: str) -> str:
        """Those of some keys that have another value than the default, for a message; empty if none has."""
        fields = type(self).model_fields
        return ", ".join(key for key in keys if getattr(self, key) != fields[key].default)

    @model_serializer(mode="wrap")
    def _resolved(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Every key with its value; one that is unset is left out, unless that is not its default."""
        fields = type(self).model_fields
        return {
            key: one for key, one in plain(self).items() if one is not None or fields[key].default is not None
        }


class Part:
    """Something a configuration can name by `type`: its table `Config` stands beside it.

    A class under a family that has a `Config` with a literal `type` is filed under that family and kind.
    """

    family: ClassVar[str]
    kind: ClassVar[str]
    Config: ClassVar[type[Table]]

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        table = cls.__dict__.get("Config")
        if table is None or "type" not in table.model_fields:
            return
        cls.kind = get_args(table.model_fields["type"].annotation)[0]
        known = _families.setdefault(cls.family, {}).setdefault(cls.kind, cls)
        if known.__qualname__ != cls.__qualname__:
            raise TypeError(f'{cls.family} has two kinds "{cls.kind}": {known} and {cls}')
        _families[cls.family][cls.kind] = cls


_families: dict[str, dict[str, type[Part]]] = {}


def kinds(family: str) -> Mapping[str, type[Part]]:
    """The registered parts of a family, by kind, sorted."""
    return dict(sorted(_families.get(family, {}).items()))


def families() -> list[str]:
    """Every family that has a kind, sorted."""
    return sorted(_families)


def part(family: str, kind: str) -> type[Part]:
    """The part of that family and kind."""
    return _families[family][kind]


def singular(family: str) -> str:
    """The word for one of a family: `heads` → `head`."""
    return family if family == "vectors" else family.removesuffix("s")


@dataclass(frozen=True)
class Choice:
    """An annotation: a table of any registered kind of `family`, or (if `names`) the name of a definition.

    Args:
        family: whose kinds may be written in place.
        names: the sections in which a string is looked up, such as ("embedders", "vectors").
        inline: whether a table may stand here, or a name only.
    """

    family: str
    names: tuple[str, ...] = ()
    inline: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {}
        if self.inline:
            choices = {kind: handler.generate_schema(one.Config) for kind, one in kinds(self.family).items()}
        if self.names:
            choices[_NAME] = core_schema.str_schema(min_length=1)
        return core_schema.tagged_union_schema(choices, discriminator=self._tag)

    def _tag(self, value: Any) -> str | None:
        if isinstance(value, str):
            return _NAME if self.names else None
        found = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
        return found if isinstance(found, str) else None


_NAME = "name"


def choice(annotation: Any) -> Choice | None:
    """The Choice somewhere inside a type annotation, such as in `list[Annotated[..., Choice(...)]]`."""
    if isinstance(annotation, Choice):
        return annotation
    return next((found for inner in get_args(annotation) if (found := choice(inner))), None)


def field_choice(table: type[Table], key: str) -> Choice | None:
    """The Choice of one field of a table, if it has one."""
    info = table.model_fields[key]
    return next((one for one in info.metadata if isinstance(one, Choice)), None) or choice(info.annotation)


def definitions(table: type[Table], value: Any, path: Trail) -> Iterator[tuple[Choice, Any, Trail]]:
    """Every name or definition written inside a table, with the Choice that rules it and its path."""
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key not in table.model_fields or (ruling := field_choice(table, key)) is None:
            continue
        yield from _spread(ruling, inner, (*path, key))


def _spread(ruling: Choice, value: Any, path: Trail) -> Iterator[tuple[Choice, Any, Trail]]:
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _spread(ruling, one, (*path, index))
    elif isinstance(value, dict) and "type" not in value:
        for key, one in value.items():
            yield from _spread(ruling, one, (*path, key))
    else:
        yield ruling, value, path


def data_paths(table: Table) -> Iterator[tuple[str, str]]:
    """Every file to read that a table (not the tables inside it) names: key, path."""
    for key, info in type(table).model_fields.items():
        marked = any(isinstance(one, DataPath) for one in info.metadata) or _holds_path(info.annotation)
        value = getattr(table, key)
        if marked and value is not None:
            for one in value if isinstance(value, list) else [value]:
                yield key, one


def _holds_path(annotation: Any) -> bool:
    if any(isinstance(one, DataPath) for one in getattr(annotation, "__metadata__", ())):
        return True
    return get_origin(annotation) is not Literal and any(_holds_path(inner) for inner in get_args(annotation))
