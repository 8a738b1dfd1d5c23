"""A vocabulary's words in a set of word vectors: which are there, under which form, and what the others get."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import compress
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqloom.data.vector_lines import Matrix
from seqloom.data.vector_numbers import Flags, Positions
from seqloom.errors import ConfigError, DataError

Loosest = Literal["exact", "lower", "digits"]
Unknown = Literal["zero", "normal", "uniform", "rare"]

_RAREST = 100
_DIGIT = re.compile(r"\d")
_BLANK = re.compile(r"[\x00-\x20]")


class Way(IntEnum):
    """How a word was found: not at all, as it is, in lower case, with each digit as 0, or made of its n-grams."""

    MISSING = 0
    EXACT = 1
    LOWER = 2
    DIGITS = 3
    SPELT = 4


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a vocabulary has vectors: the number of words found each way, and the words that were not.

    `spelt` have one that a fastText model made of their n-grams.
    """

    exact: int
    lower: int
    digits: int
    missing: tuple[str, ...]
    spelt: int = 0

    @property
    def words(self) -> int:
        """How many words were asked for."""
        return self.exact + self.lower + self.digits + self.spelt + len(self.missing)

    @property
    def share(self) -> float:
        """The share of the words that have a vector, from 0 to 1."""
        return 1 - len(self.missing) / self.words if self.words else 0.0

    def __str__(self) -> str:
        found = f"{self.exact} as they are, {self.lower} in lower case, {self.digits} with digits as 0"
        found += f", {self.spelt} from their n-grams" if self.spelt else ""
        missing = f"; {len(self.missing)} missing, such as {' '.join(self.missing[:8])}" if self.missing else ""
        return f"{self.share:.1%} of {self.words} words have a vector: {found}{missing}"


@dataclass(frozen=True, eq=False, slots=True)
class Match:
    """The vectors of a vocabulary's words.

    Attributes:
        words: the vocabulary.
        ways: how each word was found, shape (words,), values of `Way`.
        ranks: where in the source the vector stood (0 is the first; in a store, its row), -1 for a missing word,
            shape (words,).
        vectors: shape (words, size); zero for a missing word.
    """

    words: tuple[str, ...]
    ways: NDArray[np.int8]
    ranks: Positions
    vectors: Matrix

    @property
    def found(self) -> Flags:
        """Which words have a vector, shape (words,)."""
        found: Flags = self.ways != Way.MISSING
        return found

    @property
    def coverage(self) -> Coverage:
        """How many words were found, and which were not."""
        exact, lower, digits, spelt = (int((self.ways == way).sum()) for way in list(Way)[1:])
        missing = (self.words[place] for place in np.flatnonzero(~self.found))
        return Coverage(exact, lower, digits, tuple(missing), spelt)

    def spelling(self, spelt: Callable[[Sequence[str]], tuple[Matrix, list[bool]]], rank: int) -> "Match":
        """This match with vectors for missing words that `spelt` makes, and tells which it could; `rank` is theirs."""
        missing = np.flatnonzero(~self.found)
        made, able = spelt([self.words[place] for place in missing])
        places, ways, ranks, vectors = missing[able], self.ways.copy(), self.ranks.copy(), self.vectors.copy()
        ways[places], ranks[places], vectors[places] = Way.SPELT, rank, made[able]
        return Match(self.words, ways, ranks, vectors)

    def filled(self, unknown: Unknown = "zero", *, seed: int = 0) -> Matrix:
        """The vectors, shape (words, size), with something in place of the missing ones.

        Args:
            unknown: "zero"; "normal", drawn with the standard deviation of the vectors found; "uniform", drawn with
                the variance 1/size (Kiela et al., 2018); "rare", the mean of the 100 found vectors that stand last in
                the source, where files have their rarest words.
            seed: what the drawn values depend on.

        Raises:
            ConfigError: another name.
            DataError: no word was found, so that nothing is known of the vectors.
        """
        if unknown not in _POLICIES:
            raise ConfigError(f'unknown words: "{unknown}" is none of {", ".join(_POLICIES)}')
        if self.words and not self.found.any():
            raise DataError(f"none of the {len(self.words)} words has a vector; are these of that language?")
        table = self.vectors.copy()
        missing = ~self.found
        table[missing] = _POLICIES[unknown](self, (int(missing.sum()), table.shape[1]), seed)
        return table

    def _normal(self, shape: tuple[int, int], seed: int) -> Matrix:
        deviation = self.vectors[self.found].std(dtype=np.float64)
        return np.random.default_rng(seed).normal(0, deviation, shape).astype(np.float32)

    def _uniform(self, shape: tuple[int, int], seed: int) -> Matrix:
        bound = (3 / shape[1]) ** 0.5
        return np.random.default_rng(seed).uniform(-bound, bound, shape).astype(np.float32)

    def _rare(self, shape: tuple[int, int], _: int) -> Matrix:
        return np.broadcast_to(self.rare(), shape)

    def rare(self) -> Matrix:
        """The mean (size,) of the 100 found vectors that stand last in the source; some were found."""
        rarest = np.argsort(self.ranks, kind="stable")[-min(_RAREST, int(self.found.sum())) :]
        mean: Matrix = self.vectors[rarest].mean(0)
        return mean

    def centred(self) -> "Match":
        """This match with the mean of the vectors found taken off them; some were found."""
        vectors = self.vectors.copy()
        vectors[self.found] -= vectors[self.found].mean(0)
        return Match(self.words, self.ways, self.ranks, vectors)

    def check(self, what: str) -> None:
        """Raise a DataError where a vector of `what` holds something that is no finite number."""
        wrong = np.flatnonzero(~np.isfinite(self.vectors).all(1))
        if len(wrong):
            raise DataError(f'{what}: the vector of "{self.words[wrong[0]]}" holds what is no finite number')


_POLICIES: dict[str, Callable[[Match, tuple[int, int], int], Matrix | float]] = {
    "zero": lambda *_: 0.0,
    "normal": Match._normal,
    "uniform": Match._uniform,
    "rare": Match._rare,
}


class Wanted:
    """The words of a vocabulary that are looked for in a source, row by row.

    Args:
        words: the vocabulary.
        loosest: the loosest form that counts.
    """

    def __init__(self, words: Iterable[str], loosest: Loosest = "digits") -> None:
        self.words = tuple(words)
        self.loosest: Loosest = loosest
        self._keys = [set(forms) for forms in self._forms(self.words)]

    def _forms(self, words: Sequence[str]) -> list[Sequence[str]]:
        """The words in each form that counts, the strictest first."""
        forms = [words]
        for turn in (_lowered, _zeroed)[: Way[self.loosest.upper()] - 1]:
            forms.append(turn(forms[-1]))
        return forms

    def first_fields(self) -> "Wanted":
        """What is looked for where of every word only the part up to a blank is known."""
        if not any(map(_BLANK.search, self.words)):
            return self  # what `take` has found is then no longer looked for
        return Wanted((_BLANK.split(word, maxsplit=1)[0] for word in self.words), self.loosest)

    def any_of(self, words: Sequence[str]) -> list[int]:
        """The places of those words that are, in some form, among the wanted ones."""
        picked: set[int] = set()
        for keys, forms in zip(self._keys, self._forms(words), strict=True):
            picked.update(compress(range(len(forms)), map(keys.__contains__, forms)))
        return sorted(picked)

    def take(self, words: Sequence[str]) -> list[int]:
        """The places of the words to be kept: for each wanted form the first that has it, here or in earlier calls."""
        taken, places = [], self.any_of(words)
        for place, *forms in zip(places, *self._forms([words[place] for place in places]), strict=True):
            pairs = list(zip(forms, self._keys, strict=True))
            if any(form in keys for form, keys in pairs):
                taken.append(place)
                for form, keys in pairs:
                    keys.discard(form)
        return taken

    def match(self, names: Sequence[str], ranks: Positions, vectors: Matrix) -> Match:
        """The match from what was taken of a source, in its order.

        Args:
            names: the words taken.
            ranks: what stands for a missing word, then their ranks, shape (1 + names,).
            vectors: likewise their vectors, shape (1 + names, size).
        """
        ways, rows = np.zeros(len(self.words), np.int8), np.zeros(len(self.words), np.int64)
        for way, (forms, asked) in enumerate(zip(self._forms(names), self._forms(self.words), strict=True), 1):
            table = dict(zip(reversed(forms), range(len(forms), 0, -1), strict=True))
            here = np.fromiter((table.get(form, 0) for form in asked), np.int64, len(asked))
            fresh = (rows == 0) & (here > 0)
            ways[fresh], rows[fresh] = way, here[fresh]
        return Match(self.words, ways, ranks[rows], vectors[rows])


def _lowered(words: Sequence[str]) -> list[str]:
    return [word.lower() for word in words]


def _zeroed(words: Sequence[str]) -> list[str]:
    return [word if word.isalpha() else _DIGIT.sub("0", word) for word in words]
