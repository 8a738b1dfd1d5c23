"""Stacks of LSTM and GRU layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.nn.dropout import LockedDropout
from seqloom.nn.perceptron import SMALL, begin_uniform
from seqloom.nn.pooling import past_end, pool
from seqloom.nn.unrolling import Cell, State, unroll

Initial = Literal["default", "orthogonal", "whole", "uniform"]
GATES = {"lstm": 4, "gru": 3}


def _uniform(name: str, parameter: Tensor, hidden: int) -> None:
    nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)


def _orthogonal(name: str, parameter: Tensor, hidden: int) -> None:
    if name.startswith("bias"):
        nn.init.zeros_(parameter)
        return
    start = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
    for gate in parameter.chunk(len(parameter) // hidden):
        start(gate)


def _whole(name: str, parameter: Tensor, hidden: int) -> None:
    if name.startswith("bias"):
        nn.init.uniform_(parameter, -SMALL, SMALL)
    else:
        nn.init.orthogonal_(parameter)


def _tenths(name: str, parameter: Tensor, hidden: int) -> None:
    begin_uniform(parameter)


_INITIAL = {"default": _uniform, "orthogonal": _orthogonal, "whole": _whole, "uniform": _tenths}


class RecurrentLayer(nn.Module):
    """One LSTM or GRU layer, whose parameters bear torch's names without the layer: weight_ih, weight_hh, ...

    Args:
        cell: "lstm" or "gru".
        size: features of the input.
        hidden: units of each direction.
        bidirectional: whether a second direction reads from the end; its parameters end in `_reverse`.
    """

    def __init__(self, cell: Cell, size: int, hidden: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.cell, self.size, self.hidden = cell, size, hidden
        self.directions = 2 if bidirectional else 1
        rows = GATES[cell] * hidden
        shapes = {
            "weight_ih": (rows, size),
            "weight_hh": (rows, hidden),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        for direction in ("", "_reverse")[: self.directions]:
            for name, shape in shapes.items():
                self.register_parameter(name + direction, nn.Parameter(torch.empty(shape)))
        self._names = tuple(name for name, _ in self.named_parameters())
        self.initialise("default")

    def initialise(self, how: Initial, forget_bias: float | None = None) -> None:
        """Draw the weights anew; the forget bias is what the two biases of an LSTM's forget gate add up to.

        Raises:
            ConfigError: a GRU is given a forget bias.
        """
        if forget_bias is not None and self.cell == "gru":
            raise ConfigError("a GRU has no forget gate: forget_bias is for cell lstm")
        for name, parameter in self.named_parameters():
            _INITIAL[how](name, parameter, self.hidden)
            if forget_bias is not None and name.startswith("bias"):
                forget_gate = parameter[self.hidden : 2 * self.hidden]
                nn.init.constant_(forget_gate, forget_bias if name.startswith("bias_ih") else 0.0)

    @property
    def weights(self) -> list[Tensor]:
        """The parameters in the order that `unroll` takes them."""
        return [getattr(self, name) for name in self._names]

    def forward(self, x: Tensor, lengths: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over x (batch, time, size): see `unroll`."""
        return unroll(self.cell, x, lengths, self.weights, state)

    def extra_repr(self) -> str:
        """Name the cell and the sizes."""
        return f"{self.cell}, {self.size}, {self.hidden}, directions={self.directions}"

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast; on a GPU the weights then go into the one block that cuDNN wants."""
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        weights, cudnn = self.weights, cast(Any, torch.backends.cudnn)
        if weights[0].is_cuda and cudnn.is_acceptable(weights[0]):
            sizes = (self.size, cudnn.rnn.get_cudnn_mode(self.cell.upper()), self.hidden, 0, 1)
            with torch.no_grad(), torch.cuda.device(weights[0].device):
                torch._cudnn_rnn_flatten_weight(weights, 4, *sizes, True, self.directions == 2)
        return self


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What a stack makes of a batch.

    Attributes:
        states: (batch, time, directions * hidden), the top layer's output; 0 past a sentence's end.
        layers: each layer's output before dropout, shaped like `states`.
        final: (batch, directions * hidden), of `states`: forward at the last word, backward at the first.
        state: for each layer, what a next call can start from.
    """

    states: Tensor
    layers: tuple[Tensor, ...]
    final: Tensor
    state: tuple[State, ...]

    @property
    def raw(self) -> Tensor:
        """The top layer's output before dropout: (batch, time, directions * hidden)."""
        return self.layers[-1]


class Recurrent(nn.Module):
    """A stack of LSTM or GRU layers, where padding changes nothing.

    Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997); Cho et al., "Learning Phrase Representations
    using RNN Encoder-Decoder" (2014), with the gates as in torch.nn.LSTM and torch.nn.GRU.

    Args:
        cell: "lstm" or "gru".
        size: features of the input.
        hidden: units of each direction.
        layers: how many.
        bidirectional: whether each layer reads in both directions.
        dropout: rate on what passes from layer to layer.
        output_dropout: rate on the top layer's output.
        locked: whether dropout keeps one mask for all time steps of a sentence.
        layer_norm: whether each layer's output goes through layer normalisation.
        residual: whether each layer but the first adds its input to its output.
        initial: "default", as torch's, or "orthogonal": each gate's hidden matrix orthogonal, its input
            matrix Xavier uniform, biases 0; or "whole": each matrix orthogonal, of all gates together, biases near 0,
            as DME's program does (Kiela et al. 2018); or "uniform": all from -0.1 to 0.1, as CoVe's does (McCann et
            al. 2017).
        forget_bias: what the biases of an LSTM's forget gate start with, taken together; None leaves them.
        make: what makes a layer, by its place from 0 and the size of its input, in the stead of a `RecurrentLayer`.

    Raises:
        ConfigError: there is no layer, or a GRU is given a forget bias.
    """

    def __init__(
        self,
        cell: Cell,
        size: int,
        hidden: int,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        locked: bool = False,
        layer_norm: bool = False,
        residual: bool = False,
        initial: Initial = "default",
        forget_bias: float | None = None,
        make: Callable[[int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ConfigError(f"a stack has at least 1 layer, not {layers}")
        self.hidden, self.layers, self.residual = hidden, layers, residual
        self.out = hidden * (2 if bidirectional else 1)
        kind = LockedDropout if locked else nn.Dropout
        self.between, self.after = kind(dropout), kind(output_dropout)
        for index in range(layers):
            enters = self.out if index else size
            layer: Any = make(index, enters) if make else RecurrentLayer(cell, enters, hidden, bidirectional)
            layer.initialise(initial, forget_bias)
            self.add_module(f"layer{index}", layer)
            self.add_module(f"norm{index}", nn.LayerNorm(self.out) if layer_norm else None)

    def forward(
        self, x: Tensor, lengths: Tensor | Sequence[int], state: tuple[State, ...] | None = None
    ) -> Recurrence:
        """Run over x (batch, time, size) of sentences of lengths (batch,), int64, on the CPU, at least 1."""
        lengths = torch.as_tensor(lengths)
        outputs: list[Tensor] = []
        carried: list[State] = []
        for index in range(self.layers):
            x = self.between(x) if index else x
            output, last = getattr(self, f"layer{index}")(x, lengths, state[index] if state else None)
            output = self._normalised(index, output, lengths)
            x = output + x if self.residual and index else output
            outputs.append(x)
            carried.append(last)
        states = self.after(x)
        return Recurrence(states, tuple(outputs), self._final(states, lengths), tuple(carried))

    def _normalised(self, index: int, output: Tensor, lengths: Tensor) -> Tensor:
        norm = getattr(self, f"norm{index}")
        if norm is None:
            return output
        normalised: Tensor = norm(output)
        return normalised.masked_fill(past_end(lengths, output.shape[1], output.device).unsqueeze(-1), 0)

    def _final(self, states: Tensor, lengths: Tensor) -> Tensor:
        ahead = pool(states[..., : self.hidden], lengths, "last")
        return torch.cat([ahead, states[:, 0, self.hidden :]], -1)
