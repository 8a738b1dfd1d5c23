"""The best label sequences of a linear chain, in numpy alone: arrays in, paths out.

Transitions are (labels + 2, labels + 2) as [to, from]; the last two are the start and the end.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]

_FORBIDDEN = -1e30


class Path(NamedTuple):
    """A sentence's labels and their score."""

    labels: list[int]
    score: float


class _Chain(NamedTuple):
    """Transitions (labels, labels) as [to, from], and those from the start and to the end, finite throughout."""

    moves: Floats
    start: Floats
    end: Floats


def _chain(transitions: Floats) -> _Chain:
    finite = np.maximum(transitions, transitions.dtype.type(_FORBIDDEN))
    return _Chain(np.ascontiguousarray(finite[:-2, :-2]), finite[:-2, -2], finite[-1, :-2])


def viterbi(emissions: Floats, transitions: Floats, lengths: Counts) -> list[Path]:
    """The best path of every sentence (Viterbi 1967); the one with fewest forbidden transitions if none is allowed.

    Shapes: emissions (batch, time, labels), lengths (batch,), at least 1.
    """
    chain = _chain(transitions)
    reached = _reach(emissions, chain, lengths)
    sentences = np.arange(len(lengths))
    final = reached[lengths - 1, sentences] + chain.end
    last = final.argmax(1)
    scores = final[sentences, last].tolist()
    traced = _trace(reached, chain.moves, last, lengths)
    return [Path(path[:length], score) for path, length, score in zip(traced, lengths, scores, strict=True)]


def _reach(emissions: Floats, chain: _Chain, lengths: Counts) -> Floats:
    """The score of the best path up to each label: (time, batch, labels)."""
    steps, (batch, _, labels) = int(lengths.max()), emissions.shape
    # Sums and maxima run along the batch, which is last in memory.
    own = np.zeros((steps, labels, batch), emissions.dtype)
    real = np.arange(steps)[:, None] < lengths
    np.copyto(own, emissions[:, :steps].transpose(1, 2, 0), where=real[:, None])
    moves = np.repeat(chain.moves.T[:, :, None], batch, axis=2)
    sums, reached = np.empty_like(moves), np.empty_like(own)
    np.add(own[0], chain.start[:, None], out=reached[0])
    for step in range(1, steps):
        here = reached[step]
        np.add(moves, reached[step - 1][:, None], out=sums)
        np.maximum.reduce(sums, axis=0, out=here)
        np.add(here, own[step], out=here)
    return np.ascontiguousarray(reached.transpose(0, 2, 1))


def _trace(reached: Floats, moves: Floats, last: Counts, lengths: Counts) -> list[list[int]]:
    """The labels (batch, time) that lead to `last`, found anew on the path alone: no back-pointers are kept."""
    steps, batch, _ = reached.shape
    # From a sentence's end on, its last label is held, so that all sentences are traced at once.
    held, sentences = np.nonzero(np.arange(steps)[:, None] >= lengths - 1)
    reached[held, sentences, last[sentences]] = np.inf
    path = np.empty((steps, batch), np.int64)
    path[-1] = last
    sums = np.empty_like(reached[0])
    for step in range(steps - 1, 0, -1):
        np.take(moves, path[step], axis=0, out=sums, mode="clip")
        np.add(sums, reached[step - 1], out=sums)
        sums.argmax(1, out=path[step - 1])
    paths: list[list[int]] = path.T.tolist()
    return paths


def n_best(emissions: Floats, transitions: Floats, lengths: Counts, count: int) -> list[list[Path]]:
    """The `count` best allowed paths of every sentence, best first; fewer where there are no more.

    Shapes as in `viterbi`.
    """
    chain = _chain(transitions)
    return [
        _sentence_n_best(scores[:length], chain, count)
        for scores, length in zip(emissions, lengths, strict=True)
    ]


def _sentence_n_best(own: Floats, chain: _Chain, count: int) -> list[Path]:
    """List Viterbi (Seshadri and Sundberg 1994): the `count` best ways to each label, where Viterbi keeps one."""
    labels = own.shape[1]
    best = np.full((count, labels), -np.inf, own.dtype)
    best[0] = chain.start + own[0]
    origins = []
    for scores in own[1:]:
        ways = (chain.moves[:, None] + best).reshape(labels, -1)
        origin = np.argsort(-ways, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(ways, origin, 1).T + scores
        origins.append(origin.T.reshape(-1))
    final = (best + chain.end).reshape(-1)
    order = np.argsort(-final, kind="stable")[:count]
    return [
        Path(_follow(origins, int(way), labels), float(final[way]))
        for way in order
        if final[way] > _FORBIDDEN / 2
    ]


def _follow(origins: list[Counts], way: int, labels: int) -> list[int]:
    """The labels of the path that ends in `way`, a flat index of (rank, label)."""
    path = [way % labels]
    for origin in reversed(origins):
        way = int(origin[way])
        path.append(way % labels)
    return path[::-1]
