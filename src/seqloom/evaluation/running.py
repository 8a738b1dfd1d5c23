"""Figures of language models over running text, with what may be added to a model when it is used."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from seqloom.data.batch import Encoded
from seqloom.data.fields import UNLISTED
from seqloom.evaluation.dynamic import Learner, learning
from seqloom.heads.language import Cache, Language
from seqloom.model.network import Network
from seqloom.model.streaming import Streamer
from seqloom.nn.precision import forget_casts, unlearning
from seqloom.progress import notice, track


def measure(
    network: Network, streamer: Streamer, *, device: torch.device | None = None, what: str = ""
) -> dict[str, float]:
    """The figures of a language model on a text, read once from its beginning, its state carried along.

    Args:
        network: put into evaluation mode, and back after.
        streamer: makes the batches.
        device: where to run; the CPU if None.
        what: the words of a progress bar, if one is wanted.
    """
    head = network.head(streamer.task.name)
    assert isinstance(head, Language)
    device = device or torch.device("cpu")
    sums, count = Counter[str]({"characters": streamer.characters}), 0
    caches = [_Cache(head.config.cache) for _ in streamer.stream.values] if head.config.cache else []
    if caches:
        _tell_covered(head.config.cache.window, *streamer.stream.values.shape)

    def over(paths: list[str], learn: Learner) -> None:
        for _ in _read(network, head, streamer.over(*paths), device, "gathering gradients", learn):
            pass

    with _evaluating(network), learning(network.learning(), head.config.dynamic, over) as learn:
        for encoded, gold in _read(network, head, streamer, device, what, learn):
            found, right = head.foretold(encoded.states, gold)
            if caches:
                read = (found, encoded.raw, gold)
                if streamer.stream.backward:
                    # What stands last was read first.
                    read = (read[0].flip(1), read[1].flip(1), read[2].flip(1))
                pairs = zip(caches, zip(*read, strict=True), strict=True)
                found = torch.stack([cache.beside(*one) for cache, one in pairs])
            sums.update({"loss": -float(found.double().sum()), "right": right})
            count += int((gold != UNLISTED).sum())
    return head.measured(sums, count)


def _tell_covered(window: int, streams: int, time: int) -> None:
    """Tell where a cache is hardly ever full, as it must be to act."""
    share = max(0, time - 2 - window) / (time - 1)
    if share < 0.5:
        what = f"the cache, full of {window:,} in each of {streams} streams, acts on {share:.0%} of the tokens"
        notice(f"{what}; take fewer streams (streams=1 reads the text as one), or a smaller window")


def _read(
    network: Network,
    head: Language,
    streamer: Streamer,
    device: torch.device,
    what: str,
    learn: Learner | None,
) -> Iterator[tuple[Encoded, Tensor]]:
    """Each window of one pass, encoded, with what follows its tokens; `learn` gets its loss after that."""
    windows = streamer.windows()
    state: Any = None
    for number in track(range(len(windows)), what) if what else range(len(windows)):
        batch = streamer.batch(windows.rows(number)).to(device)
        gold = batch.tensor("next")
        assert gold is not None
        with unlearning() if learn is None else nullcontext():
            encoded = network.encode(batch, head.encodes[0], state)
            with torch.no_grad():
                yield encoded, gold
            state = detached(encoded.state)
            if learn is not None:
                learn(head.loss(encoded.states, gold) / gold.numel())


@contextmanager
def _evaluating(network: Network) -> Iterator[None]:
    learning = network.training
    network.eval()
    forget_casts()
    try:
        yield
    finally:
        network.train(learning)


def detached(state: Any) -> Any:
    """A state, however nested, without the way back to what it came from."""
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(detached(one) for one in state) if isinstance(state, tuple) else state


class _Cache:
    """The last states of one stream with the words that followed, and what they foretell (Grave et al. 2017, eq. 3-5).

    As in the published program, it counts once more than `window` pairs are there; unlike there, at every token.
    """

    def __init__(self, how: Cache) -> None:
        self.how = how
        self.states: Tensor | None = None
        self.words = torch.empty(0, dtype=torch.int64)

    def beside(self, found: Tensor, states: Tensor, gold: Tensor) -> Tensor:
        """Log-probabilities (time,) of gold words by the model, `found`, and the cache together."""
        window, before = self.how.window, len(self.words)
        every = states if self.states is None else torch.cat([self.states, states])
        words = torch.cat([self.words.to(gold.device), gold])
        places = before + torch.arange(len(gold), device=gold.device).unsqueeze(1)
        ages = places - torch.arange(len(words), device=gold.device)
        alike = (self.how.flatness * (states @ every.t())).float()
        alike = alike.masked_fill((ages < 1) | (ages > window), -math.inf)
        shares = alike.softmax(-1).nan_to_num()
        cached = (shares * (words == gold.unsqueeze(1))).sum(-1)
        self.states, self.words = every[-window - 1 :], words[-window - 1 :]
        share = self.how.share
        both = torch.log(share * cached + (1 - share) * found.exp())
        return torch.where(places.squeeze(1) > window, both, found)
