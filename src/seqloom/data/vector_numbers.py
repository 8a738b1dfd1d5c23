"""Numbers in text to float32, tens of thousands at a time; each is the float32 of what `float()` makes of it.

A minus or none, one digit, a point and up to eight decimals are read from one 64-bit word, up to fifteen from
two; all else that `float()` takes goes one by one. Below 2^53 a decimal's digits and its power of ten are both
exact in double precision, so their quotient is the double nearest to the text (Clinger, 1990).
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FRONT = BACK = 16  # bytes kept free at both ends of a buffer, so that no 64-bit word reaches outside
NEWLINE, BLANK, MINUS, POINT, ZERO = b"\n -.0"

Positions = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MOST_DECIMALS = 15
_FEW = 100  # numbers for which the second way does not pay
_EXACT = 1 << 53
_POWERS = 10 ** np.arange(_MOST_DECIMALS + 1)
_ZEROS = np.uint64(0x3030303030303030)


class NotANumber(ValueError):
    """The text at one of the places given to `Parser.parse`, the one at the flat `index`, is no number."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Text:
    """Whole lines of text, up to byte `end` of a buffer with `FRONT` zero bytes before and `BACK` bytes behind them."""

    def __init__(self, buffer: bytes | bytearray, end: int) -> None:
        self.buffer, self.end = buffer, end

    @classmethod
    def of(cls, lines: Sequence[bytes]) -> "Text":
        """A text of the given lines; the last may lack its end."""
        end = b"" if lines[-1].endswith(b"\n") else b"\n"
        buffer = b"".join((bytes(FRONT), *lines, end, bytes(BACK)))
        return cls(buffer, len(buffer) - BACK)

    @cached_property
    def count(self) -> int:
        """The number of lines."""
        return int(np.count_nonzero(self.octets[: self.end] == NEWLINE))

    @cached_property
    def octets(self) -> Bytes:
        """The whole buffer as bytes."""
        return np.frombuffer(self.buffer, np.uint8)

    @cached_property
    def words(self) -> Words:
        """The whole buffer as 64-bit words."""
        return np.frombuffer(self.buffer, "<u8", count=len(self.buffer) // 8)

    @cached_property
    def newlines(self) -> Positions:
        """Where the lines end."""
        return np.flatnonzero(self.octets[: self.end] == NEWLINE)

    def cut(self, starts: Iterable[int], ends: Iterable[int]) -> list[bytes]:
        """The bytes from each start to its end."""
        view = memoryview(self.buffer)
        return [view[start:end].tobytes() for start, end in zip(starts, ends, strict=True)]

    def edges(self, fields: int) -> Positions | None:
        """The byte before the first line and where its fields end, all lines having `fields`; None if one has not.

        Two blanks side by side may stand for an empty field, if another field is missing in that line.
        """
        count = self.count * fields + 1
        flags = self.octets[: -(-self.end // 4) * 4] <= BLANK
        flags[: FRONT - 1] = flags[self.end :] = False
        found = np.count_nonzero(flags)
        if found != count:
            flags[FRONT:] = flags[FRONT:] > flags[FRONT - 1 : -1]
            found = np.count_nonzero(flags)
        return positions(flags, count) if found == count else None


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


class Parser:
    """Reads numbers; its working memory serves one text after the other.

    To touch fresh memory would cost about as much as the work that is done in it.
    """

    def __init__(self) -> None:
        self._longs = np.empty((4, 0), np.int64)
        self._bytes = np.empty((4, 0), np.uint8)

    def parse(self, text: Text, befores: Positions, ends: Positions) -> Floats:
        """The numbers between the bytes `befores` and `ends`, both left out, which may have blanks around them.

        Args:
            text: where they stand.
            befores: shape (lines, 1 + size); the first field of a line is passed over.
            ends: of the same shape.

        Returns:
            The numbers, shape (lines, size).

        Raises:
            NotANumber: a text that `float()` refuses.
        """
        if ends.size > self._longs.shape[1]:
            self._longs = np.empty((4, ends.size), np.int64)
            self._bytes = np.empty((4, ends.size), np.uint8)
        fields = ends.shape[1]
        befores, ends = befores.ravel(), ends.ravel()
        values, negative, odd = self._short(text, befores, ends)
        result = _signed(values.reshape(-1, fields)[:, 1:], negative.reshape(-1, fields)[:, 1:])
        odd = odd[odd % fields > 0]
        if len(odd):
            result[odd // fields, odd % fields - 1] = self._others(text, befores[odd], ends[odd], odd)
        return result

    def _short(self, text: Text, befores: Positions, ends: Positions) -> tuple[Doubles, Flags, Positions]:
        """The numbers of up to eight decimals; which have a minus; and the places of those that have another form."""
        first, free, *_ = self._longs[:, : len(ends)]
        negative, whole, odd = self._front(text, befores, first)
        spare = np.subtract(first, ends, out=first)
        spare <<= 3
        spare += 88  # bits of the last eight bytes that stand before the decimals
        odd |= spare < 0
        decimals = self._last_eight(text, ends)
        decimals >>= spare.view(np.uint64)  # a shift by 64 or more leaves zero
        odd |= _not_digits(decimals, free.view(np.bool_))
        number = _eight_digits(decimals)
        np.copyto(spare, whole)
        spare *= 100_000_000
        number += spare
        values = free.view(np.float64)
        np.copyto(values, number)
        values /= 1e8
        return values, negative, np.flatnonzero(odd)

    def _others(self, text: Text, befores: Positions, ends: Positions, indices: Positions) -> Floats:
        values, left = np.empty(len(ends), np.float32), np.arange(len(ends))
        if len(left) > _FEW:
            values, left = self._long(text, befores, ends)
        with np.errstate(over="ignore"):
            values[left] = np.array(_any(text, befores[left], ends[left], indices[left]))
        return values

    def _long(self, text: Text, befores: Positions, ends: Positions) -> tuple[Floats, Positions]:
        """The numbers of nine to fifteen decimals; and the places of those that have another form."""
        first, free, *_ = self._longs[:, : len(ends)]
        negative, whole, odd = self._front(text, befores, first)
        count = ends - first - 3
        odd |= (count <= 8) | (count > _MOST_DECIMALS)
        count[odd] = _MOST_DECIMALS
        spare = ((16 - count) * 8).view(np.uint64)
        left = self._last_eight(text, ends - 8) >> spare << spare
        right = self._last_eight(text, ends)
        odd |= _not_digits(left, free.view(np.bool_))
        odd |= _not_digits(right, free.view(np.bool_))
        powers = _POWERS[count]
        number = whole * powers + _eight_digits(left) * 100_000_000 + _eight_digits(right)
        odd |= number >= _EXACT
        return _signed(number / powers, negative), np.flatnonzero(odd)

    def _front(self, text: Text, befores: Positions, first: Positions) -> tuple[Flags, Bytes, Flags]:
        """For each number: is there a minus, the first digit, has it another form; `first` becomes the byte before."""
        sign, whole, point, odd = self._bytes[:, : len(befores)]
        # Every position is inside the buffer; mode="clip" only spares numpy the copy that a possible error costs.
        text.octets[1:].take(befores, out=sign, mode="clip")
        negative = np.equal(sign, MINUS, out=sign.view(np.bool_))
        np.add(befores, negative, out=first)
        text.octets[1:].take(first, out=whole, mode="clip")
        whole -= ZERO
        text.octets[2:].take(first, out=point, mode="clip")
        odd = np.not_equal(point, POINT, out=odd.view(np.bool_))
        odd |= whole > 9
        return negative, whole, odd

    def _last_eight(self, text: Text, ends: Positions) -> Words:
        """The eight bytes before each end less "0", the earliest lowest: of two aligned words, shifted together."""
        _, place, high, low = self._longs[:, : len(ends)]
        high, low = high.view(np.uint64), low.view(np.uint64)
        np.right_shift(ends, 3, out=place)
        text.words.take(place, out=high, mode="clip")
        place -= 1
        text.words.take(place, out=low, mode="clip")
        bits = np.bitwise_and(ends, 7, out=place)
        bits <<= 3
        low >>= bits.view(np.uint64)
        np.subtract(64, bits, out=bits)
        high <<= bits.view(np.uint64)
        low |= high
        low ^= _ZEROS
        eight: Words = low
        return eight


def _not_digits(digits: Words, free: Flags) -> Flags:
    above = np.greater(digits.view(np.uint8), 9, out=free)
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


def _signed(values: Doubles, negative: Flags) -> Floats:
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
