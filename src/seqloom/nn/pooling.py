"""One vector for a sentence from the states of its words; padding takes no part."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError


def past_end(lengths: Tensor, time: int, device: torch.device) -> Tensor:
    """Tell which positions lie past their sentence's end: (batch, time), bool."""
    return torch.arange(time, device=device) >= lengths.to(device).unsqueeze(1)


def masked(states: Tensor, lengths: Tensor, value: float = 0.0) -> Tensor:
    """Put `value` where states (batch, time, size) lie past their sentence's end; where none do, nothing is copied."""
    readable = lengths.device.type == "cpu" and not torch.compiler.is_compiling()
    if readable and int(lengths.min()) >= states.shape[1]:
        return states
    return states.masked_fill(past_end(lengths, states.shape[1], states.device).unsqueeze(-1), value)


def _sum(states: Tensor, lengths: Tensor) -> Tensor:
    return masked(states, lengths).sum(1)


def _mean(states: Tensor, lengths: Tensor) -> Tensor:
    return _sum(states, lengths) / lengths.to(states).unsqueeze(-1)


def _max(states: Tensor, lengths: Tensor) -> Tensor:
    found = masked(states, lengths, -torch.inf)
    # `max` hands the gradient to one of several that are largest; `amax` is faster, and spreads it.
    return found.max(1).values if torch.is_grad_enabled() else found.amax(1)


def _min(states: Tensor, lengths: Tensor) -> Tensor:
    return masked(states, lengths, torch.inf).min(1).values


def _first(states: Tensor, lengths: Tensor) -> Tensor:
    return states[:, 0]


def _last(states: Tensor, lengths: Tensor) -> Tensor:
    return states[torch.arange(len(states), device=states.device), lengths.to(states.device) - 1]


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "max": _max,
    "min": _min,
    "sum": _sum,
    "first": _first,
    "last": _last,
}


def pool(states: Tensor, lengths: Tensor, how: str, *, padding: bool = False) -> Tensor:
    """Pool the states of each sentence's words into one vector.

    Args:
        states: (batch, time, size).
        lengths: (batch,), words of each sentence, at least 1.
        how: a name in `POOLINGS`: mean, max, min, sum, first or last.
        padding: whether what stands past a sentence's end is pooled too, as in GenSen's program (Subramanian et al.
            2018), where the zeros there compete for the maximum and a vector depends on its batch.

    Returns:
        (batch, size).

    Raises:
        ConfigError: there is no pooling of that name.
    """
    if padding:
        lengths = torch.full_like(lengths, states.shape[1])
    return _known(how)(states, lengths)


def _known(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    if name not in POOLINGS:
        raise ConfigError(f"{name!r} is no pooling; there are {', '.join(POOLINGS)}")
    return POOLINGS[name]


class AttentivePooling(nn.Module):
    """Pools by learned attention over a sentence's words.

    Lin et al., "A Structured Self-attentive Sentence Embedding" (2017), equations 5 to 7:
    A = softmax(W2 tanh(W1 H^T)), M = A H. Without a hidden layer A = softmax(W2 H^T).

    Args:
        size: features of a state.
        hidden: units of the layer that rates the words; 0 for none.
        heads: how many distributions over the words; their vectors are concatenated.
    """

    def __init__(self, size: int, hidden: int = 0, heads: int = 1) -> None:
        super().__init__()
        self.out = heads * size
        self.inner = nn.Linear(size, hidden, bias=False) if hidden else None
        self.outer = nn.Linear(hidden or size, heads, bias=False)

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return what each word weighs: (batch, heads, time), 0 on padding, a sum of 1 for each head."""
        rated = states if self.inner is None else torch.tanh(self.inner(states))
        return masked(self.outer(rated), lengths, -torch.inf).softmax(1).transpose(1, 2)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Pool states (batch, time, size) of sentences of those lengths into (batch, heads * size)."""
        states = masked(states, lengths)
        return (self.weights(states, lengths) @ states).flatten(1)


class Poolings(nn.Module):
    """Several poolings of the same states, one after another in the vector.

    Args:
        size: features of a state.
        names: names in `POOLINGS`, or "attention" for an `AttentivePooling` of its own.

    Raises:
        ConfigError: there is no pooling of a name.
    """

    def __init__(self, size: int, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        for name in self.names:
            if name != "attention":
                _known(name)
        self.out = size * len(self.names)
        self.attention = AttentivePooling(size) if "attention" in self.names else None

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Pool states (batch, time, size) of sentences of those lengths into (batch, poolings * size)."""
        return torch.cat([self._one(name, states, lengths) for name in self.names], -1)

    def _one(self, name: str, states: Tensor, lengths: Tensor) -> Tensor:
        if name != "attention" or self.attention is None:
            return pool(states, lengths, name)
        pooled: Tensor = self.attention(states, lengths)
        return pooled


def turned(x: Tensor, lengths: Tensor) -> Tensor:
    """Rows of x (batch, time, size) from their last position to their first; what stands past their end stays there."""
    places = torch.arange(x.shape[1])
    ends = lengths.unsqueeze(1)
    order = torch.where(places < ends, ends - 1 - places, places).to(x.device)
    return x.gather(1, order.unsqueeze(-1).expand_as(x))
