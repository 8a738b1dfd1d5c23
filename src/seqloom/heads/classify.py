"""A label for a whole text: topic, sentiment, question type."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from seqloom.config import Count, Share, Table
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.fields import UNLISTED, Field, LabelField, TextField
from seqloom.data.vocabulary import Vocabularies
from seqloom.heads import Head
from seqloom.metrics import accuracy, macro_f1
from seqloom.nn.perceptron import MLP
from seqloom.nn.pooling import AttentivePooling, pool


class Classify(Head):
    """States pooled into one vector, and a perceptron over it."""

    class Config(Table):
        """`pool`: how states become one vector; `hidden`: numbers in each hidden layer."""

        type: Literal["classify"] = "classify"
        pool: Literal["max", "mean", "last", "attention"] = "max"
        hidden: list[Count] = []
        dropout: Share = 0.0

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """`text` and `label`."""
        return {"text": TextField(), "label": LabelField()}

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
        self.how = config.pool
        self.labels = vocabularies["label"]
        self.attention = AttentivePooling(size) if config.pool == "attention" else None
        self.dropout = nn.Dropout(config.dropout)
        self.scorer = MLP(size, config.hidden, len(self.labels), dropout=config.dropout)

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over rows; scores (batch, labels)."""
        scores = self.scorer(self.dropout(self._pooled(encoded["text"]))).float()
        gold = batch.tensor("label")
        if gold is None:
            return Output(None, len(batch), scores)
        loss = functional.cross_entropy(scores, gold, ignore_index=UNLISTED, reduction="sum")
        return Output(loss, int((gold != UNLISTED).sum()), scores)

    def _pooled(self, text: Encoded) -> Tensor:
        if self.how == "last":
            return text.final
        pooled: Tensor = (
            self.attention(text.states, text.lengths)
            if self.attention is not None
            else pool(text.states, text.lengths, self.how)
        )
        return pooled

    def decode(self, output: Output, batch: Batch) -> list[str]:
        """The best label of each row."""
        return [self.labels[best] for best in output.scores.argmax(-1).tolist()]

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> str:
        """The label."""
        return str(stored["label"][0])

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Accuracy and macro F1 in percent."""
        return {"accuracy": 100 * accuracy(predicted, gold), "f1_macro": 100 * macro_f1(predicted, gold)}
