"""The stream layout: a column's rows one after another, cut into parallel streams that are read in windows.

Language models read so: the state at the end of a window is carried into the next, and windows come in order.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch

from seqloom.data.batch import Batch, Text
from seqloom.data.columns import Column
from seqloom.data.fields import FormTable
from seqloom.data.sampling import uniform


class Stream:
    """Parallel streams over the rows of a column, in file order.

    Args:
        column: whose values are read.
        rows: which rows, in order.
        streams: how many are read side by side; what does not fill them all is left out, at most streams - 1.
        window: tokens a window, on the average.
        vary: whether windows vary in length: mostly about `window`, one in twenty half of it (AWD-LSTM, section 5).
        seed: what the lengths depend on, with the epoch.

    Raises:
        ValueError: fewer than two tokens for each stream.
    """

    def __init__(
        self, column: Column, rows: np.ndarray, *, streams: int, window: int, vary: bool = False, seed: int = 0
    ) -> None:
        flat = np.concatenate([column.values[column.offsets[row] : column.offsets[row + 1]] for row in rows])
        self.time = len(flat) // streams
        if self.time < 2:
            raise ValueError(f"{len(flat)} tokens are too few for {streams} streams of at least two")
        self.values = flat[: self.time * streams].reshape(streams, self.time)
        self.window, self.vary, self.seed = window, vary, seed
        self._windows: list[int] = []

    def starts(self, epoch: int) -> list[int]:
        """Where the windows of an epoch begin, and, last, where the last one ends."""
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

    def place(self, draw: int) -> tuple[int, int, bool]:
        """Where the `draw`-th window begins and ends, and whether it begins an epoch."""
        while draw >= sum(self._windows):
            self._windows.append(len(self.starts(len(self._windows))) - 1)
        epoch = bisect_right(list(accumulate(self._windows)), draw)
        inside = draw - sum(self._windows[:epoch])
        starts = self.starts(epoch)
        return starts[inside], starts[inside + 1], inside == 0

    def batch(self, draw: int, task: str, tables: dict[str, FormTable], columns: Sequence[str]) -> Batch:
        """The `draw`-th window as a batch: the text in `columns[0]`, the same text one token later in `columns[1]`."""
        start, end, fresh = self.place(draw)
        texts = {}
        for name, shift in zip(columns, (0, 1), strict=True):
            forms = self.values[:, start + shift : end + shift].astype(np.int64)
            lengths = torch.full((len(forms),), forms.shape[1], dtype=torch.int64)
            texts[name] = Text(
                {one: torch.from_numpy(table.ids(forms)) for one, table in tables.items()}, lengths
            )
        return Batch(task, texts, range(len(self.values)), fresh)
