"""An array on disk that grows piece by piece, and a note of how far it has come."""

import os
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqloom.files import read_json, write_json
from seqloom.progress import notice


class Piece(NamedTuple):
    """What some lines came to: vectors (rows, size), rows of each line, and how many lines have no known word."""

    vectors: np.ndarray
    rows: np.ndarray
    unknown: int


@dataclass
class Done:
    """How far a file has come; `key` is what its vectors depend on."""

    key: list[Any]
    lines: int = 0
    rows: int = 0
    empty: int = 0
    unknown: int = 0


@dataclass
class Partial:
    """The unfinished output beside `out`: what an ended call leaves, and the same call goes on from."""

    out: Path
    size: int
    done: Done
    paths: dict[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        # The note is the first to go, lest a kill leave it beside arrays that it does not tell of.
        names = {"note": "json", "vectors": "npy", "rows": "rows"}
        self.paths = {key: beside(self.out, end) for key, end in names.items()}
        if earlier := self._earlier():
            self.done = earlier
            notice(f"{self.out}: going on after line {earlier.lines:,}")
            # What was written after the last note is written anew.
            for key, length in self._lengths(earlier).items():
                os.truncate(self.paths[key], length)
        else:
            self.paths["note"].unlink(missing_ok=True)
            self.paths["vectors"].write_bytes(self._head(0))
            self.paths["rows"].write_bytes(b"")

    def _earlier(self) -> Done | None:
        """How far a call with the same key came, where all that it noted is there."""
        known = read_json(self.paths["note"]) if self.paths["note"].is_file() else {}
        if known.get("key") != self.done.key:
            return None
        done = Done(**known)
        lengths = self._lengths(done).items()
        there = all(self.paths[key].is_file() and self.paths[key].stat().st_size >= one for key, one in lengths)
        return done if there else None

    def _lengths(self, done: Done) -> dict[str, int]:
        """Bytes of the files that hold so much."""
        return {"vectors": len(self._head(done.rows)) + 4 * self.size * done.rows, "rows": 8 * done.lines}

    def _head(self, rows: int) -> bytes:
        """The array's head, which is as long whatever the number of rows."""
        head = BytesIO()
        shape = {"descr": "<f4", "fortran_order": False, "shape": (rows, self.size)}
        np.lib.format.write_array_header_1_0(head, shape)
        return head.getvalue()

    def add(self, piece: Piece, blank: int) -> None:
        """Write a piece and note that it is there."""
        for key, values in (("vectors", piece.vectors.astype("<f4")), ("rows", piece.rows.astype("<i8"))):
            try:
                with self.paths[key].open("ab") as file:
                    file.write(values.tobytes())
                    os.fsync(file.fileno())
            except OSError as fault:
                # Writing through an open file does not say where to.
                fault.filename = fault.filename or str(self.paths[key])
                raise
        self.done.lines += len(piece.rows)
        self.done.rows += len(piece.vectors)
        self.done.empty += blank
        self.done.unknown += piece.unknown
        write_json(self.paths["note"], vars(self.done))

    def finish(self) -> np.ndarray:
        """The whole array, mapped."""
        with self.paths["vectors"].open("r+b") as file:
            file.write(self._head(self.done.rows))
        found: np.ndarray = np.load(self.paths["vectors"], mmap_mode="r")
        return found

    def offsets(self) -> np.ndarray:
        """(lines + 1,) where each line's rows begin."""
        rows = np.fromfile(self.paths["rows"], "<i8")
        return np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)

    def remove(self) -> None:
        """Leave nothing behind."""
        for path in self.paths.values():
            path.unlink(missing_ok=True)


def beside(out: Path, end: str) -> Path:
    """Where a part of an unfinished output stands."""
    return out.with_name(f".{out.name}.partial.{end}")
