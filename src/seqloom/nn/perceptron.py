"""Perceptrons, and the activations that layers know by name."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.errors import ConfigError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


def named_activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation of that name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"{name!r} is no activation; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


SMALL = 1e-4
"""How far from 0 the biases of DME's program begin."""


def begin_near_zero(linear: nn.Linear) -> None:
    """Begin a layer as DME's program does: Xavier's uniform weights, biases near 0 (Kiela et al. 2018)."""
    nn.init.xavier_uniform_(linear.weight)
    nn.init.uniform_(linear.bias, -SMALL, SMALL)


def begin_uniform(parameter: Tensor) -> None:
    """Begin a parameter uniformly from -0.1 to 0.1, as CoVe's program does all of them (McCann et al. 2017)."""
    nn.init.uniform_(parameter, -0.1, 0.1)


class MLP(nn.Module):
    """A perceptron: linear layers with an activation and dropout after each but the last.

    Args:
        size: features of the input.
        hidden: units of each hidden layer; none of them leaves one linear layer.
        out: features of the output.
        activation: a name in `ACTIVATIONS`.
        dropout: share of the hidden units set to zero in training.
        initial: "xavier" begins each layer by `begin_near_zero`.

    Raises:
        ConfigError: the activation is unknown.
    """

    def __init__(
        self,
        size: int,
        hidden: Sequence[int],
        out: int,
        activation: str = "relu",
        dropout: float = 0.0,
        initial: Literal["default", "xavier"] = "default",
    ) -> None:
        super().__init__()
        self.out = out
        self.activation = named_activation(activation)
        self.dropout = nn.Dropout(dropout)
        self.linears = nn.ModuleList(nn.Linear(*ends) for ends in pairwise((size, *hidden, out)))
        if initial == "xavier":
            for linear in self.linears:
                assert isinstance(linear, nn.Linear)
                begin_near_zero(linear)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., size) to (..., out)."""
        first, *others = self.linears
        x = first(x)
        for linear in others:
            x = linear(self.dropout(self.activation(x)))
        return x
