"""Word vectors as GenSen's programs keep them: an HDF5 file of a matrix and of all words joined by line ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.data.vector_files import Block, Hint
from seqloom.data.vector_lines import Matrix, Rows
from seqloom.errors import ConfigError, DataError

_BEGINNING = b"\x89HDF\r\n\x1a\n"
_MATRIX, _WORDS = "embedding", "words_flatten"
_BLOCK = 1 << 14  # rows


def is_h5(path: Path) -> bool:
    """Whether a file is of the format HDF5, by its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING


class H5File:
    """The source over such a file; of the matrix only what is asked for is read.

    Raises:
        ConfigError: h5py is not there.
        DataError: the file is damaged, holds something else, or its words and its vectors differ in number.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._path = path.name, path
        with _opened(path) as file:
            if not _is_matrix(file.get(_MATRIX)) or not hasattr(file.get(_WORDS), "dtype"):
                what = (
                    f"should hold a matrix {_MATRIX} and its words {_WORDS}, as GenSen's glove2h5 writes them"
                )
                raise DataError(f"{what}; it holds {', '.join(file) or 'nothing'}", path)
            rows, self.size = map(int, file[_MATRIX].shape)
            # Words may contain other line separators, so no other splitting will do.
            self._words = _text(file[_WORDS][()]).split("\n")
        if rows != len(self._words):
            what = f"{_WORDS} lists {len(self._words):,} words, {_MATRIX} has {rows:,} rows"
            raise DataError(f"{what}; make the file anew", path)

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The rows in blocks, which no hint makes smaller."""
        with _opened(self._path) as file:
            for start in range(0, len(self._words), _BLOCK):
                words = self._words[start : start + _BLOCK]
                yield Block(
                    words, np.arange(start, start + len(words)), _reader(file[_MATRIX], start, len(words))
                )


def _reader(matrix: Any, start: int, count: int) -> Any:
    def rows(which: Rows) -> Matrix:
        found: Matrix = np.asarray(matrix[start : start + count], np.float32)[which]
        return found

    return rows


def _is_matrix(found: Any) -> bool:
    """Whether it is a table of numbers, not a group, nothing, or of text."""
    return hasattr(found, "dtype") and found.ndim == 2 and found.dtype.kind in "fiu"


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _opened(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise ConfigError(f'{path}: an HDF5 file needs h5py: pip install "seqloom[legacy]"') from None
    try:
        return h5py.File(path, "r")
    except OSError as fault:
        raise DataError(f"cannot be read as HDF5 ({fault}); fetch it again", path) from None
