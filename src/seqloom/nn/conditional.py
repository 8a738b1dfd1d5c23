"""A recurrent network that writes a text from one vector of another, with no attention to it."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from seqloom.errors import ConfigError
from seqloom.nn.gated import run_gated
from seqloom.nn.recurrent import RecurrentLayer
from seqloom.nn.softmaxes import WordScores
from seqloom.nn.unrolling import Cell, State

Bridge = Literal["linear", "copy"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What every word of a text gets of the vector that it is written from.

    Attributes:
        vectors: (batch, size) the vectors.
        gates: (batch, gates * hidden) their part in the gates of the first layer, the bias with it.
    """

    vectors: Tensor
    gates: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def select(self, rows: Tensor) -> "Condition":
        """Those of some texts."""
        return Condition(self.vectors[rows], self.gates[rows])


@dataclass(frozen=True, slots=True)
class ConditionalState:
    """Where a decoder stands in each text: of each layer h and, of an LSTM, c, (batch, hidden)."""

    layers: tuple[State, ...]

    def __len__(self) -> int:
        return len(self.layers[0][0])

    def select(self, rows: Tensor) -> "ConditionalState":
        """The states of some rows."""
        return ConditionalState(tuple(tuple(part[rows] for part in layer) for layer in self.layers))


class ConditionalDecoder(WordScores):
    """A stack of GRU or LSTM layers that starts from a text's vector and gets it again with every word.

    Subramanian, Trischler, Bengio and Pal, "Learning General Purpose Distributed Sentence Representations via Large
    Scale Multi-task Learning" (2018), section 3.2: with the vector c, the word's vector x and gates r, z of a GRU,
    n = tanh(W x + C c + r · (R h + b)), r and z alike. The weight_ih of the first layer is [W, C]. The vector's part is
    computed once for each text, the words' for all together, and nothing for what lies past a text's end.

    Args:
        words: how many words can be written.
        size: numbers in a word's vector.
        hidden: units of a layer.
        vector: numbers in the vector of a text.
        layers: how many.
        cell: "gru", as published, or "lstm".
        bridge: how layers start: from tanh(W c), `linear`, or from c itself, `copy`; an LSTM's cells from zeros.
        dropout: rate on the vector, and between layers.
        tied: whether words are scored by their own vectors (Press and Wolf 2017).

    Raises:
        ConfigError: there is no layer, or sizes differ that are to agree.
    """

    def __init__(
        self,
        words: int,
        size: int,
        hidden: int,
        vector: int,
        layers: int = 1,
        cell: Cell = "gru",
        bridge: Bridge = "linear",
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ConfigError(f"a decoder has at least 1 layer, not {layers}")
        if tied and size != hidden:
            what = f"words have {size} numbers, the decoder's states {hidden}"
            raise ConfigError(f"tied scores: {what}; give them one size, or do not tie")
        if bridge == "copy" and hidden != vector:
            what = f"the encoder's states have {vector} numbers, the decoder's {hidden}"
            raise ConfigError(f"bridge: copy: {what}; let them agree, or take bridge: linear")
        self.hidden, self.layers, self.cell = hidden, layers, cell
        self.words = nn.Embedding(words, size)
        nn.init.normal_(self.words.weight, std=size**-0.5)
        self.bridge = nn.Linear(vector, layers * hidden) if bridge == "linear" else None
        for index in range(layers):
            self.add_module(f"layer{index}", RecurrentLayer(cell, hidden if index else size + vector, hidden))
        self.output = None if tied else nn.Linear(hidden, words)
        self.bias = nn.Parameter(torch.zeros(words)) if tied else None
        self.dropout = nn.Dropout(dropout)

    def start(self, vectors: Tensor) -> tuple[Condition, ConditionalState]:
        """What texts are written from, and the state before their first words, of vectors (batch, vector)."""
        vectors = self.dropout(vectors)
        of_input, _, bias, _ = self._layer(0).weights
        gates = functional.linear(vectors, of_input[:, self.words.embedding_dim :], bias)
        first = [vectors] * self.layers
        if self.bridge is not None:
            first = list(torch.tanh(self.bridge(vectors)).chunk(self.layers, 1))
        cells = (vectors.new_zeros(len(vectors), self.hidden),) if self.cell == "lstm" else ()
        return Condition(vectors, gates), ConditionalState(tuple((one, *cells) for one in first))

    def forward(
        self, words: Tensor, condition: Condition, state: ConditionalState, lengths: Tensor | None = None
    ) -> Tensor:
        """States (batch, time, hidden) after each of words (batch, time), zeros past a text's end.

        Args:
            words: each but the first being what was to be written.
            condition: what `start` gave.
            state: what `start` gave with it.
            lengths: (batch,), int64, on the CPU, at least 1; all of the words if None.
        """
        lengths = torch.full((len(words),), words.shape[1]) if lengths is None else lengths
        if words.is_cuda:
            return self._on_gpu(words, condition, state, lengths)
        lengths, order = lengths.sort(descending=True, stable=True)
        ids, sizes, _, _ = pack_padded_sequence(words[order], lengths, batch_first=True)
        condition, state = condition.select(order), state.select(order)
        found, _ = self._run(ids, condition.gates, state, sizes.tolist())
        steps = torch.arange(len(sizes)).repeat_interleave(sizes)
        rows = torch.cat([order[:size] for size in sizes.tolist()])
        return found.new_zeros(*words.shape, self.hidden).index_put((rows, steps), found)

    def _on_gpu(self, words: Tensor, condition: Condition, state: ConditionalState, lengths: Tensor) -> Tensor:
        """By cuDNN, where the vector is cheap to take along with each word, and many short steps are not."""
        vectors = condition.vectors.unsqueeze(1).expand(-1, words.shape[1], -1)
        states = torch.cat([self.words(words), vectors], 2)
        for index in range(self.layers):
            states = self.dropout(states) if index else states
            start = tuple(part.unsqueeze(0) for part in state.layers[index])
            states, _ = self._layer(index)(states, lengths, start)
        return states

    def gates(self) -> None:
        """What `step` wants of the weights beforehand: nothing."""

    def step(
        self, words: Tensor, condition: Condition, state: ConditionalState, gates: None = None
    ) -> tuple[Tensor, Tensor, ConditionalState]:
        """One word more, words (batch,): states (batch, hidden), weights of no attention (batch, 0), the new state.

        A condition of fewer texts than words serves as many words in a row for each of its texts.
        """
        constant = condition.gates.repeat_interleave(len(words) // len(condition), 0)
        found, state = self._run(words, constant, state, [len(words)])
        return found, found.new_zeros(len(found), 0), state

    def _run(
        self, ids: Tensor, constant: Tensor, state: ConditionalState, sizes: list[int]
    ) -> tuple[Tensor, ConditionalState]:
        """The top layer's states of packed words, (words, hidden), and what every layer has at each of them."""
        below = self.words(ids)
        carried = []
        for index in range(self.layers):
            of_input, of_state, bias, own_bias = self._layer(index).weights
            if index:
                below, constant = self.dropout(below), bias.expand(len(constant), -1)
            gates = of_input[:, : below.shape[1]] @ below.t()
            start = tuple(part.t() for part in state.layers[index])
            found = run_gated(self.cell, gates, constant.t(), of_state, own_bias, start, sizes)
            carried.append(tuple(part.t() for part in found))
            below = carried[-1][0]
        return below, ConditionalState(tuple(carried))

    def _layer(self, index: int) -> RecurrentLayer:
        found = getattr(self, f"layer{index}")
        assert isinstance(found, RecurrentLayer)
        return found
