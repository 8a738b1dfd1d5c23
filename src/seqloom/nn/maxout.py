"""Maxout layers and networks: each unit is the largest of several linear maps."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from seqloom.errors import ConfigError


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that can train on a single row.

    Ioffe and Szegedy, "Batch Normalization" (2015). One row is its own mean, so that its normal form would be zero
    whatever it held. It is measured by the running statistics instead, as in evaluation, and does not enter them.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each feature of input (batch, size) over the batch."""
        if not self.training or len(input) > 1:
            return super().forward(input)
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class Maxout(nn.Module):
    """A layer of units of which each is the largest of several linear maps.

    Goodfellow et al., "Maxout Networks" (2013), equation 1.

    Args:
        size: features of the input.
        out: units.
        pieces: linear maps for each unit, also called the pool size.
    """

    def __init__(self, size: int, out: int, pieces: int = 4) -> None:
        super().__init__()
        self.out, self.pieces = out, pieces
        self.linear = nn.Linear(size, out * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., size) to (..., out)."""
        maps: Tensor = self.linear(x)
        return maps.view(*x.shape[:-1], self.out, self.pieces).max(-1).values


class MaxoutNetwork(nn.Module):
    """Maxout layers one after another, with dropout before each.

    Args:
        size: features of the input.
        sizes: units of each layer.
        pieces: linear maps for each unit.
        dropout: share of a layer's input set to zero in training, for all layers or for each.
        batch_norm: whether each layer's input is normalised over the batch, before dropout. The rows of a batch then
            depend on each other in training. Normalising the linear maps instead holds the scores of the last layer
            near one, and learns much more slowly.

    Raises:
        ConfigError: there are not as many rates of dropout as layers.
    """

    def __init__(
        self,
        size: int,
        sizes: Sequence[int],
        pieces: int = 4,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        rates = [dropout] * len(sizes) if isinstance(dropout, float | int) else dropout
        if len(rates) != len(sizes):
            raise ConfigError(f"{len(rates)} rates of dropout, {len(sizes)} layers; each layer needs one")
        self.out = sizes[-1]
        ends = list(pairwise((size, *sizes)))
        self.norms = nn.ModuleList(BatchNorm(before) if batch_norm else nn.Identity() for before, _ in ends)
        self.dropouts = nn.ModuleList(map(nn.Dropout, rates))
        self.layers = nn.ModuleList(Maxout(*both, pieces) for both in ends)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., size), with batch normalisation (batch, size), to (..., last of the sizes)."""
        for norm, dropout, layer in zip(self.norms, self.dropouts, self.layers, strict=True):
            x = layer(dropout(norm(x)))
        return x
