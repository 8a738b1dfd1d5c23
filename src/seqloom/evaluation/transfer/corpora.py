"""The files of the suite's tasks: where they may lie under a data root, and what their lines say."""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqloom.errors import DataError
from seqloom.files import lines, sha256

Parsed = tuple[tuple[str, ...], str]
"""The texts of an example, one or two, and its class or score as it is written."""
Parse = Callable[[str, str, str], Parsed]
"""What a line says, given the names of its file and of the part that is read."""


class Absent(DataError):
    """A task's files are not under the data root; `partly` says that some of them are."""

    def __init__(self, missing: Sequence[str], root: Path, remedy: str, partly: bool) -> None:
        what = f"lacks {', '.join(missing)}"
        super().__init__(f"{what}; {remedy}", root)
        self.missing, self.partly = missing, partly


@dataclass(frozen=True)
class Examples:
    """Rows in SentEval's order, by the lengths of their texts and then by gold.

    `texts` are columns, one or two, of strings; `gold` is (rows,), classes from 0 or scores.
    """

    texts: tuple[list[str], ...]
    gold: np.ndarray

    def __len__(self) -> int:
        return len(self.gold)


@dataclass(frozen=True)
class Corpus:
    """A task's data: its parts by name, the SHA-256 of its files, the parts that are lacking, vectors of images."""

    parts: Mapping[str, Examples]
    files: Mapping[str, str]
    lacking: Sequence[str] = ()
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Layout:
    """One way in which a task's files may lie.

    Args:
        parts: the files of each part, below the data root; of a file also a gzipped form is taken.
        parse: what a line says; of two files a part, with `beside`, what two lines with a tab between say.
        skip: lines at the beginning that are no examples.
        optional: whether parts may be lacking, as long as one is there.
        beside: whether the files of a part are read side by side, not one after another.
    """

    parts: Mapping[str, tuple[str, ...]]
    parse: Parse
    skip: int = 0
    optional: bool = False
    beside: bool = False

    @property
    def paths(self) -> list[str]:
        """All its files."""
        return list(dict.fromkeys(path for files in self.parts.values() for path in files))


@dataclass(frozen=True)
class Source:
    """Where a task's data come from.

    Args:
        layouts: the one that is asked for first.
        remedy: how to come by the files.
        classes: the number of each label; None for scores, nothing for labels that are numbered as they sort.
    """

    layouts: tuple[Layout, ...]
    remedy: str
    classes: Mapping[str, int] | None = None

    def read(self, root: Path) -> Corpus:
        """The data under a root, in the first layout that is there.

        Raises:
            Absent: none is there; it says which files are missing and how to come by them.
            DataError: a line is not what it should be.
        """
        for layout in self.layouts:
            there = {name: [_found(root, path) for path in files] for name, files in layout.parts.items()}
            whole = {name: [path for path in paths if path] for name, paths in there.items() if all(paths)}
            if whole and (layout.optional or len(whole) == len(there)):
                files = {str(path.relative_to(root)): sha256(path) for one in whole.values() for path in one}
                return Corpus(self._parts(layout, whole), files, [name for name in there if name not in whole])
        raise self._absent(root)

    def _absent(self, root: Path) -> Absent:
        lacking = [[path for path in layout.paths if not _found(root, path)] for layout in self.layouts]
        partly = [
            missing
            for missing, layout in zip(lacking, self.layouts, strict=True)
            if len(missing) < len(layout.paths)
        ]
        return Absent((partly or lacking)[0], root, self.remedy, bool(partly))

    def _parts(self, layout: Layout, paths: Mapping[str, Sequence[Path]]) -> dict[str, Examples]:
        rows = {part: [*_rows(layout, part, files)] for part, files in paths.items()}
        labels = sorted({row.gold for one in rows.values() for row in one})
        numbers = {label: place for place, label in enumerate(labels)} if self.classes == {} else self.classes
        return {part: ordered((row.texts, row.number(numbers)) for row in one) for part, one in rows.items()}


@dataclass(frozen=True)
class _Row:
    texts: tuple[str, ...]
    gold: str
    path: Path
    line: int

    def number(self, classes: Mapping[str, int] | None) -> float:
        if classes is None:
            return self._score()
        if self.gold not in classes:
            what = f'no label "{self.gold}" is known here ({", ".join(classes)})'
            raise DataError(what, self.path, self.line)
        return classes[self.gold]

    def _score(self) -> float:
        try:
            score = float(self.gold)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise DataError(f'"{self.gold}" is no score', self.path, self.line)
        return score


UNSCORED = ""
"""The gold of a row that nobody has judged, or of another part; it is passed over."""


def _rows(layout: Layout, part: str, paths: Sequence[Path]) -> Iterator[_Row]:
    found = False
    for path, number, line in _beside(paths) if layout.beside else _after(paths):
        if number <= layout.skip or not line.strip():
            continue
        try:
            texts, gold = layout.parse(line, path.name, part)
        except (ValueError, csv.Error) as fault:
            raise DataError(f'cannot be read as an example ({fault}): "{line:.60}"', path, number) from None
        if gold != UNSCORED:
            found = True
            yield _Row(texts, gold, path, number)
    if not found:
        raise DataError("holds no examples", paths[0])


def ordered(rows: Iterable[tuple[tuple[str, ...], float]]) -> Examples:
    """Rows in the order in which SentEval numbers them: by the words of each text, then by gold, else as they came."""
    kept = sorted(rows, key=lambda row: (*(len(text.split()) for text in row[0]), row[1]))
    gold = np.array([gold for _, gold in kept])
    return Examples(tuple(map(list, zip(*(texts for texts, _ in kept), strict=True))), gold)


def _found(root: Path, path: str) -> Path | None:
    both = (root / path, root / f"{path}.gz")
    return next((one for one in both if one.is_file()), None)


def _after(paths: Sequence[Path]) -> Iterator[tuple[Path, int, str]]:
    for path in paths:
        for number, line in lines(path):
            yield path, number, line


def _beside(paths: Sequence[Path]) -> Iterator[tuple[Path, int, str]]:
    sides = [list(lines(path)) for path in paths]
    counts = [len(side) for side in sides]
    if len(set(counts)) > 1:
        raise DataError(f"{counts[0]} lines, but {paths[1].name} has {counts[1]}", paths[0])
    for one in zip(*sides, strict=True):
        yield paths[0], one[0][0], "\t".join(line for _, line in one)


def label_first(line: str, *_: str) -> Parsed:
    """`LABEL SENTENCE`."""
    label, text = _halves(line)
    return (text,), label


def label_last(line: str, *_: str) -> Parsed:
    """`SENTENCE`, a tab, `LABEL`."""
    text, label = line.rsplit("\t", 1)
    return (text,), label


def question(line: str, *_: str) -> Parsed:
    """`COARSE:fine QUESTION`, of which the coarse class counts."""
    label, text = _halves(line)
    return (text,), label.split(":")[0]


def _halves(line: str) -> tuple[str, str]:
    label, blank, text = line.partition(" ")
    if not blank:
        raise ValueError("a label, a blank and a text are needed")
    return label, text


def sided(one: str) -> Parse:
    """A sentence a line, of class 1 in the file of this name and of class 0 in another."""
    return lambda line, file, _: ((line,), "1" if file.removesuffix(".gz") == one else "0")


def probing(line: str, _: str, part: str) -> Parsed:
    """The part (tr, va, te), the label and the sentence, with tabs between."""
    (text,), gold = cells(1, 2)(line, "", part)
    return (text,), gold if {"tr": "train", "va": "dev", "te": "test"}.get(
        line.split("\t")[0]
    ) == part else UNSCORED


def cells(gold: int, *texts: int) -> Parse:
    """Cells with tabs between, and where in a line the gold and the texts are."""

    def parse(line: str, *others: str) -> Parsed:
        found = line.split("\t")
        if len(found) <= max(gold, *texts):
            raise ValueError(f"{len(found)} cells, {max(gold, *texts) + 1} are needed")
        return tuple(found[place] for place in texts), found[gold].strip()

    return parse


def commas(line: str, *_: str) -> Parsed:
    """Two texts and a score as comma-separated values."""
    first, second, score = next(csv.reader([line]))
    return (first, second), score


def inference(line: str, *_: str) -> Parsed:
    """A JSON object with SNLI's keys; a pair without a gold label is passed over."""
    row = json.loads(line)
    keys = ("gold_label", "sentence1", "sentence2")
    found = [row.get(key) for key in keys] if isinstance(row, dict) else []
    texts = [one for one in found if isinstance(one, str)]
    if len(texts) < len(keys):
        raise ValueError(f"an object with texts {', '.join(keys)} is needed")
    gold, first, second = texts
    return (first, second), UNSCORED if gold == "-" else gold
