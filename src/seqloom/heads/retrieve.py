"""Texts and what belongs to them, such as images, side by side in one space."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional

from seqloom.config import Count, Positive, Share, Table
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.features import VectorField
from seqloom.data.fields import Field, KeyField, TextField
from seqloom.data.vocabulary import Vocabularies
from seqloom.heads import Head
from seqloom.nn.pooling import Poolings
from seqloom.nn.ranking import hinge_ranking, ranks, recalls

FIGURES = ("r1", "r5", "r10", "mrr", "mean", "median")


class Retrieve(Head):
    """Retrieval by cosine: the vectors of right pairs beat those of wrong ones (Kiela et al. 2018, section 3.3)."""

    class Config(Table):
        """`target`: what the texts of `source` go with: a `vector` of `features` numbers, or another `text`.

        `grouped`: rows of one `group` belong together, such as the captions of an image; else each row stands alone.
        `size`: of the common space; if it is not given, that of a text's vector. `margin`, `negatives`: the loss;
        `crops`: how many vectors an image has, of which training draws one and all else takes the first.
        `same`: whether rows of one group are `masked` or `counted` among the negatives. `folds`: figures are the means
        over so many parts of the targets, in their order.
        """

        type: Literal["retrieve"] = "retrieve"
        target: Literal["vector", "text"] = "text"
        features: Count = 2048
        crops: Count = 1
        grouped: bool = False
        pool: Literal["max", "mean", "last", "attention"] = "max"
        size: Count | None = None
        dropout: Share = 0.0
        margin: Positive = 0.2
        negatives: Literal["hardest", "all"] = "hardest"
        same: Literal["masked", "counted"] = "masked"
        folds: Count = 1

        @model_validator(mode="after")
        def _imaged(self) -> "Retrieve.Config":
            if self.target == "text" and (idle := self.changed("features", "crops")):
                raise ValueError(
                    f"with target: text nothing reads {idle}; leave it out, or take target: vector"
                )
            return self

    falling: ClassVar[frozenset[str]] = frozenset(
        f"{way}_{name}" for way in ("forward", "backward") for name in ("mean", "median")
    )
    couples_rows = True

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """`source`, `target`, and what tells which belong together: `group`, or the row's own `line`."""
        target = TextField() if config.target == "text" else VectorField(config.features * config.crops)
        return {"source": TextField(), "target": target, cls.key(config): KeyField()}

    @staticmethod
    def key(config: Any) -> str:
        """The column that tells which rows belong together."""
        return "group" if config.grouped else "line"

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """The mean of the six recalls; then recalls and ranks from the source to the target and back."""
        return ("recalls", *(f"{way}_{name}" for way in ("forward", "backward") for name in FIGURES))

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        parts = f"; means over {config.folds} parts of the targets" if config.folds > 1 else ""
        return (
            "forward: from source to target, backward: from target to source, by cosine; r1, r5, r10: recall in percent"
            " of the best right one, before which wrong ones as near count; mrr: mean reciprocal rank, in percent;"
            f" recalls: the mean of all six{parts}"
        )

    def __init__(
        self, config: Any, *, size: int, vocabularies: Vocabularies, shared: nn.Module | None = None
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        self.config = config
        self.encodes = ("source", "target") if config.target == "text" else ("source",)
        self.pooling = Poolings(size, [config.pool]) if config.pool != "last" else None
        self.dropout = nn.Dropout(config.dropout)
        self.size = config.size or size
        self.text = nn.Linear(size, self.size) if config.size else nn.Identity()
        self.vector = nn.Linear(config.features, self.size) if config.target == "vector" else None

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """The hinge loss, summed over rows; the vectors of both sides, (batch, size) each."""
        source, target = self._of_text(encoded["source"]), self._target(batch, encoded)
        group = batch.tensor(self.key(self.config))
        if target is None or group is None:
            return Output(None, len(batch), (source, target))
        same = group.unsqueeze(0) == group.unsqueeze(1) if self.config.same == "masked" else None
        loss = hinge_ranking(_cosines(source, target), self.config.margin, same, self.config.negatives)
        return Output(loss, len(batch), (source, target))

    def _target(self, batch: Batch, encoded: Mapping[str, Encoded]) -> Tensor | None:
        if self.vector is None:
            return self._of_text(encoded["target"]) if "target" in encoded else None
        features = batch.tensor("target")
        if features is None:
            return None
        seen = functional.normalize(self._drawn(features), dim=-1)
        return functional.normalize(self.vector(self.dropout(seen)), dim=-1)

    def _drawn(self, features: Tensor) -> Tensor:
        """One vector for each image, (batch, features), out of those of its crops."""
        each = features.view(len(features), self.config.crops, self.config.features)
        if not self.training or self.config.crops == 1:
            return each[:, 0]
        drawn = torch.randint(self.config.crops, (len(each),), device=each.device)
        return each[torch.arange(len(each), device=each.device), drawn]

    def _of_text(self, text: Encoded) -> Tensor:
        pooled = text.final if self.pooling is None else self.pooling(text.states, text.lengths)
        return functional.normalize(self.text(self.dropout(pooled)).float(), dim=-1)

    def decode(self, output: Output, batch: Batch) -> list[dict[str, list[float]]]:
        """The vector of each row's source and, where it is there, of its target, of length 1."""
        sides = {
            name: side
            for name, side in zip(("source", "target"), output.scores, strict=True)
            if side is not None
        }
        lists = {name: side.float().tolist() for name, side in sides.items()}
        return [{name: rows[row] for name, rows in lists.items()} for row in range(len(batch))]

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> str:
        """The name of the row's group."""
        return str(*stored.get("group", stored.get("line", ())))

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Recalls in percent and ranks, both ways."""
        places: dict[Any, int] = {}
        groups = np.array([places.setdefault(one, len(places)) for one in gold])
        folds = np.array_split(np.arange(len(places)), min(self.config.folds, len(places)))
        found = [self._scored(predicted, groups, np.flatnonzero(np.isin(groups, fold))) for fold in folds]
        means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        six = [value for name, value in means.items() if name.rpartition("_r")[2].isdigit()]
        return {"recalls": float(np.mean(six)), **means}

    def _scored(self, predicted: Sequence[Any], groups: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """The figures over some rows, both ways."""
        own = torch.from_numpy(groups[rows])
        sources = torch.tensor([predicted[row]["source"] for row in rows])
        # The captions of an image all name the same vector; texts are each a target of their own.
        kept = (
            np.unique(groups[rows], return_index=True)[1] if self.vector is not None else np.arange(len(rows))
        )
        targets = torch.tensor([predicted[rows[place]]["target"] for place in kept])
        scores, right = _cosines(sources, targets), own.unsqueeze(1) == own[torch.from_numpy(kept)]
        ways = {"forward": ranks(scores, right), "backward": ranks(scores.t(), right.t())}
        return {f"{way}_{name}": value for way, one in ways.items() for name, value in recalls(one).items()}

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """The source's vector, blanks between its numbers."""
        return " ".join(f"{number:.6g}" for number in predicted["source"]) + "\n"


def _cosines(sources: Tensor, targets: Tensor) -> Tensor:
    """Of vectors of length 1, in full precision: rounded to 8 bits, many would tie."""
    with torch.autocast(sources.device.type, enabled=False):
        return sources.float() @ targets.float().t()
