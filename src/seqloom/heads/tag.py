"""A label for every token: parts of speech, names; by softmax or by a linear-chain CRF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional

from seqloom.config import Name, Natural, Share, Table
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.fields import UNLISTED, Field, TagsField, TextField
from seqloom.data.vocabulary import Vocabularies, Vocabulary
from seqloom.heads import Head
from seqloom.metrics import accuracy, convert, outside, span_scores, strict_span_scores, strict_spans
from seqloom.nn.crf import LinearChainCRF, allowed_transitions
from seqloom.nn.perceptron import MLP

Scheme = Literal["bio", "bioes"]


@dataclass(frozen=True)
class SpanTags(TagsField):
    """Tags that mark spans, stored in the scheme that is learnt, whether the file has BIO or BIOES."""

    scheme: Scheme = "bio"

    def store(self, value: Any) -> Sequence[str]:
        """The tags in the learnt scheme; one that neither scheme knows is refused."""
        tags = super().store(value)
        if (place := outside(tags, "bioes")) is not None:
            what = f'the tag "{tags[place]}" is outside the scheme; tags should read O, B-X, I-X, E-X or S-X'
            raise ValueError(f"{what}, or the head have no `scheme`")
        return convert(tags, "bioes", self.scheme)


class Scorer(nn.Module):
    """What taggers of one group have in common: a score for each label, and the CRF over them.

    Args:
        config: the head's table.
        size: numbers in a state.
        labels: the label vocabulary.
    """

    def __init__(self, config: Any, size: int, labels: Vocabulary) -> None:
        super().__init__()
        hidden = [config.hidden] if config.hidden else []
        self.scorer = MLP(size, hidden, len(labels), "tanh", config.dropout)
        uses_crf = config.crf if config.crf is not None else config.scheme is not None
        bars = config.scheme is not None and config.constraints != "none"
        allowed = allowed_transitions(labels.symbols, config.scheme) if bars else None
        self.crf = LinearChainCRF(len(labels), allowed, config.constraints == "training") if uses_crf else None


class Tag(Head):
    """A label for every token, learnt by softmax or by a linear-chain CRF (Lafferty et al. 2001)."""

    class Config(Table):
        """How labels are learnt and what is shared.

        `scheme`: how the model marks spans (files may have BIO or BIOES); without it labels are plain words.
        `crf`: by default where there is a scheme. `constraints`: where transitions that the scheme forbids are
        barred. `hidden`: numbers in a hidden layer before the labels, 0 for none. `share`: heads that name one
        group use one scorer and one CRF; `specific` adds a gated scorer of the task's own (Lin et al. 2018, eq. 5).
        """

        type: Literal["tag"] = "tag"
        scheme: Scheme | None = None
        crf: bool | None = None
        constraints: Literal["none", "decoding", "training"] = "decoding"
        hidden: Natural = 0
        dropout: Share = 0.0
        share: Name | None = None
        specific: bool = False

        @model_validator(mode="after")
        def _schemed(self) -> "Tag.Config":
            if self.scheme is None and self.constraints == "training":
                raise ValueError(
                    "without scheme nothing is forbidden, and nothing reads constraints; leave it out"
                )
            return self

    apart: ClassVar[frozenset[str]] = frozenset({"specific"})
    aligned: ClassVar[bool] = True

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """`text` and `tags`."""
        return {"text": TextField(), "tags": SpanTags(scheme=config.scheme) if config.scheme else TagsField()}

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """Span F1 where there is a scheme, else accuracy of tokens."""
        spanning = ("f1", "precision", "recall", "f1_strict")
        return (*spanning, "accuracy") if config.scheme else ("accuracy",)

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        if not config.scheme:
            return "accuracy: share of tokens with the right label, in percent"
        return (
            "f1, precision, recall: spans by conlleval's rules; f1_strict: well-formed spans only; in percent"
        )

    @classmethod
    def common(cls, config: Any, *, size: int, vocabularies: Vocabularies) -> Scorer:
        """The scorer and CRF of a group."""
        return Scorer(config, size, vocabularies["tags"])

    def __init__(
        self, config: Any, *, size: int, vocabularies: Vocabularies, shared: nn.Module | None = None
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        self.scheme = config.scheme
        self.labels = vocabularies["tags"]
        self.dropout = nn.Dropout(config.dropout)
        own = self.common(config, size=size, vocabularies=vocabularies) if shared is None else None
        self.own = own
        # Not a registered child: the model owns what a group shares.
        self._universal = (own if shared is None else shared,)
        self.specific = nn.Linear(size, len(self.labels)) if config.specific else None
        self.gate = nn.Linear(size, len(self.labels)) if config.specific else None

    @property
    def universal(self) -> Scorer:
        """The scorer and CRF it uses, its own or its group's."""
        found = self._universal[0]
        assert isinstance(found, Scorer)
        return found

    def scores(self, states: Tensor) -> Tensor:
        """Scores of labels (batch, time, labels) from states (batch, time, size).

        With a specific scorer s and its gate z, the universal u becomes z · s + (1 − z) · u (Lin et al. 2018).
        """
        scores: Tensor = self.universal.scorer(states)
        if self.specific is not None and self.gate is not None:
            gate = torch.sigmoid(self.gate(states))
            scores = gate * self.specific(states) + (1 - gate) * scores
        return scores.float()

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over tokens; scores (batch, time, labels)."""
        scores = self.scores(self.dropout(encoded["text"].states))
        gold = batch.tensor("tags")
        if gold is None:
            return Output(None, len(batch), scores)
        return Output(
            self._loss(scores, gold, batch.text("text").lengths), int((gold != UNLISTED).sum()), scores
        )

    def _loss(self, scores: Tensor, gold: Tensor, lengths: Tensor) -> Tensor:
        if self.universal.crf is None:
            flat = scores.flatten(0, 1), gold.flatten()
            return functional.cross_entropy(*flat, ignore_index=UNLISTED, reduction="sum")
        loss: Tensor = self.universal.crf(scores, gold, lengths).sum()
        return loss

    def decode(self, output: Output, batch: Batch) -> list[list[str]]:
        """The labels of each row's tokens, spans marked by BIO."""
        lengths = batch.text("text").lengths
        if self.universal.crf is not None:
            best = self.universal.crf.viterbi(output.scores, lengths)
        else:
            best = [
                row[:length] for row, length in zip(output.scores.argmax(-1).tolist(), lengths, strict=True)
            ]
        tags = [[self.labels[one] for one in row] for row in best]
        return [_as_bio(row) for row in tags] if self.scheme == "bioes" else tags

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> list[str]:
        """The labels as they are learnt."""
        return list(stored["tags"])

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Figures in percent."""
        gold = [_as_bio(row) for row in gold] if self.scheme == "bioes" else gold
        right = {"accuracy": 100 * accuracy([*chain(*predicted)], [*chain(*gold)])}
        if not self.scheme:
            return right
        spans = span_scores(predicted, gold)
        figures = {"f1": spans.f1, "precision": spans.precision, "recall": spans.recall}
        figures["f1_strict"] = strict_span_scores(predicted, gold).f1
        return {name: 100 * value for name, value in figures.items()} | right

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """A token and its label a line, an empty line after the sentence."""
        rows = zip(example["text"], predicted, strict=True)
        return "".join(f"{token}\t{tag}\n" for token, tag in rows) + "\n"


def _as_bio(tags: Sequence[str]) -> list[str]:
    """BIOES tags as BIO: of a span that is ill-formed, every tag is an I, but for one that I would join to its like."""
    found = ["O"] * len(tags)
    for span in strict_spans(tags, "bioes"):
        found[span.start : span.end] = [f"B-{span.kind}", *[f"I-{span.kind}"] * (span.end - span.start - 1)]
    for place, tag in enumerate(tags):
        if tag != "O" and found[place] == "O":
            kind, before = tag[2:], found[place - 1] if place else "O"
            begins = tag[0] in "BS" or (place > 0 and tags[place - 1][0] in "ES")
            found[place] = f"{'B' if begins and before[2:] == kind else 'I'}-{kind}"
    return found
