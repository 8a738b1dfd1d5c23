import pytest
from pydantic import ValidationError

from seqloom.data.cleaning import Cleaning


def why(one: str, other: str, /, **keys) -> str | None:
    return Cleaning(**keys).refusal(one.split(), other.split())


def test_text_that_was_read_as_latin_1_is_put_right():
    clean = Cleaning(repair=True)
    meant = "groß, naïve"
    assert clean.repaired(meant.encode().decode("latin-1")) == meant
    assert clean.repaired(meant) == meant
    assert clean.repaired("мир") == "мир"
    assert Cleaning().repaired("Ã¼") == "Ã¼"


def test_copies_are_refused():
    assert why("the same", "the same") == "pairs with equal sides"
    assert why("the same", "The same") is None


@pytest.mark.parametrize(
    ("text", "scripts", "refused"),
    [
        ("Grüße aus Łódź , 1989 !", ["latin"], False),
        ("это по-русски", ["latin"], True),
        ("это по-русски", ["cyrillic"], False),
        ("αβγδ", ["latin", "cyrillic"], True),
        ("漢字 です", ["cjk"], True),
        ("漢字 です カナ", ["cjk", "hiragana", "katakana"], False),
        ("42 %", ["latin"], False),
        ("the word мир", ["latin"], True),  # 3 of 10 letters
        ("three words мир", ["latin"], False),  # 3 of 13
    ],
)
def test_a_side_is_held_to_its_scripts(text, scripts, refused):
    expected = "pairs in another script" if refused else None
    assert why(text, "x", source=scripts) == expected
    assert why("x", text, target=scripts) == expected


def test_the_share_of_foreign_letters_is_a_limit_that_may_be_reached():
    assert why("abcж", "x", source=["latin"], foreign=0.25) is None
    assert why("abcж", "x", source=["latin"], foreign=0.2) == "pairs in another script"


def test_a_ratio_may_be_reached_in_either_direction():
    assert why("a b c", "x", ratio=3) is None
    assert why("a b c d", "x", ratio=3) == why("x", "a b c d", ratio=3) == "pairs beyond ratio 3"


def test_a_script_that_is_none_is_refused():
    with pytest.raises(ValidationError, match='no letter has "latvian"'):
        Cleaning(source=["latvian"])
