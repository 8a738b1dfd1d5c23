"""Texts drawn at random from what a decoder holds to be likely, rather than searched for."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.nn.beam import Hypothesis, Writer
from seqloom.nn.softmaxes import likeliest


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw words.

    Attributes:
        temperature: scores are divided by it; at 0 the most likely word is taken.
        top_k: only so many of the most likely words may be drawn (Fan et al. 2018).
        nucleus: only the fewest most likely words that have this share of the probability (Holtzman et al. 2020).
        seed: what the draws depend on; they are the same for every text, whatever texts are beside it.
    """

    temperature: float = 1.0
    top_k: int | None = None
    nucleus: float = 1.0
    seed: int = 1


def draw(scores: Tensor, places: Tensor, sampling: Sampling) -> Tensor:
    """The words (...) at some places, from 0 up to 1, of the probability that scores (..., words) spread, likely first.

    Places that are even on that line draw words as often as their probability, of those that may be drawn, says.
    """
    if not sampling.temperature or sampling.top_k == 1:
        return likeliest(scores)
    count = min(sampling.top_k or scores.shape[-1], scores.shape[-1])
    likely, words = (scores.double() / sampling.temperature).topk(count, -1)
    shares = likely.softmax(-1)
    before = shares.cumsum(-1) - shares
    shares = shares.masked_fill(before >= sampling.nucleus, 0)
    ends = shares.cumsum(-1)
    chosen = (ends <= places.unsqueeze(-1) * ends[..., -1:]).sum(-1, keepdim=True)
    return words.gather(-1, chosen.clamp(max=count - 1)).squeeze(-1)


@torch.no_grad()
def sample(
    writer: Writer,
    limits: Tensor,
    sampling: Sampling,
    count: int,
    *,
    start: int,
    end: int,
    barred: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """Texts drawn for each sentence, in the order of drawing; their scores are those of the model, at temperature 1.

    Args:
        writer: standing before the first word, with one hypothesis for each sentence.
        limits: (sentences,) the most words that may be written, end symbol included.
        sampling: how.
        count: texts for each sentence.
        start: the id that stands before the first word.
        end: the id of the end symbol, -1 for none.
        barred: ids that are never written.
    """
    random = torch.Generator().manual_seed(sampling.seed)
    words = torch.full((len(limits), 1), start, device=limits.device)
    ended = torch.zeros(len(limits), count, dtype=torch.bool, device=limits.device)
    steps: list[tuple[Tensor, Tensor, Tensor]] = []
    while not bool((ended | (limits <= len(steps)).unsqueeze(1)).all()):
        scores, attention = (one.expand(-1, count, -1) for one in writer.step(words))
        likely = scores.float().log_softmax(-1)
        likely[..., [*barred]] = -torch.inf
        words = draw(likely, torch.rand(count, generator=random).to(likely.device), sampling)
        parents = torch.arange(count, device=words.device) * bool(steps)
        writer.follow(parents.expand(len(words), -1))
        steps.append((words, likely.gather(-1, words.unsqueeze(-1)).squeeze(-1), attention))
        ended = ended | (words == end)
    written, scored, looked = (torch.stack(one, 2) for one in zip(*steps, strict=True))
    return [
        [_cut(written[row, one, :most], scored[row, one], looked[row, one], end) for one in range(count)]
        for row, most in enumerate(limits.tolist())
    ]


def _cut(written: Tensor, scored: Tensor, looked: Tensor, end: int) -> Hypothesis:
    """A text up to its end symbol or its limit."""
    words = written.tolist()
    finished = end in words
    length = words.index(end) + 1 if finished else len(words)
    score = float(scored[:length].sum())
    return Hypothesis(words[: length - finished], score, finished, looked[:length])
