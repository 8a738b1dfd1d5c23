"""The geometry of a sparse LSTM layer: what each of its blocks reads, and which units it has."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt
from typing import Literal

from seqloom.errors import ConfigError

Segment = tuple[int, int]
"""The positions from the first up to, not including, the second."""
Mode = Literal["direct", "sparse_hidden", "sparse_emb", "sparse_all"]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a layer of one direction (Demeester et al. 2018, section 3.1).

    Attributes:
        size: features of the input.
        hidden: units.
        parts: how many equal parts the input is made of; a block reads its segment of each of them.
        density: share of the input that a block reads, before rounding.
        inputs: by block, the segment of each part that it reads; they overlap.
        outputs: by block, the units that it has; each unit is in one block.
        wanted: the sizes of the dense layer that it is to equal in parameters, None where none was named.
    """

    size: int
    hidden: int
    parts: int
    density: float
    inputs: tuple[Segment, ...]
    outputs: tuple[Segment, ...]
    wanted: tuple[float, float] | None = None

    @property
    def parameters(self) -> int:
        """How many the layer has."""
        return sum(
            dense_parameters(self.parts * (end - begin), last - first)
            for (begin, end), (first, last) in zip(self.inputs, self.outputs, strict=True)
        )

    @property
    def share(self) -> float:
        """Its parameters over those of a dense layer that is as wide."""
        return self.parameters / dense_parameters(self.size, self.hidden)

    @property
    def equivalent(self) -> tuple[int, int]:
        """The input and units of a dense layer of about as many parameters: the one named, or one of the same input."""
        if self.wanted is not None:
            return round(self.wanted[0]), round(self.wanted[1])
        half = (self.size + 2) / 2
        return self.size, round(sqrt(half**2 + self.parameters / 4) - half)

    @property
    def missed(self) -> float:
        """By which share its parameters are more (or, below 0, fewer) than those of the dense layer it is to equal."""
        return self.parameters / dense_parameters(*self.equivalent) - 1 if self.wanted is not None else 0.0

    def report(self) -> str:
        """What it is, in words."""
        size, hidden = self.equivalent
        return (
            f"sparse LSTM layer {self.size} -> {self.hidden}, blocks: {len(self.inputs)}, "
            f"density: {self.density:.4f}: {self.parameters:,} parameters, {self.share:.1%} of a dense layer's; "
            f"a dense {size} -> {hidden} has {dense_parameters(size, hidden):,}"
        )


def dense_parameters(size: int, hidden: int) -> int:
    """Parameters of a dense LSTM layer of one direction, its two biases with them."""
    return 4 * hidden * (size + hidden + 2)


def blocks_of_density(size: int, hidden: int, blocks: int, density: float, parts: int = 1) -> Blocks:
    """So many blocks, each of which reads that share of the input.

    Raises:
        ConfigError: blocks and density leave a part of the input unread, or a block would be empty.
    """
    if not reads_all(blocks, density):
        needed = f"at least 1/{blocks} = {1 / blocks:.4f}" if blocks >= 1 else "with at least 1 block"
        what = f"blocks {blocks}, density {density}: the blocks would leave inputs unread"
        raise ConfigError(f"a sparse LSTM: {what}; density must be {needed}, and at most 1")
    return _laid_out(size, hidden, blocks, max(density, 1 / blocks), parts, None)


def reads_all(blocks: int, density: float) -> bool:
    """Whether so many blocks of that density can read every input; 1/blocks may be rounded to 4 digits."""
    return blocks >= 1 and 1 / blocks - 1e-4 <= density <= 1


def blocks_of_reduction(size: int, hidden: int, reduce_in: float, reduce_out: float, parts: int = 1) -> Blocks:
    """As few blocks as give the parameters of a dense layer `reduce_in * size` -> `reduce_out * hidden`.

    Raises:
        ConfigError: no number of blocks does, or a block would be empty.
    """
    if not (0 < reduce_in <= 1 and 0 < reduce_out <= 1):
        what = f"reduce_in {reduce_in}, reduce_out {reduce_out}"
        raise ConfigError(f"a sparse LSTM: {what}: each must be above 0 and at most 1")
    # The parameters wanted, over 4 * hidden, less the biases of this layer.
    budget = reduce_in * reduce_out * size + reduce_out**2 * hidden + 2 * reduce_out - 2
    place = f"a sparse LSTM {size} -> {hidden} reduced by {reduce_in} and {reduce_out}"
    remedy = "reduce it less (a greater fraction)"
    if budget <= 0:
        raise ConfigError(f"{place}: the biases alone are more parameters than that; {remedy}")
    if (size + hidden) / budget > hidden:
        raise ConfigError(f"{place}: it would need more blocks than it has units; {remedy}")
    blocks = ceil((size + hidden) / budget)
    if blocks >= size:
        raise ConfigError(f"{place}: it would need {blocks} blocks for {size} inputs; {remedy}")
    density = min(1.0, (budget - hidden / blocks) / size)
    if density < 1 / blocks:
        raise ConfigError(
            f"{place}: {blocks} blocks cannot read all inputs; {remedy}, or take blocks and density"
        )
    return _laid_out(size, hidden, blocks, density, parts, (reduce_in * size, reduce_out * hidden))


def solved(
    size: int,
    hidden: int,
    *,
    blocks: int | None = None,
    density: float | None = None,
    reduce_in: float | None = None,
    reduce_out: float | None = None,
    parts: int = 1,
) -> Blocks:
    """The blocks by blocks and density, or by reductions; the former where all are given and they can be met.

    Raises:
        ConfigError: neither pair is given whole, or what is given cannot be met.
    """
    reduced = reduce_in is not None and reduce_out is not None
    if blocks is not None and density is not None and not (reduced and not reads_all(blocks, density)):
        return blocks_of_density(size, hidden, blocks, density, parts)
    if reduce_in is None or reduce_out is None:
        raise ConfigError("a sparse LSTM needs blocks and density, or reduce_in and reduce_out")
    return blocks_of_reduction(size, hidden, reduce_in, reduce_out, parts)


def segments(positions: int, blocks: int, density: float) -> tuple[Segment, ...]:
    """Cut positions into segments, equally far from each other, each that share of them long.

    Raises:
        ConfigError: a segment would be empty, or a position in none.
    """
    length = positions * density
    step = length - positions * (blocks * density - 1) / (blocks - 1) if blocks > 1 else 0.0
    begins = [index * step for index in range(blocks)]
    ends = [*(int(begin + length + 1e-7) for begin in begins[:-1]), positions]
    found = tuple(zip(map(int, begins), ends, strict=True))
    covered = {place for begin, end in found for place in range(begin, end)}
    if any(begin >= end for begin, end in found) or len(covered) < positions:
        what = f"{positions} positions cannot be cut into {blocks} blocks of {length:.2f}"
        raise ConfigError(f"a sparse LSTM: {what}; take fewer blocks, or a greater density")
    return found


def _laid_out(
    size: int, hidden: int, blocks: int, density: float, parts: int, wanted: tuple[float, float] | None
) -> Blocks:
    if size % parts:
        raise ConfigError(f"a sparse LSTM: {size} inputs are not {parts} equal parts")
    inputs = segments(size // parts, blocks, density)
    return Blocks(size, hidden, parts, density, inputs, segments(hidden, blocks, 1 / blocks), wanted)


def sparse_somewhere(mode: Mode, fraction: float, layers: int) -> None:
    """Raise a ValueError if the mode leaves such a stack dense though a fraction below 1 is asked for."""
    if fraction < 1 and layers < 2 and mode == "sparse_hidden":
        raise ValueError(
            "mode sparse_hidden is about what passes between layers, and there is 1; take sparse_all"
        )


def reductions(mode: Mode, fraction: float, layers: int) -> list[tuple[float, float]]:
    """By layer of a stack, `reduce_in` and `reduce_out` (Demeester et al. 2018, section 4.1).

    "sparse_hidden" widens what passes between layers, "sparse_emb" what the stack reads and gives, "sparse_all" both,
    and "direct" neither: a layer of reductions 1 and 1 is dense. The published program wants two layers at least; one
    layer both reads and gives.

    Raises:
        ConfigError: the fraction is out of range, or nothing would be sparse.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"the fraction of a sparse stack lies above 0 and is at most 1, not {fraction}")
    try:
        sparse_somewhere(mode, fraction, layers)
    except ValueError as fault:
        raise ConfigError(str(fault)) from None
    outside = fraction if mode in ("sparse_emb", "sparse_all") else 1.0
    inside = fraction if mode in ("sparse_hidden", "sparse_all") else 1.0
    widths = [outside, *[inside] * (layers - 1), outside]
    return list(pairwise(widths))
