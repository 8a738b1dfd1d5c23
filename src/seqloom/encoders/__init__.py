"""Encoders: the second half of step 5, from vectors to states. One file, one kind."""

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from seqloom.config import Choice, Part, Table
from seqloom.data.batch import Encoded

Input = Annotated[str | Table, Choice("embedders", names=("embedders", "vectors"))]
"""The embedder that an encoder reads from: a name or a definition."""


class Encoder(nn.Module, Part):
    """States for the tokens of a text; built as `Kind(config, size=...)`, `size` being that of a token's vector."""

    family: ClassVar[str] = "encoders"
    size: int
    """Numbers in each state."""
    causal: bool
    """Whether a state depends on no later token."""
    backward: bool = False
    """Whether a state depends on no earlier token: it reads from the end of a text."""
    lstm: bool = False
    """Whether its last `state` is, layer by layer, the hidden and the cell state of LSTMs."""

    def __init__(self, config: Any, *, size: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, lengths: Tensor, state: Any = None) -> Encoded:
        """Encode x (batch, time, size of a vector), of which row i has `lengths[i]` tokens."""
        raise TypeError(f"{type(self).__name__} does not encode")


def cell_sizes(encoder: Encoder, size: int) -> list[int]:
    """The numbers in each layer's cell state, those of all directions; none where an encoder is not made of LSTMs.

    They are told by reading one vector of `size` numbers.
    """
    if not encoder.lstm:
        return []
    mode = encoder.training
    with torch.no_grad():
        read = encoder.eval()(torch.zeros(1, 1, size), torch.tensor([1]))
    encoder.train(mode)
    return [cell.numel() for _, cell in read.state]
