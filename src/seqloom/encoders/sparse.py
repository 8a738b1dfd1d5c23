"""LSTM encoders that are sparse by construction."""

from typing import Any, Literal

from pydantic import model_validator
from torch import Tensor, nn

from seqloom.config import Count, Positive, Share, Table
from seqloom.data.batch import Encoded
from seqloom.encoders import Encoder, Input
from seqloom.nn.blocks import Mode, reads_all, reductions, sparse_somewhere
from seqloom.nn.dropout import LockedDropout
from seqloom.nn.recurrent import Recurrent
from seqloom.nn.sparse import SparseLSTM


class Sparse(Encoder, Recurrent):
    """A stack of LSTM layers made of small ones side by side (Demeester et al. 2018): wide, with few parameters."""

    class Config(Table):
        """`hidden`: numbers a direction, in `blocks` small layers (4) that read the share `density` (0.5) of the input.

        With a `fraction`, layers have the parameters of dense ones narrower by it instead, and `mode` says where:
        `sparse_hidden` between layers, `sparse_emb` in what comes in and goes out, `sparse_all` in both; `direct` is
        dense. `weight_drop`: share of the recurrent weights left out, anew at each batch. `dropout`: on the vectors
        that come in, between layers and on the states that go out, unless one of these is set apart; `locked`: with
        one mask all along a text.
        """

        type: Literal["sparse"] = "sparse"
        input: Input | None = None
        hidden: Count
        layers: Count = 1
        bidirectional: bool = False
        blocks: Count | None = None
        density: Positive | None = None
        fraction: Positive | None = None
        mode: Mode = "sparse_all"
        weight_drop: Share = 0.0
        dropout: Share = 0.0
        input_dropout: Share | None = None
        output_dropout: Share | None = None
        locked: bool = False
        initial: Literal["default", "orthogonal"] = "default"
        forget_bias: float | None = None

        @model_validator(mode="after")
        def _one_form(self) -> "Sparse.Config":
            if self.fraction is not None and (self.blocks or self.density):
                raise ValueError("fraction finds blocks and density by itself; leave them out")
            if self.fraction is not None and self.fraction > 1:
                raise ValueError("fraction is at most 1")
            # The default mode is in every saved table, with a fraction or without.
            if self.fraction is None and self.mode != "sparse_all":
                raise ValueError(f"mode {self.mode} says where a fraction applies; give fraction too")
            if self.fraction is not None and self.fraction < 1 and self.mode == "direct":
                raise ValueError(
                    f"mode direct is dense; take fraction 1, or another mode for {self.fraction:g}"
                )
            if self.fraction is not None:
                sparse_somewhere(self.mode, self.fraction, self.layers)
            blocks, density = self.geometry
            if not reads_all(blocks, density):
                what = f"{blocks} blocks of density {density:g}"
                raise ValueError(f"{what}: density lies from 1/blocks, which reads every input once, to 1")
            return self

        @property
        def geometry(self) -> tuple[int, float]:
            """Blocks and density."""
            return self.blocks or 4, self.density or 0.5

    def __init__(self, config: Any, *, size: int) -> None:
        geometry = _geometry(config)

        def make(index: int, enters: int) -> nn.Module:
            return SparseLSTM(
                enters,
                config.hidden,
                config.bidirectional,
                parts=2 if index and config.bidirectional else 1,
                weight_drop=config.weight_drop,
                **geometry[index],
            )

        before, after = (
            config.dropout if own is None else own for own in (config.input_dropout, config.output_dropout)
        )
        Recurrent.__init__(
            self,
            "lstm",
            size,
            config.hidden,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            output_dropout=after,
            locked=config.locked,
            initial=config.initial,
            forget_bias=config.forget_bias,
            make=make,
        )
        self.before = LockedDropout(before) if config.locked else nn.Dropout(before)
        self.size, self.causal, self.lstm = self.out, not config.bidirectional, True

    def forward(self, x: Tensor, lengths: Tensor, state: Any = None) -> Encoded:  # type: ignore[override]
        """Encode x (batch, time, size of a vector)."""
        out = Recurrent.forward(self, self.before(x), lengths, state)
        return Encoded(out.states, out.layers, out.raw, out.final, lengths, out.state)


def _geometry(config: Any) -> list[dict[str, Any]]:
    """By layer, what says its blocks."""
    if config.fraction is None:
        return [dict(zip(("blocks", "density"), config.geometry, strict=True))] * config.layers
    narrower = reductions(config.mode, config.fraction, config.layers)
    return [dict(zip(("reduce_in", "reduce_out"), one, strict=True)) for one in narrower]
