from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.columns import build, cached
from seqloom.data.spans import Answer, AnswersField, CharactersField, IdField, OffsetsField, places, spelt
from seqloom.data.tokens import tokenize

FIELDS = {"text": CharactersField(), "places": OffsetsField(), "answers": AnswersField(), "id": IdField()}
ROWS = [
    {
        "text": "a 😀é.",
        "places": [(0, 1), (2, 4)],
        "answers": [Answer(-1, -1, "x"), Answer(0, 2, "a 😀")],
        "id": "q",
    },
    {"text": "bc", "places": [(0, 2)], "answers": [], "id": "p"},
    {"text": "a 😀é.", "places": [(0, 1)], "answers": [Answer(-1, -1, "é")], "id": "q"},
]


@given(st.text(), st.sampled_from(["words", "blanks", "characters"]))
def test_places_lead_back_to_the_tokens(text, tokenizer):
    tokens = tokenize(text, tokenizer)
    found = places(text, tokens)
    assert [text[start:end] for start, end in found] == tokens
    rest = "".join(text[end:start] for (_, end), (start, _) in zip([(0, 0), *found], found, strict=False))
    assert not rest.strip()


@pytest.mark.parametrize("kept", [False, True])
def test_rows_become_tensors_from_memory_and_from_the_cache(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path))
    make = lambda folder: build(ROWS, FIELDS, folder=folder)  # noqa: E731
    columns = cached({"file": "x"}, FIELDS, make, "x") if kept else make(None)
    tensor = lambda name, *rows: FIELDS[name].collate(  # noqa: E731
        columns[name], FIELDS[name].tables(columns[name], {}), np.array(rows)
    )
    assert tensor("text", 0, 1).tolist() == [[*map(ord, "a 😀é.")], [*map(ord, "bc"), 0, 0, 0]]
    assert tensor("places", 0, 1).tolist() == [[[0, 1], [2, 4]], [[0, 2], [-1, -1]]]
    assert tensor("answers", 0, 1, 2).tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert AnswersField.texts(columns["answers"].row(0)) == ["x", "a 😀"]
    assert [spelt(one) for one in tensor("text", 0, 1)] == ["a 😀é.", "bc"]
    assert [spelt(one) for one in tensor("id", 0, 1, 2)] == ["q", "p", "q"]
    assert all(tensor(name, 0, 1).dtype == torch.int64 for name in ("places", "answers"))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("text", ["a"], "should be text"),
        ("text", "", "should be text"),
        ("places", [1, 2], "a start and an end for each token"),
        ("answers", ["x"], r"a list of \(start, end, text\)"),
        ("answers", [3], r"a list of \(start, end, text\)"),
        ("id", 3, "should be text"),
    ],
)
def test_what_is_not_of_its_form_is_refused(name, value, told):
    with pytest.raises(ValueError, match=told):
        FIELDS[name].store(value)


def test_made_up_values_fit_together():
    for length in (1, 5):
        text, where, ((start, end, answer),) = (
            FIELDS[name].sample(Random(2), length) for name in [*FIELDS][:3]
        )
        assert len(where) == length
        assert text[where[start][0] : where[end - 1][1]] == answer
