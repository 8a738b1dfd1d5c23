"""The stream layout: a column's rows one after another, cut into parallel streams that are read in windows.

Language models read so: the state at the end of a window is carried into the next, and windows come in order.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from seqloom.data.columns import Column
from seqloom.data.sampling import uniform


@dataclass(frozen=True)
class Window:
    """Some tokens of all streams.

    Args:
        read: (streams, time) numbers of forms.
        foretold: (streams, time) the form that follows each in the order of reading.
        fresh: whether an epoch begins here.
    """

    read: np.ndarray
    foretold: np.ndarray
    fresh: bool


class Stream:
    """Parallel streams over the rows of a column, in file order.

    Args:
        column: whose values are read.
        rows: which rows, in order.
        streams: how many are read side by side; what does not fill them all is left out, at most streams - 1.
        window: tokens a window, on the average.
        vary: whether windows vary in length: mostly about `window`, one in twenty half of it (AWD-LSTM, section 5).
        seed: what the lengths depend on, with the epoch.
        backward: whether the text is read from its end; within a window tokens stand in their own order.

    Raises:
        ValueError: fewer than two tokens for each stream.
    """

    def __init__(
        self,
        column: Column,
        rows: np.ndarray,
        *,
        streams: int,
        window: int,
        vary: bool = False,
        seed: int = 0,
        backward: bool = False,
    ) -> None:
        flat = np.concatenate([column.values[column.offsets[row] : column.offsets[row + 1]] for row in rows])
        flat = flat[::-1] if backward else flat
        self.time = len(flat) // streams
        if self.time < 2:
            raise ValueError(f"{len(flat)} tokens are too few for {streams} streams of at least two")
        self.values = flat[: self.time * streams].reshape(streams, self.time)
        self.window, self.vary, self.seed, self.backward = window, vary, seed, backward
        self._ends = [0]
        self._newest: tuple[int, list[int]] = (-1, [])

    def starts(self, epoch: int) -> list[int]:
        """Where the windows of an epoch begin, and, last, where the last one ends."""
        if self._newest[0] != epoch:
            self._newest = (epoch, self._cut(epoch))
        return self._newest[1]

    def _cut(self, epoch: int) -> list[int]:
        starts = [0]
        while starts[-1] < self.time - 1:
            starts.append(min(self.time - 1, starts[-1] + self._length(epoch, len(starts))))
        return starts

    def _length(self, epoch: int, number: int) -> int:
        if not self.vary:
            return self.window
        mean = self.window if uniform(self.seed, epoch, number, "half") < 0.95 else self.window / 2
        noise = sum(uniform(self.seed, epoch, number, one) for one in range(12)) - 6
        return max(5, round(mean + 5 * noise))

    def _at(self, draw: int) -> tuple[int, int, int]:
        """The epoch of a draw, the number of its window in it, and how many windows the epoch has."""
        while draw >= self._ends[-1]:
            self._ends.append(self._ends[-1] + len(self.starts(len(self._ends) - 1)) - 1)
        epoch = bisect_right(self._ends, draw) - 1
        return epoch, draw - self._ends[epoch], self._ends[epoch + 1] - self._ends[epoch]

    def epochs(self, draws: int) -> float:
        """How many times the text was gone through after some windows."""
        epoch, inside, windows = self._at(draws)
        return epoch + inside / windows

    def place(self, draw: int) -> tuple[int, int, bool]:
        """Where the `draw`-th window begins and ends, and whether it begins an epoch."""
        epoch, inside, _ = self._at(draw)
        starts = self.starts(epoch)
        return starts[inside], starts[inside + 1], inside == 0

    def window_of(self, draw: int) -> "Window":
        """The `draw`-th window, of all streams."""
        start, end, fresh = self.place(draw)
        read, foretold = self.values[:, start:end], self.values[:, start + 1 : end + 1]
        if self.backward:
            read, foretold = read[:, ::-1], foretold[:, ::-1]
        return Window(read.astype(np.int64), foretold.astype(np.int64), fresh)
