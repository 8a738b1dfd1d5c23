"""The geometry of a sparse embedding: how many words each block of features is kept for."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from seqloom.errors import ConfigError
from seqloom.nn.blocks import Segment

Shape = Literal["falling", "published"]


@dataclass(frozen=True, slots=True)
class Heights:
    """Blocks of features, each for the most frequent words alone (Demeester et al. 2018, section 3.2).

    Attributes:
        words: of the vocabulary.
        size: features of the longest vectors.
        heights: by block, how many words have its features.
        widths: by block, how many features it has.
    """

    words: int
    size: int
    heights: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Numbers that are kept."""
        return sum(height * width for height, width in zip(self.heights, self.widths, strict=True))

    @property
    def density(self) -> float:
        """Its numbers over those of a dense table."""
        return self.parameters / (self.words * self.size)

    def columns(self) -> list[Segment]:
        """By block, the features that it has."""
        ends = [sum(self.widths[: index + 1]) for index in range(len(self.widths))]
        return [(end - width, end) for end, width in zip(ends, self.widths, strict=True)]

    def rows(self, first: bool, pinned: int) -> list[Segment]:
        """By block, the ids that have its features.

        Args:
            first: whether frequent words come first among ids, or last.
            pinned: how many ids at the beginning stand for no word, and count as the rarest.
        """
        if not first:
            return [(self.words - height, self.words) for height in self.heights]
        begins = [min(pinned, self.words - height) for height in self.heights]
        return [(begin, begin + height) for begin, height in zip(begins, self.heights, strict=True)]


def heights(words: int, size: int, blocks: int, density: float, shape: Shape = "falling") -> Heights:
    """Lay out blocks that keep `density` of a table (words, size); no more blocks than features.

    "published" rounds block by block, as the published program does: then the last block, which takes what is left
    over, may be higher than the one before. "falling" solves the equation of the paper for the widths there are.

    Raises:
        ConfigError: the density is out of range, or less than the first block alone.
    """
    blocks = min(blocks, size)
    if blocks < 1 or not 0 < density <= 1 or density * blocks < 1 or (blocks == 1 and density < 1):
        what = f"blocks {blocks}, density {density}"
        least = f"at least 1/{blocks} = {1 / blocks:.4g}" if blocks > 1 else "1, or the blocks more"
        raise ConfigError(f"a sparse embedding: {what}: density must be {least}, and at most 1")
    width = size // blocks
    widths = (*[width] * (blocks - 1), size - width * (blocks - 1))
    solve = _published if shape == "published" else _falling
    return Heights(words, size, tuple(solve(words, size, widths, density)), widths)


def _falling(words: int, size: int, widths: tuple[int, ...], density: float) -> list[int]:
    """V α^b rows in block b, of which the widths make the density; what rounding leaves is shared out."""
    budget = floor(words * size * density + 1e-6)

    def share(alpha: float) -> float:
        return sum(width * alpha**index for index, width in enumerate(widths)) / size

    alpha = _root(share, density, 1e-12)
    found = [floor(words * alpha**index) for index in range(len(widths))]
    left = budget - sum(height * width for height, width in zip(found, widths, strict=True))
    growing = True
    while growing:
        growing = False
        for index, width in enumerate(widths[1:], 1):
            if width <= left and found[index] < found[index - 1]:
                found[index], left, growing = found[index] + 1, left - width, True
    return found


def _published(words: int, size: int, widths: tuple[int, ...], density: float) -> list[int]:
    """As the published program: each block by the density that is left for it and all after it."""
    width, kept = widths[0], widths[0] * words
    found, rows, features, share = [words], words, size, density
    for blocks in range(len(widths), 2, -1):
        if share <= 0:
            found.append(0)
            continue
        cut = ceil(rows * (1 - _geometric(blocks, share)))
        rows, features = rows - cut, features - width
        found.append(rows)
        left = words * size * density - kept
        share = min(1.0, left / (rows * features)) if rows * features > 0 and left > 0 else 0.0
        kept += rows * width
    if len(widths) > 1:
        left = max(0, floor(words * size * density) - kept)
        found.append(min(words, round(left / widths[-1])))
    return found


def _geometric(blocks: int, share: float) -> float:
    # Cuts depend on how closely that program solves it.
    return _root(lambda alpha: sum(alpha**index for index in range(blocks)) / blocks, share, 1e-6)


def _root(rising: Callable[[float], float], wanted: float, precision: float) -> float:
    """Where a rising function has the value wanted in [0, 1], by halving."""
    if wanted in (ends := (rising(0.0), rising(1.0))):
        return float(ends.index(wanted))
    low = middle = 0.0
    step = 1.0
    while step >= precision:
        step /= 2
        middle = low + step
        low = middle if rising(middle) <= wanted else low
    return middle
