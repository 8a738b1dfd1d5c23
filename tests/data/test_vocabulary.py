import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.vocabulary import PADDING, START, UNKNOWN, Vocabulary
from seqloom.errors import ModelError

ODD = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\\n\n\r\0\t\u2028\x85 #"), max_size=4)


def test_symbols_are_listed_by_frequency_then_code_point():
    words = Vocabulary.fit({"b": 2, "a": 2, "é": 2, "c": 5, "rare": 1}, minimum=2)
    assert words.symbols == (PADDING, UNKNOWN, "c", "a", "b", "é")
    assert [words.id(one) for one in ("c", "rare", "never")] == [2, 1, 1]
    assert (len(words), words[2], "c" in words, "rare" in words) == (6, "c", True, False)


def test_labels_have_neither_padding_nor_an_unknown():
    labels = Vocabulary.fit({"no": 1, "yes": 3}, specials=())
    assert list(labels) == ["yes", "no"]
    assert labels.id("perhaps") == -1


def test_words_that_look_like_the_specials_are_not_listed_twice():
    words = Vocabulary.fit({UNKNOWN: 9, PADDING: 9, "a": 1})
    assert words.symbols == (PADDING, UNKNOWN, "a")
    assert words.id(UNKNOWN) == 1


@pytest.mark.parametrize("order", ["frequency", "appearance"])
def test_a_special_symbol_that_the_text_has_itself_is_a_word(tmp_path, order):
    for counts, pinned in (({"a": 1}, 2), ({"a": 1, UNKNOWN: 1}, 1), ({START: 3, "a": 1}, 2)):
        fitted = Vocabulary.fit(counts, order=order)
        fitted.save(tmp_path / "words.txt")
        kept = Vocabulary.load(tmp_path / "words.txt")
        assert (fitted.pinned, kept.pinned, kept) == (pinned, pinned, fitted)


def test_a_written_special_symbol_is_read_by_those_who_know_escapes_alone(tmp_path):
    Vocabulary.fit({UNKNOWN: 1, "\\<s>": 1}).save(tmp_path / "words.txt")
    assert (tmp_path / "words.txt").read_text() == "<pad>\n\\<unk>\n\\\\<s>\n"
    assert Vocabulary.load(tmp_path / "words.txt").written == {UNKNOWN}


def test_equal_vocabularies_list_the_same_symbols():
    assert Vocabulary("ab") == Vocabulary(["a", "b"])
    assert hash(Vocabulary("ab")) == hash(Vocabulary("ab"))
    assert Vocabulary("ab") != Vocabulary("ba")


@settings(max_examples=30, deadline=None)
@given(st.lists(ODD, min_size=1, unique=True))
def test_any_symbol_survives_saving(tmp_path_factory, symbols):
    file = tmp_path_factory.getbasetemp() / "odd.txt"
    Vocabulary(symbols).save(file)
    assert Vocabulary.load(file) == Vocabulary(symbols)


def test_a_symbol_is_a_line_of_the_file(tmp_path):
    file = tmp_path / "words.txt"
    Vocabulary([PADDING, UNKNOWN, "größe", "a\nb", "\\n"]).save(file)
    assert file.read_bytes().decode() == "<pad>\n<unk>\ngröße\na\\nb\n\\\\n\n"


def test_a_damaged_file_is_refused(tmp_path):
    file = tmp_path / "words.txt"
    with pytest.raises(
        ModelError, match=r"words\.txt: the vocabulary cannot be read .* restore the model folder"
    ):
        Vocabulary.load(file)
    file.write_bytes(b"a\n\xff\n")
    with pytest.raises(ModelError, match="cannot be read"):
        Vocabulary.load(file)
    file.write_text("a\nb\na\n")
    with pytest.raises(ModelError, match='lists "a" twice'):
        Vocabulary.load(file)
    for text in ("", "<pad>\n<unk>\nhe"):
        file.write_text(text)
        with pytest.raises(ModelError, match="is cut short; restore the model folder"):
            Vocabulary.load(file)
