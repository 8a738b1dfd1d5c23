"""Beam search: the best texts that a decoder can write, all sentences of a batch together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

BLOCK = 64
"""Words in a block of those whose best are looked for."""


class Writer(Protocol):
    """What writes word by word for some sentences, several hypotheses each."""

    def step(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Take the last words (sentences, beam); give scores (sentences, beam, words) and attention (..., source)."""

    def follow(self, parents: Tensor) -> None:
        """Let hypothesis k of a sentence go on from the one that parents (sentences, beam) name.

        After the first word, all go on from the only one that there was.
        """

    def keep(self, sentences: Tensor) -> None:
        """Go on with these sentences only."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text that was written.

    Attributes:
        words: ids, without the end symbol.
        score: the sum of log-probabilities, the end symbol's included.
        finished: whether it ended by itself rather than at the limit.
        attention: (words, source) what was looked at when each was written.
    """

    words: list[int]
    score: float
    finished: bool
    attention: Tensor


@dataclass(frozen=True, slots=True)
class Search:
    """How to search.

    Attributes:
        beam: hypotheses kept for each sentence.
        length: the exponent α of the length normalisation ((5 + words) / 6) ^ α (Wu et al. 2016, eq. 14).
        coverage: the weight β of the coverage penalty β Σ log(min(Σ attention, 1)) over the source (ibid.).
    """

    beam: int = 5
    length: float = 0.0
    coverage: float = 0.0


@torch.no_grad()
def beam_search(
    writer: Writer, limits: Tensor, search: Search, *, start: int, end: int, barred: Sequence[int] = ()
) -> list[list[Hypothesis]]:
    """The best hypotheses of each sentence, the best first.

    A hypothesis that has ended stays in the beam with its score; a sentence is done when no hypothesis that goes on
    can come before the best that has ended. Sentences that are done leave the batch.

    Args:
        writer: standing before the first word, with one hypothesis for each sentence.
        limits: (sentences,) the most words that may be written, end symbol included.
        search: how.
        start: the id that stands before the first word.
        end: the id of the end symbol.
        barred: ids that are never written.
    """
    found: list[list[Hypothesis]] = [[] for _ in limits]
    numbers = torch.arange(len(limits), device=limits.device)
    beams = _Beams.begin(limits, search, start, end, barred)
    while len(numbers):
        parents = beams.advance(*writer.step(beams.words))
        writer.follow(parents)
        done = beams.done()
        if bool(done.any()):
            for number, row in zip(numbers[done].tolist(), done.nonzero().squeeze(1), strict=True):
                found[number] = beams.hypotheses(row)
            going = (~done).nonzero().squeeze(1)
            numbers, beams = numbers[going], beams.keep(going)
            writer.keep(going)
    return found


@dataclass(slots=True)
class _Beams:
    """The hypotheses of the sentences that are not done.

    Attributes:
        search, end, barred: as given.
        limits: (sentences,).
        words: (sentences, beam) the last words.
        totals: (sentences, beam) sums of log-probabilities.
        ended: (sentences, beam) whether the end symbol was written.
        lengths: (sentences, beam) words written, end symbol included.
        written: (sentences, beam, steps) all words, the end symbol from the end on.
        attention: (sentences, beam, steps, source) what each looked at, zeros from the end on.
    """

    search: Search
    end: int
    barred: list[int]
    limits: Tensor
    words: Tensor
    totals: Tensor
    ended: Tensor
    lengths: Tensor
    written: Tensor
    attention: Tensor | None = None

    @classmethod
    def begin(cls, limits: Tensor, search: Search, start: int, end: int, barred: Sequence[int]) -> "_Beams":
        """Before the first word there is one hypothesis."""
        words = torch.full((len(limits), 1), start, device=limits.device)
        totals = torch.zeros(words.shape, device=limits.device)
        none, written = torch.zeros_like(words), words.new_empty(*words.shape, 0)
        return cls(search, end, list(barred), limits, words, totals, none.bool(), none, written)

    def advance(self, scores: Tensor, attention: Tensor) -> Tensor:
        """Go on with the best continuations; returns (sentences, beam) the hypothesis that each continues."""
        totals, words = self._continued(scores.float())
        # What has ended looks at nothing more, and goes on to nothing but itself.
        attention = attention.masked_fill(self.ended.unsqueeze(-1), 0).unsqueeze(2)
        attention = attention if self.attention is None else torch.cat([self.attention, attention], 2)
        lengths = self.lengths + ~self.ended
        ranks = totals / self._norm(lengths).unsqueeze(-1) + self._coverage(attention).unsqueeze(-1)
        ranks = ranks.flatten(1)
        chosen = ranks.topk(min(self.search.beam, ranks.shape[1]), 1).indices
        parents = chosen // totals.shape[-1]
        self.totals, self.words = totals.flatten(1).gather(1, chosen), words.flatten(1).gather(1, chosen)
        self.ended = self.words == self.end
        self.lengths = lengths.gather(1, parents)
        self.written = torch.cat([_picked(self.written, parents), self.words.unsqueeze(2)], 2)
        self.attention = _picked(attention, parents)
        return parents

    def _continued(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The best continuations of each hypothesis: totals and words (sentences, beam, choices)."""
        # Words of a hypothesis past its best `beam` cannot be among the best of its sentence.
        likely = scores.log_softmax(-1)
        likely[..., self.barred] = -torch.inf
        best, words = top(likely, min(self.search.beam, scores.shape[-1]))
        totals = self.totals.unsqueeze(-1) + best
        stays = torch.full_like(totals, -torch.inf)
        stays[..., 0] = self.totals
        ended = self.ended.unsqueeze(-1)
        return torch.where(ended, stays, totals), words.masked_fill(ended, self.end)

    def _norm(self, lengths: Tensor) -> Tensor:
        return ((5 + lengths) / 6) ** self.search.length

    def _coverage(self, attention: Tensor) -> Tensor:
        if not self.search.coverage:
            return attention.new_zeros(attention.shape[:2])
        seen = attention.sum(2)
        # No hypothesis ever sees what is past the source's end, which must not count as left out.
        past = (seen == 0).all(1, keepdim=True)
        shares = seen.clamp(torch.finfo(seen.dtype).tiny, 1).masked_fill(past, 1)
        return self.search.coverage * shares.log().sum(-1)

    def ranks(self) -> Tensor:
        """(sentences, beam) what hypotheses are ordered by."""
        assert self.attention is not None
        return self.totals / self._norm(self.lengths) + self._coverage(self.attention)

    def done(self) -> Tensor:
        """(sentences,) whether the limit is reached, or none that goes on can come before the best that has ended."""
        best = self.ranks().masked_fill(~self.ended, -torch.inf).amax(1)
        # Totals only fall; at most their normalisation rises to that of the limit, and the coverage to 0.
        hopes = self.totals / self._norm(self.limits).unsqueeze(1)
        return (best >= hopes.masked_fill(self.ended, -torch.inf).amax(1)) | (
            self.written.shape[2] >= self.limits
        )

    def keep(self, kept: Tensor) -> "_Beams":
        """Some of the sentences."""
        names = ("limits", "words", "totals", "ended", "lengths", "written", "attention")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def hypotheses(self, row: Tensor) -> list[Hypothesis]:
        """The hypotheses of a sentence, the best first."""
        assert self.attention is not None
        found = []
        for one in self.ranks()[row].argsort(descending=True, stable=True).tolist():
            finished = bool(self.ended[row, one])
            words = self.written[row, one, : int(self.lengths[row, one])].tolist()
            looked = self.attention[row, one, : len(words)]
            score = float(self.totals[row, one])
            if score > -torch.inf:
                found.append(Hypothesis(words[:-1] if finished else words, score, finished, looked))
        return found


def top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest of scores (..., words) and their places, (..., count), the largest first.

    They can only stand in the blocks whose largest score is among the `count` largest of all blocks'; to find those
    takes half the time of looking through all.
    """
    words = scores.shape[-1]
    whole = words - words % BLOCK
    if whole < 2 * count * BLOCK:
        best, places = scores.topk(count, -1)
        return best, places
    highest = scores[..., :whole].view(*scores.shape[:-1], -1, BLOCK).amax(-1)
    first = highest.topk(count, -1).indices * BLOCK
    inside = torch.arange(BLOCK, device=scores.device)
    rest = torch.arange(whole, words, device=scores.device).expand(*scores.shape[:-1], -1)
    places = torch.cat([(first.unsqueeze(-1) + inside).flatten(-2), rest], -1)
    best, chosen = scores.gather(-1, places).topk(count, -1)
    return best, places.gather(-1, chosen)


def _picked(values: Tensor, parents: Tensor) -> Tensor:
    """Of values (sentences, beam, ...), those of some hypotheses (sentences, beam)."""
    return values[torch.arange(len(parents), device=parents.device).unsqueeze(1), parents]
