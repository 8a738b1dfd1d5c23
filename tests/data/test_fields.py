from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.columns import build
from seqloom.data.fields import UNLISTED, FormTable, LabelField, NumberField, TagsField, TextField
from seqloom.data.tokens import Index, View
from seqloom.data.vocabulary import Vocabulary

TOKENS = st.lists(st.text("abAB12é", min_size=1, max_size=5), min_size=1, max_size=5)
VIEWS = st.builds(
    View,
    st.sampled_from(["word", "characters", "prefix", "suffix", "shape"]),
    st.integers(1, 3),
    lower=st.booleans(),
    zeros=st.booleans(),
)
FIELDS = [TextField(), TagsField(), LabelField(), NumberField()]


def column(field, values):
    return build([{"x": value} for value in values], {"x": field})["x"]


@settings(max_examples=50, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=4), TOKENS, VIEWS)
def test_the_ids_of_forms_are_those_of_each_token_looked_up_alone(texts, known, view):
    vocabulary = Vocabulary.fit({symbol: 1 for token in known for symbol in view.symbols(token)})
    forms = sorted({token for text in texts for token in text})
    padded = np.full((len(texts), max(map(len, texts))), -1)
    for row, text in zip(padded, texts, strict=True):
        row[: len(text)] = [forms.index(token) for token in text]
    ids = FormTable(forms, Index("v", view), vocabulary).ids(padded)
    deepest = max(len(view.symbols(token)) for text in texts for token in text)
    assert ids.shape == padded.shape + ((deepest,) if view.deep else ())
    for row, text in zip(ids, texts, strict=True):
        for place, token in enumerate(text):
            direct = [vocabulary.id(symbol) for symbol in view.symbols(token)]
            found = np.atleast_1d(row[place])
            assert found[: len(direct)].tolist() == direct
            assert not found[len(direct) :].any()
        assert not row[len(text) :].any()


def test_a_text_becomes_padded_ids_of_every_index():
    field = TextField().reading([Index("words", View("word"), 2), Index("chars", View("characters"))])
    texts = column(field, [["a", "bb", "a"], ["c"]])
    counted = field.counted(texts)
    assert counted["words"].counts == {"a": 2, "bb": 1, "c": 1}
    assert counted["chars"].counts == {"a": 2, "b": 2, "c": 1}
    words = {name: Vocabulary.fit(one.counts, minimum=one.minimum) for name, one in counted.items()}
    text = field.collate(texts, field.tables(texts, words), np.array([1, 0]))
    assert text.lengths.tolist() == [1, 3]
    assert text.ids["words"].tolist() == [[1, 0, 0], [2, 1, 2]]
    assert text.ids["chars"].tolist() == [[[4, 0], [0, 0], [0, 0]], [[2, 0], [3, 3], [2, 0]]]


def test_tags_and_labels_that_training_never_showed_are_unlisted():
    tags = TagsField()
    stored = column(tags, [["A", "B"], ["C"]])
    known = {"tags": Vocabulary(["B", "A"]), "label": Vocabulary(["yes"])}
    ids = tags.collate(stored, tags.tables(stored, known), np.array([0, 1]))
    assert ids.tolist() == [[1, 0], [UNLISTED, UNLISTED]]
    label = LabelField()
    stored = column(label, ["yes", "no", "yes"])
    assert label.counted(stored)["label"].counts == {"yes": 2, "no": 1}
    assert label.collate(stored, label.tables(stored, known), np.array([1, 2])).tolist() == [UNLISTED, 0]


def test_numbers_may_be_written_as_text():
    field = NumberField()
    stored = column(field, [0.5, "2", 3])
    found = field.collate(stored, field.tables(stored, {}), np.array([2, 0, 1]))
    assert found.tolist() == [3.0, 0.5, 2.0]
    assert found.dtype == torch.float32
    assert field.counted(stored) == {}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (TextField(), "plain text", "a text should be a list of tokens, found 'plain text'"),
        (TextField(), None, "a text should be a list of tokens, found None"),
        (TextField(), ["a", 1], r"a text should be a list of tokens, found \['a', 1\]"),
        (TextField(), [], "the text has no tokens"),
        (TagsField(), "A B", "tags should be a list of words, one for each token, found 'A B'"),
        (TagsField(), ["A", ""], "tags should be a list of words"),
        (LabelField(), "", 'a label should be a word, found ""'),
        (LabelField(), True, 'a label should be a word, found "True"'),
        (NumberField(), "much", 'should be a number, found "much"'),
        (NumberField(), None, 'should be a number, found "None"'),
    ],
)
def test_a_value_of_another_form_is_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        field.store(value)


def test_what_is_stored():
    assert TextField().store(["a", ""]) == ["a", " "]
    assert LabelField().store(3) == ["3"]
    assert TagsField().store(("A", "B")) == ["A", "B"]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: type(field).__name__)
def test_made_up_values_can_be_stored_and_follow_the_random_state(field):
    made = [field.sample(Random(7), 4) for _ in range(2)]
    assert made[0] == made[1]
    assert len(field.store(made[0])) == (4 if isinstance(field, TextField | TagsField) else 1)
