"""LSTM and GRU encoders."""

from typing import Any, Literal

from torch import Tensor, nn

from seqloom.config import Count, Share, Table
from seqloom.data.batch import Encoded
from seqloom.encoders import Encoder, Input
from seqloom.nn.dropout import LockedDropout
from seqloom.nn.perceptron import named_activation
from seqloom.nn.recurrent import Recurrent


class Projection(Table):
    """A layer over each vector that comes in: numbers in what it makes of it, the activation, dropout after that."""

    size: Count
    activation: Literal["relu", "tanh"] = "relu"
    dropout: Share = 0.0


class RecurrentTable(Table):
    """What the kinds share.

    `project`: a layer over each vector before the stack; `hidden`: numbers a direction; `dropout`: on the vectors that
    come in, between layers and on the states that go out, unless one of these is set apart; `locked`: with one mask
    all along a text. `initial`: matrices begin as torch's, `orthogonal` for each gate, or `whole`: orthogonal for all
    gates together, as in DME's program, or `uniform`: all weights from -0.1 to 0.1, as in CoVe's.
    """

    input: Input | None = None
    project: Projection | None = None
    hidden: Count
    layers: Count = 1
    bidirectional: bool = False
    dropout: Share = 0.0
    input_dropout: Share | None = None
    output_dropout: Share | None = None
    locked: bool = False
    layer_norm: bool = False
    residual: bool = False
    initial: Literal["default", "orthogonal", "whole", "uniform"] = "default"


class RecurrentEncoder(Encoder, Recurrent):
    """A stack of recurrent layers, `layer0` and so on among its parameters; `cell` is what the kinds differ in."""

    cell: Literal["lstm", "gru"]

    def __init__(self, config: Any, *, size: int) -> None:
        Recurrent.__init__(
            self,
            self.cell,
            config.project.size if config.project else size,
            config.hidden,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            output_dropout=_either(config.output_dropout, config.dropout),
            locked=config.locked,
            layer_norm=config.layer_norm,
            residual=config.residual,
            initial=config.initial,
            forget_bias=getattr(config, "forget_bias", None),
        )
        rate = _either(config.input_dropout, config.dropout)
        dropout = LockedDropout if config.locked else nn.Dropout
        self.before = dropout(rate)
        self.project: nn.Linear | None = None
        if config.project is not None:
            self.project = nn.Linear(size, config.project.size)
            self.activation = named_activation(config.project.activation)
            self.projected = dropout(config.project.dropout)
        self.size = self.out
        self.causal, self.lstm = not config.bidirectional, self.cell == "lstm"

    def forward(self, x: Tensor, lengths: Tensor, state: Any = None) -> Encoded:  # type: ignore[override]
        """Encode x (batch, time, size of a vector)."""
        x = self.before(x)
        if self.project is not None:
            x = self.projected(self.activation(self.project(x)))
        out = Recurrent.forward(self, x, lengths, state)
        return Encoded(out.states, out.layers, out.raw, out.final, lengths, out.state)


def _either(own: float | None, common: float) -> float:
    return common if own is None else own


class LSTM(RecurrentEncoder):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gates: Gers et al. 2000)."""

    cell = "lstm"

    class Config(RecurrentTable):
        """`forget_bias`: what the biases of the forget gate add up to at the start."""

        type: Literal["lstm"] = "lstm"
        forget_bias: float | None = None


class GRU(RecurrentEncoder):
    """Gated recurrent units (Cho et al. 2014)."""

    cell = "gru"

    class Config(RecurrentTable):
        """Its keys are those of all recurrent encoders."""

        type: Literal["gru"] = "gru"
