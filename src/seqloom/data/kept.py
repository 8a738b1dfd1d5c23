"""Vectors of texts kept on disk from run to run, found by a digest of what they are made of."""

import os
from pathlib import Path
from secrets import token_hex

import numpy as np

from seqloom.progress import notice

DIGEST = 16
"""Bytes of a digest."""
_RECORD = np.dtype([("digest", f"V{DIGEST}"), ("place", "<u8"), ("tokens", "<u4")])
_FILE_BITS = 48


class KeptVectors:
    """The vectors of many texts, in files that several processes may add to: each writes to one of its own.

    A file `*.float32` holds vectors one after another, the file `*.rows` beside it says whose they are. What a kill
    left unfinished is passed over. In memory stands a digest and a number for each text.

    Args:
        folder: made if it is not there; where that fails, nothing is kept, and a notice says so.
        size: numbers in a vector.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self._files: list[Path] = []
        self._places: dict[bytes, int] = {}
        self._own: int | None = None
        self._broken = False
        for rows in sorted(folder.glob("*.rows")):
            self._list(rows)

    def __len__(self) -> int:
        """Texts kept."""
        return len(self._places)

    def get(self, digest: bytes, tokens: int) -> np.ndarray | None:
        """The vectors (tokens, size) of a text, in float32; None if they are not kept, or no longer."""
        place = self._places.get(digest)
        if place is None:
            return None
        try:
            with self._files[place >> _FILE_BITS].open("rb") as file:
                file.seek(place & ((1 << _FILE_BITS) - 1))
                data = bytearray(file.read(4 * tokens * self.size))
        except OSError:
            data = bytearray()
        if len(data) < 4 * tokens * self.size:
            # The files were taken away: from now on they are made anew, in a folder made anew.
            del self._places[digest]
            self._own = None
            return None
        return np.frombuffer(data, "<f4").reshape(tokens, self.size)

    def add(self, digest: bytes, vectors: np.ndarray) -> None:
        """Keep the vectors (tokens, size) of a text."""
        if self._broken or digest in self._places:
            return
        try:
            self._append(digest, vectors)
        except OSError as fault:
            self._broken = True
            notice(f"vectors are no longer kept ({fault}); set SEQLOOM_CACHE to a folder with room")

    def _append(self, digest: bytes, vectors: np.ndarray) -> None:
        if self._own is None:
            self._own = self._begin()
        path = self._files[self._own]
        with path.open("ab") as file:
            place = file.seek(0, os.SEEK_END)
            file.write(np.ascontiguousarray(vectors, "<f4").data)
        with path.with_suffix(".rows").open("ab") as file:
            file.write(np.array([(digest, place, len(vectors))], _RECORD).tobytes())
        self._places[digest] = (self._own << _FILE_BITS) | place

    def _begin(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{token_hex(8)}.float32"
        path.touch(exist_ok=False)
        self._files.append(path)
        return len(self._files) - 1

    def _list(self, rows: Path) -> None:
        path = rows.with_suffix(".float32")
        if not (os.access(path, os.R_OK) and os.access(rows, os.R_OK)):
            return
        length, number = path.stat().st_size, len(self._files)
        self._files.append(path)
        for digest, place, tokens in np.fromfile(rows, _RECORD).tolist():
            if place + 4 * tokens * self.size <= length:
                self._places[bytes(digest)] = (number << _FILE_BITS) | place
