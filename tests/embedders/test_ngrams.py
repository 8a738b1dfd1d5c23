import numpy as np
import pytest
import torch
from pydantic import ValidationError

from seqloom.data.batch import Text
from seqloom.data.columns import Column
from seqloom.data.fields import TextField
from seqloom.data.tokens import View, ngram_hashes, ngrams
from seqloom.data.vectors import Vectors
from seqloom.data.vocabulary import SPECIALS, Vocabulary
from seqloom.embedders.ngrams import CharacterNgrams
from seqloom.errors import ConfigError


def test_the_grams_of_a_word_are_distinct_and_mark_its_ends():
    assert ngrams("ab", 2, 3) == [
        "2gram-#BEGIN#a",
        "2gram-ab",
        "2gram-b#END#",
        "3gram-#BEGIN#ab",
        "3gram-ab#END#",
    ]
    assert ngrams("aaa", 2, 2) == ["2gram-#BEGIN#a", "2gram-aa", "2gram-a#END#"]
    assert ngrams("x", 4, 4) == []
    assert View("ngrams", 2, lower=True, smallest=2).symbols("A") == ["2gram-#BEGIN#a", "2gram-a#END#"]


def text(*words):
    """Words as lists of the ids of their grams, in one row."""
    longest = max(map(len, words))
    ids = torch.tensor([[[*grams, *[0] * (longest - len(grams))] for grams in words]])
    return Text({"ngrams": ids}, torch.tensor([len(words)]))


def test_a_vector_is_the_mean_of_the_grams_that_are_known():
    torch.manual_seed(1)
    grams = Vocabulary([*SPECIALS, "2gram-ab", "2gram-bc", "2gram-cd"])
    one = CharacterNgrams(CharacterNgrams.Config(size=3), vocabularies={"ngrams": grams})
    rows = one.table.weight
    found = one(text([2, 3], [4], [1, 2], [1]))[0]
    expected = torch.stack([(rows[2] + rows[3]) / 2, rows[4], rows[2], torch.zeros(3)])
    torch.testing.assert_close(found, expected)


def test_grams_of_a_store_are_frozen_and_those_it_lacks_are_left_out(tmp_path):
    (tmp_path / "grams.txt").write_text("2gram-ab 1 2\n2gram-cd 3 4\n")
    grams = Vocabulary([*SPECIALS, "2gram-ab", "2gram-bc"])
    config = CharacterNgrams.Config(vectors="kazuma")
    one = CharacterNgrams(config, vocabularies={"ngrams": grams}, vectors=Vectors.open(tmp_path / "grams.txt"))
    assert one(text([2, 3], [3]))[0].tolist() == [[1, 2], [0, 0]]
    assert not one.table.weight.requires_grad
    assert one.size == 2


def test_a_store_of_words_has_no_grams(tmp_path):
    (tmp_path / "words.txt").write_text("ab 1 2\n")
    config, grams = CharacterNgrams.Config(vectors="words"), Vocabulary([*SPECIALS, "2gram-ab"])
    with pytest.raises(
        ConfigError, match="none of the 1 n-grams has a vector; its words should be written as 2gram-ab is"
    ):
        CharacterNgrams(config, vocabularies={"ngrams": grams}, vectors=Vectors.open(tmp_path / "words.txt"))


def test_hashed_grams_have_rows_though_training_lacks_them():
    config = CharacterNgrams.Config(size=3, buckets=50, smallest=2, largest=3)
    (index,) = CharacterNgrams.indexes(config)
    column = Column(np.array([0]), np.array([0, 1]), ["hond"])
    vocabulary = TextField((index,)).counted(column)["ngrams"].fit()
    assert vocabulary.symbols == (*SPECIALS, *map(str, range(50)))
    one = CharacterNgrams(config, vocabularies={"ngrams": vocabulary})
    unseen = [vocabulary.id(str(value % 50)) for value in ngram_hashes(b"kat", 2, 3)]
    assert [vocabulary.id(symbol) for symbol in index.view.symbols("Kat")] == unseen
    torch.testing.assert_close(one(text(unseen))[0, 0], one.table.weight[unseen].mean(0))


@pytest.mark.parametrize(
    "keys",
    [{}, {"size": 3, "vectors": "v"}, {"size": 3, "smallest": 5}, {"size": 3, "buckets": 9, "minimum": 2}],
)
def test_what_it_is_made_of_must_be_said(keys):
    with pytest.raises(ValidationError, match=r"one of the two|not be over largest|leave vectors and"):
        CharacterNgrams.Config(**keys)
