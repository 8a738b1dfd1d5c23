import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data import tokens
from seqloom.data.tokens import View, shape, tokenize
from seqloom.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop, re-do it!", ["Don't", "stop", ",", "re-do", "it", "!"]),
        ("U.S.A. 3.14", ["U.S.A", ".", "3.14"]),
        ("l’été à Enschede", ["l’été", "à", "Enschede"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा", "।"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("❤\ufe0f ok", ["❤\ufe0f", "ok"]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_words_keep_their_inner_marks(text, tokens):
    assert tokenize(text) == tokens


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_words_lose_nothing_but_blanks(text):
    assert "".join(tokenize(text)) == "".join(text.split())


def test_blanks_and_characters():
    assert tokenize(" don't  stop. ", "blanks") == ["don't", "stop."]
    assert tokenize("a b", "characters") == ["a", " ", "b"]


@pytest.mark.parametrize(
    ("token", "outline"),
    [("Twente", "Xxx"), ("F.C.", "X.X."), ("1998", "dd"), ("iPhone13", "xXxxdd"), ("---", "--"), ("", "")],
)
def test_the_shape_of_a_token(token, outline):
    assert shape(token) == outline


@pytest.mark.parametrize(
    ("view", "symbols"),
    [
        (View("word"), ["Route66"]),
        (View("word", lower=True, zeros=True), ["route00"]),
        (View("characters"), list("Route66")),
        (View("characters", lower=True, zeros=True), list("route00")),
        (View("prefix", 3), ["Rou"]),
        (View("suffix", 3, lower=True), ["e66"]),
        (View("suffix", 9), ["Route66"]),
        (View("shape"), ["Xxxdd"]),
        (View("hashes", 7, smallest=7, buckets=1), ["0"] * 3),
    ],
)
def test_the_symbols_of_a_token(view, symbols):
    assert view.symbols("Route66") == symbols
    assert view.deep == (view.kind in ("characters", "hashes"))


def test_moses_cuts_clitics_and_may_escape_them():
    pytest.importorskip("sacremoses")
    text = "The moth's lamp isn't [here] & \"there\"."
    plain = ["The", "moth", "'s", "lamp", "isn", "'t", "[", "here", "]", "&", '"', "there", '"', "."]
    assert tokenize(text, "moses") == plain
    entities = {"'s": "&apos;s", "'t": "&apos;t", "[": "&#91;", "]": "&#93;", "&": "&amp;", '"': "&quot;"}
    assert tokenize(text, "moses-escaped") == [entities.get(word, word) for word in plain]


def test_moses_cuts_by_the_rules_of_a_language():
    pytest.importorskip("sacremoses")
    assert tokenize("Am 3. Mai bzw. im Juni", "moses", "de") == ["Am", "3.", "Mai", "bzw.", "im", "Juni"]
    assert tokenize("Am 3. Mai", "moses") == ["Am", "3", ".", "Mai"]


def test_without_sacremoses_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    tokens._moses.cache_clear()
    with pytest.raises(ConfigError, match=r"seqloom\[text\]"):
        tokenize("a moth", "moses")
