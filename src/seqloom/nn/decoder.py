"""An LSTM that writes a text word by word, attending to the states of another."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.errors import ConfigError
from seqloom.nn.attention import GlobalAttention, Memory, Scoring
from seqloom.nn.precision import as_multiplied
from seqloom.nn.recurrent import RecurrentLayer
from seqloom.nn.softmaxes import WordScores
from seqloom.nn.stepwise import Stepwise


@dataclass(frozen=True, slots=True)
class DecoderState:
    """Where a decoder stands in each text.

    Attributes:
        hidden: of each layer, (batch, hidden).
        cells: of each layer, (batch, hidden).
        attended: (batch, out), what attention gave at the last word, zeros at the start.
    """

    hidden: tuple[Tensor, ...]
    cells: tuple[Tensor, ...]
    attended: Tensor

    def __len__(self) -> int:
        return len(self.attended)

    def select(self, rows: Tensor) -> "DecoderState":
        """The states of some rows."""
        hidden, cells = (tuple(one[rows] for one in part) for part in (self.hidden, self.cells))
        return DecoderState(hidden, cells, self.attended[rows])


class Gates(NamedTuple):
    """A layer's weights as one step takes them.

    Attributes:
        words: (4 · hidden, size) of the words, which need not wait for the step; only the first layer has them.
        rest: of what else comes in and of the layer's own state, side by side.
        bias: (4 · hidden,).
    """

    words: Tensor
    rest: Stepwise
    bias: Tensor


class AttentionDecoder(WordScores):
    """A stack of LSTM layers with global attention; with input feeding, what attention gave goes into the next word.

    Luong et al. (2015), section 3.3; McCann et al., "Learned in Translation" (2017), equations 1 to 5.

    Args:
        words: how many words can be written.
        size: numbers in a word's vector.
        hidden: units of a layer.
        memory: numbers in a state of the text attended to.
        layers: how many.
        scoring: how attention compares; see `GlobalAttention`.
        input_feeding: whether a word's input is [its vector; what attention gave before].
        dropout: rate on words' vectors, on what attention feeds back, between layers and on what comes out.
        tied: whether words are scored by their own vectors (Press and Wolf 2017); attention then gives `size` numbers.

    Raises:
        ConfigError: there is no layer, or dot attention with sizes that differ.
    """

    def __init__(
        self,
        words: int,
        size: int,
        hidden: int,
        memory: int,
        layers: int = 2,
        scoring: Scoring = "general",
        input_feeding: bool = True,
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ConfigError(f"a decoder has at least 1 layer, not {layers}")
        self.hidden, self.layers, self.input_feeding = hidden, layers, input_feeding
        self.words = nn.Embedding(words, size)
        nn.init.normal_(self.words.weight, std=size**-0.5)
        self.attention = GlobalAttention(hidden, memory, size if tied else hidden, scoring)
        first = size + (self.attention.size if input_feeding else 0)
        for index in range(layers):
            self.add_module(f"layer{index}", RecurrentLayer("lstm", hidden if index else first, hidden))
        self.output = None if tied else nn.Linear(hidden, words)
        self.bias = nn.Parameter(torch.zeros(words)) if tied else None
        self.dropout = nn.Dropout(dropout)

    def start(self, hidden: Tensor, cells: Tensor) -> DecoderState:
        """The state before the first word, of hidden and cells (layers, batch, hidden)."""
        attended = hidden.new_zeros(hidden.shape[1], self.attention.size)
        return DecoderState(tuple(hidden), tuple(cells), attended)

    def forward(
        self, words: Tensor, memory: Memory, state: DecoderState
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """What is attended after each of words (batch, time), each but the first being what was to be written.

        Returns:
            (batch, time, out), of which `scores` are taken; weights (batch, time, time of the memory); the last state.
        """
        vectors = self.dropout(self.words(words))
        if not self.input_feeding:
            return self._at_once(vectors, memory, state)
        found, weights = [], []
        gates = self.gates()
        for one in self._of_words(vectors, gates[0]).unbind(1):
            attended, weight, state = self._step(one, memory, state, gates)
            found.append(attended)
            weights.append(weight)
        return torch.stack(found, 1), torch.stack(weights, 1), state

    def _at_once(
        self, vectors: Tensor, memory: Memory, state: DecoderState
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """All words together: without input feeding no layer waits for attention."""
        lengths = torch.full((len(vectors),), vectors.shape[1])
        hidden, cells, states = [], [], vectors
        for index in range(self.layers):
            states = self.dropout(states) if index else states
            start = (state.hidden[index].unsqueeze(0), state.cells[index].unsqueeze(0))
            states, (last, cell) = getattr(self, f"layer{index}")(states, lengths, start)
            hidden.append(last[0])
            cells.append(cell[0])
        attended, weights = self.attention(states, memory)
        attended = self.dropout(attended)
        return attended, weights, DecoderState(tuple(hidden), tuple(cells), attended[:, -1])

    def gates(self) -> list[Gates]:
        """Each layer's weights as `step` takes them, joined once for many steps."""
        found = []
        for index in range(self.layers):
            of_input, of_state, *biases = getattr(self, f"layer{index}").weights
            words = 0 if index else self.words.embedding_dim
            rest = torch.cat([of_input[:, words:], of_state], 1)
            found.append(Gates(as_multiplied(of_input[:, :words]), Stepwise(rest), biases[0] + biases[1]))
        return found

    def step(
        self, words: Tensor, memory: Memory, state: DecoderState, gates: list[Gates]
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One word more, words (batch,): attended (batch, out), weights (batch, time of the memory), the new state.

        A memory of fewer texts than words serves as many words in a row for each of its texts.
        """
        return self._step(self._of_words(self.dropout(self.words(words)), gates[0]), memory, state, gates)

    def _of_words(self, vectors: Tensor, first: Gates) -> Tensor:
        """The words' own part in the first layer's gates."""
        return functional.linear(vectors, first.words, first.bias)

    def _step(
        self, of_word: Tensor, memory: Memory, state: DecoderState, gates: list[Gates]
    ) -> tuple[Tensor, Tensor, DecoderState]:
        hidden: list[Tensor] = []
        cells: list[Tensor] = []
        below = [self.dropout(state.attended)] if self.input_feeding else []
        for index, layer in enumerate(gates):
            total = layer.rest(torch.cat([*below, state.hidden[index]], 1))
            new, cell = _cell(total + (layer.bias if index else of_word), state.cells[index])
            below = [self.dropout(new)]
            hidden.append(new)
            cells.append(cell)
        queries = hidden[-1].view(len(memory.past), -1, self.hidden)
        attended, weights = self.attention(queries, memory)
        attended = self.dropout(attended.flatten(0, 1))
        return attended, weights.flatten(0, 1), DecoderState(tuple(hidden), tuple(cells), attended)


class Selected(Protocol):
    """Records of a batch, of which some rows can be taken."""

    def __len__(self) -> int: ...

    def select(self, rows: Tensor) -> Self:
        """Some of its rows."""


class WordDecoder(Protocol):
    """A decoder that writes one word more of several texts at a time."""

    def gates(self) -> Any:
        """Its weights as `step` takes them."""

    def step(self, words: Tensor, memory: Any, state: Any, gates: Any) -> tuple[Tensor, Tensor, Any]:
        """One word more: what is scored (batch, out), attention (batch, time of the memory), the new state."""

    def scores(self, states: Tensor) -> Tensor:
        """Scores of the next word."""


class DecoderWriter:
    """A decoder that writes for beam search, at first one hypothesis for each text of its memory.

    Args:
        decoder: in evaluation mode.
        memory: of each text.
        state: before the first word of each text.
    """

    def __init__(self, decoder: WordDecoder, memory: Selected, state: Selected) -> None:
        self.decoder, self.memory, self.state = decoder, memory, state
        self.gates = decoder.gates()

    def step(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Take the last words (sentences, beam); give scores (sentences, beam, words) and attention (..., source)."""
        attended, weights, self.state = self.decoder.step(words.flatten(), self.memory, self.state, self.gates)
        scores = self.decoder.scores(attended)
        return scores.view(*words.shape, -1), weights.view(*words.shape, -1)

    def follow(self, parents: Tensor) -> None:
        """Let each hypothesis go on from the one that parents (sentences, beam) name."""
        self._select(torch.arange(len(parents), device=parents.device), parents)

    def keep(self, sentences: Tensor) -> None:
        """Go on with these sentences only."""
        self._select(sentences, torch.arange(self._width, device=sentences.device))
        self.memory = self.memory.select(sentences)

    def _select(self, sentences: Tensor, hypotheses: Tensor) -> None:
        rows = sentences.unsqueeze(1) * self._width + hypotheses
        self.state = self.state.select(rows.flatten())

    @property
    def _width(self) -> int:
        return len(self.state) // len(self.memory)


def _cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """An LSTM's new state and cell from its gates (batch, 4 · hidden), in torch's order, and its cell."""
    entry, forget, content, out = gates.chunk(4, 1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(entry) * torch.tanh(content)
    return torch.sigmoid(out) * torch.tanh(cell), cell
