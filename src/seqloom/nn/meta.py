"""Dynamic meta-embeddings: several vectors for each word, mixed by weights that the model learns."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.errors import ConfigError
from seqloom.nn.perceptron import begin_near_zero
from seqloom.nn.recurrent import Recurrent, RecurrentLayer

Attention = Literal["none", "word", "context"]
Gate = Literal["softmax", "sigmoid"]
Mixing = Literal["sum", "concat"]
Start = Literal["default", "xavier"]


class DynamicMetaEmbedding(nn.Module):
    """One vector for each word out of several sets of vectors.

    Kiela, Wang and Cho, "Dynamic Meta-Embeddings for Improved Sentence Representations" (2018), section 2: each set's
    vectors are projected to one size, w' = P w + b (equation 1), and summed, with weights or without (equations 2-4).
    A weight comes of the projected vector alone (DME, equation 5), or of the states of a small BiLSTM that reads the
    projected vectors of its set along the text (CDME, equation 6); softmax or sigmoid makes the weights of the sets.

    Args:
        sizes: numbers in a vector of each set.
        size: numbers in what each is projected to; by default the smallest of the sizes, or with `mixing="concat"`
            none are projected.
        mixing: "sum" of the vectors, or "concat": one after another.
        attention: where the weights come from: "none" (all 1), the "word" or its "context".
        gate: "softmax" over the sets, or a "sigmoid" of its own for each.
        hidden: numbers between a projected vector and its weight; with context, units of each direction.
        activation: what acts on the mixed vector.
        dropout: rate on what comes out.
        initial: "xavier" begins as the published program does: Xavier's weights, orthogonal ones in the BiLSTM,
            biases near 0.
        over_padding: whether the BiLSTM reads padding too, as the published program does; for comparisons with it.

    Raises:
        ConfigError: attention over a single set, or beside concatenation.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        size: int | None = None,
        *,
        mixing: Mixing = "sum",
        attention: Attention = "word",
        gate: Gate = "softmax",
        hidden: int = 2,
        activation: Literal["relu", "none"] = "none",
        dropout: float = 0.0,
        initial: Start = "default",
        over_padding: bool = False,
    ) -> None:
        super().__init__()
        _check(sizes, mixing, attention)
        self.mixing, self.gate, self.over_padding = mixing, gate, over_padding
        self.relu = activation == "relu"
        self.dropout = nn.Dropout(dropout)
        each = size or (min(sizes) if mixing == "sum" else None)
        self.projections = nn.ModuleList(nn.Linear(one, each) if each else nn.Identity() for one in sizes)
        self.size = (each or 0) if mixing == "sum" else each * len(sizes) if each else sum(sizes)
        self.context: Recurrent | None = None
        self.score: nn.Module | None = None
        if attention == "context":
            self.context = Recurrent("lstm", self.size, hidden, bidirectional=True)
            self.score = nn.Linear(2 * hidden, 1)
        elif attention == "word":
            # Two maps and nothing between: one of rank one, as in the paper, which learns faster than one map would.
            self.score = nn.Sequential(nn.Linear(self.size, hidden), nn.Linear(hidden, 1))
        if initial == "xavier":
            self.apply(_begin)

    def forward(
        self, vectors: Sequence[Tensor], lengths: Tensor, there: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Mix the sets' vectors.

        Args:
            vectors: of each set, (batch, time, size of the set).
            lengths: (batch,), int64, on the CPU.
            there: (batch, time, sets) whether a set has the word; those that lack it weigh nothing, unless all do.

        Returns:
            (batch, time, size), and the weights (batch, time, sets), or None without attention.
        """
        projected = [project(one) for project, one in zip(self.projections, vectors, strict=True)]
        if self.mixing == "concat":
            return self._finished(torch.cat(projected, -1)), None
        if self.score is None:
            return self._finished(torch.stack(projected).sum(0)), None
        weights = self._weights(projected, lengths, there)
        parts = (one * weight for one, weight in zip(projected, weights.unsqueeze(-1).unbind(2), strict=True))
        mixed = next(parts)
        for part in parts:
            mixed = mixed + part
        return self._finished(mixed), weights

    def _weights(self, projected: Sequence[Tensor], lengths: Tensor, there: Tensor | None) -> Tensor:
        sets = len(projected)
        # Every set is a text of its own, so that one BiLSTM reads them all as one batch.
        states = torch.cat(list(projected))
        if self.context is not None:
            read = torch.full_like(lengths, states.shape[1]) if self.over_padding else lengths
            states = self.context(states, read.repeat(sets)).states
        assert self.score is not None
        scores: Tensor = self.score(states).view(sets, *projected[0].shape[:2]).permute(1, 2, 0)
        if there is None:
            return scores.softmax(-1) if self.gate == "softmax" else scores.sigmoid()
        counted = there | ~there.any(-1, keepdim=True)
        if self.gate == "softmax":
            return scores.masked_fill(~counted, -torch.inf).softmax(-1)
        return scores.sigmoid() * counted

    def _finished(self, mixed: Tensor) -> Tensor:
        finished: Tensor = self.dropout(functional.relu(mixed) if self.relu else mixed)
        return finished


def _check(sizes: Sequence[int], mixing: Mixing, attention: Attention) -> None:
    if mixing == "concat" and attention != "none":
        what = "vectors that are concatenated are not weighed"
        raise ConfigError(f"{what}; take attention: none, or mixing: sum")
    if attention != "none" and len(sizes) < 2:
        raise ConfigError(
            "attention: one set of vectors has nothing to be weighed against; take attention: none"
        )


def _begin(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        begin_near_zero(module)
    elif isinstance(module, RecurrentLayer):
        module.initialise("whole")
