"""Checking a source against a root table: every mistake at once, in words, with the nearest valid one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin

from pydantic import ValidationError

from seqloom.config.source import Key, Source, Trail, shown, unknown
from seqloom.config.tables import Choice, Table, choice, kinds, singular

Known = TypeVar("Known", bound=Table)


class Checked(Table):
    """The base of a root table: checked against a source, with every mistake told at once."""

    @classmethod
    def check(cls, source: Source) -> Self | None:
        """The table, or None with the mistakes noted in `source`."""
        return checked(cls, source)


def checked(root: type[Known], source: Source) -> Known | None:
    """The table of a class that a source holds, or None with the mistakes noted in it."""
    try:
        return root.model_validate(source.values)
    except ValidationError as error:
        found: dict[Trail, list[Any]] = {}
        for one in error.errors(include_url=False):
            found.setdefault(_as_written(source, one), []).append(one)
        for path, errors in found.items():
            if what := _explain(root, source, path, errors, found):
                source.fault(path, what)
        return None


def _explain(
    root: type[Table], source: Source, path: Trail, errors: Sequence[Mapping[str, Any]], paths: Iterable[Trail]
) -> str:
    """What is wrong at a path; nothing where a form that it may have fits but for what stands inside."""
    first = errors[0]
    if first["type"] in _WORDS:
        return _WORDS[first["type"]](root, source, path)
    if first["type"] == "value_error":
        return "; ".join(str(one["ctx"]["error"]) for one in errors)
    deeper = isinstance(source.at(path), dict) and any(path == one[: len(path)] != one for one in paths)
    forms = list(dict.fromkeys(map(_form, errors)))
    rest = [one.removeprefix("be ") for one in forms[1:]]
    wanted = ", ".join([forms[0], *rest[:-1]]) + "".join(f" or {one}" for one in rest[-1:])
    return "" if deeper else f"should {wanted}, found {shown(first['input'])}"


def _as_written(source: Source, error: Mapping[str, Any]) -> Trail:
    """The path of an error as written: pydantic puts the kinds of unions into it as well."""
    path: list[Key] = []
    value: Any = source.values
    for key in error["loc"]:
        inside = isinstance(value, dict) and key in value
        if inside or (isinstance(value, list) and isinstance(key, int) and key < len(value)):
            value = value[key]
            path.append(key)
    return (*path, error["loc"][-1]) if error["type"] == "missing" else tuple(path)


def _extra(root: type[Table], source: Source, path: Trail) -> str:
    table = table_at(root, source, path[:-1])
    return unknown("key", str(path[-1]), table.model_fields if table else ())


def _tag(root: type[Table], source: Source, path: Trail) -> str:
    found = choice_at(root, source, path)
    family = found.family if found else "kind"
    value = source.at(path)
    if found and not found.inline:
        return f"should be a name from {' or '.join(found.names)}, found {shown(value)}"
    if isinstance(value, dict) and "type" in value:
        return unknown(singular(family), str(value["type"]), kinds(family))
    names = " or a name" if found and found.names else ""
    return f"should be a table with a type ({', '.join(kinds(family))}){names}, found {shown(value)}"


def _missing(root: type[Table], source: Source, path: Trail) -> str:
    return f'needs the key "{path[-1]}"'


def _form(error: Mapping[str, Any]) -> str:
    """What pydantic says that a value should be, in words for people who do not know Python."""
    if error["type"] == "too_short":
        least = error["ctx"]["min_length"]
        return f"have at least {'one entry' if least == 1 else f'{least} entries'}"
    return _FORMS.get(error["type"], str(error["msg"]).partition(" should ")[2])


_FORMS = {
    "bool_type": "be true or false",
    "dict_type": "be a table",
    "float_type": "be a number",
    "int_type": "be a whole number",
    "list_type": "be a list",
    "model_type": "be a table",
    "string_type": "be a word",
}


_WORDS: dict[str, Callable[[type[Table], Source, Trail], str]] = {
    "extra_forbidden": _extra,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _tag,
    "missing": _missing,
}


def table_at(root: type[Table], source: Source, path: Sequence[Key]) -> type[Table] | None:
    """The table class that rules what is written at a path."""
    return _table(_annotation_at(root, source, path), source.at(path))


def choice_at(root: type[Table], source: Source, path: Sequence[Key]) -> Choice | None:
    """The Choice that rules what is written at a path."""
    return choice(_annotation_at(root, source, path))


def _annotation_at(root: type[Table], source: Source, path: Sequence[Key]) -> Any:
    annotation: Any = root
    for depth, key in enumerate(path):
        table = _table(annotation, source.at(path[:depth]))
        if table is not None:
            if key not in table.model_fields:
                return None
            info = table.model_fields[str(key)]
            annotation = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        else:
            annotation = _element(annotation)
    return annotation


def _table(annotation: Any, value: Any) -> type[Table] | None:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    if isinstance(value, dict):
        if (found := _direct_choice(annotation)) is not None:
            one = kinds(found.family).get(str(value.get("type")))
            return one.Config if one else None
        if get_origin(annotation) not in (dict, list):
            return next((table for inner in get_args(annotation) if (table := _table(inner, value))), None)
    return None


def _direct_choice(annotation: Any) -> Choice | None:
    return next((one for one in getattr(annotation, "__metadata__", ()) if isinstance(one, Choice)), None)


def _element(annotation: Any) -> Any:
    """What a dict or list annotation holds, found through Optional and Annotated."""
    if get_origin(annotation) in (dict, list):
        return get_args(annotation)[-1]
    return next((found for inner in get_args(annotation) if (found := _element(inner)) is not None), None)
