"""Heads: what a task makes of encoded texts; loss, decoding and figures. One file, one kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import pydantic
import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.config import Count, Part, Share, Table
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.columns import Columns
from seqloom.data.fields import UNLISTED, Field, LabelField, TextField
from seqloom.data.tokens import Index
from seqloom.data.vocabulary import Vocabularies
from seqloom.metrics import accuracy, macro_f1
from seqloom.nn.biattention import BCN, POOLED, Pooled
from seqloom.nn.perceptron import MLP
from seqloom.nn.pooling import Poolings


@dataclass(frozen=True)
class Route:
    """The way by which a task's text reaches its head.

    Args:
        embedder: of the task.
        encoder: of the task.
        indexes: how the embedder looks words up.
    """

    embedder: Any
    encoder: Any
    indexes: tuple[Index, ...]


class Head(nn.Module, Part, ABC):
    """The task's own end of the model.

    Built as `Kind(config, size=..., vocabularies=...)`, `size` being that of a state. A kind whose table has the key
    `share` is also given `shared`, the module that `common` made for its group; it refers to it without owning it.
    """

    apart: ClassVar[frozenset[str]] = frozenset()
    """The keys in which heads of one `share` group may differ."""

    adjustable: ClassVar[frozenset[str]] = frozenset()
    """The keys that may change after training: they say how a model is used, not what it is."""

    family: ClassVar[str] = "heads"
    encodes: tuple[str, ...] = ("text",)
    """The text columns that it wants encoded; `forward` gets each by its name."""
    causal: ClassVar[bool] = False
    """Whether it needs an encoder whose states depend on no later token."""

    aligned: ClassVar[bool] = False
    """Whether it needs a state for each token, so that an embedder must drop none."""

    continues: ClassVar[bool] = False
    """Whether it is given, as `route`, what it needs to read on: its embedder and how that looks words up."""

    measures: ClassVar[bool] = False
    """Whether some of its figures come of the loss, so that evaluation needs gold in the batches; see `measured`."""

    judges: ClassVar[bool] = False
    """Whether `explain` tells of what is right, too, where that is known."""

    falling: ClassVar[frozenset[str]] = frozenset()
    """Those of its figures of which less is better."""

    couples_rows: bool = False
    """Whether a row's loss depends on the others of its batch: negatives taken from it, batch normalisation."""

    @classmethod
    @abstractmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """What it reads, by column; texts first."""

    @classmethod
    @abstractmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """The names of its figures, those of `score` before those of `measured`; early stopping watches the first."""

    @classmethod
    def copies(cls, config: Any) -> bool:
        """Whether it is given, as `cells`, the sizes of its encoder's last state; see `encoders.cell_sizes`."""
        return False

    @classmethod
    def common(cls, config: Any, *, size: int, vocabularies: Vocabularies) -> nn.Module:
        """What heads that name one `share` group use together; the builder makes it once for them all."""
        raise TypeError(f"{cls.__name__} shares nothing")

    def __init__(
        self, config: Any, *, size: int, vocabularies: Vocabularies, shared: nn.Module | None = None
    ) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss (a sum), count, and the scores to decode from."""

    @abstractmethod
    def decode(self, output: Output, batch: Batch) -> list[Any]:
        """One prediction a row, in the reader's own terms."""

    def explain(self, output: Output, batch: Batch) -> list[dict[str, Any]]:
        """What lies behind each row's prediction, as plain values; a kind that has more to tell does."""
        return [{"prediction": one} for one in self.decode(output, batch)]

    @abstractmethod
    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """The figures of some predictions; rates in percent."""

    @classmethod
    def measured(cls, sums: Mapping[str, float], count: int) -> dict[str, float]:
        """The figures that come of the sums of outputs, `loss` among them, over `count`, such as perplexity."""
        return {}

    @classmethod
    def reading(cls, config: Any) -> tuple[int, int]:
        """How running text is read when evaluated: streams side by side, and tokens of a window."""
        raise TypeError(f"{cls.__name__} reads no running text")

    @classmethod
    def require(cls) -> None:
        """Raise a ConfigError where an extra is absent that its figures need; asked before training begins."""

    @classmethod
    def look(cls, config: Any, training: Columns, place: str) -> None:
        """Look at the training rows before any is learnt: tell of those that will not be.

        Messages name the task's `place` in the configuration.

        Raises:
            DataError: none will be.
        """

    @classmethod
    @abstractmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> Any:
        """A row's gold value, as `score` wants it, from the row's stored columns."""

    @classmethod
    def protocol(cls, config: Any) -> str:
        """How its figures are computed, to be told beside them."""
        return "rates in percent"

    @classmethod
    def row(cls, example: Mapping[str, Any]) -> str | None:
        """What examples that are windows of one row of data have in common; None where each is a row."""
        return None

    @classmethod
    def chosen(cls, predicted: Sequence[Any]) -> int:
        """Which of the predictions for the windows of a row counts."""
        return 0

    @classmethod
    def moved(cls, predicted: Any, first: int) -> Any:
        """A prediction for a window that begins at that token of its row, as one for the whole row."""
        return predicted

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """A prediction as text, as `seqloom predict` writes it."""
        return f"{predicted}\n"


class BiattentionTable(Table):
    """The biattentive classification network (McCann et al. 2017, section 5); see `seqloom.nn.BCN`.

    `hidden`: numbers a direction of the LSTMs that integrate a text with what it attends to; `integrators`: 1 for both
    sides, or for a text alone; `reduction`: how many times smaller the first maxout layer is than what it reads, the
    second being half as large; `pieces`: linear maps for each of their units; `dropout`: before each of the three
    maxout layers, one rate or three.
    """

    hidden: Count = 300
    integrators: Literal[1, 2] = 2
    poolings: Annotated[list[Pooled], pydantic.Field(min_length=1)] = list(POOLED)
    reduction: Count = 4
    pieces: Count = 4
    batch_norm: bool = True
    dropout: Share | list[Share] = 0.2

    @pydantic.model_validator(mode="after")
    def _three(self) -> "BiattentionTable":
        if isinstance(self.dropout, list) and len(self.dropout) != 3:
            raise ValueError(f"dropout: one rate or three, for three maxout layers, found {len(self.dropout)}")
        return self


class ScorerTable(Table):
    """How a row is scored: by a perceptron over its pooled texts, or by a BCN."""

    besides: ClassVar[frozenset[str]] = frozenset({"bcn"})
    """The keys that are read with a `bcn` too."""

    pool: Literal["max", "mean", "last", "attention"] = "max"
    hidden: list[Count] = []
    activation: Literal["relu", "tanh", "sigmoid"] = "relu"
    dropout: Share = 0.0
    input_dropout: Share | None = None
    initial: Literal["default", "xavier"] = "default"
    bcn: BiattentionTable | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> "ScorerTable":
        idle = self.changed(*(key for key in type(self).model_fields if key not in self.besides))
        if self.bcn is not None and idle:
            raise ValueError(f"with bcn nothing reads {idle}; leave it out, or bcn")
        return self


class ScoringHead(Head):
    """What heads that score each row share; a kind says by `encodes` which texts it reads, one or two."""

    def __init__(
        self, config: Any, *, size: int, vocabularies: Vocabularies, shared: nn.Module | None = None
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        outputs = self.outputs(config, vocabularies)
        self.bcn: BCN | None = None
        if config.bcn is not None:
            self.bcn = BCN(size, outputs, pair=len(self.encodes) == 2, **config.bcn.model_dump())
            self.couples_rows = self.bcn.couples_rows
            return
        self.pooling = Poolings(size, [config.pool]) if config.pool != "last" else None
        rate = config.dropout if config.input_dropout is None else config.input_dropout
        self.dropout = nn.Dropout(rate)
        features = self.features(config, size)
        self.scorer = MLP(features, config.hidden, outputs, config.activation, config.dropout, config.initial)

    @classmethod
    @abstractmethod
    def outputs(cls, config: Any, vocabularies: Vocabularies) -> int:
        """How many scores a row has."""

    @classmethod
    @abstractmethod
    def features(cls, config: Any, size: int) -> int:
        """How many numbers `joined` makes of vectors of that size."""

    @abstractmethod
    def joined(self, *vectors: Tensor) -> Tensor:
        """What the perceptron reads, (batch, features), from the vector of each text, (batch, size)."""

    def scored(self, encoded: Mapping[str, Encoded]) -> Tensor:
        """The scores of each row, (batch, outputs), in float32."""
        texts = [encoded[name] for name in self.encodes]
        scores: Tensor
        if self.bcn is not None:
            scores = self.bcn(*chain.from_iterable((text.states, text.lengths) for text in texts))
        else:
            scores = self.scorer(self.dropout(self.joined(*map(self._pooled, texts))))
        return scores.float()

    def _pooled(self, text: Encoded) -> Tensor:
        if self.pooling is None:
            return text.final
        pooled: Tensor = self.pooling(text.states, text.lengths)
        return pooled


class PairedHead(ScoringHead):
    """What heads that score two texts share: the perceptron reads what their vectors are and how they differ.

    Features are [u; v; |u - v|; u * v] (Mou et al. 2016; Conneau et al. 2017), or, where the order of the texts means
    nothing (`symmetric` in the table), [|u - v|; u * v] (Tai et al. 2015).
    """

    encodes = ("premise", "hypothesis")

    def __init__(self, config: Any, **words: Any) -> None:
        super().__init__(config, **words)
        self.symmetric = config.symmetric

    @classmethod
    def features(cls, config: Any, size: int) -> int:
        """Two or four times the size."""
        return (2 if config.symmetric else 4) * size

    def joined(self, *vectors: Tensor) -> Tensor:
        """The vectors, unless their order means nothing, their distances and their products."""
        u, v = vectors
        relations = (u - v).abs(), u * v
        return torch.cat(relations if self.symmetric else (u, v, *relations), -1)


class LabelHead(ScoringHead):
    """What heads that give each row one label share."""

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """Its texts and `label`."""
        return {**{name: TextField() for name in cls.encodes}, "label": LabelField()}

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """Accuracy, and F1 averaged over the labels."""
        return ("accuracy", "f1_macro")

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        return "accuracy; f1_macro: F1 of each label seen in gold or predictions, averaged; in percent"

    def __init__(
        self, config: Any, *, size: int, vocabularies: Vocabularies, shared: nn.Module | None = None
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        self.labels = vocabularies["label"]

    @classmethod
    def outputs(cls, config: Any, vocabularies: Vocabularies) -> int:
        """One for each label."""
        return len(vocabularies["label"])

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over rows; scores (batch, labels)."""
        scores = self.scored(encoded)
        gold = batch.tensor("label")
        if gold is None:
            return Output(None, len(batch), scores)
        loss = functional.cross_entropy(scores, gold, ignore_index=UNLISTED, reduction="sum")
        return Output(loss, int((gold != UNLISTED).sum()), scores)

    def decode(self, output: Output, batch: Batch) -> list[str]:
        """The best label of each row."""
        return [self.labels[best] for best in output.scores.argmax(-1).tolist()]

    def explain(self, output: Output, batch: Batch) -> list[dict[str, Any]]:
        """The best label, and the `probabilities` of all."""
        names, shares = self.labels.symbols, output.scores.softmax(-1).tolist()
        pairs = zip(self.decode(output, batch), shares, strict=True)
        return [{"prediction": one, "probabilities": dict(zip(names, row, strict=True))} for one, row in pairs]

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> str:
        """The label."""
        return str(stored["label"][0])

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Accuracy and macro F1 in percent."""
        return {"accuracy": 100 * accuracy(predicted, gold), "f1_macro": 100 * macro_f1(predicted, gold)}
