"""The recurrent layers of AWD-LSTM: dropout of recurrent weights, and locked dropout around every layer."""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.nn.blocks import Mode, reductions
from seqloom.nn.dropout import LockedDropout, checked_rate, thinned
from seqloom.nn.pooling import pool
from seqloom.nn.qrnn import QRNNLayer
from seqloom.nn.recurrent import Recurrence, RecurrentLayer
from seqloom.nn.sparse import SparseLSTM
from seqloom.nn.unrolling import Cell, State, unroll


class WeightDropLayer(RecurrentLayer):
    """A recurrent layer that drops some of its recurrent weights, anew at each call (DropConnect, Wan et al. 2013).

    The parameters stay what they are: what is dropped goes into the call, so nothing is ever assigned anew.

    Args:
        cell: "lstm" or "gru".
        size: features of the input.
        hidden: units.
        drop: share of the recurrent weights set to zero in training, in [0, 1).

    Raises:
        ConfigError: the share is out of range.
    """

    def __init__(self, cell: Cell, size: int, hidden: int, drop: float = 0.0) -> None:
        super().__init__(cell, size, hidden)
        self.drop = checked_rate(drop)

    def forward(self, x: Tensor, lengths: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over x (batch, time, size): see `unroll`."""
        enters, recurrent, *biases = self.weights
        dropped = thinned(recurrent, self.drop if self.training else 0.0)
        return unroll(self.cell, x, lengths, [enters, dropped, *biases], state)


class AWD(nn.Module):
    """A stack of regularised layers (Merity, Keskar and Socher, "Regularizing and Optimizing LSTM LMs", 2018).

    Args:
        cell: "lstm", "gru" or "qrnn".
        size: features of the input.
        hidden: units of each layer but the last.
        layers: how many.
        last: units of the last layer; as many as `size` if None, so that words can be scored by their own vectors.
        input_dropout: rate on what comes in; here and below one mask a text, all along it.
        dropout: rate on what passes from layer to layer.
        output_dropout: rate on what goes out.
        weight_drop: share of the recurrent weights dropped (of a QRNN, of the weights of its linear map).
        mode: which layers of an LSTM are sparse: see `reductions`.
        fraction: the sizes of the dense stack that has as many parameters, in those of this one.

    Raises:
        ConfigError: there is no layer, a rate is out of range, or layers other than an LSTM's should be sparse.
    """

    def __init__(
        self,
        cell: Literal["lstm", "gru", "qrnn"],
        size: int,
        hidden: int,
        layers: int = 3,
        last: int | None = None,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        weight_drop: float = 0.0,
        mode: Mode = "direct",
        fraction: float = 1.0,
    ) -> None:
        super().__init__()
        if mode != "direct" and cell != "lstm":
            raise ConfigError(f"sparse layers are an LSTM's; with cell {cell} take mode direct")
        if layers < 1:
            raise ConfigError(f"a stack has at least 1 layer, not {layers}")
        self.layers, self.out = layers, last or size
        sizes = [size, *[hidden] * (layers - 1), self.out]
        self.before, self.between, self.after = map(LockedDropout, (input_dropout, dropout, output_dropout))
        reduced = reductions(mode, fraction, layers)
        for index, (enters, leaves) in enumerate(pairwise(sizes)):
            self.add_module(f"layer{index}", _layer(cell, index, enters, leaves, weight_drop, reduced[index]))

    def forward(self, x: Tensor, lengths: Tensor, state: tuple[State, ...] | None = None) -> Recurrence:
        """Run over x (batch, time, size) of texts of lengths (batch,), int64, on the CPU, at least 1."""
        x = self.before(x)
        outputs: list[Tensor] = []
        carried: list[State] = []
        for index in range(self.layers):
            x = self.between(x) if index else x
            x, last = getattr(self, f"layer{index}")(x, lengths, state[index] if state else None)
            outputs.append(x)
            carried.append(last)
        states = self.after(x)
        return Recurrence(states, tuple(outputs), pool(states, lengths, "last"), tuple(carried))


def _layer(
    cell: Cell | Literal["qrnn"], index: int, size: int, hidden: int, drop: float, reduced: tuple[float, float]
) -> nn.Module:
    if cell == "qrnn":
        return QRNNLayer(size, hidden, 1 if index else 2, drop)
    if reduced == (1.0, 1.0):
        return WeightDropLayer(cell, size, hidden, drop)
    return SparseLSTM(size, hidden, reduce_in=reduced[0], reduce_out=reduced[1], weight_drop=drop)
