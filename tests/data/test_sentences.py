import pytest

from seqloom.data.sentences import sentences


@pytest.mark.parametrize(
    "parts",
    [
        ["It rained.", "Nora went home!", "Why?", "1815 was wet."],
        ['"Is it you?" said Mr. Knightley.', '"It is."'],
        ["J. R. Watson (the elder.) came.", "He stayed..."],
        ["He paid 3.50 for it, etc. and left", ],
        ["“Où?” demanda-t-il.", "Émile rit."],
    ],
)  # fmt: skip
def test_sentences_end_at_their_marks_and_not_at_others(parts):
    text = "  " + "  ".join(parts) + " "
    found = list(sentences(text))
    assert [one for _, one in found] == parts
    assert all(text[place:].startswith(one[:3]) for place, one in found)


def test_blank_text_has_no_sentence():
    assert list(sentences(" \n ")) == []
