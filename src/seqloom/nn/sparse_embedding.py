"""A table of word vectors that keeps long vectors for frequent words alone."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.nn.blocks import Segment
from seqloom.nn.dropout import EmbeddingDropout, LockedDropout
from seqloom.nn.heights import Heights, Shape, heights
from seqloom.nn.precision import as_multiplied

Order = Literal["up", "down"]


class SparseEmbedding(nn.Module):
    """Vectors of words, the rarer a word the shorter: what is not kept is 0, and takes neither memory nor products.

    Demeester, Deleu, Godin and Develder, "Predefined Sparseness in Recurrent Sequence Models" (2018), section 3.2.
    Ids say how frequent words are; a `places` that shuffles them makes the paper's control.

    Args:
        words: of the vocabulary.
        size: features of the longest vectors.
        blocks: how many blocks of features are kept for ever fewer words; no more than there are features.
        density: share of the numbers of a dense table that is kept, from 1/blocks up to 1.
        order: "up" if ids go from rare words to frequent ones, as in the paper, "down" if from frequent to rare.
        pinned: how many ids at the beginning stand for no word (padding, the unknown word), and count as the rarest.
        places: (words,) each word's place in that order, a permutation; None: its id.
        shape: how heights are found, see `seqloom.nn.heights.heights`.
        drop_words: share of the vocabulary dropped in training, whole words at a time.
        dropout: rate on the features, with one mask all along a text.

    Raises:
        ConfigError: the density is out of range, or a rate.
    """

    places: Tensor | None

    def __init__(
        self,
        words: int,
        size: int,
        blocks: int = 1,
        density: float = 1.0,
        *,
        order: Order = "up",
        pinned: int = 0,
        places: Tensor | None = None,
        shape: Shape = "falling",
        drop_words: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.geometry: Heights = heights(words, size, blocks, density, shape)
        self.words, self.size = words, size
        self.columns = self.geometry.columns()
        self.rows = self.geometry.rows(order == "down", pinned)
        for index, (height, width) in enumerate(zip(self.geometry.heights, self.geometry.widths, strict=True)):
            self.register_parameter(f"block{index}", nn.Parameter(torch.empty(height, width)))
        self.register_buffer("places", places, persistent=False)
        self.drop_words, self.dropout = EmbeddingDropout(drop_words, words), LockedDropout(dropout)
        self.initialise()

    def initialise(self) -> None:
        """Draw the numbers that are kept evenly from -0.1 to 0.1."""
        for block in self.blocks:
            nn.init.uniform_(block, -0.1, 0.1)

    @property
    def blocks(self) -> list[nn.Parameter]:
        """The tables (height, width) of what is kept."""
        return [self.get_parameter(f"block{index}") for index in range(len(self.columns))]

    def forward(self, ids: Tensor) -> Tensor:
        """The vectors (batch, time, size) of ids (batch, time)."""
        places = ids if self.places is None else self.places[ids]
        vectors = torch.cat([self._looked_up(index, places) for index in range(len(self.columns))], -1)
        dropped: Tensor = self.dropout(self.drop_words(vectors, ids))
        return dropped

    def _looked_up(self, index: int, places: Tensor) -> Tensor:
        block, (first, last) = self.get_parameter(f"block{index}"), self.rows[index]
        if first == 0 and last == self.words:
            return functional.embedding(places, block)
        if first == last:
            return block.new_zeros(*places.shape, block.shape[1])
        outside = (places < first) | (places >= last)
        found = functional.embedding((places - first).clamp(0, last - first - 1), block)
        return found.masked_fill(outside.unsqueeze(-1), 0)

    def scores(self, hidden: Tensor) -> Tensor:
        """Scores (..., words) by the words' vectors, for hidden (..., size), in work that is as sparse."""
        flat = as_multiplied(hidden.reshape(-1, self.size))
        tables = [block.to(flat.dtype) for block in self.blocks]
        found: Tensor = _Scores.apply(flat, self.words, self.rows, self.columns, *tables)  # type: ignore[no-untyped-call]
        found = found.view(*hidden.shape[:-1], self.words)
        return found if self.places is None else found[..., self.places]

    def dense(self) -> Tensor:
        """The whole table (words, size), its zeros with it."""
        table = self.blocks[0].new_zeros(self.words, self.size)
        for block, (first, last), (begin, end) in zip(self.blocks, self.rows, self.columns, strict=True):
            table[first:last, begin:end] = block
        return table if self.places is None else table[self.places]

    @torch.no_grad()
    def fill(self, table: Tensor) -> None:
        """Keep what there is room for of a dense table (words, size)."""
        placed = table if self.places is None else table[self.places.argsort()]
        for block, (first, last), (begin, end) in zip(self.blocks, self.rows, self.columns, strict=True):
            block.copy_(placed[first:last, begin:end])

    def extra_repr(self) -> str:
        """Tell the geometry."""
        return f"{self.words}, {self.size}, blocks={len(self.columns)}, density={self.geometry.density:.4f}"


class _Scores(torch.autograd.Function):
    """The sum over blocks of products with what is kept; no zero is multiplied, and no partial sum is copied."""

    @staticmethod
    def forward(
        context: Any,
        hidden: Tensor,
        words: int,
        rows: list[Segment],
        columns: list[Segment],
        *blocks: Tensor,
    ) -> Tensor:
        context.save_for_backward(hidden, *blocks)
        context.rows, context.columns = rows, columns
        scores = hidden.new_zeros(len(hidden), words)
        for block, (first, last), (begin, end) in zip(blocks, rows, columns, strict=True):
            scores[:, first:last].addmm_(hidden[:, begin:end], block.t())
        return scores

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        hidden, *blocks = context.saved_tensors
        of_hidden = torch.empty_like(hidden)
        of_blocks = []
        for block, (first, last), (begin, end) in zip(blocks, context.rows, context.columns, strict=True):
            slope = slopes[0][:, first:last]
            torch.mm(slope, block, out=of_hidden[:, begin:end])
            of_blocks.append(slope.t() @ hidden[:, begin:end])
        return of_hidden, None, None, None, *of_blocks
