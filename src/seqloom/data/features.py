"""Vectors that rows come with, such as the features of images: numbers, or a place in an array on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seqloom.data.columns import Column
from seqloom.data.fields import Field
from seqloom.data.vocabulary import Vocabularies
from seqloom.files import locate

MARK = "row"
"""What a stored place in an array begins with; numbers never do."""


@dataclass(frozen=True)
class ArrayRow:
    """A row of a numpy array in a file (.npy), in the place of its numbers, which stay where they are."""

    path: str
    row: int

    def numbers(self) -> np.ndarray:
        """(numbers,) a view of the file, whatever form a row has there."""
        place = locate(self.path)
        found: np.ndarray = _opened(str(place), place.stat().st_mtime_ns)[self.row].reshape(-1)
        return found


@lru_cache(maxsize=8)
def _opened(path: str, changed: int) -> np.ndarray:
    found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


@dataclass(frozen=True)
class VectorField(Field):
    """A vector of `size` numbers for the whole row, given as numbers or as an `ArrayRow`; like ones are stored once."""

    size: int = 1
    gold: ClassVar[bool] = False

    def store(self, value: Any) -> Sequence[str]:
        """The place or the numbers; as many as there should be, none of them infinite or not a number."""
        if isinstance(value, ArrayRow):
            self._check(value.numbers())
            return [f"{MARK} {value.row} {value.path}"]
        numbers = np.asarray(value, dtype=np.float64)
        self._check(numbers)
        return [" ".join(map(str, numbers.tolist()))]

    def _check(self, numbers: np.ndarray) -> None:
        if numbers.shape != (self.size,):
            what = f"a vector of {self.size} numbers is expected, found shape {numbers.shape}"
            raise ValueError(f"{what}; `features` and `crops` of the head say how many")
        if not np.isfinite(numbers).all():
            raise ValueError(
                "a number of the vector is infinite or NaN; mend the features, or leave the row out"
            )

    def tables(self, column: Column, vocabularies: Vocabularies) -> list[np.ndarray]:
        """The vectors, in the order of the forms."""
        return [_vector(form) for form in column.forms]

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:
        """(batch, size) float32."""
        forms = column.values[column.offsets[rows]].tolist()
        return torch.from_numpy(np.stack([tables[form] for form in forms]).astype(np.float32))

    def sample(self, random: Random, length: int) -> list[float]:
        """Numbers from 0 to 1."""
        return [random.random() for _ in range(self.size)]


def _vector(form: str) -> np.ndarray:
    mark, _, place = form.partition(" ")
    if mark == MARK:
        row, _, path = place.partition(" ")
        return ArrayRow(path, int(row)).numbers()
    return np.array(form.split(" "), dtype=np.float32)
