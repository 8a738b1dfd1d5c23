"""One vector of several: the layers of an encoder mixed by learnt shares."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ScalarMix(nn.Module):
    """A mean of layers by learnt shares, times a learnt scale (Peters et al. 2018, equation 1); plain at the start.

    Args:
        layers: how many are mixed.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(layers))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """Mix layers of one shape (..., size)."""
        stacked = torch.stack(list(layers))
        mean = torch.tensordot(self.weights.softmax(0).to(stacked.dtype), stacked, 1)
        mixed: Tensor = self.scale * mean
        return mixed
