"""Biattention between two texts, and the classification network that is built on it."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.nn.maxout import MaxoutNetwork
from seqloom.nn.pooling import Poolings, masked, past_end
from seqloom.nn.recurrent import Recurrent

Pooled = Literal["max", "mean", "min", "attention"]
POOLED: tuple[Pooled, ...] = get_args(Pooled)


def biattend(x: Tensor, x_lengths: Tensor, y: Tensor, y_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """For each state of either of two texts, what it attends to in the other.

    McCann et al., "Learned in Translation: Contextualized Word Vectors" (2017), section 5: A = X Y^T;
    A_x = softmax of A's columns, A_y = softmax of A^T's columns; C_x = A_x^T X, C_y = A_y^T Y.

    Args:
        x: (batch, n, size), 0 past a text's end.
        x_lengths: (batch,), at least 1.
        y: (batch, m, size), 0 past a text's end.
        y_lengths: (batch,), at least 1.

    Returns:
        C_y, of y's states for each position of x: (batch, n, size), and C_x: (batch, m, size). What stands past a
        text's end means nothing.
    """
    affinity = x @ y.transpose(1, 2)
    return _attended(affinity, y, y_lengths), _attended(affinity.transpose(1, 2), x, x_lengths)


def _attended(affinity: Tensor, states: Tensor, lengths: Tensor) -> Tensor:
    """Means of states (batch, m, size), weighted by the softmax of affinity (batch, n, m) over their positions."""
    past = past_end(lengths, states.shape[1], states.device).unsqueeze(1)
    return affinity.masked_fill(past, -torch.inf).softmax(2) @ states


class _Side(nn.Module):
    """One text with what it attends to in the other, integrated by a BiLSTM and pooled."""

    def __init__(self, size: int, hidden: int, poolings: Sequence[str]) -> None:
        super().__init__()
        self.integrator = Recurrent("lstm", 3 * size, hidden, bidirectional=True)
        self.poolings = Poolings(self.integrator.out, poolings)
        self.out = self.poolings.out

    def forward(self, states: Tensor, attended: Tensor, lengths: Tensor) -> Tensor:
        joined = torch.cat([states, states - attended, states * attended], -1)
        pooled: Tensor = self.poolings(self.integrator(joined, lengths).states, lengths)
        return pooled


class BCN(nn.Module):
    """The biattentive classification network, from the states of one text or two to the scores of classes.

    McCann et al., "Learned in Translation: Contextualized Word Vectors" (2017), section 5, after its encoder. A
    single text is compared with itself. The self-attentive pooling has no bias, of which its softmax would take no
    notice. Padding changes nothing; with batch normalisation the rows of a batch depend on each other in training.

    AllenNLP's variant for one text has `integrators=1`, `reduction=2`, `batch_norm=False`, `poolings=("max", "min",
    "mean", "attention")` and `dropout=(0.1, 0.2, 0.3)`.

    Args:
        size: features of a state.
        classes: how many there are.
        pair: whether there are two texts.
        hidden: units of each direction of a BiLSTM that integrates a text with what it attends to.
        integrators: 2, one for each side, or 1 for both. A single text then has one side only.
        poolings: how integrated states become a vector, in this order: names as in `Poolings`.
        reduction: how many times smaller the first maxout layer is than the vectors of all sides; the second is half
            as large.
        pieces: linear maps for each maxout unit.
        batch_norm: whether what each maxout layer reads is normalised over the batch; the paper does not say where.
        dropout: rate before each maxout layer, or three rates.

    Raises:
        ConfigError: a pooling is unknown, or there are not three rates of dropout.
    """

    def __init__(
        self,
        size: int,
        classes: int,
        *,
        pair: bool = False,
        hidden: int = 300,
        integrators: int = 2,
        poolings: Sequence[str] = POOLED,
        reduction: int = 4,
        pieces: int = 4,
        batch_norm: bool = True,
        dropout: float | Sequence[float] = 0.2,
    ) -> None:
        super().__init__()
        if integrators not in (1, 2):
            raise ConfigError(f"there are 1 or 2 integrators, not {integrators}")
        self.pair, self.couples_rows = pair, batch_norm
        sides = [_Side(size, hidden, poolings) for _ in range(integrators)]
        self.sides = nn.ModuleList(sides)
        self.pooled = (2 if pair else integrators) * sides[0].out
        sizes = [max(1, self.pooled // reduction), max(1, self.pooled // (2 * reduction)), classes]
        self.scorer = MaxoutNetwork(self.pooled, sizes, pieces, dropout, batch_norm)

    def pool(
        self, x: Tensor, x_lengths: Tensor, y: Tensor | None = None, y_lengths: Tensor | None = None
    ) -> Tensor:
        """Return the vectors of all sides, one after another: (batch, `pooled`); arguments as in `forward`."""
        if self.pair != (y is not None and y_lengths is not None):
            raise ValueError("a network of pairs takes two texts with their lengths, any other takes one")
        x = masked(x, x_lengths)
        if y is None or y_lengths is None:
            attended = _attended(x @ x.transpose(1, 2), x, x_lengths)
            return torch.cat([side(x, attended, x_lengths) for side in self.sides], -1)
        y = masked(y, y_lengths)
        of_y, of_x = biattend(x, x_lengths, y, y_lengths)
        return torch.cat([self.sides[0](x, of_y, x_lengths), self.sides[-1](y, of_x, y_lengths)], -1)

    def forward(
        self, x: Tensor, x_lengths: Tensor, y: Tensor | None = None, y_lengths: Tensor | None = None
    ) -> Tensor:
        """Score the classes of each row: (batch, classes).

        Args:
            x: states of the text, or of the first of two: (batch, n, size).
            x_lengths: (batch,), int64, on the CPU, at least 1.
            y: states of the second text: (batch, m, size).
            y_lengths: as `x_lengths`.

        Raises:
            ValueError: there are not as many texts as the network was made for.
        """
        scores: Tensor = self.scorer(self.pool(x, x_lengths, y, y_lengths))
        return scores
