"""What flows from the data through the model: plain records of tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

State = tuple[Tensor, ...] | tuple[tuple[Tensor, ...], ...]
"""What an encoder carries from one window of a stream to the next."""


@dataclass(frozen=True, slots=True)
class Text:
    """A padded batch of token sequences.

    Args:
        ids: by vocabulary, (batch, time), or (batch, time, characters); 0 is padding.
        lengths: (batch,) tokens in each row, on the CPU, where packing wants them.
        words: the tokens of a row of the batch as they were read.
    """

    ids: Mapping[str, Tensor]
    lengths: Tensor
    words: Callable[[int], list[str]] = field(default=lambda row: [], compare=False)

    def only(self, kept: Tensor) -> "Text":
        """The text without the tokens that are not kept, (batch, time); of a row without any, the first stays."""
        kept = kept.clone()
        kept[:, 0] |= ~kept.any(1)
        order = (~kept).int().argsort(dim=1, stable=True)
        lengths = kept.sum(1)
        inside = torch.arange(int(lengths.max()), device=kept.device) < lengths.unsqueeze(1)
        order, rows = order[:, : inside.shape[1]], torch.arange(len(kept), device=kept.device).unsqueeze(1)
        ids = {name: one[rows, order] for name, one in self.ids.items()}
        ids = {name: one * inside.view(*inside.shape, *[1] * (one.dim() - 2)) for name, one in ids.items()}

        def words(row: int) -> list[str]:
            return [word for word, stays in zip(self.words(row), kept[row].tolist(), strict=False) if stays]

        return Text(ids, lengths.cpu(), words)

    def to(self, device: torch.device) -> "Text":
        """The same text with its ids on a device."""
        moved = {name: ids.to(device, non_blocking=True) for name, ids in self.ids.items()}
        return replace(self, ids=moved)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one task, as tensors.

    Args:
        task: whose rows they are.
        columns: by name; the gold columns are left out when predicting.
        rows: the rows' numbers, to find the examples again.
        fresh: for a stream, whether it begins here, so that no state is carried in.
    """

    task: str
    columns: Mapping[str, Text | Tensor]
    rows: Sequence[int]
    fresh: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, name: str) -> Text:
        """The text column of that name."""
        found = self.columns[name]
        assert isinstance(found, Text)
        return found

    def tensor(self, name: str) -> Tensor | None:
        """The tensor column of that name, or None where gold is left out."""
        found = self.columns.get(name)
        assert not isinstance(found, Text)
        return found

    @property
    def tokens(self) -> int:
        """The real tokens of all its texts."""
        return sum(int(one.lengths.sum()) for one in self.columns.values() if isinstance(one, Text))

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device; a no-op on the CPU."""
        if device.type == "cpu":
            return self
        moved = {name: one.to(device) for name, one in self.columns.items()}
        return Batch(self.task, moved, self.rows, self.fresh)


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoder makes of a text.

    Args:
        states: (batch, time, size) the top layer, zero past the end of a row.
        layers: each layer's states, (batch, time, size of the layer).
        raw: (batch, time, size) the top layer before dropout.
        final: (batch, size) [forward at the last token; backward at the first] of the top layer.
        lengths: (batch,) on the CPU.
        state: what a stream's next window starts from.
    """

    states: Tensor
    layers: Sequence[Tensor]
    raw: Tensor
    final: Tensor
    lengths: Tensor
    state: Any = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a head makes of an encoded batch.

    Args:
        loss: () the SUM over what it counts, or None where the batch has no gold columns.
        count: how many things the sum is over; only the trainer divides.
        scores: what the head decodes from.
        state: what a stream carries to its next window.
        sums: further sums over what it counts, such as of right guesses; `Head.measured` gets them.
        penalty: a further sum, which training adds to the loss and no report has in it.
    """

    loss: Tensor | None
    count: int
    scores: Any
    state: Any = None
    sums: Mapping[str, float] = field(default_factory=dict)
    penalty: Tensor | float = 0.0
