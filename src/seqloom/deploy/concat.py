"""Encoders side by side: each text's vectors by all of them, one after another, as one longer vector."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.config import read, write_yaml
from seqloom.deploy.alone import alone
from seqloom.deploy.encode import Pool, Raw, TextEncoder
from seqloom.errors import DataError, ModelError
from seqloom.files import recover_folder, replacing_folder
from seqloom.model.folder import CARD, CONFIG, load, save, vacant

KEY = "concat"
"""What the configuration of such a folder holds, beside its version: the folders of its encoders, in their order."""


class Whole(TextEncoder):
    """An encoder of a model that can be saved without the rest of it."""

    def save(self, folder: Path) -> None:
        """Write the encoder alone as a model folder; a ModelError where something is there."""
        vacant(folder)
        with replacing_folder(folder) as partial:
            save(partial, alone(self.model, self.task.name, self.pool))


@dataclass(frozen=True)
class SideBySide:
    """Several encoders as one, such as GenSen's, whose published figures are those of two models each.

    Args:
        members: in the order of their numbers in a vector.
    """

    members: tuple[Whole, ...]

    @property
    def size(self) -> int:
        """Numbers in a vector: those of all members."""
        return sum(one.size for one in self.members)

    def vectors(self, texts: Sequence[Raw], pool: Pool | None = None, batch: int | None = None) -> np.ndarray:
        """A vector for each text, (texts, size); without `pool` each member pools in its own way."""
        return np.concatenate([one.vectors(texts, pool, batch) for one in self.members], 1)

    def states(self, texts: Sequence[Raw], batch: int | None = None) -> list[np.ndarray]:
        """A vector for each token of each text, (time, size).

        Raises:
            DataError: the members cut a text, which is told by its number, into different numbers of tokens.
        """
        found = [one.states(texts, batch) for one in self.members]
        for number, states in enumerate(zip(*found, strict=True), 1):
            if len({len(one) for one in states}) > 1:
                counts = ", ".join(str(len(one)) for one in states)
                what = f"the encoders cut the text into different numbers of tokens ({counts})"
                raise DataError(f"{what}; encode whole texts, or each encoder's tokens apart", "input", number)
        return [np.concatenate(states, 1) for states in zip(*found, strict=True)]

    def unknown(self, texts: Sequence[Raw]) -> np.ndarray:
        """Whether a text has no word that any member knows, (texts,)."""
        found: np.ndarray = np.logical_and.reduce([one.unknown(texts) for one in self.members])
        return found

    def digest(self) -> str:
        """A fingerprint of all members."""
        return hashlib.sha256(" ".join(one.digest() for one in self.members).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write a folder that holds each encoder alone as a model folder; a ModelError where something is there."""
        vacant(folder)
        names = [f"encoder{number}" for number in range(1, len(self.members) + 1)]
        with replacing_folder(folder) as partial:
            for name, one in zip(names, self.members, strict=True):
                (partial / name).mkdir()
                save(partial / name, alone(one.model, one.task.name, one.pool))
            (partial / CONFIG).write_text(write_yaml({"version": 1, KEY: names}), encoding="utf-8")
            (partial / CARD).write_text(self._card(names), encoding="utf-8")

    def _card(self, names: Sequence[str]) -> str:
        sizes = "".join(
            f"- `{name}`: {one.size} numbers\n" for name, one in zip(names, self.members, strict=True)
        )
        use = "```\nseqloom encode FOLDER input.txt -o vectors.npy\n```\n"
        return f"# Encoders side by side\n\nEach folder here is a model of its own.\n\n{sizes}\n{use}"


def joined(path: str | Path) -> list[Path] | None:
    """The folders of the encoders that a folder holds side by side; None where it is a model or run folder.

    Raises:
        ModelError: its list of folders is damaged.
    """
    path = Path(path)
    recover_folder(path)
    if not (path / CONFIG).is_file():
        return None
    values: dict[Any, Any] = dict(read(path / CONFIG).values)
    if KEY not in values:
        return None
    named = values[KEY]
    if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in named):
        raise ModelError(f"{KEY} should list the folders of its encoders; restore the folder", path / CONFIG)
    return [path / one for one in named]


def opened(path: str | Path) -> Whole | SideBySide:
    """The encoder, or the encoders side by side, in a folder that `save` wrote."""
    folders = joined(path)
    if folders is None:
        return Whole(load(path))
    return SideBySide(tuple(Whole(load(one)) for one in folders))
