"""Vectors for the lines of a file of any size: streamed to disk, resumable, by several processes if need be."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch

from seqloom.deploy.concat import opened
from seqloom.deploy.encode import Pool, Vectorizer
from seqloom.deploy.partial import Done, Partial, Piece, beside
from seqloom.errors import ConfigError, DataError, ModelError, SeqloomError
from seqloom.files import alone_writing, lines, locate, replacing, take_name
from seqloom.nn.precision import products
from seqloom.processes import serve
from seqloom.progress import notice, track

CHUNK = 4096
"""Lines held at a time."""
ENDINGS = (".npy", ".parquet")
Item = TypeVar("Item")
Made = TypeVar("Made")


class Saveable(Vectorizer, Protocol):
    """What processes of their own can load: it writes itself into a folder."""

    def save(self, folder: Path) -> None:
        """Write a model folder."""


class Chunk(NamedTuple):
    """The texts of some lines, where they come from and the number of the first."""

    texts: list[str]
    path: Path
    first: int


def encode_lines(encoder: Vectorizer, chunk: Chunk, pool: Pool | None, tokens: bool) -> Piece:
    """The vectors of lines: one each, zeros for a blank one; or with `tokens` one for each token, none for a blank one.

    A function of its arguments alone, so that any engine can share lines out.

    Raises:
        DataError: a line cannot be encoded; it is told by its number in the file.
    """
    full = [place for place, text in enumerate(chunk.texts) if text.strip()]
    try:
        return _piece(encoder, chunk.texts, full, pool, tokens)
    except DataError as fault:
        line = None if fault.line is None else chunk.first + full[fault.line - 1]
        raise DataError(fault.what, chunk.path, line) from None


def _piece(
    encoder: Vectorizer, texts: Sequence[str], full: Sequence[int], pool: Pool | None, tokens: bool
) -> Piece:
    some = [texts[place] for place in full]
    unknown = int(encoder.unknown(some).sum())
    rows = np.full(len(texts), 0 if tokens else 1)
    if not tokens:
        vectors = np.zeros((len(texts), encoder.size), np.float32)
        vectors[full] = encoder.vectors(some, pool)
        return Piece(vectors, rows, unknown)
    states = encoder.states(some)
    rows[full] = [len(one) for one in states]
    return Piece(np.concatenate([np.zeros((0, encoder.size), np.float32), *states]), rows, unknown)


def encode_file(
    encoder: Saveable,
    path: Path,
    out: Path,
    *,
    pool: Pool | None = None,
    tokens: bool = False,
    workers: int = 1,
) -> tuple[int, int]:
    """Write the vectors of a text file's lines; returns the shape of the array.

    A line is one text, also where the encoder's task reads several at a time. A blank line gets zeros. What was done
    when a call is ended stands beside `out`, and the same call goes on from there. Memory does not grow with the file.

    Args:
        encoder: what makes vectors.
        path: lines of text, plain or gzipped.
        out: an array (lines, size) as `.npy`, or a table of `text` and `vector` as `.parquet`. With `tokens` the array
            has a row for each token, and beside `NAME.npy`, `NAME.offsets.npy` (lines + 1,) says where each line's
            rows begin; the table's `vector` is then a list of vectors.
        pool: see `TextEncoder.vectors`.
        tokens: whether to write each token's state instead of a line's vector.
        workers: how many processes share the lines.

    Raises:
        ConfigError: `out` has another ending or is a folder, another process writes it, or the extra that it needs is
            not there.
        DataError: the file is missing, or a line of it is not UTF-8 or cannot be encoded.
        ModelError: a worker ended.
    """
    _checked(out, tokens)
    table = _parquet() if out.suffix == ".parquet" else None
    if str(path) == "-" or (locate(path).exists() and not locate(path).is_file()):
        raise DataError("is read twice, first to count its lines; write what comes by a pipe into a file", path)
    count = sum(1 for _ in lines(path))
    with alone_writing(beside(out, "npy"), out):
        made_by = [*_identity(path), encoder.digest(), pool, tokens, products()]
        partial = Partial(out, encoder.size, Done(made_by))
        numbered = track(lines(path), f"encoding {path}", count)
        chunks = _chunks((one for one in numbered if one[0] > partial.done.lines), path)
        _fill(partial, _shared(encoder, chunks, pool, tokens, workers))
        if table is not None:
            _write_table(table, partial, path, out, tokens)
        else:
            _write_array(partial, out, tokens)
        _tell(path, partial.done)
        partial.remove()
    return partial.done.rows, partial.size


def _fill(partial: Partial, pieces: Iterable[tuple[Chunk, Piece]]) -> None:
    """Bring all pieces into the unfinished output; what cannot be encoded leaves none behind."""
    try:
        for chunk, piece in pieces:
            partial.add(piece, sum(not text.strip() for text in chunk.texts))
    except BrokenProcessPool:
        what = "a process that encodes ended or could not start, as where memory is short"
        remedy = (
            'take fewer workers (the same call goes on from there); a script needs if __name__ == "__main__"'
        )
        raise ModelError(f"{what}; {remedy}") from None
    except SeqloomError:
        partial.remove()
        raise
    partial.finish()


def _checked(out: Path, tokens: bool) -> None:
    if out.suffix not in ENDINGS:
        raise ConfigError(f"{out}: the name should end in {' or '.join(ENDINGS)}")
    written = [out, _offsets(out)] if tokens and out.suffix == ".npy" else [out]
    for place in written:
        if place.is_dir():
            raise ConfigError(f"{place}: is a folder; remove it, or give OUT another name")


def _offsets(out: Path) -> Path:
    return out.with_suffix(".offsets.npy")


def _identity(path: Path) -> list[Any]:
    """What tells a file from others, and from itself once it has changed."""
    there = locate(path).stat()
    return [str(locate(path).resolve()), there.st_size, there.st_mtime_ns]


def _chunks(numbered: Iterator[tuple[int, str]], path: Path) -> Iterator[Chunk]:
    while some := list(islice(numbered, CHUNK)):
        yield Chunk([text for _, text in some], path, some[0][0])


def _shared(
    encoder: Saveable, chunks: Iterable[Chunk], pool: Pool | None, tokens: bool, workers: int
) -> Iterator[tuple[Chunk, Piece]]:
    """Each chunk with what it came to, in order."""
    if workers == 1:
        for chunk in chunks:
            yield chunk, encode_lines(encoder, chunk, pool, tokens)
        return
    with tempfile.TemporaryDirectory() as folder:
        encoder.save(Path(folder) / "model")
        # A fresh process each: a fork of one that has run torch may hang.
        words = str(Path(folder) / "model"), products()
        with ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=_start, initargs=words
        ) as processes:
            yield from _ahead(chunks, lambda chunk: processes.submit(_work, chunk, pool, tokens), 2 * workers)


def _ahead(
    items: Iterable[Item], submit: "Callable[[Item], Future[Made]]", most: int
) -> Iterator[tuple[Item, Made]]:
    """Items with their results, in order, at most so many of them under way."""
    under_way: deque[tuple[Item, Future[Made]]] = deque()
    for item in items:
        under_way.append((item, submit(item)))
        if len(under_way) >= most:
            first, result = under_way.popleft()
            yield first, result.result()
    for first, result in under_way:
        yield first, result.result()


_own: list[Vectorizer] = []
"""The encoder of a process that works for another."""


def _start(folder: str, precision: str) -> None:
    serve()
    torch.set_autocast_enabled("cpu", precision == "bfloat16")
    _own[:] = [opened(folder)]


def _work(chunk: Chunk, pool: Pool | None, tokens: bool) -> Piece:
    return encode_lines(_own[0], chunk, pool, tokens)


def _tell(path: Path, done: Done) -> None:
    if done.empty:
        notice(f"{path}: {done.empty:,} of {done.lines:,} lines are blank; their vectors are zeros")
    if done.unknown:
        what = f"{path}: {done.unknown:,} of {done.lines:,} lines have no word that the model knows"
        notice(f"{what}; their vectors tell little; `seqloom expand` adds words")


def _write_array(partial: Partial, out: Path, tokens: bool) -> None:
    if tokens:
        with replacing(_offsets(out)) as offsets, offsets.open("wb") as file:
            np.save(file, partial.offsets())
    take_name(partial.paths["vectors"], out)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ConfigError(
            'a .parquet file needs pyarrow: pip install "seqloom[parquet]"; or write .npy'
        ) from None
    return pyarrow


def _write_table(arrow: Any, partial: Partial, path: Path, out: Path, tokens: bool) -> None:
    """Lines and vectors as a table, in pieces; the lines are read once more."""
    vectors, offsets = partial.finish(), partial.offsets()
    one = arrow.list_(arrow.float32(), partial.size)
    schema = arrow.schema([("text", arrow.string()), ("vector", arrow.list_(one) if tokens else one)])
    with replacing(out) as new, arrow.parquet.ParquetWriter(new, schema) as writer:
        for texts, _, first in _chunks(lines(path), path):
            places = offsets[first - 1 : first + len(texts)]
            flat = np.ascontiguousarray(vectors[places[0] : places[-1]]).reshape(-1)
            column = arrow.FixedSizeListArray.from_arrays(arrow.array(flat), partial.size)
            if tokens:
                begins = arrow.array((places - places[0]).astype(np.int32))
                column = arrow.ListArray.from_arrays(begins, column)
            writer.write_table(arrow.table([arrow.array(texts), column], schema=schema))
