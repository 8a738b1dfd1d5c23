"""An encoder out of a saved model."""

from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from seqloom.config import Choice, Count, FilePath, Table
from seqloom.data.batch import Encoded
from seqloom.encoders import Encoder, Input


class Inside(Table):
    """What the model there holds: the size of the vectors that its encoder reads, and the encoder's definition."""

    size: Count
    encoder: Annotated[Table, Choice("encoders")]


class Saved(Encoder):
    """An encoder that another model learnt, with new vectors of the same size to read."""

    class Config(Table):
        """`path`: a model or run folder; `part`: which of its encoders, as in `encoders.shared`, if it has several.

        `frozen`: whether it stays as it is, its dropout never acting; gradients still go through it to what it reads.
        `inside` is filled in when a model is saved, so that its folder needs the other no longer.
        """

        type: Literal["saved"] = "saved"
        input: Input | None = None
        path: FilePath
        part: str | None = None
        frozen: bool = True
        inside: Inside | None = None

    def __init__(self, config: Any, *, size: int, inside: Encoder) -> None:
        super().__init__(config, size=size)
        self.inside, self.frozen = inside, config.frozen
        self.size, self.causal, self.backward = inside.size, inside.causal, inside.backward
        self.lstm = inside.lstm
        if self.frozen:
            inside.requires_grad_(False)

    def train(self, mode: bool = True) -> "Saved":
        """Go into training or evaluation mode; what is frozen stays in evaluation."""
        super().train(mode)
        self.inside.train(mode and not self.frozen)
        return self

    def forward(self, x: Tensor, lengths: Tensor, state: Any = None) -> Encoded:
        """Encode x (batch, time, size of a vector)."""
        learns = torch.is_grad_enabled() and (x.requires_grad or not self.frozen)
        with torch.set_grad_enabled(learns):
            encoded: Encoded = self.inside(x, lengths, state)
        return encoded


def backward(table: Any) -> bool:
    """Whether an encoder of that table reads from the end of a text."""
    if isinstance(table, Saved.Config):
        return table.inside is not None and backward(table.inside.encoder)
    return bool(getattr(table, "backward", False))
