import logging
import os
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data import columns as store
from seqloom.data.columns import build, cached
from seqloom.data.fields import LabelField, NumberField, TagsField, TextField
from seqloom.errors import DataError

FIELDS = {"text": TextField(), "tags": TagsField(), "label": LabelField(), "score": NumberField()}
TOKEN = st.text("ab\n\\\u2028é\0 ", max_size=3)


@st.composite
def examples(draw):
    rows = []
    for text in draw(st.lists(st.lists(TOKEN, min_size=1, max_size=4), min_size=1, max_size=6)):
        label, score = draw(st.sampled_from(["yes", "no"])), draw(st.floats(allow_nan=False))
        rows.append({"text": text, "tags": ["T" + token for token in text], "label": label, "score": score})
    return rows


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "columns"


def kept(key, rows):
    """The columns under a key, and how often they had to be made."""
    made = []

    def make(folder):
        made.append(folder)
        return build(rows, FIELDS, path="file", folder=folder)

    return cached({"key": key}, FIELDS, make, "file"), len(made)


def contents(columns):
    return [{name: columns[name].row(row) for name in FIELDS} for row in columns.numbers]


def stored(rows):
    return [{name: list(field.store(row[name])) for name, field in FIELDS.items()} for row in rows]


@settings(max_examples=25, deadline=None)
@given(examples())
def test_memory_cache_and_a_second_opening_hold_the_same(tmp_path_factory, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQLOOM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(store, "SPILL", 3)
        memory = build(rows, FIELDS, path="file")
        first, made = kept(1, rows)
        second, again = kept(1, rows)
    assert (made, again) == (1, 0)
    assert contents(memory) == contents(first) == contents(second) == stored(rows)
    assert memory.lines.tolist() == first.lines.tolist() == list(range(1, len(rows) + 1))
    assert len(memory) == len(first) == len(rows)


@settings(max_examples=25, deadline=None)
@given(examples(), st.data())
def test_a_selection_counts_and_pads_its_own_rows(rows, data):
    columns = build(rows, FIELDS)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), unique=True, min_size=1).map(sorted))
    part = columns.select(np.array(chosen))
    texts = [stored(rows)[row]["text"] for row in chosen]
    assert contents(part) == [stored(rows)[row] for row in chosen]
    assert part["text"].counts() == Counter(token for text in texts for token in text)
    assert part.lengths(["text"]).tolist() == [[len(text)] for text in texts]
    padded, lengths = part["text"].padded(np.array(chosen))
    assert lengths.tolist() == list(map(len, texts))
    forms = [*part["text"].forms, None]
    assert [[forms[one] for one in row] for row in padded] == [
        text + [None] * (max(lengths) - len(text)) for text in texts
    ]


def test_keys_of_other_content_are_kept_apart(cache):
    one, _ = kept(1, [{"text": ["a"], "tags": ["A"], "label": "x", "score": 1}])
    two, _ = kept(2, [{"text": ["b"], "tags": ["B"], "label": "y", "score": 2}])
    assert one["text"].row(0) == ["a"]
    assert two["text"].row(0) == ["b"]
    assert one.digest != two.digest
    assert len(list(cache.iterdir())) == 2


def test_columns_that_no_example_has_are_left_out(cache):
    rows = [{"text": ["a"]}, {"text": ["b"]}]
    for columns in (build(rows, FIELDS), kept(1, rows)[0]):
        assert "text" in columns
        assert "tags" not in columns


def test_rows_know_their_file_and_line():
    rows = [{"text": ["a"], "line": 3}, {"text": ["b"], "line": 7}]
    assert build(rows, FIELDS, path="f.txt").where(1) == "f.txt:7"
    assert build(rows, FIELDS).where(1) == "row 1"


def test_lengths_are_those_of_each_text():
    fields = {"a": TextField(), "b": TextField(), "label": LabelField()}
    rows = [{"a": ["x"], "b": ["y", "z"], "label": "l"}, {"a": ["x"] * 3, "b": ["y"], "label": "l"}]
    columns = build(rows, fields)
    assert columns.lengths(["a", "b"]).tolist() == [[1, 2], [3, 1]]
    assert columns.lengths([]).tolist() == [[1], [1]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": [], "tags": []}, "text: the text has no tokens"),
        ({"text": "a b", "tags": ["T"]}, "text: a text should be a list of tokens"),
        ({"text": ["a", "b"], "tags": ["T"]}, "1 tags for 2 tokens of text; they should be as many"),
        ({"text": ["a"]}, 'the example has no "tags", though others have'),
        (
            {"text": ["a"] * 1001, "tags": ["T"] * 1001},
            r"a text of 1,001 tokens is over the limit of 1,000; split it, or raise the limit \(reader key `longest`\)",
        ),
    ],
)
def test_a_broken_value_names_file_and_line(cache, row, message):
    rows = [{"text": ["a"], "tags": ["T"], "line": 1}, {**row, "line": 5}]
    fields = {name: FIELDS[name] for name in ("text", "tags")}
    with pytest.raises(DataError, match=f"^f.txt:5: {message}"):
        build(rows, fields, path="f.txt", longest=1000)
    with pytest.raises(DataError):
        cached({}, fields, lambda folder: build(rows, fields, longest=1000, folder=folder), "f.txt")
    assert list(cache.iterdir()) == []


def test_without_a_limit_texts_may_be_long():
    assert build([{"text": ["a"] * 2000}], FIELDS).lengths(["text"]).tolist() == [[2000]]


def test_nothing_is_also_columns(cache):
    for columns in (build([], FIELDS), kept(1, [])[0]):
        assert len(columns) == 0
        assert columns.numbers.tolist() == []


def test_where_nothing_can_be_kept_columns_stay_in_memory(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path / "file"))
    rows = [{"text": ["a"], "tags": ["A"], "label": "x", "score": 1.0}]
    with caplog.at_level(logging.WARNING):
        columns, _ = kept(1, rows)
    assert contents(columns) == stored(rows)
    assert columns.digest
    assert "columns are not cached" in caplog.text
    assert "set SEQLOOM_CACHE to a folder that can be written" in caplog.text


def test_columns_that_another_process_stored_meanwhile_are_taken(cache):
    def make(folder):
        kept(1, [{"text": ["a"]}])
        build([{"text": ["a"]}], FIELDS, folder=folder)

    columns = cached({"key": 1}, FIELDS, make, "file")
    assert columns["text"].row(0) == ["a"]
    assert len(list(cache.iterdir())) == 1


def test_what_was_not_used_for_a_month_goes(cache):
    kept(1, [{"text": ["a"]}])
    kept(2, [{"text": ["b"]}])
    (old,) = [one for one in cache.iterdir() if "a" in (one / "text.forms").read_text()]
    month_ago = time.time() - 31 * 86400
    os.utime(old, (month_ago, month_ago))
    kept(3, [{"text": ["c"]}])
    assert not old.exists()
    assert len(list(cache.iterdir())) == 2


def test_use_keeps_columns_young(cache):
    kept(1, [{"text": ["a"]}])
    (folder,) = cache.iterdir()
    month_ago = time.time() - 31 * 86400
    os.utime(folder, (month_ago, month_ago))
    assert kept(1, [])[1] == 0
    assert folder.stat().st_mtime > month_ago + 86400


def test_stored_columns_are_mapped_not_read(cache):
    columns, _ = kept(1, [{"text": ["a"], "tags": ["A"], "label": "x", "score": 1.0}])
    assert isinstance(columns["text"].values.base, np.memmap)
    assert not columns["text"].values.flags.writeable
