"""A folder of word vectors: a matrix that processes share by mapping it, its words, one a line, and their sizes."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqloom.data.vector_files import Block, Hint
from seqloom.data.vector_lines import Matrix, Rows
from seqloom.errors import DataError
from seqloom.files import read_json, recover_folder, write_json

Precision = Literal["float32", "float16"]
Vectors = NDArray[np.float32] | NDArray[np.float16]

_MATRIX, _WORDS, _INFO = "vectors.safetensors", "words.txt", "info.json"
_FORMAT = "seqloom word vectors 1"
_TENSOR, _TYPES = "vectors", {"float32": "F32", "float16": "F16"}
_HEAD = 248  # bytes kept for the matrix's head, which is written last, when the number of rows is known
_BLOCK = 1 << 14  # rows


class Table:
    """Distinct words and their vectors, both at hand.

    Args:
        name: what messages call them.
        matrix: float32 or float16, shape (words, size).
        words: gives the words when they are first asked for.
    """

    def __init__(self, name: str, matrix: Vectors, words: Callable[[], Sequence[str]]) -> None:
        self.name, self.matrix, self._read_words = name, matrix, words
        self.size = int(matrix.shape[1])

    @cached_property
    def words(self) -> Sequence[str]:
        """The words, in the order of the rows."""
        return self._read_words()

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each word."""
        return dict(zip(self.words, range(len(self.words)), strict=True))

    def blocks(self, hint: Hint | None = None) -> Iterator[Block]:
        """The rows in blocks, which no hint makes smaller: of the matrix only what is asked for is read."""
        for start in range(0, len(self.matrix), _BLOCK):
            words = self.words[start : start + _BLOCK]
            ranks = np.arange(start, start + len(words))
            yield Block(words, ranks, _reader(self.matrix[start : start + _BLOCK]))


def _reader(matrix: Vectors) -> Callable[[Rows], Matrix]:
    return lambda which: np.asarray(matrix[which], np.float32)


def is_store(folder: Path) -> bool:
    """Whether a path is a folder that `write_store` wrote, or the remains of one."""
    if not folder.exists():
        recover_folder(folder)
    return folder.is_dir() and (folder / _INFO).is_file()


def open_store(folder: Path) -> Table:
    """Open a folder that `write_store` wrote: the matrix is mapped, the words are read when they are asked for.

    Raises:
        DataError: a file in it is missing, cut short, or not the one that was written.
    """
    info = read_json(folder / _INFO)
    if not isinstance(info, dict) or info.get("format") != _FORMAT:
        raise DataError(f'not a store of word vectors: "format" is not "{_FORMAT}"', folder / _INFO)
    for name, size in info["bytes"].items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if found != size:
            raise _damaged(f"{size} bytes were written, {found} are there", folder / name)
    matrix = _mapped(folder / _MATRIX)
    if matrix.shape != (info["words"], info["size"]):
        raise _damaged(f"{info['words']} x {info['size']} numbers were written", folder / _MATRIX)
    return Table(folder.name, matrix, lambda: _words(folder / _WORDS, info["words"]))


def _words(path: Path, count: int) -> list[str]:
    words = path.read_bytes().decode(errors="replace").split("\n")[:-1]
    if len(words) != count:
        raise _damaged(f"{count} words were written, {len(words)} are there", path)
    return words


def _mapped(path: Path) -> Vectors:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            head = json.loads(file.read(min(length, _HEAD)))[_TENSOR]
            dtype = next(dtype for dtype, code in _TYPES.items() if code == head["dtype"])
        except (ValueError, LookupError, TypeError, StopIteration):
            raise _damaged("its head is not that of a matrix of word vectors", path) from None
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), "r", 8 + length, tuple(head["shape"]))


def _damaged(what: str, path: Path) -> DataError:
    return DataError(f"the store is damaged: {what}; convert the vectors again", path)


def write_store(
    folder: Path, name: str, size: int, precision: Precision, rows: Iterable[tuple[Sequence[str], Matrix]]
) -> dict[str, Any]:
    """Write words and vectors to an empty folder as a store; of a repeated word the first vector is kept.

    Returns:
        What the store says of itself: words, size, dtype, source, repeated (words left out), bytes.

    Raises:
        DataError: there are no rows, a word holds a line end, or a number is not finite or too large for the precision.
    """
    seen: dict[str, None] = {}
    total = 0
    with (folder / _MATRIX).open("wb") as file:
        file.write(bytes(8 + _HEAD))
        for words, vectors in rows:
            total += len(words)
            broken = np.flatnonzero(~np.isfinite(vectors).all(1))
            if len(broken):
                what = f'the vector of "{words[broken[0]]}" (number {total - len(words) + broken[0] + 1:,})'
                raise DataError(f"{what} holds what is no finite number", name)
            file.write(_rounded(unseen(words, vectors, seen), precision).data)
        file.seek(0)
        file.write(_head((len(seen), size), precision))
    text = "".join(f"{word}\n" for word in seen)
    if not seen or text.count("\n") != len(seen):
        raise DataError("a word holds a line end" if seen else "no word vectors to write", name)
    (folder / _WORDS).write_text(text, encoding="utf-8", newline="\n")
    info = {"format": _FORMAT, "words": len(seen), "size": size, "dtype": precision, "source": name}
    info |= {"repeated": total - len(seen)}
    info |= {"bytes": {file: (folder / file).stat().st_size for file in (_MATRIX, _WORDS)}}
    write_json(folder / _INFO, info)
    return info


def unseen(words: Sequence[str], vectors: Matrix, seen: dict[str, None]) -> Matrix:
    """The vectors of words that were not seen before; from now on they have been."""
    fresh = dict.fromkeys(words)
    if len(fresh) < len(words) or not seen.keys().isdisjoint(fresh):
        places = {word: place for place, word in reversed(list(enumerate(words))) if word not in seen}
        vectors = vectors[sorted(places.values())]
    seen.update(fresh)
    return vectors


def _rounded(vectors: Matrix, precision: Precision) -> Vectors:
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(vectors, np.dtype(precision).newbyteorder("<"))
    if precision == "float16" and np.isinf(rounded).any():
        raise DataError("a number is too large for float16; write float32")
    return rounded


def _head(shape: tuple[int, int], precision: Precision) -> bytes:
    size = shape[0] * shape[1] * np.dtype(precision).itemsize
    tensor = {"dtype": _TYPES[precision], "shape": shape, "data_offsets": (0, size)}
    return _HEAD.to_bytes(8, "little") + json.dumps({_TENSOR: tensor}).encode().ljust(_HEAD)
