"""Refresh what the pages take from the code; `make docs` runs it, and a test tells when it was forgotten.

What stands in a page between `<!-- WHAT: WHICH -->` and `<!-- end -->` is written here:

- `file: PATH`: the file in full;
- `kinds: FAMILY`: every kind of part of a family, with its keys;
- `table: NAME`: the keys of a table that is no part, one of TABLES;
- `faults: NAME`: what `seqloom check NAME` says to the configuration in the block above.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from seqloom.config import Choice, DataPath, Table, kinds, parse, singular
from seqloom.errors import ConfigError
from seqloom.experiment import Experiment, check
from seqloom.files import write_text
from seqloom.model.tables import TaskTable, VectorsTable, discover
from seqloom.training.table import TaskTraining, TrainingTable

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(?P<open><!-- (?P<what>\w+): (?P<which>\S+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL)
LANGUAGES = {".py": "python", ".yaml": "yaml"}
TABLES: Mapping[str, type[Table]] = {
    "experiment": Experiment,
    "vectors": VectorsTable,
    "task": TaskTable,
    "training": TrainingTable,
    "settings": TaskTraining,
}


def pages() -> list[Path]:
    """Every page that people read."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def refreshed(page: str) -> str:
    """The text of a page with everything between its marks written anew."""
    return MARKED.sub(lambda found: f"{found['open']}\n{_made(found)}\n\n{found['close']}", page)


def _made(found: re.Match[str]) -> str:
    match found["what"]:
        case "file":
            path = ROOT / found["which"]
            return _fenced(path.read_text(encoding="utf-8"), LANGUAGES[path.suffix])
        case "kinds":
            return "\n\n".join(_family(found["which"]))
        case "table":
            return _keys(TABLES[found["which"]])
        case "faults":
            return _faults(found.string[: found.start()], found["which"])
    raise ValueError(
        f"a page asks for {found[0].splitlines()[0]}, which is none of what docs/generate.py knows"
    )


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _faults(before: str, name: str) -> str:
    config = re.findall(r"^```yaml\n(.*?)^```", before, re.DOTALL | re.MULTILINE)[-1]
    try:
        check(parse(config, name))
    except ConfigError as fault:
        return _fenced(f"$ seqloom check {name}\n{fault}", "console")
    raise ValueError(f"{name} was to show mistakes, but has none")


def _family(family: str) -> Iterator[str]:
    """The kinds of a family; the keys that all have stand first, once."""
    parts = kinds(family)
    # A part out of another model has that model's settings, not those that its siblings share.
    learnt = {kind: part.Config for kind, part in parts.items() if "inside" not in part.Config.model_fields}
    common = _common(list(learnt.values()))
    if common is not None:
        but = "".join(f" but {kind}" for kind in parts if kind not in learnt)
        yield f"**Keys of every {singular(family)}{but}**"
        yield inspect.getdoc(common) or ""
        yield _keys(common)
    for kind, part in parts.items():
        yield f"### {kind}"
        yield inspect.getdoc(part) or ""
        if keys := _keys(part.Config, common if kind in learnt else None):
            yield inspect.getdoc(part.Config) or ""
            yield keys


def _common(tables: Sequence[type[Table]]) -> type[Table] | None:
    """The table with keys that all of several tables extend or are, if there is one."""
    shared = [
        base
        for base in tables[0].__mro__
        if issubclass(base, Table) and all(issubclass(one, base) for one in tables)
    ]
    return next((base for base in shared if len(tables) > 1 and set(base.model_fields) - {"type"}), None)


def _keys(table: type[Table], known: type[Table] | None = None) -> str:
    """A table's keys, what each takes and its default, as rows; without those that are known, none for none.

    Nobody writes what a part out of another model holds inside.
    """
    left_out = {"type", "inside", *(known.model_fields if known else ())}
    rows = [
        f"| `{key}` | {_words(info.rebuild_annotation())} | {_default(info)} |"
        for key, info in table.model_fields.items()
        if key not in left_out
    ]
    return "\n".join(["| key | takes | default |", "|---|---|---|", *rows]) if rows else ""


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    value = info.get_default(call_default_factory=True)
    return "" if value is None else f"`{_written(value)}`"


def _written(value: Any) -> str:
    """A value as one writes it in a configuration."""
    if isinstance(value, Table):
        return _written({"type": getattr(value, "type", "")})
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


PLAIN = {str: "word{}", int: "whole number{}", float: "number{}", bool: "`true` or `false`", Table: "table{}"}
BOUNDS = {"ge": "from {}", "gt": "above {}", "lt": "below {}", "le": "up to {}"}


def _words(annotation: Any, plural: str = "") -> str:
    """What a key takes, in words; `plural` is the ending of nouns."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _marked(inside[0], _flat(inside[1:]), plural)
    if origin in (Union, UnionType):
        return _either([_words(one, plural) for one in inside if one is not NoneType])
    if origin is Literal:
        return _either([f"`{one}`" for one in inside])
    if origin is list:
        return f"list{plural} of {_words(inside[0], 's')}"
    if origin is dict:
        by = _words(inside[0]).replace("word", "name")
        return f"table{plural} of {_words(inside[1], 's')} by {by}"
    if annotation in PLAIN:
        return PLAIN[annotation].format(plural)
    return _table(annotation, plural)


def _table(table: type[Table], plural: str) -> str:
    if name := next((name for name, one in TABLES.items() if one is table), None):
        return f"[{name.removesuffix('s')}{plural}](#{name})"
    keys = [f"{key}: {_words(info.rebuild_annotation())}" for key, info in table.model_fields.items()]
    inner = ", ".join(keys).replace("`", "")
    return f"`{{{inner}}}`"


def _flat(marks: Sequence[Any]) -> list[Any]:
    return [inner for one in marks for inner in (_flat(one.metadata) if isinstance(one, FieldInfo) else [one])]


def _marked(base: Any, marks: Sequence[Any], plural: str) -> str:
    if found := next((mark for mark in marks if isinstance(mark, Choice)), None):
        return _choice(found, plural)
    if any(isinstance(mark, DataPath) for mark in marks):
        return f"file{plural}"
    if any(getattr(mark, "pattern", None) for mark in marks):
        return f"name{plural}"
    bounds = [
        words.format(getattr(mark, key))
        for mark in marks
        for key, words in BOUNDS.items()
        if hasattr(mark, key)
    ]
    return " ".join([_words(base, plural), " and ".join(bounds)]).strip()


def _choice(ruling: Choice, plural: str) -> str:
    if not ruling.inline:
        return f"name{plural} from `{'` or `'.join(ruling.names)}`"
    noun = singular(ruling.family) + plural
    linked = f"[{noun}](#{ruling.family})"
    return f"{linked}, or name{plural} from `{'` or `'.join(ruling.names)}`" if ruling.names else linked


def _either(forms: Sequence[str]) -> str:
    return ", ".join(forms[:-1]) + (" or " if len(forms) > 1 else "") + forms[-1]


def main() -> None:
    """Refresh every page."""
    discover()
    for page in pages():
        old = page.read_text(encoding="utf-8")
        if (new := refreshed(old)) != old:
            write_text(page, new)


if __name__ == "__main__":
    main()
