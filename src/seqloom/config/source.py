"""A configuration as written: YAML 1.2 read into plain values with their line numbers, and overrides."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from seqloom.errors import ConfigError, Fault
from seqloom.files import lines

Key = str | int
Trail = tuple[Key, ...]


@dataclass
class Source:
    """A configuration as written: plain values, where each stood, and the settings that were put over it."""

    values: dict[str, Any]
    name: str = "config"
    positions: dict[Trail, int] = field(default_factory=dict)
    settings: dict[Trail, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def where(self, path: Sequence[Key]) -> str:
        """The place of a path, or of the nearest thing around it: `file:line`, or the option, as `--set KEY=VALUE`."""
        path = tuple(path)
        within = [told for one, told in self.settings.items() if one[: len(path)] == path]
        if path and path not in self.positions and within:
            return within[0]
        for end in range(len(path), -1, -1):
            if told := self.settings.get(path[:end]):
                return told
            if line := self.positions.get(path[:end]):
                return f"{self.name}:{line}"
        return self.name

    def at(self, path: Sequence[Key]) -> Any:
        """The plain value at a path, or None."""
        value: Any = self.values
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def fault(self, path: Sequence[Key], what: str) -> None:
        """Note a mistake at a path."""
        self.faults.append(Fault(self.where(path), dotted(path), what))

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Tell where a mistake stands that is found later, of which the path alone is known."""
        try:
            yield
        except ConfigError as found:
            raise ConfigError(
                [
                    one if one.where or not one.path else replace(one, where=self.where(one.path.split(".")))
                    for one in found.faults
                ]
            ) from None

    def done(self) -> None:
        """Raise one ConfigError with every mistake noted, in the order of the file."""
        if self.faults:
            raise ConfigError(sorted(dict.fromkeys(self.faults), key=_line))


def _line(fault: Fault) -> tuple[int, str]:
    number = fault.where.rpartition(":")[2]
    return (int(number) if number.isdigit() else 0, fault.path)


def dotted(path: Iterable[Key]) -> str:
    """A path as people write it: `tasks.ner.head`."""
    return ".".join(map(str, path))


def read(path: str | Path) -> Source:
    """Read a YAML 1.2 file into plain values with line numbers.

    Raises:
        ConfigError: not YAML, a key twice in one table, or no table at the top.
    """
    return parse("\n".join(line for _, line in lines(path)), str(path))


def parse(text: str, name: str = "config") -> Source:
    """Read YAML 1.2 text as `read` does; `name` stands for the file in messages."""
    yaml = YAML(typ="rt", pure=True)
    try:
        tree = yaml.load(StringIO(text))
    except YAMLError as fault:
        raise ConfigError([_yaml_fault(fault, name)]) from None
    except (ValueError, RecursionError) as fault:
        raise ConfigError([Fault(name, "", f"a value cannot be read: {fault}")]) from None
    if not isinstance(tree, CommentedMap):
        raise ConfigError([Fault(name, "", "should hold a table of keys, such as `version: 1`")])
    source = Source({}, name)
    source.values = _plain(tree, (), source.positions)
    return source


def _yaml_fault(fault: YAMLError, name: str) -> Fault:
    mark = getattr(fault, "problem_mark", None)
    where = f"{name}:{mark.line + 1}" if mark else name
    problem = getattr(fault, "problem", None) or str(fault)
    if isinstance(fault, DuplicateKeyError):
        return Fault(where, "", f"a key stands twice in one table: {problem.splitlines()[0]}")
    return Fault(where, "", f"not YAML: {problem}" if isinstance(fault, MarkedYAMLError) else str(fault))


def _plain(node: Any, path: Trail, positions: dict[Trail, int]) -> Any:
    if isinstance(node, CommentedMap):
        for key in node:
            # A key merged in by `<<` stands elsewhere; what it means is told at the table that took it in.
            if key in node.lc.data:
                positions[(*path, key)] = node.lc.key(key)[0] + 1
        return {_scalar(key): _plain(value, (*path, key), positions) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            positions[(*path, index)] = node.lc.item(index)[0] + 1
        return [_plain(value, (*path, index), positions) for index, value in enumerate(node)]
    return _scalar(node)


def _scalar(value: Any) -> Any:
    if isinstance(value, ScalarBoolean):  # an int, where the value has an anchor
        return bool(value)
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)
    return value


def override(source: Source, settings: Iterable[str], option: str = "--set") -> None:
    """Apply `training.steps=100` settings to a source, values read as YAML; a bad one is noted as a mistake.

    A table that is set to null is left out: `tasks.de=null`. Mistakes are told by the option that settings come from.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(key.split(".")):
            source.faults.append(Fault(f"{option} {setting}", "", "should read key.path=value"))
            continue
        keys: list[Key] = [int(one) if one.isdecimal() else one for one in key.split(".")]
        source.settings[tuple(keys)] = f"{option} {setting}"
        _put(source, keys, text, option)


def _put(source: Source, keys: list[Key], text: str, option: str) -> None:
    place: Any = source.values
    for depth, key in enumerate(keys[:-1]):
        inside = source.at(keys[: depth + 1])
        if not isinstance(inside, dict | list):
            if not isinstance(place, dict):
                source.faults.append(
                    Fault(f"{option} {dotted(keys)}", "", f"nothing to set in {dotted(keys[:depth])}")
                )
                return
            inside = place[key] = {}
        place = inside
    try:
        value = YAML(typ="safe", pure=True).load(text)
        if value is None and isinstance(place, dict) and isinstance(place.get(keys[-1]), dict):
            del place[keys[-1]]
        else:
            place[keys[-1]] = value
    except (YAMLError, IndexError, TypeError, ValueError, RecursionError) as fault:
        problem = getattr(fault, "problem", None) or fault
        source.faults.append(Fault(f"{option} {dotted(keys)}={text}", "", f"cannot be set: {problem}"))


def write_yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML 1.2 text."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 110
    out = StringIO()
    yaml.dump(dict(values), out)
    return out.getvalue()


def shown(value: Any) -> str:
    """A value as it is quoted in a message, cut if long."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def unknown(what: str, found: str, valid: Iterable[str]) -> str:
    """The message for an unknown word: what it should name, the nearest valid word, and all of them."""
    valid = sorted(valid)
    near = nearest(found, valid)
    guess = f'; did you mean "{near}"?' if near else ""
    return f'no {what} "{found}"{guess} ({", ".join(valid) or "there is none"})'


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word most like `word`, if one is near."""
    return next(iter(difflib.get_close_matches(word, list(valid), 1, 0.6)), None)
