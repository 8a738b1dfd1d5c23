import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tokens import View, shape, tokenize


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
    ],
)
def test_the_symbols_of_a_token(view, symbols):
    assert view.symbols("Route66") == symbols
    assert view.deep == (view.kind == "characters")
