from pathlib import Path

import numpy as np
import pytest

from seqloom.deploy.near import near
from seqloom.errors import ModelError
from seqloom.model.folder import load
from tests import tiny


def test_neighbours_are_the_words_of_highest_cosine(finished: Path) -> None:
    model = load(finished)
    words = model.vocabularies["words"]
    vectors = model.network.state_dict()["embedders.words.table.weight"].numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
    cosines = unit @ unit[words.id("moth")]
    others = [word for word in words if word not in ("<pad>", "<unk>", "moth")]
    expected = sorted(others, key=lambda word: -cosines[words.id(word)])
    found = near(model, "moth", 4)
    assert [word for word, _ in found] == expected[:4]
    assert [cosine for _, cosine in found] == pytest.approx([cosines[words.id(word)] for word in expected[:4]])
    assert {word for word, _ in near(model, "moth", 1000)} == set(others)


def test_a_word_is_read_as_the_embedder_reads_it(corpus: Path) -> None:
    config = tiny.one(corpus)
    config["embedders"]["words"] |= {"lower": True}
    model = tiny.untrained(config)
    assert near(model, "MOTH") == near(model, "moth")
    with pytest.raises(ModelError, match="count is at least 1, not -1"):
        near(model, "moth", -1)


def test_what_cannot_be_asked_is_told_with_the_choices(corpus: Path) -> None:
    config = tiny.two(corpus)
    config["embedders"] = {
        "left": {"type": "word", "size": 3},
        "right": {"type": "word", "size": 3, "vocabulary": "others"},
        "words": {"type": "concat", "of": ["left", "right"]},
    }
    model = tiny.untrained(config)
    with pytest.raises(ModelError, match="has several word embedders; name one: left, right"):
        near(model, "moth")
    with pytest.raises(ModelError, match='has no word embedder "words"; it has left, right'):
        near(model, "moth", embedder="words")
    with pytest.raises(ModelError, match=r'"mothh" is not among the .* words of the vocabulary'):
        near(model, "mothh", embedder="left")
    config["embedders"] = {"words": {"type": "chars"}}
    with pytest.raises(ModelError, match="has no word embedder"):
        near(tiny.untrained(config), "moth")
