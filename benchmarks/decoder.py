"""A training pass of the decoder without attention, beside a loop over its steps as GenSen's program has it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from measure import interleaved, row, save
from seqloom.data.schedule import Groups
from seqloom.nn.conditional import ConditionalDecoder
from seqloom.processes import settle
from seqloom.readers.book import Book
from seqloom.readers.parallel import Parallel

BATCH, LONGEST, ROUNDS, WORDS = 48, 88, 3, 10_000
BOOK = "${data}/gutenberg/train/bryant-stories.txt"
CAPTIONS = "${data}/multi30k/tok/train.lc.norm.tok.en.gz"
PAPER, SMALL = (512, 2048), (300, 600)


class Loop(nn.Module):
    """GenSen's conditional GRU: three products a step, for the word, the state and the vector."""

    def __init__(self, words: int, size: int, hidden: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, size)
        self.of_word, self.of_state, self.of_vector = (
            nn.Linear(one, 3 * hidden) for one in (size, hidden, hidden)
        )
        self.output = nn.Linear(hidden, words)

    def forward(self, words: Tensor, vectors: Tensor) -> Tensor:
        """States (batch, time, hidden), those past a text's end too."""
        state, states = vectors, []
        for word in self.words(words).unbind(1):
            gates = (
                one.chunk(3, 1) for one in (self.of_word(word), self.of_state(state), self.of_vector(vectors))
            )
            (reset, update, new), (own_reset, own_update, own_new), (fixed_reset, fixed_update, fixed_new) = (
                gates
            )
            reset = torch.sigmoid(reset + own_reset + fixed_reset)
            update = torch.sigmoid(update + own_update + fixed_update)
            new = torch.tanh(new + reset * own_new + fixed_new)
            state = new + update * (state - new)
            states.append(state)
        return torch.stack(states, 1)


def copied(loop: Loop, size: int, hidden: int) -> ConditionalDecoder:
    """Our decoder with a loop's weights."""
    made = ConditionalDecoder(loop.words.num_embeddings, size, hidden, hidden, bridge="copy")
    layer = made.layer0
    with torch.no_grad():
        layer.weight_ih.copy_(torch.cat([loop.of_word.weight, loop.of_vector.weight], 1))
        layer.bias_ih.copy_(loop.of_word.bias + loop.of_vector.bias)
    for ours, theirs in ((made.words, loop.words), (made.output, loop.output)):
        ours.load_state_dict(theirs.state_dict())
    layer.weight_hh.data.copy_(loop.of_state.weight)
    layer.bias_hh.data.copy_(loop.of_state.bias)
    return made


class Batch:
    """Made-up words of some lengths, with the vectors that they are written from.

    Args:
        lengths: of the targets, end symbols included.
        hidden: numbers in a vector.
    """

    def __init__(self, lengths: np.ndarray, hidden: int) -> None:
        torch.manual_seed(1)
        self.lengths = torch.from_numpy(lengths)
        past = torch.arange(int(lengths.max())) >= self.lengths.unsqueeze(1)
        self.words = torch.randint(1, WORDS, past.shape).masked_fill(past, 0)
        self.vectors = torch.randn(len(lengths), hidden, requires_grad=True)

    @property
    def real(self) -> float:
        """The share of places that are no padding."""
        return float(self.lengths.sum()) / self.words.numel()

    def fused(self, decoder: ConditionalDecoder, scored: bool) -> None:
        """Forward and backward by ours."""
        decoder.zero_grad()
        states = decoder(self.words, *decoder.start(self.vectors), self.lengths)
        real = self.words != 0
        (decoder.loss(states[real], self.words[real]) if scored else states.sum()).backward()

    def looped(self, loop: Loop, scored: bool) -> None:
        """Forward and backward by the loop, with the original's loss: padding weighs nothing in it."""
        loop.zero_grad()
        states = loop(self.words, self.vectors)
        if scored:
            scores = loop.output(states).flatten(0, 1)
            loss = functional.cross_entropy(scores, self.words.flatten(), ignore_index=0, reduction="sum")
        else:
            loss = states.masked_fill((self.words == 0).unsqueeze(2), 0).sum()
        loss.backward()


def agree(batch: Batch, decoder: ConditionalDecoder, loop: Loop) -> None:
    """Both sides compute the same gradients, up to rounding."""
    batch.fused(decoder, False)
    batch.looped(loop, False)
    ours, theirs = decoder.layer0.weight_hh.grad, loop.of_state.weight.grad
    torch.testing.assert_close(ours, theirs, atol=1e-3 * float(theirs.abs().max()), rtol=0)


def compared(
    what: str,
    lengths: list[np.ndarray],
    sizes: tuple[int, int],
    *,
    scored: bool = False,
    headline: bool = False,
) -> dict[str, Any]:
    """A row on some lengths."""
    loop = Loop(WORDS, *sizes)
    decoder, batch = copied(loop, *sizes), Batch(lengths, sizes[1])
    agree(batch, decoder, loop)
    sides = {
        "fused": lambda: batch.fused(decoder, scored),
        "loop": lambda: batch.looped(loop, scored),
    }
    taken = interleaved(sides, ROUNDS)
    loss = f", softmax over {WORDS:,} words" if scored else ", no softmax"
    shapes = (
        f"{what} ({batch.real:.0%} of places real), batch {BATCH}, words {sizes[0]}, units {sizes[1]}{loss}"
    )
    return row(
        "gru_decoder",
        1000 * taken["fused"],
        1000 * taken["loop"],
        rival_name="loop over steps",
        unit="ms",
        shapes=shapes,
        packages=("torch", "numpy"),
        rounds=ROUNDS,
        headline=headline,
    )


def targets(reader: Any, path: str) -> np.ndarray:
    """Lengths of the targets in the middle one of the batches of nearly equal sources that both programs make."""
    pairs = [(len(one["source"]), len(one["target"])) for one in reader.read(path)]
    lengths = np.minimum(np.array(pairs), LONGEST)
    batches = Groups(lengths[:, :1], BATCH, 0, rising=True)
    middle: np.ndarray = lengths[batches.rows(len(batches) // 2), 1] + 1
    return middle


def rows() -> Iterator[dict[str, Any]]:
    """The comparisons: next sentences of a book in the paper's sizes stand for the goal."""
    book = targets(Book(Book.Config(unit="prose", target="next"), ("source",), ("target",)), BOOK)
    reader = Parallel(Parallel.Config(languages=["en", "de"], tokenizer="blanks"), ("source",), ("target",))
    captions = targets(reader, CAPTIONS)
    even = np.full(BATCH, 25)
    yield compared("next sentences of a book", book, PAPER, headline=True)
    yield compared("Multi30k en-de", captions, PAPER)
    yield compared("25 words each", even, PAPER)
    yield compared("next sentences of a book", book, SMALL)
    yield compared("25 words each", even, SMALL)
    yield compared("next sentences of a book", book, SMALL, scored=True)


def main() -> None:
    """Time both sides and write how they did."""
    settle()
    save("gru_decoder", rows())


if __name__ == "__main__":
    main()
