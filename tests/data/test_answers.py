import pytest

from seqloom.data.answers import exact, normalised, overlap


@pytest.mark.parametrize(
    ("answer", "language", "told"),
    [
        ("The  cat,\tand an Owl.", None, "cat and owl"),
        ("Theatre of a-the lands", None, "theatre of athe lands"),
        ("l’été «là»", None, "l’été «là»"),
        ("“Die” Katze – des Königs!", "de", "katze königs"),
        ("¿La casa de los Ángeles?", "es", "casa de ángeles"),
        ("the cat", "de", "the cat"),
        ("the «big» cat", "en", "big cat"),
        ("الكتاب", "ar", "كتاب"),
        ("《北京 大学》 no. 1", "zh", "北 京 大 学 no 1"),
        ("किताब।", "hi", "किताब"),
        ("a", None, ""),
    ],
)
def test_answers_are_compared_without_what_says_nothing(answer, language, told):
    assert normalised(answer, language) == told


@pytest.mark.parametrize(
    ("answer", "references", "same", "f1"),
    [
        ("Saint Bernadette", ["the Saint Bernadette"], True, 1),
        ("Bernadette Soubirous", ["Saint Bernadette Soubirous"], False, 2 * 2 / (2 + 3)),
        ("in 1858 in Lourdes", ["1858", "Lourdes in 1858"], False, 2 * 3 / (4 + 3)),
        ("one two", ["three"], False, 0),
        ("", [""], True, 1),
        ("The", [""], True, 1),
        ("an", ["the"], True, 0),
        ("", ["word"], False, 0),
        ("word", ["", "word word"], False, 2 * 1 / (1 + 2)),
        ("word", [], False, 0),
    ],
)
def test_the_best_reference_counts(answer, references, same, f1):
    assert exact(answer, references) is same
    assert overlap(answer, references) == pytest.approx(f1)


def test_chinese_answers_share_characters():
    assert overlap("北京大学", ["北京"], "zh") == pytest.approx(2 * 2 / (4 + 2))
