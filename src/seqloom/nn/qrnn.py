"""Quasi-recurrent layers: gates from a convolution over the input, and a recurrence without any matrix."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.nn.dropout import checked_rate, thinned
from seqloom.nn.pooling import past_end, pool
from seqloom.nn.unrolling import State


class QRNNLayer(nn.Module):
    """One quasi-recurrent layer (Bradbury et al. 2017, section 2).

    z = tanh, f and o = σ of a linear map of the last `window` inputs; c_t = f c_{t-1} + (1 - f) z_t, output o c_t.

    Args:
        size: features of the input.
        hidden: units.
        window: how many inputs the gates of a position see, its own the last: 1 or 2.
        drop: share of the linear map's weights set to zero in training, anew at each call; in [0, 1).

    Raises:
        ConfigError: the share is out of range.
    """

    def __init__(self, size: int, hidden: int, window: int = 1, drop: float = 0.0) -> None:
        super().__init__()
        self.window, self.drop = window, checked_rate(drop)
        self.linear = nn.Linear(window * size, 3 * hidden)

    def forward(self, x: Tensor, lengths: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over x (batch, time, size) of texts of lengths (batch,).

        Returns:
            States (batch, time, hidden), 0 past a text's end, and what a next call starts from: c (1, batch, hidden)
            and, of a window of 2, the last input (1, batch, size).
        """
        before = state[1].transpose(0, 1) if state and self.window == 2 else x.new_zeros(len(x), 1, x.shape[2])
        seen = torch.cat([torch.cat([before, x[:, :-1]], 1), x], -1) if self.window == 2 else x
        weight = thinned(self.linear.weight, self.drop if self.training else 0.0)
        z, forget, out = functional.linear(seen, weight, self.linear.bias).chunk(3, -1)
        past = past_end(lengths, x.shape[1], x.device).unsqueeze(-1)
        # Past a text's end c stays as it is, so that the last one is that of the text.
        taken = (1 - forget.sigmoid()).masked_fill(past, 0)
        start = state[0][0] if state else z.new_zeros(len(x), z.shape[-1])
        c = _mixed(z.tanh(), taken, start)
        states = (out.sigmoid() * c).masked_fill(past, 0)
        kept = (pool(x, lengths, "last").unsqueeze(0),) if self.window == 2 else ()
        return states, (c[:, -1].unsqueeze(0), *kept)


def _mixed(values: Tensor, taken: Tensor, start: Tensor) -> Tensor:
    """c_t = c_{t-1} + taken_t (values_t - c_{t-1}), (batch, time, hidden)."""
    found = []
    for value, share in zip(values.unbind(1), taken.unbind(1), strict=True):
        start = torch.lerp(start, value, share)
        found.append(start)
    return torch.stack(found, 1)
