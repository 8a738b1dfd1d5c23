"""Numbers in text to float32, tens of thousands at a time; each is the float32 of what `float()` makes of it.

A minus or none, one digit, a point and up to eight decimals are read from one 64-bit word, up to fifteen from
two; all else that `float()` takes goes one by one. Below 2^53 a decimal's digits and its power of ten are both
exact in double precision, so their quotient is the double nearest to the text (Clinger, 1990).
"""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FRONT = BACK = 16  # bytes kept free at both ends of a buffer, so that no 64-bit word reaches outside
BLANK, MINUS, POINT, ZERO = b" -.0"

Positions = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_MOST_DECIMALS = 15
_FEW = 100  # numbers for which the second way does not pay
_EXACT = 1 << 53
_POWERS = 10 ** np.arange(_MOST_DECIMALS + 1)


_ZEROS = np.uint64(0x3030303030303030)


class NotANumber(ValueError):
    """The text at one of the places given to `parse`, number `index`, is no number."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Text:
    """Whole lines of text, in a buffer with `FRONT` free bytes before and `BACK` behind them.

    Attributes:
        end: the byte behind the last line end.
        begins: where each line begins.
        gaps: where its first space is, or -1.
        newlines: where it ends.
    """

    def __init__(self, buffer: bytes, end: int) -> None:
        self.buffer, self.end = buffer, end
        self.begins, self.gaps, self.newlines = [FRONT], [], []
        find, begin = buffer.find, FRONT
        while begin < end:
            newline = find(b"\n", begin)
            self.gaps.append(find(b" ", begin, newline))
            self.newlines.append(newline)
            begin = newline + 1
            self.begins.append(begin)
        self.begins.pop()

    @classmethod
    def of(cls, lines: list[bytes]) -> "Text":
        """A text of the given lines, which come without their ends."""
        buffer = b"\n".join([bytes(FRONT - 1), *lines, bytes(BACK)])
        return cls(buffer, len(buffer) - BACK)

    @cached_property
    def octets(self) -> Bytes:
        """The whole buffer as bytes."""
        return np.frombuffer(self.buffer, np.uint8)

    @cached_property
    def words(self) -> Words:
        """The whole buffer as 64-bit words."""
        return np.frombuffer(self.buffer, "<u8", count=len(self.buffer) // 8)

    def cut(self, starts: Iterable[int], ends: Iterable[int]) -> list[bytes]:
        """The bytes from each start to its end."""
        return [self.buffer[start:end] for start, end in zip(starts, ends, strict=True)]

    def stops(self, most: int) -> Positions:
        """Where runs of visible bytes end, save at the gaps; blanks side by side count too, up to `most` in all."""
        blank = self.octets[: -(-self.end // 4) * 4] <= BLANK
        count = self._count_inside(blank)
        if count > most:
            blank[:FRONT] = True
            blank[1:] = blank[1:] > blank[:-1]
            count = self._count_inside(blank)
        return positions(blank, count)

    def _count_inside(self, flags: Flags) -> int:
        flags[:FRONT], flags[self.end :], flags[self.gaps] = False, False, False
        return int(np.count_nonzero(flags))


def positions(flags: Flags, count: int) -> Positions:
    """Where the `count` flags are that are set; there are a multiple of four in all.

    Twice as fast as `flatnonzero` where no four neighbours hold two set flags, which a number's digits ensure.
    """
    words = flags.view("<u4")
    found = np.flatnonzero(words != 0)
    if len(found) != count:
        return np.flatnonzero(flags)
    places = words.take(found, mode="clip")
    places *= np.uint32(0x00010203)  # the top byte becomes the number of the byte that was 1
    places >>= np.uint32(24)
    found <<= 2
    found += places
    return found


def parse(text: Text, befores: Positions, ends: Positions) -> Floats:
    """The numbers between the bytes `befores` and `ends`, both left out, shape (numbers,); blanks around are allowed.

    Raises:
        NotANumber: a text that `float()` refuses.
    """
    values, odd = _short(text, befores, ends)
    if len(odd) > _FEW:
        values[odd], still = _long(text, befores[odd], ends[odd])
        odd = odd[still]
    if len(odd):
        with np.errstate(over="ignore"):
            values[odd] = np.array(_any(text, befores[odd], ends[odd], odd))
    return values


def _short(text: Text, befores: Positions, ends: Positions) -> tuple[Floats, Positions]:
    """The numbers of up to eight decimals; and the places of those that have another form."""
    negative, whole, first, odd = _front(text, befores)
    spare = first  # Touching fresh memory costs as much as the work: here and below, arrays serve twice.
    spare -= ends
    spare <<= 3
    spare += 88  # bits of the last eight bytes that stand before the decimals
    odd |= spare < 0
    decimals, scratch = _last_eight(text, ends)
    decimals >>= spare.view(np.uint64)  # a shift by 64 or more leaves zero
    odd |= _not_digits(decimals, scratch)
    number = _eight_digits(decimals)
    np.copyto(spare, whole)
    spare *= 100_000_000
    number += spare
    values = scratch.view(np.float64)
    np.copyto(values, number)
    values /= 1e8
    return _signed(values, negative), np.flatnonzero(odd)


def _long(text: Text, befores: Positions, ends: Positions) -> tuple[Floats, Positions]:
    """The same for nine to fifteen decimals."""
    negative, whole, first, odd = _front(text, befores)
    count = ends - first - 3
    odd |= (count <= 8) | (count > _MOST_DECIMALS)
    count[odd] = _MOST_DECIMALS
    spare = ((16 - count) * 8).view(np.uint64)
    left, scratch = _last_eight(text, ends - 8)
    left = left >> spare << spare
    right, _ = _last_eight(text, ends)
    odd |= _not_digits(left, scratch) | _not_digits(right, scratch)
    powers = _POWERS[count]
    number = whole * powers + _eight_digits(left) * 100_000_000 + _eight_digits(right)
    odd |= number >= _EXACT
    return _signed(number / powers, negative), np.flatnonzero(odd)


def _front(text: Text, befores: Positions) -> tuple[Flags, Bytes, Positions, Flags]:
    """For each number: is there a minus, the first digit, the byte before that, has the number another form."""
    # Every position is inside the buffer; mode="clip" only spares numpy the copy that a possible error costs.
    after, second = text.octets[1:], text.octets[2:]
    negative = after.take(befores, mode="clip") == MINUS
    first = negative.astype(np.int64)
    first += befores
    whole = after.take(first, mode="clip")
    whole -= ZERO
    odd = second.take(first, mode="clip") != POINT
    odd |= whole > 9
    return negative, whole, first, odd


def _last_eight(text: Text, ends: Positions) -> tuple[Words, Words]:
    """The eight bytes before each end less "0", the earliest lowest; and a like array that is free to be used."""
    place = ends >> 3
    high = text.words.take(place, mode="clip")
    place -= 1
    low = text.words.take(place, mode="clip")
    bits = np.bitwise_and(ends, 7, out=place)
    bits <<= 3
    low >>= bits.view(np.uint64)
    np.subtract(64, bits, out=bits)
    high <<= bits.view(np.uint64)
    low |= high
    low ^= _ZEROS
    return low, high


def _not_digits(digits: Words, scratch: Words) -> Flags:
    above = np.greater(digits.view(np.uint8), 9, out=scratch.view(np.bool_))
    found: Flags = above.view(np.uint64) != 0
    return found


def _eight_digits(digits: Words) -> NDArray[np.int64]:
    """The number whose eight digits are the bytes, the first lowest, made in their place: of pairs, fours, eight.

    The upper half of a product of a pair (a, b) with (1, 10) is 10 a + b, and so on.
    """
    for half, power in ((8, 10), (16, 100), (32, 10_000)):
        lanes = digits.view(f"<u{half // 4}")
        lanes *= lanes.dtype.type(1 + (power << half))
        lanes >>= lanes.dtype.type(half)
    return digits.view(np.int64)


def _signed(values: NDArray[np.float64], negative: Flags) -> Floats:
    """The values as float32, with a minus where one stood, -0.0 included."""
    result = values.astype(np.float32)
    bits = result.view(np.uint32)
    bits |= negative.astype(np.uint32) << np.uint32(31)
    return result


def _any(text: Text, befores: Positions, ends: Positions, indices: Positions) -> list[float]:
    values: list[float] = []
    for before, end in zip(befores.tolist(), ends.tolist(), strict=True):
        try:
            values.append(float(text.buffer[before + 1 : end]))
        except ValueError:
            raise NotANumber(int(indices[len(values)])) from None
    return values
