"""Word vectors: stores of our own that are mapped, and the files of others (GloVe, word2vec, fastText) as they are.

Text and word2vec's binary files are read in one pass that parses only rows that are needed, so memory stays flat
in the size of the file. `convert` makes a store of such a file, or of the part of it that a vocabulary needs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqloom.data.fasttext import FastTextModel, is_fasttext
from seqloom.data.vector_files import Source, foreign
from seqloom.data.vector_format import Header
from seqloom.data.vector_h5 import H5File, is_h5
from seqloom.data.vector_lines import ALL, Matrix, Undecodable
from seqloom.data.vector_match import Coverage, Loosest, Match, Unknown, Wanted, Way
from seqloom.data.vector_numbers import Positions
from seqloom.data.vector_store import Precision, Table, is_store, open_store, unseen, write_store
from seqloom.errors import DataError
from seqloom.files import locate, replacing_folder

__all__ = ["Conversion", "Coverage", "Match", "Origin", "Unknown", "Vectors", "Way", "convert"]

_BLOCK = 1 << 13  # rows whose similarities are computed at once


@dataclass(frozen=True)
class Origin:
    """A store of word vectors that need not be there any more: what a saved model still knows of it."""

    size: int


class Vectors:
    """Words and their vectors, in a store of ours, a file of another program, or memory.

    Of a store the matrix is mapped and only rows that are asked for are read. Of a foreign file nothing is kept:
    each of `rows`, `match`, `words` is a pass over it; `matrix` and `near` read it whole, once.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._model = source if isinstance(source, FastTextModel) else None

    @classmethod
    def open(
        cls, path: str | Path, *, header: Header = "check", undecodable: Undecodable = "error"
    ) -> "Vectors":
        """Open a store's folder or a file: text of GloVe, word2vec or fastText, binary of the latter two, GenSen's h5.

        Args:
            path: the folder or file; `${data}` is filled in.
            header: of a text, "check": a first line of two whole numbers is a header and has to be true; "skip":
                the first line is passed over, whatever it says; "none": every line is a vector.
            undecodable: what becomes of a word that is not UTF-8: an "error", or bytes "replace"d by U+FFFD.

        Raises:
            DataError: there is nothing, or not this, at the path, or it is damaged; it says where.
        """
        path = locate(path)
        if is_fasttext(path):
            return cls(FastTextModel(path, undecodable))
        if is_h5(path):
            return cls(H5File(path))
        return cls(open_store(path) if is_store(path) else foreign(path, header, undecodable))

    @classmethod
    def of(cls, words: Sequence[str], matrix: NDArray[Any], name: str = "vectors") -> "Vectors":
        """Vectors in memory: distinct words and a matrix of shape (words, size)."""
        words = tuple(words)
        return cls(Table(name, matrix, lambda: words))

    @property
    def name(self) -> str:
        """The name of the folder or file."""
        return self._source.name

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return self._source.size

    @cached_property
    def words(self) -> Sequence[str]:
        """The distinct words, in the order of the source."""
        if isinstance(self._source, Table):
            return self._source.words
        return list(dict.fromkeys(word for block in self._source.blocks() for word in block.words))

    @property
    def matrix(self) -> NDArray[Any]:
        """The vectors of `words`, shape (words, size), not to be written to; a store's is mapped, of its own type."""
        return self._table.matrix

    @property
    def _table(self) -> Table:
        if not isinstance(self._source, Table):
            self._source = _read_whole(self._source)
        return self._source

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in (self._source.index if isinstance(self._source, Table) else self._known)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.words)

    def __repr__(self) -> str:
        return f'Vectors("{self.name}", size {self.size})'

    def rows(self, words: Sequence[str]) -> Matrix:
        """The vectors of the words, shape (words, size); only these are read.

        Raises:
            DataError: a word has no vector.
        """
        if isinstance(self._source, Table):
            index = self._source.index
            missing = tuple(word for word in words if word not in index)
            vectors = self._source.matrix[[index[word] for word in words if word in index]]
        else:
            match = self.match(words, loosest="exact")
            missing, vectors = match.coverage.missing, match.vectors
        if missing:
            what = f'"{missing[0]}" has no vector ({len(missing)} of {len(words)} words have none)'
            raise DataError(f"{what}; words are looked up here as they are", self.name)
        return np.asarray(vectors, np.float32)

    def match(self, words: Iterable[str], *, loosest: Loosest = "digits") -> Match:
        """The vectors of a vocabulary's words, each by its exact form, else by a looser one.

        The forms are, in this order: the word itself; the first word of the source with the same lower-cased form;
        the first whose lower-cased form is the same once every digit is 0 (Lin et al., 2018). One vector may serve
        several words. A word that a fastText model lacks in each form gets the mean of its n-grams, if `loosest` is
        "digits".

        Args:
            words: the vocabulary.
            loosest: the last form that is tried: "exact", "lower" or "digits".
        """
        wanted = Wanted(words, loosest)
        parts = list(_picked(self._source, wanted, None))
        names = [name for part in parts for name in part.words]
        ranks = np.concatenate([np.full(1, -1), *(part.ranks for part in parts)])
        zero = np.zeros((1, self.size), np.float32)
        match = wanted.match(names, ranks, np.concatenate([zero, *(part.vectors for part in parts)]))
        if self._model is None or loosest != "digits":
            return match
        return match.spelling(self._model.spelt, rank=len(self._model))

    def near(self, word: str | NDArray[Any], k: int = 10) -> list[tuple[str, float]]:
        """The k words whose vectors have the highest cosine with that of a word, itself left out, and the cosines.

        Args:
            word: a word, or a vector of shape (size,).
            k: how many words, at most.

        Raises:
            DataError: the word has no vector.
        """
        itself = word if isinstance(word, str) else None
        query = np.asarray(self.rows([word])[0] if isinstance(word, str) else word, np.float32)
        lengths = self._lengths * np.linalg.norm(query)
        products = np.concatenate([part @ query for part in _parts(self.matrix)])
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        best = np.argsort(-cosines, kind="stable")[: k + 1].tolist()
        near = [(self.words[row], float(cosines[row])) for row in best if self.words[row] != itself]
        return near[:k]

    @cached_property
    def _lengths(self) -> Matrix:
        return np.concatenate([np.linalg.norm(part, axis=1) for part in _parts(self.matrix)])


def _parts(matrix: NDArray[Any]) -> Iterator[Matrix]:
    for start in range(0, len(matrix), _BLOCK):
        yield np.asarray(matrix[start : start + _BLOCK], np.float32)


class _Part(NamedTuple):
    words: Sequence[str]
    ranks: Positions
    vectors: Matrix


def _picked(source: Source, wanted: Wanted | None, limit: int | None) -> Iterator[_Part]:
    """The source's first `limit` rows, or those among them that are wanted."""
    hint = wanted.first_fields().any_of if wanted else None
    for block in source.blocks(hint):
        inside = len(block.ranks) if limit is None else int(np.searchsorted(block.ranks, limit))
        words = block.words[:inside]
        which = wanted.take(words) if wanted else range(inside)
        if which:
            rows = ALL if len(which) == len(block.words) else list(which)
            yield _Part([words[place] for place in which], block.ranks[rows], block.rows(rows))
        if inside < len(block.ranks):
            return


def _read_whole(source: Source) -> Table:
    """A foreign file's distinct words and their vectors; the matrix grows in place, by a sixteenth each time."""
    seen: dict[str, None] = {}
    matrix = np.empty((_BLOCK, source.size), np.float32)
    for part in _picked(source, None, None):
        before = len(seen)
        fresh = unseen(part.words, part.vectors, seen)
        if len(seen) > len(matrix):
            matrix.resize((len(seen) + len(matrix) // 16, source.size), refcheck=False)
        matrix[before : len(seen)] = fresh
    matrix.resize((len(seen), source.size), refcheck=False)
    matrix.flags.writeable = False
    words = list(seen)
    return Table(source.name, matrix, lambda: words)


def _made(vectors: Vectors, words: Sequence[str]) -> Iterator[_Part]:
    """The vectors that a fastText model makes of those words that it lacks."""
    if vectors._model is not None and words:
        match = vectors.match(words)
        made = np.flatnonzero(match.ways == Way.SPELT)
        yield _Part([match.words[place] for place in made], match.ranks[made], match.vectors[made])


@dataclass(frozen=True, slots=True)
class Conversion:
    """What `convert` wrote."""

    folder: Path
    words: int
    size: int
    dtype: str
    repeated: int  # rows left out because their word had come before
    bytes: int


def convert(
    source: str | Path | Vectors,
    folder: str | Path,
    *,
    only: Iterable[str] | None = None,
    limit: int | None = None,
    dtype: Precision = "float32",
    header: Header = "check",
    undecodable: Undecodable = "error",
) -> Conversion:
    """Write word vectors as a store, whole or not at all; a store that is there is replaced.

    Args:
        source: the vectors, or the path of a store or file, opened as `Vectors.open` would with the last two.
        folder: the store to be.
        only: a vocabulary: only rows that `match` could give for its words, in any form, are written, and what a
            fastText model makes of the words that it lacks.
        limit: only the first so many rows of the source are looked at.
        dtype: "float32", or "float16" at half the size.
        header: see `Vectors.open`.
        undecodable: see `Vectors.open`.

    Raises:
        DataError: the source is damaged, nothing of it is left, or the folder holds something else.
    """
    if not isinstance(source, Vectors):
        source = Vectors.open(source, header=header, undecodable=undecodable)
    folder = locate(folder)
    if folder.exists() and not is_store(folder) and (folder.is_file() or any(folder.iterdir())):
        raise DataError("this is no store of word vectors, and is not overwritten; name another folder", folder)
    only = None if only is None else tuple(only)
    rows = chain(
        _picked(source._source, Wanted(only) if only is not None else None, limit), _made(source, only or ())
    )
    with replacing_folder(folder) as partial:
        pairs = ((part.words, part.vectors) for part in rows)
        info = write_store(partial, source.name, source.size, dtype, pairs)
    size = sum(info["bytes"].values())
    return Conversion(folder, info["words"], info["size"], info["dtype"], info["repeated"], size)
