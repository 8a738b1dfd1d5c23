"""Global attention: a query looks over all states of a text (Luong et al. 2015; Bahdanau et al. 2015)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.errors import ConfigError
from seqloom.nn.pooling import past_end

Scoring = Literal["general", "dot", "mlp"]


@dataclass(frozen=True, slots=True)
class Memory:
    """A text as attention sees it, projected once however many queries come.

    Attributes:
        keys: (batch, time, size of a key), what queries are compared with.
        values: (batch, time, out), the states' part in what attention gives.
        past: (batch, time), bool, whether a position lies past the text's end.
    """

    keys: Tensor
    values: Tensor
    past: Tensor

    def __len__(self) -> int:
        return len(self.past)

    def select(self, rows: Tensor) -> "Memory":
        """Some of its texts."""
        return Memory(self.keys[rows], self.values[rows], self.past[rows])


class GlobalAttention(nn.Module):
    """Attention over a text's states H from queries h: a = tanh(W_out [Σ α H; h]), α = softmax(score(h, H)).

    Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation" (2015),
    equations 5, 7 and 8. Scores: general h'W H, dot h'H, mlp v'tanh(W h + U H) (Bahdanau et al. 2015).

    Args:
        query: numbers in a query.
        memory: numbers in a state.
        out: numbers in what it gives; a query's if None.
        scoring: how queries and states are compared.

    Raises:
        ConfigError: dot scores of sizes that differ.
    """

    def __init__(self, query: int, memory: int, out: int | None = None, scoring: Scoring = "general") -> None:
        super().__init__()
        if scoring == "dot" and query != memory:
            what = f"queries have {query} numbers, states {memory}"
            raise ConfigError(f"dot attention: {what}; give them one size, or take general or mlp")
        self.size = query if out is None else out
        self.compare = nn.Linear(query, memory, bias=False) if scoring == "general" else None
        self.of_query = nn.Linear(query, query, bias=False) if scoring == "mlp" else None
        self.of_state = nn.Linear(memory, query) if scoring == "mlp" else None
        self.weigh = nn.Linear(query, 1, bias=False) if scoring == "mlp" else None
        self.combine = nn.Linear(memory + query, self.size, bias=False)
        self.split = memory

    def remember(self, states: Tensor, lengths: Tensor) -> Memory:
        """The memory of states (batch, time, memory) of texts of lengths (batch,)."""
        # Without gradients, products of what lies time first are taken text by text, each with a copy of the weight.
        keys = states = states.contiguous()
        if self.compare is not None:
            keys = functional.linear(states, self.compare.weight.t())
        elif self.of_state is not None:
            keys = self.of_state(states)
        # α (H W') is (α H) W': projecting the states first leaves only the query's part to each step.
        values = functional.linear(states, self.combine.weight[:, : self.split])
        return Memory(keys, values, past_end(lengths, states.shape[1], states.device))

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """What queries (batch, queries, query) get: (batch, queries, out), and weights (batch, queries, time)."""
        scores = self._scores(queries, memory.keys).float()
        weights = scores.masked_fill(memory.past.unsqueeze(1), -torch.inf).softmax(-1)
        seen = weights.to(memory.values.dtype) @ memory.values
        own = functional.linear(queries.contiguous(), self.combine.weight[:, self.split :])
        return torch.tanh(seen + own), weights

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        if self.weigh is None or self.of_query is None:
            return queries @ keys.transpose(1, 2)
        compared = torch.tanh(self.of_query(queries).unsqueeze(2) + keys.unsqueeze(1))
        scores: Tensor = self.weigh(compared).squeeze(-1)
        return scores
