"""Words near a word, by the vectors that a model has learnt."""

import torch
from torch.nn import functional

from seqloom.embedders import indexes
from seqloom.embedders.word import Word
from seqloom.errors import ModelError
from seqloom.model.folder import Assembly


def near(model: Assembly, word: str, count: int = 10, embedder: str | None = None) -> list[tuple[str, float]]:
    """The `count` words whose vectors have the highest cosine with the word's, the nearest first.

    Args:
        model: whose words.
        word: any word, read as the embedder reads it (in lower case, for instance); one that the vocabulary lacks is
            refused.
        count: how many, at least 1.
        embedder: the name of a word embedder, where there are several.

    Raises:
        ModelError: no such embedder, several and none named, or an unknown word.
    """
    name, table = _table(model, embedder)
    vocabulary = model.vocabularies[table.vocabulary]
    (index,) = indexes(name, model.plan.embedders[name])
    (read,) = index.view.symbols(word)
    if read not in vocabulary:
        raise ModelError(f'"{read}" is not among the {len(vocabulary):,} words of the vocabulary')
    if count < 1:
        raise ModelError(f"count is at least 1, not {count}")
    vectors = functional.normalize(table.table.weight.detach(), dim=-1)
    cosines = vectors @ vectors[vocabulary.id(read)]
    # Neither padding, nor the unknown word, nor the word itself is a neighbour.
    cosines[[0, 1, vocabulary.id(read)]] = -2.0
    best = torch.topk(cosines, min(count, len(vocabulary) - 3))
    return [(vocabulary[place], value) for value, place in zip(*map(torch.Tensor.tolist, best), strict=True)]


def _table(model: Assembly, name: str | None) -> tuple[str, Word]:
    found = {
        one: part for one in model.plan.embedders if isinstance(part := model.network.embedders[one], Word)
    }
    if not found:
        raise ModelError("has no word embedder")
    if name is None and len(found) > 1:
        raise ModelError(f"has several word embedders; name one: {', '.join(found)}")
    name = name or next(iter(found))
    if name not in found:
        raise ModelError(f'has no word embedder "{name}"; it has {", ".join(found)}')
    return name, found[name]
