"""Running text: rows that follow on one another, and what follows each of their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seqloom.data.batch import Text
from seqloom.data.columns import Column
from seqloom.data.fields import UNLISTED, FormTable, TextField
from seqloom.data.tokens import Index, View
from seqloom.data.vocabulary import Vocabularies


@dataclass(frozen=True)
class RunningText(TextField):
    """A text that follows on the row before; each row ends with a symbol of its own.

    It is looked up in `vocabulary`, whatever else its embedder reads: from there it is foretold.

    Alone, as a row of a batch, it is read from the end symbol of the row before, or backward from its own.

    `minimum`: how often a word must occur in training to be listed, where the embedder does not say.
    """

    vocabulary: str = "words"
    minimum: int = 1
    end: str = "<eos>"
    backward: bool = False
    runs: ClassVar[bool] = True

    def reading(self, indexes: Sequence[Index]) -> "RunningText":
        """The same field, read through these indexes and by the words themselves."""
        known = any(one.vocabulary == self.vocabulary for one in indexes)
        own = () if known else (Index(self.vocabulary, View("word"), self.minimum),)
        return replace(self, indexes=(*indexes, *own))

    def store(self, value: Any) -> Sequence[str]:
        """The tokens, then the end symbol; a text may be empty."""
        return [*(super().store(value) if value else ()), self.end]

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Text:
        """A padded text."""
        forms, lengths = column.padded(rows)
        forms = forms if self.backward else rolled(forms, lengths, 1)
        ids = {name: torch.from_numpy(table.ids(forms)) for name, table in tables.items()}
        return Text(ids, torch.from_numpy(lengths), lambda row: column.row(rows[row]))


@dataclass(frozen=True)
class Following(RunningText):
    """What follows each token of a running text in the order of reading: ids of its vocabulary, (batch, time)."""

    text: ClassVar[bool] = False
    gold: ClassVar[bool] = True
    of: ClassVar[str] = "text"

    @property
    def index(self) -> Index:
        """How the words are looked up."""
        return next(one for one in self.indexes if one.vocabulary == self.vocabulary)

    def tables(self, column: Column, vocabularies: Vocabularies) -> Any:
        """The ids of every form that the column holds."""
        return FormTable(column.forms, self.index, vocabularies[self.vocabulary])

    def collate(self, column: Column, tables: Any, rows: np.ndarray) -> Tensor:  # type: ignore[override]
        """(batch, time) ids, UNLISTED past the end of a row."""
        forms, lengths = column.padded(rows)
        forms = rolled(forms, lengths, 1) if self.backward else forms
        return torch.from_numpy(np.where(forms < 0, UNLISTED, tables.ids(forms)))


def rolled(forms: np.ndarray, lengths: np.ndarray, by: int) -> np.ndarray:
    """Padded rows (batch, time), each turned round within its length so that what stood last comes first."""
    places = np.arange(forms.shape[1])
    turned = np.where(places < lengths[:, None], (places - by) % np.maximum(lengths, 1)[:, None], places)
    found: np.ndarray = np.take_along_axis(forms, turned, 1)
    return found


def characters(column: Column, end: str) -> np.ndarray:
    """How many characters each form of a column stands for.

    A word has a blank or a line end behind it, which an end symbol is one of; of single characters there is no blank.
    """
    single = all(len(form) == 1 for form in column.forms if form != end)
    widths = [1 if single else 0 if form == end else len(form) + 1 for form in column.forms]
    return np.array(widths, dtype=np.int64)
