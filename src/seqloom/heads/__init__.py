"""Heads: what a task makes of encoded texts; loss, decoding and figures. One file, one kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from seqloom.config import Part
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.fields import Field
from seqloom.data.vocabulary import Vocabularies


class Head(nn.Module, Part, ABC):
    """The task's own end of the model.

    Built as `Kind(config, size=..., vocabularies=...)`, `size` being that of a state. A kind whose table has the key
    `share` is also given `shared`, the module that `common` made for its group; it refers to it without owning it.
    """

    apart: ClassVar[frozenset[str]] = frozenset()
    """The keys in which heads of one `share` group may differ."""

    family: ClassVar[str] = "heads"
    encodes: ClassVar[tuple[str, ...]] = ("text",)
    """The text columns that it wants encoded; `forward` gets each by its name."""
    causal: ClassVar[bool] = False
    """Whether it needs an encoder whose states depend on no later token."""

    measures: ClassVar[bool] = False
    """Whether some of its figures come of the loss, so that evaluation needs gold in the batches; see `measured`."""

    falling: ClassVar[frozenset[str]] = frozenset()
    """Those of its figures of which less is better."""

    couples_rows: ClassVar[bool] = False
    """Whether a row's loss depends on the others of its batch, as with negatives taken from the batch."""

    @classmethod
    @abstractmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """What it reads, by column; texts first."""

    @classmethod
    @abstractmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """The names of its figures, those of `score` before those of `measured`; early stopping watches the first."""

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

    @abstractmethod
    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """The figures of some predictions; rates in percent."""

    @classmethod
    def measured(cls, loss: float, count: int) -> dict[str, float]:
        """The figures that come of the loss, a sum over `count`, such as perplexity."""
        return {}

    @classmethod
    @abstractmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> Any:
        """A row's gold value, as `score` wants it, from the row's stored columns."""

    @classmethod
    def protocol(cls, config: Any) -> str:
        """How its figures are computed, to be told beside them."""
        return "rates in percent"

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """A prediction as text, as `seqloom predict` writes it."""
        return f"{predicted}\n"
