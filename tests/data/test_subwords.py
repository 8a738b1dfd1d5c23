import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.subwords import JOINER, Cutter, join_pieces, learn_pieces
from seqloom.data.vocabulary import Vocabulary
from seqloom.errors import ConfigError

COUNTS = {"lower": 5, "lowest": 3, "newer": 6, "wider": 2}


def test_pairs_are_merged_in_the_order_they_were_learnt():
    cut = Cutter(Vocabulary([*"abc", "bc", "ab", "abc"]))
    assert cut(["abc", "abcab", "b"]) == ["abc", "abc⁀", "ab", "b"]
    assert Cutter(Vocabulary([*"abc", "bc", "ab"]))(["abc"]) == ["a⁀", "bc"]


def test_learnt_pieces_begin_with_the_characters_and_cut_unseen_words():
    pieces = learn_pieces(COUNTS, 16)
    letters = set("".join(COUNTS))
    assert set(pieces.symbols[: len(letters)]) == letters
    assert len(pieces) == 16
    cut = Cutter(pieces)(["newest"])
    assert all(piece.removesuffix(JOINER) in pieces for piece in cut)
    assert 1 < len(cut) < len("newest")


def test_frequent_words_become_one_piece():
    assert Cutter(learn_pieces(COUNTS, 60))(["newer", "lower"]) == ["newer", "lower"]


@given(st.lists(st.text("abc⁀ß ", min_size=1)))
def test_joining_undoes_cutting(words):
    cut = Cutter(Vocabulary([*"abc", "ab", "bc", "abc"]))
    assert join_pieces(cut(words)) == words


def test_words_without_joiners_stay_and_an_unfinished_word_is_told():
    assert join_pieces(["two", "words"]) == ["two", "words"]
    assert join_pieces(["a", "b⁀", "c⁀"]) == ["a", "bc"]


def test_fewer_pieces_than_characters_are_refused():
    with pytest.raises(ConfigError, match="reader: 3 pieces cannot hold the 10 characters"):
        learn_pieces(COUNTS, 3, what="reader")


def test_a_size_out_of_reach_is_told(caplog):
    found = learn_pieces({"ab": 2}, 50, what="reader")
    assert found.symbols == ("a", "b", "ab")
    assert "3 pieces were learnt, not 50" in caplog.text


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"seqloom\[text\]"):
        learn_pieces(COUNTS, 20)
