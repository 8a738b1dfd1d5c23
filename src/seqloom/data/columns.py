"""Columns: a split of a task as flat arrays with offsets, memory-mapped from a cache keyed by its content.

What is stored does not depend on any vocabulary: a text is the numbers of its forms in the column's own list of
distinct forms. So one pass over a file serves every model that will ever read it.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seqloom.errors import DataError
from seqloom.progress import notice

PLACE = "\0place"
"""The key of an example's file and line, where examples come from several files; no column of data has this name."""
FORMAT = 3
"""Raised whenever what is kept from run to run would be another: how text is cut and stored, how vectors are made."""
KEPT_DAYS = 30
SPILL = 1 << 20


class Storing(Protocol):
    """What a column asks of its field."""

    @property
    def numeric(self) -> bool:
        """Whether values are numbers rather than symbols."""

    @property
    def text(self) -> bool:
        """Whether values are texts, whose length is limited."""

    @property
    def runs(self) -> bool:
        """Whether each text follows on the one before, so that none is too long."""

    def store(self, value: Any) -> Sequence[str] | Sequence[float]:
        """What is kept of a value."""


class Column:
    """One column of all rows: flat values, offsets of the rows in them, and the forms that values number.

    Args:
        values: int32 numbers of forms, or float64.
        offsets: (rows + 1,) int64.
        forms: the distinct forms, in order of appearance; empty for numbers.
        rows: the rows that belong to the split, or None for all.
    """

    def __init__(
        self, values: np.ndarray, offsets: np.ndarray, forms: Sequence[str], rows: np.ndarray | None = None
    ) -> None:
        self.values, self.offsets, self.forms, self.rows = values, offsets, forms, rows

    @property
    def lengths(self) -> np.ndarray:
        """How many values each row has, in all rows."""
        return np.diff(self.offsets)

    def row(self, number: int) -> list[Any]:
        """The stored symbols or numbers of a row."""
        values = self.values[self.offsets[number] : self.offsets[number + 1]]
        return [self.forms[value] for value in values] if len(self.forms) else values.tolist()

    def counts(self) -> dict[str, int]:
        """How often each form occurs in the rows of the split."""
        values = self.values
        if self.rows is not None:
            chosen = np.zeros(len(self.offsets) - 1, dtype=bool)
            chosen[self.rows] = True
            values = values[np.repeat(chosen, self.lengths)]
        numbers = np.bincount(values, minlength=len(self.forms))
        return {form: int(number) for form, number in zip(self.forms, numbers, strict=True) if number}

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values of some rows (batch, time), padded with -1, and their lengths (batch,)."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        places = np.arange(int(lengths.max(initial=1)))
        inside = places < lengths[:, None]
        padded = np.full(inside.shape, -1, dtype=np.int64)
        padded[inside] = self.values[(starts[:, None] + places)[inside]]
        return padded, lengths


@dataclass(frozen=True)
class Columns:
    """A split of a task: its columns, the file lines its rows began at, and which rows belong to it.

    `digest` is a fingerprint of the whole content, where it came from a file.
    """

    columns: Mapping[str, Column]
    lines: np.ndarray
    path: str = ""
    rows: np.ndarray | None = None
    digest: str = ""

    def __len__(self) -> int:
        return len(self.lines) if self.rows is None else len(self.rows)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of the rows that belong to the split, in file order."""
        return np.arange(len(self.lines)) if self.rows is None else self.rows

    def lengths(self, names: Iterable[str]) -> np.ndarray:
        """The lengths (rows, texts) of the named texts of each row of the split; those that it lacks are left out."""
        found = [self.columns[name].lengths[self.numbers] for name in names if name in self.columns]
        return np.stack(found, 1) if found else np.ones((len(self), 1), dtype=np.int64)

    def select(self, rows: np.ndarray) -> "Columns":
        """The split cut to some of its rows."""
        chosen = {name: Column(one.values, one.offsets, one.forms, rows) for name, one in self.columns.items()}
        return replace(self, columns=chosen, rows=rows)

    def where(self, row: int) -> str:
        """Where a row began: `file:line`."""
        return f"{self.path}:{self.lines[row]}" if self.path else f"row {row}"


class _Growing:
    """A column being written: values go to memory, and on to a file when there is one."""

    def __init__(self, field: Storing, folder: Path | None, name: str) -> None:
        self.field, self.folder, self.name = field, folder, name
        self.values = array("d" if field.numeric else "i")
        self.offsets = array("q", [0])
        self.ids: dict[str, int] = {}
        self.file = (folder / f"{name}.values").open("wb") if folder else None

    def add(self, value: Any) -> int:
        stored = self.field.store(value)
        if self.field.numeric:
            self.values.extend(stored)  # type: ignore[arg-type]
        else:
            ids = self.ids
            self.values.extend(ids.setdefault(form, len(ids)) for form in stored)  # type: ignore[arg-type]
        self.offsets.append(self.offsets[-1] + len(stored))
        if self.file and len(self.values) > SPILL:
            self._spill()
        return len(stored)

    def _spill(self) -> None:
        if self.file:
            self.values.tofile(self.file)
            self.values = self.values[:0]

    def finish(self) -> Column:
        if self.file and self.folder:
            self._spill()
            self.file.close()
            np.frombuffer(self.offsets, dtype=np.int64).tofile(self.folder / f"{self.name}.offsets")
            forms = "\n".join(map(json.dumps, self.ids))
            (self.folder / f"{self.name}.forms").write_text(forms, encoding="utf-8")
        dtype = np.float64 if self.field.numeric else np.int32
        values = np.frombuffer(self.values, dtype=dtype) if self.values else np.zeros(0, dtype)
        return Column(values, np.frombuffer(self.offsets, dtype=np.int64), tuple(self.ids))


def build(
    examples: Iterable[Mapping[str, Any]],
    fields: Mapping[str, Storing],
    *,
    path: str = "",
    longest: int | None = None,
    folder: Path | None = None,
) -> Columns:
    """Store examples as columns, in memory or in `folder`.

    Args:
        examples: plain dicts; `line`, if there, is the file line that the example began at, `PLACE` its file and line
            where they come from several.
        fields: by column; a column that no example has is left out (gold columns, when predicting).
        path: the file they came from, for messages.
        longest: the most tokens a text may have.
        folder: where the arrays go.

    Raises:
        DataError: a value that is not of its field's form, a text over the limit; it names file and line.
    """
    growing: dict[str, _Growing] = {}
    lines = array("q")
    for number, example in enumerate(examples, 1):
        where, line = example.get(PLACE, (path, int(example.get("line", number))))
        if not lines:
            growing = {name: _Growing(one, folder, name) for name, one in fields.items() if name in example}
        _add(growing, example, where, line, longest)
        lines.append(line)
    if folder:
        np.frombuffer(lines, dtype=np.int64).tofile(folder / "lines")
    columns = {name: one.finish() for name, one in growing.items()}
    return Columns(columns, np.frombuffer(lines, dtype=np.int64) if lines else np.zeros(0, np.int64), path)


def _add(
    growing: Mapping[str, _Growing], example: Mapping[str, Any], path: str, line: int, longest: int | None
) -> None:
    lengths = {}
    for name, one in growing.items():
        try:
            lengths[name] = one.add(example[name])
        except KeyError:
            raise DataError(f'the example has no "{name}", though others have', path or None, line) from None
        except ValueError as fault:
            raise DataError(f"{name}: {fault}", path or None, line) from None
        along = getattr(one.field, "along", None)
        if along in lengths and lengths[along] != lengths[name]:
            what = f"{lengths[name]} {name} for {lengths[along]} tokens of {along}; they should be as many"
            raise DataError(what, path or None, line)
        if longest and one.field.text and not one.field.runs and lengths[name] > longest:
            what = f"a text of {lengths[name]:,} tokens is over the limit of {longest:,}; split it, or raise the limit"
            raise DataError(f"{what} (reader key `longest`)", path or None, line)


def cache_root() -> Path:
    """Where stored columns are kept: the variable SEQLOOM_CACHE, else `~/.cache/seqloom`."""
    return Path(os.environ.get("SEQLOOM_CACHE") or Path.home() / ".cache" / "seqloom") / "columns"


def cached(key: Mapping[str, Any], fields: Mapping[str, Storing], make: Any, path: str) -> Columns:
    """The columns kept under a key, stored now by `make(folder)` where they are not.

    Args:
        key: all that the content depends on, such as the file's hash and the reader's table.
        fields: by column.
        make: fills a folder, as `build` does.
        path: the file the rows came from, for messages.
    """
    digest = hashlib.sha256(json.dumps([FORMAT, key], sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_root() / digest
    try:
        if not folder.exists():
            _expire(folder.parent)
            _place(folder, make)
        folder.touch()
        return replace(_open(folder, fields, path), digest=digest)
    except OSError as fault:
        notice(f"columns are not cached ({fault}); set SEQLOOM_CACHE to a folder that can be written")
        shutil.rmtree(folder, ignore_errors=True)
        columns: Columns = make(None)
        return replace(columns, digest=digest)


def _place(folder: Path, make: Any) -> None:
    """Fill a folder of our own, then give it its name, unless another process was first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        make(partial)
        if not folder.exists():
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _expire(root: Path) -> None:
    limit = time.time() - KEPT_DAYS * 86400
    for old in root.glob("*") if root.is_dir() else ():
        if old.stat().st_mtime < limit:
            shutil.rmtree(old, ignore_errors=True)


def _open(folder: Path, fields: Mapping[str, Storing], path: str) -> Columns:
    columns = {}
    for name, field in fields.items():
        if not (folder / f"{name}.offsets").exists():
            continue
        values = _map(folder / f"{name}.values", np.dtype(np.float64 if field.numeric else np.int32))
        text = (folder / f"{name}.forms").read_text(encoding="utf-8")
        forms = tuple(json.loads(line) for line in text.split("\n")) if text else ()
        columns[name] = Column(values, _map(folder / f"{name}.offsets", np.dtype(np.int64)), forms)
    return Columns(columns, _map(folder / "lines", np.dtype(np.int64)), path)


def _map(path: Path, dtype: np.dtype[Any]) -> np.ndarray:
    if not path.stat().st_size:
        return np.zeros(0, dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
