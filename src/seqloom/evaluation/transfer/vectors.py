"""Vectors of a task's texts: each text is encoded once, and those of a known encoder are kept on disk."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from seqloom.data.columns import FORMAT, cache_root
from seqloom.errors import ConfigError, ModelError
from seqloom.evaluation.transfer.corpora import Examples
from seqloom.files import replacing
from seqloom.progress import notice, track

Encode = Callable[[list[str]], np.ndarray]
"""Texts → vectors (texts, size)."""
CHUNK = 1024
"""Texts that an encoder is given at a time."""


@dataclass
class Encoder:
    """An encoder of sentences under evaluation.

    Args:
        pools: what encodes, by the name of its pooling; one of any name where there is no choice.
        fingerprint: what the vectors depend on, such as a digest of the weights; nothing if that is not known, and
            then nothing is kept on disk.
        tokenizer: how texts become tokens, for the record.

    Raises:
        ConfigError: nothing encodes.
    """

    pools: Mapping[str, Encode]
    fingerprint: str = ""
    tokenizer: str = ""
    _kept: dict[tuple[str, str], np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.pools:
            raise ConfigError("an encoder is made of functions from texts to vectors, found none")

    def table(self, pool: str, texts: Iterable[str], what: str) -> tuple[dict[str, int], np.ndarray]:
        """The row of each text, and the vectors (texts, size); `what` are the words of a progress bar."""
        places = {text: place for place, text in enumerate(sorted(set(texts)))}
        digest = hashlib.sha256("\0".join([str(FORMAT), self.fingerprint, pool, *places]).encode()).hexdigest()
        if (pool, digest) not in self._kept:
            # Tasks that share texts follow one another; more than the last ones need not be in memory.
            self._kept = {(pool, digest): self._vectors(pool, list(places), digest, what)}
        return places, self._kept[pool, digest]

    def _vectors(self, pool: str, texts: Sequence[str], digest: str, what: str) -> np.ndarray:
        path = cache_root().parent / "transfer" / f"{digest}.npy"
        if self.fingerprint and path.is_file():
            # A damaged file is written anew.
            with suppress(ValueError, EOFError):
                kept: np.ndarray = np.load(path, allow_pickle=False)
                return kept
        chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        found = np.concatenate([self._checked(pool, chunk) for chunk in track(chunks, f"encoding {what}")])
        if self.fingerprint:
            try:
                with replacing(path) as partial, partial.open("wb") as file:
                    np.save(file, found)
            except OSError as fault:
                notice(f"vectors are not kept ({fault}); set SEQLOOM_CACHE to a folder that can be written")
        return found

    def _checked(self, pool: str, texts: Sequence[str]) -> np.ndarray:
        # A text without words is read as a full stop, as in SentEval.
        found = np.asarray(self.pools[pool]([text if text.strip() else "." for text in texts]))
        if found.ndim != 2 or len(found) != len(texts):
            raise ModelError(
                f"gave an array {found.shape} for {len(texts)} texts; ({len(texts)}, size) is needed"
            )
        if found.dtype.kind not in "fiub":
            raise ModelError(f"gave an array of {found.dtype}; numbers are needed")
        # Whole numbers of few bits would wrap around in differences and products.
        found = found if found.dtype == np.float64 else found.astype(np.float32)
        if not np.isfinite(found).all():
            place = int(np.flatnonzero(~np.isfinite(found).all(1))[0])
            raise ModelError(f'gave a vector that is not of finite numbers for "{texts[place]:.60}"')
        return found


def paired(first: np.ndarray, second: np.ndarray, how: str) -> np.ndarray:
    """One vector a pair: [|u-v|; u*v] ("two") or [u; v; u*v; |u-v|] ("four")."""
    apart, product = np.abs(first - second), first * second
    pieces = (apart, product) if how == "two" else (first, second, product, apart)
    return np.concatenate(pieces, axis=1)


def columns(
    encoder: Encoder, pool: str, parts: Mapping[str, Examples], what: str
) -> dict[str, tuple[np.ndarray, ...]]:
    """The vectors of each part's texts: one matrix (rows, size) for each of its columns of texts."""
    every = [text for one in parts.values() for column in one.texts for text in column]
    places, vectors = encoder.table(pool, every, what)
    return {
        name: tuple(vectors[[places[text] for text in column]] for column in one.texts)
        for name, one in parts.items()
    }
