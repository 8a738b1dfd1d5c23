"""Words added to a trained model: their vectors are those of a store, mapped into the model's own space."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seqloom.config import unknown
from seqloom.data.fields import TextField
from seqloom.data.tokens import Index
from seqloom.data.vector_match import Match
from seqloom.data.vectors import Vectors
from seqloom.data.vocabulary import PRODUCED, SPECIALS, Vocabulary
from seqloom.deploy.linear import LinearMap
from seqloom.embedders import indexes
from seqloom.embedders.word import Word
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.model.folder import Assembly, assemble
from seqloom.progress import notice

How = Literal["least-squares", "orthogonal"]
HELD_OUT = 0.1
"""The share of the shared words that the fit is judged on."""


@dataclass(frozen=True)
class Fit:
    """How well a map finds the vectors of words that it was not fitted on.

    Args:
        embedder: whose vectors.
        shared: words that both the model and the store have.
        held_out: how many of them the figures are over.
        explained: the share of the vectors' variance that the map explains, in percent.
        cosine: the mean cosine with the words' own vectors.
        first: how often a word's own vector is the nearest by cosine among all held-out ones, in percent.
    """

    embedder: str
    shared: int
    held_out: int
    explained: float
    cosine: float
    first: float


@dataclass(frozen=True)
class Expansion:
    """A model with more words, and how it came to them.

    Args:
        model: the new model.
        fits: for each word embedder.
        added: words that it has now and had not before.
        missing: words asked for that neither the model nor the store has; they stay unknown.
    """

    model: Assembly
    fits: list[Fit]
    added: int
    missing: int


def expand(
    model: Assembly,
    vectors: Vectors,
    words: Iterable[str] | None = None,
    *,
    how: How = "least-squares",
    ridge: float = 0.0,
    replace: bool = False,
    embedder: str | None = None,
    seed: int = 0,
) -> Expansion:
    """A model that knows more words, without training (Kiros et al. 2015; as GenSen's, which replaces the words).

    A linear map from the store's vectors to the model's is fitted on the words that both have; the other words get what
    it makes of theirs. Every word table that reads the vocabulary gets a map of its own. Nothing else changes.

    Args:
        model: with a word embedder.
        vectors: any store.
        words: which to add; None for all of the store.
        how: least squares, or a turn and one scale.
        ridge: what a squared weight costs; of use where few words are shared.
        replace: whether words that are not asked for are forgotten, as in the original.
        embedder: a word embedder of the vocabulary to widen, where there are several vocabularies.
        seed: which words are held out.

    Raises:
        ModelError: no such embedder, or a part that must know the number of words beforehand.
        DataError: too few words are shared.
        ConfigError: arguments that do not go together.
    """
    _check(how, ridge, words, replace)
    index, tables = _tables(model, embedder)
    _refuse_pieces(model, index)
    known = model.vocabularies[index.vocabulary]
    asked = _asked(vectors.words if words is None else words, index)
    kept = [word for word in known if not replace or word in PRODUCED or word in asked]
    shared = _shared(known, vectors, plain=not ridge and how == "least-squares")
    match = _match(vectors, [word for word in asked if word not in known], kept)
    source = _checked(vectors, vectors.match(shared, loosest="exact")).vectors.astype(np.float64)
    state, fits = dict(model.network.state_dict()), []
    for name, weight in tables.items():
        own = state[weight].double().numpy()
        pairs = _known(name, source, own[[known.id(word) for word in shared]])
        fits.append(_judged(name, *pairs, _Way(how, ridge), seed))
        rows = own[[known.id(word) for word in kept]], _Way(how, ridge).fit(*pairs)(match.vectors[match.found])
        state[weight] = torch.from_numpy(np.concatenate(rows)).float()
    fresh = [word for word, found in zip(match.words, match.found, strict=True) if found]
    listed = {**model.vocabularies, index.vocabulary: Vocabulary([*kept, *fresh], known.written)}
    return Expansion(_rebuilt(model, listed, state), fits, len(fresh), int((~match.found).sum()))


def _checked(vectors: Vectors, match: Match) -> Match:
    match.check(f"vectors {vectors.name}")
    return match


def _match(vectors: Vectors, words: Sequence[str], kept: Sequence[str]) -> Match:
    """The vectors of the words to add; a ConfigError where beside those that are kept no word would be known."""
    match = _checked(vectors, vectors.match(words))
    if not match.found.any() and all(word in PRODUCED for word in kept):
        what = f"neither the model nor {vectors.name} knows any of the words, so none would be left"
        raise ConfigError(f"{what}; name others with words (--words)")
    return match


def _check(how: How, ridge: float, words: Iterable[str] | None, replace: bool) -> None:
    if how not in get_args(How):
        raise ConfigError(unknown("way (how)", how, get_args(How)))
    if ridge < 0:
        raise ConfigError(f"a ridge is 0 or more, found {ridge}")
    if ridge and how == "orthogonal":
        raise ConfigError("a turn has no ridge; take one of the two")
    if isinstance(words, str):
        raise ConfigError("takes a list of words, found one text; put it into a list")
    if replace and words is None:
        raise ConfigError("which words shall replace the old ones? Name them with words (--words)")


@dataclass(frozen=True)
class _Way:
    how: How
    ridge: float

    def fit(self, source: np.ndarray, target: np.ndarray) -> LinearMap:
        if self.how == "orthogonal":
            return LinearMap.orthogonal(source, target)
        return LinearMap.least_squares(source, target, self.ridge)


def _shared(known: Vocabulary, vectors: Vectors, *, plain: bool) -> list[str]:
    found = [word for word in known if word not in SPECIALS and word in vectors]
    if len(found) < 2:
        what = f"the model and {vectors.name} share {len(found)} of the model's {len(known):,} words"
        raise DataError(f"{what}; take vectors of its language, cut into words alike")
    if plain and len(found) <= vectors.size:
        notice(f"only {len(found)} shared words for vectors of {vectors.size} numbers; a ridge would help")
    return found


def _known(name: str, source: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of which the model's vector is one: a zero vector says that the model's own store lacked the word."""
    there = own.any(1)
    if there.sum() < 2:
        what = f"of the words that it shares, the table of embedder {name} has vectors for {there.sum()}"
        raise DataError(f"{what}; take vectors that share more of its words")
    return source[there], own[there]


def _asked(words: Iterable[str], index: Index) -> dict[str, None]:
    """The words as the vocabulary lists them, each once."""
    return {index.view.symbols(word)[0]: None for word in words if word and word not in PRODUCED}


def _tables(model: Assembly, embedder: str | None) -> tuple[Index, dict[str, str]]:
    """How words are looked up, and by embedder the names of the weights that hold a row for each of them."""
    found = {
        name: part for name in model.plan.embedders if isinstance(part := model.network.embedders[name], Word)
    }
    if not found:
        raise ModelError("has no word embedder of its own, so no words can be added")
    if embedder is not None and embedder not in found:
        raise ModelError(f'has no word embedder "{embedder}"; it has {", ".join(found)}')
    chosen = {part.vocabulary for name, part in found.items() if embedder in (None, name)}
    if len(chosen) > 1:
        raise ModelError(f"has several vocabularies; name a word embedder (--embedder): {', '.join(found)}")
    (vocabulary,) = chosen
    own = {
        name: f"embedders.{name}.table.weight" for name, part in found.items() if part.vocabulary == vocabulary
    }
    first = next(iter(own))
    return indexes(first, model.plan.embedders[first])[0], own


def _refuse_pieces(model: Assembly, index: Index) -> None:
    """Refuse a vocabulary of pieces, into which every word is cut before it is looked up."""
    reading = [
        task
        for task in model.tasks.values()
        if any(index in field.indexes for field in task.fields.values() if isinstance(field, TextField))
    ]
    if reading and all(task.reader.learned for task in reading):
        what = f"task {reading[0].name} cuts words into pieces (subwords)"
        raise ModelError(f"{what}: a word that is added would never be looked up")


def _judged(name: str, source: np.ndarray, target: np.ndarray, way: _Way, seed: int) -> Fit:
    """How well the map that is fitted on most pairs does on the others."""
    order = np.random.default_rng(seed).permutation(len(source))
    held, rest = np.split(order, [max(1, round(HELD_OUT * len(order)))])
    predicted, own = way.fit(source[rest], target[rest])(source[held]), target[held]
    spread = np.square(own - target[rest].mean(0)).sum()
    explained = 1 - np.square(own - predicted).sum() / max(spread, np.finfo(float).tiny)
    unit, units = _unit(predicted), _unit(own)
    first = (_nearest(unit, units) == np.arange(len(held))).mean()
    cosine = (unit * units).sum(1).mean()
    return Fit(name, len(source), len(held), 100 * float(explained), float(cosine), 100 * float(first))


def _unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return found


def _nearest(vectors: np.ndarray, among: np.ndarray) -> np.ndarray:
    """For each unit vector the place of the nearest."""
    parts = [(vectors[start : start + 1024] @ among.T).argmax(1) for start in range(0, len(vectors), 1024)]
    return np.concatenate(parts)


def _rebuilt(
    model: Assembly, vocabularies: Mapping[str, Vocabulary], weights: Mapping[str, Tensor]
) -> Assembly:
    """The model anew, without its figures, which were measured with other words."""
    try:
        return assemble(model.settings, vocabularies, weights)
    except RuntimeError:
        what = "a part beside its word tables has a weight for each word, such as scores over them"
        raise ModelError(f"{what}; add words to the encoder alone (`seqloom extract`)") from None
