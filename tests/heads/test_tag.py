import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.vocabulary import Vocabulary
from seqloom.heads.tag import Tag, _as_bio
from seqloom.metrics import span_scores, strict_spans


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-A I-A E-A O S-B", "B-A I-A I-A O B-B"),
        ("B-A O S-A", "I-A O B-A"),
        ("B-A E-A I-A", "B-A I-A B-A"),
        ("I-A E-B O", "I-A I-B O"),
        ("", ""),
    ],
)
def test_spans_that_bioes_would_not_write_so_are_not_well_formed_as_bio(tags, expected):
    assert _as_bio(tags.split()) == expected.split()


TAGS = st.lists(st.sampled_from(["O", *(f"{one}-{kind}" for one in "BIES" for kind in "AB")]), max_size=8)


@given(TAGS)
def test_the_spans_that_conlleval_reads_stay_when_bioes_becomes_bio(tags):
    as_bio = _as_bio(tags)
    assert span_scores([as_bio], [tags]).f1 == (0 if set(tags) <= {"O"} else 1)
    assert set(strict_spans(tags, "bioes")) <= set(strict_spans(as_bio))


def test_a_span_without_its_end_counts_for_nothing_where_the_strict_figure_is_told():
    labels = Vocabulary(["O", "B-A", "I-A", "E-A", "S-A"])
    head = Tag(Tag.Config(scheme="bioes", crf=False), size=2, vocabularies={"tags": labels})
    found = head.score([_as_bio(["B-A", "O", "O"])], [["S-A", "O", "O"]])
    assert (found["f1"], found["f1_strict"]) == (100, 0)
