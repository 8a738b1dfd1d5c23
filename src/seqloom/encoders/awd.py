"""The encoder of AWD-LSTM language models."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from torch import Tensor

from seqloom.config import Count, Share, Table
from seqloom.data.batch import Encoded
from seqloom.encoders import Encoder, Input
from seqloom.nn.awd import AWD
from seqloom.nn.blocks import Mode, sparse_somewhere
from seqloom.nn.pooling import turned


class AWDEncoder(Encoder, AWD):
    """Layers with dropout of recurrent weights and locked dropout around each (Merity et al. 2018)."""

    class Config(Table):
        """`hidden`: numbers of each layer but the last; `last`: of that one, by default as many as a vector has.

        Dropout has one mask all along a text: on the vectors that come in (`input_dropout`), between layers
        (`dropout`), on the states that go out (`output_dropout`). `weight_drop`: share of the recurrent weights that
        are left out, anew at each batch. The fifth is the embedder's: `drop_words`.

        `mode`: which sizes of an LSTM's layers are wide and sparse (Demeester et al. 2018): `sparse_hidden`,
        `sparse_emb` (what comes in and goes out) or `sparse_all`; the layers have as many parameters as dense ones of
        `fraction` those sizes. `backward`: whether a text is read from its end; a language model then foretells the
        word before.
        """

        type: Literal["awd"] = "awd"
        input: Input | None = None
        cell: Literal["lstm", "gru", "qrnn"] = "lstm"
        hidden: Count
        layers: Count = 3
        last: Count | None = None
        input_dropout: Share = 0.0
        dropout: Share = 0.0
        output_dropout: Share = 0.0
        weight_drop: Share = 0.0
        mode: Mode = "direct"
        fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
        backward: bool = False

        @model_validator(mode="after")
        def _whole(self) -> "AWDEncoder.Config":
            if self.mode != "direct" and self.cell != "lstm":
                raise ValueError(
                    f"mode {self.mode}: sparse layers are an LSTM's; with {self.cell} leave it out"
                )
            if (self.mode == "direct") != (self.fraction == 1):
                what = f"mode {self.mode}, fraction {self.fraction:g}: a sparse mode and a fraction below 1"
                raise ValueError(f"{what} go together; set both or neither")
            sparse_somewhere(self.mode, self.fraction, self.layers)
            return self

    def __init__(self, config: Any, *, size: int) -> None:
        AWD.__init__(self, size=size, **config.model_dump(exclude={"type", "input", "backward"}))
        self.size, self.causal, self.backward = self.out, not config.backward, config.backward
        self.lstm = config.cell == "lstm"

    def forward(self, x: Tensor, lengths: Tensor, state: Any = None) -> Encoded:  # type: ignore[override]
        """Encode x (batch, time, size of a vector)."""
        turn = (lambda one: turned(one, lengths)) if self.backward else (lambda one: one)
        out = AWD.forward(self, turn(x), lengths, state)
        layers = [turn(one) for one in out.layers]
        return Encoded(turn(out.states), layers, layers[-1], out.final, lengths, out.state)
