"""Batches of running text: windows of parallel streams, in their order, for models that carry a state along."""

import numpy as np
import torch

from seqloom.data.batch import Batch, Text
from seqloom.data.columns import Columns
from seqloom.data.running import RunningText, characters
from seqloom.data.stream import Stream
from seqloom.data.vocabulary import Vocabularies
from seqloom.errors import DataError
from seqloom.model.task import Batcher, Task
from seqloom.progress import notice

SIDE_BY_SIDE = 100
"""Places of a text over which gradients are gathered (Krause et al. 2018)."""

MANY_UNKNOWN = 0.1
"""The share of tokens that may be unknown without a word."""


class Streamer(Batcher):
    """Makes batches of windows of a running text.

    A row is a window of one stream, numbered window × streams + stream; a batch holds rows of one window.

    Args:
        task: whose text it is.
        columns: of a split.
        vocabularies: all, by name.
        streams: how many are read side by side.
        window: tokens a window, on the average.
        vary: whether windows vary in length.
        seed: what the lengths depend on.
        set_by: the key that says how many streams, for messages.

    Raises:
        DataError: fewer than two tokens for each stream, or none that the model knows.
    """

    def __init__(
        self,
        task: Task,
        columns: Columns,
        vocabularies: Vocabularies,
        *,
        streams: int,
        window: int,
        vary: bool = False,
        seed: int = 0,
        set_by: str = "training.batch",
    ) -> None:
        super().__init__(task, columns, vocabularies)
        self.vocabularies, self.window = vocabularies, window
        self.field = task.fields["text"]
        assert isinstance(self.field, RunningText)
        how = {"window": window, "vary": vary, "seed": seed, "backward": self.field.backward}
        try:
            self.stream = Stream(columns["text"], columns.numbers, streams=streams, **how)  # type: ignore[arg-type]
        except ValueError as fault:
            what = f"{fault}; give task {task.name} more text or fewer streams ({set_by})"
            raise DataError(what, columns.path or None) from None
        self._known(vocabularies)

    def _known(self, vocabularies: Vocabularies) -> None:
        assert isinstance(self.field, RunningText)
        vocabulary = vocabularies[self.field.vocabulary]
        listed = self.tables["next"].flat[self.stream.values[:, 1:]] != vocabulary.unknown
        ends = np.array([form == self.field.end for form in self.columns["text"].forms])
        if not (listed & ~ends[self.stream.values[:, 1:]]).any():
            what = "no word is known to the model, so that nothing can be foretold; is it cut into words alike?"
            raise DataError(what, self.columns.path or None)
        if (unknown := 1 - float(listed.mean())) > MANY_UNKNOWN:
            what = f"{self.columns.path or 'text'}: {unknown:.0%} of the tokens are unknown words, which count as one"
            notice(f"{what}; figures compare only with those by the same vocabulary")

    @property
    def characters(self) -> int:
        """How many characters the tokens to be foretold stand for."""
        assert isinstance(self.field, RunningText)
        return int(characters(self.columns["text"], self.field.end)[self.stream.values[:, 1:]].sum())

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of some streams at one window."""
        streams = len(self.stream.values)
        window = self.stream.window_of(int(rows[0]) // streams)
        read, foretold = window.read[rows % streams], window.foretold[rows % streams]
        lengths = torch.full((len(rows),), read.shape[1], dtype=torch.int64)
        ids = {name: torch.from_numpy(table.ids(read)) for name, table in self.tables["text"].items()}
        gold = torch.from_numpy(self.tables["next"].ids(foretold))
        forms = self.columns["text"].forms
        text = Text(ids, lengths, lambda row: [forms[one] for one in read[row]])
        return Batch(self.task.name, {"text": text, "next": gold}, rows.tolist(), window.fresh)

    def windows(self) -> "Windows":
        """All rows of one pass after another, window by window."""
        return Windows(self.stream)

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The places: they are rows of its own."""
        return places

    def pace(self, rows: np.ndarray) -> float:
        """The length of the rows' window in that of the average one."""
        start, end, _ = self.stream.place(int(rows[0]) // len(self.stream.values))
        return (end - start) / self.stream.window

    def over(self, *paths: str) -> "Streamer":
        """That of another text of the task, of which as many as a hundred places are read side by side.

        Raises:
            DataError: the text cannot be read, or holds too little.
        """
        columns = self.task.columns(*paths)
        streams = max(1, min(SIDE_BY_SIDE, int(columns.lengths(["text"]).sum()) // self.window))
        return Streamer(self.task, columns, self.vocabularies, streams=streams, window=self.window)

    def where(self, rows: np.ndarray) -> str:
        """Which tokens the rows hold."""
        start, end, _ = self.stream.place(int(rows[0]) // len(self.stream.values))
        return f"tokens {start:,} to {end:,} of {len(rows)} of the streams of {self.columns.path}"


class Windows:
    """The batches of a running text in training: window after window, over and over.

    Args:
        stream: what is read.
        parts: batches that the streams of a window are split into; each carries a state of its own.
    """

    def __init__(self, stream: Stream, parts: int = 1) -> None:
        self.stream, self.parts = stream, parts

    def __len__(self) -> int:
        """Batches an epoch, in the first."""
        return self.parts * (len(self.stream.starts(0)) - 1)

    def rows(self, draw: int) -> np.ndarray:
        """The rows of the `draw`-th batch."""
        window, part = divmod(draw, self.parts)
        streams = len(self.stream.values)
        size = streams // self.parts
        return window * streams + part * size + np.arange(size)

    def epochs(self, draws: int) -> float:
        """How many times the text was gone through after some batches."""
        return self.stream.epochs(draws // self.parts)


def evaluated(task: Task, columns: Columns, vocabularies: Vocabularies) -> Batcher:
    """What makes the batches that a task is evaluated on."""
    if not task.runs:
        return Batcher(task, columns, vocabularies, gold=task.head.measures)
    streams, window = task.head.reading(task.table.head)
    own = f"tasks.{task.name}.head.streams"
    return Streamer(task, columns, vocabularies, streams=streams, window=window, set_by=own)
