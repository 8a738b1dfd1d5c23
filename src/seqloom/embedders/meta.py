"""Several embedders mixed word by word, by weights that are learnt."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from seqloom.config import Choice, Count, Share, Table
from seqloom.data.batch import Text
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder, distinct
from seqloom.nn.meta import DynamicMetaEmbedding
from seqloom.nn.pooling import past_end

Member = Annotated[str | Table, Choice("embedders", names=("embedders", "vectors"))]


class Meta(Embedder):
    """Dynamic meta-embeddings (Kiela et al. 2018): projected vectors, summed by weights of the word or its context."""

    class Config(Table):
        """`of`: names or definitions of what is mixed.

        `mixing`: a `sum` of vectors projected to `size`, the smallest if it is not given; or `concat`, of vectors as
        they are if it is not. `attention`:
        whether a vector's weight in the sum comes from the `word` alone or its `context`, the default, or there is
        `none`; `gate`: how weights are made; `hidden`: numbers that a weight is made from. `missing`: a set that lacks
        a word (its vector there is zero) is `weighed` like any other or `masked`: its weight is 0. `nowhere`: a word
        that all sets lack is `kept` or, as in the published program, `dropped` from the text. `initial`: `xavier`
        begins as the published program does.
        """

        type: Literal["meta"] = "meta"
        of: Annotated[list[Member], Field(min_length=1)]
        mixing: Literal["sum", "concat"] = "sum"
        attention: Literal["none", "word", "context"] | None = None
        gate: Literal["softmax", "sigmoid"] = "softmax"
        size: Count | None = None
        hidden: Count = 2
        activation: Literal["relu", "none"] = "none"
        dropout: Share = 0.0
        missing: Literal["weighed", "masked"] = "masked"
        nowhere: Literal["kept", "dropped"] = "kept"
        initial: Literal["default", "xavier"] = "default"

        @model_validator(mode="after")
        def _sensible(self) -> "Meta.Config":
            if self.mixing == "concat" and self.weighing != "none":
                raise ValueError(
                    "with mixing: concat nothing is weighed; leave attention out, or take mixing: sum"
                )
            if self.weighing != "none" and len(self.of) < 2:
                raise ValueError(
                    "attention needs two embedders at least; name another, or take attention: none"
                )
            return self

        @property
        def weighing(self) -> Literal["none", "word", "context"]:
            """Where weights come from."""
            return self.attention or ("context" if self.mixing == "sum" else "none")

    weighs: ClassVar[bool] = True

    def __init__(self, config: Any, *, vocabularies: Vocabularies, of: Sequence[Embedder]) -> None:
        super().__init__()
        # The model owns every embedder under its own name; a list of them here would own them twice.
        self._of = tuple(of)
        self.names = distinct([_called(one) for one in config.of])
        self.drops = config.nowhere == "dropped"
        self.masked = config.missing == "masked" and config.weighing != "none"
        self.mix = DynamicMetaEmbedding(
            [one.size for one in of],
            config.size,
            mixing=config.mixing,
            attention=config.weighing,
            gate=config.gate,
            hidden=config.hidden,
            activation=config.activation,
            dropout=config.dropout,
            initial=config.initial,
        )
        self.size = self.mix.size
        alone = config.weighing != "context"
        self.causal = alone and all(one.causal for one in of)
        self.backward = alone and all(one.backward for one in of)

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size)."""
        return self._mixed(text)[0]

    def reduced(self, text: Text) -> Text:
        """The text, without the words that no set has if these are dropped."""
        return text.only(self._kept(text)) if self.drops else text

    def weights(self, text: Text) -> dict[str, Tensor]:
        """By the name of each set what it weighs, (batch, time), 0 for a dropped word; nothing without attention."""
        found = self._mixed(self.reduced(text))[1]
        if found is None:
            return {}
        if self.drops:
            kept = self._kept(text)
            places = (kept.cumsum(1) - 1).clamp(min=0).unsqueeze(-1).expand(-1, -1, found.shape[-1])
            found = found.gather(1, places) * kept.unsqueeze(-1)
        return dict(zip(self.names, found.unbind(-1), strict=True))

    def vectors(self) -> Sequence[Embedder]:
        """The embedders that are mixed."""
        return [inner for one in self._of for inner in one.vectors()]

    def _kept(self, text: Text) -> Tensor:
        """(batch, time) whether a set has a vector for a word that is not padding, whatever dropout does to it."""
        dropping = [one for one in self._of if one.training and not one.steady]
        for one in dropping:
            one.eval()
        with torch.no_grad():
            found = torch.stack([one(text).any(-1) for one in self._of]).any(0)
        for one in dropping:
            one.train()
        return found & ~past_end(text.lengths, found.shape[1], found.device)

    def _mixed(self, text: Text) -> tuple[Tensor, Tensor | None]:
        vectors = [one(text) for one in self._of]
        there = torch.stack([one.detach().any(-1) for one in vectors], -1) if self.masked else None
        mixed: tuple[Tensor, Tensor | None] = self.mix(vectors, text.lengths, there)
        return mixed


def _called(value: str | Table) -> str:
    """What a set is called: its name, that of the vectors that a word table begins with, or its kind."""
    if isinstance(value, str):
        return value
    kind = str(getattr(value, "type", ""))
    return (getattr(value, "vectors", None) if kind == "word" else None) or kind
