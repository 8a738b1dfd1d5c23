from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.columns import build
from seqloom.data.fields import TextField
from seqloom.data.stream import Stream

TEXTS = st.lists(st.integers(1, 9), min_size=6, max_size=12)
WINDOWS = st.tuples(st.integers(1, 3), st.integers(1, 8), st.booleans())


def column(lengths):
    """Rows of those lengths whose tokens are 0, 1, 2 and so on, through them all."""
    ends = np.cumsum([0, *lengths])
    texts = [list(map(str, range(start, end))) for start, end in pairwise(ends)]
    return build([{"text": text} for text in texts], {"text": TextField()})["text"]


def stream(lengths, streams, window, vary, seed=1):
    rows = np.arange(len(lengths))
    return Stream(column(lengths), rows, streams=streams, window=window, vary=vary, seed=seed)


def an_epoch(text, number):
    """The draws of an epoch."""
    windows = [len(text.starts(one)) - 1 for one in range(number + 1)]
    return range(sum(windows[:-1]), sum(windows))


@settings(max_examples=50, deadline=None)
@given(TEXTS, WINDOWS, st.integers(0, 2))
def test_the_windows_of_an_epoch_cover_the_text_once_in_order(lengths, shape, number):
    streams, window, vary = shape
    text = stream(lengths, streams, window, vary)
    drawn = [text.window_of(draw) for draw in an_epoch(text, number)]
    read = np.concatenate([one.read for one in drawn], axis=1)
    foretold = np.concatenate([one.foretold for one in drawn], axis=1)
    time = sum(lengths) // streams
    whole = np.arange(streams * time).reshape(streams, time)
    assert read.tolist() == whole[:, :-1].tolist()
    assert foretold.tolist() == whole[:, 1:].tolist()
    assert [one.fresh for one in drawn] == [True] + [False] * (len(drawn) - 1)


@settings(max_examples=50, deadline=None)
@given(TEXTS, WINDOWS, st.integers(0, 40))
def test_any_window_can_be_had_without_those_before(lengths, shape, draw):
    walked = stream(lengths, *shape)
    places = [walked.place(one) for one in range(draw + 1)]
    assert stream(lengths, *shape).place(draw) == places[-1]
    assert walked.place(0) == places[0]


def test_each_epoch_is_cut_once_however_often_it_is_asked_for(monkeypatch):
    text, cuts = stream([40], 2, 3, vary=False), []
    whole = text._cut
    monkeypatch.setattr(text, "_cut", lambda epoch: cuts.append(epoch) or whole(epoch))
    for draw in range(4 * 7):
        text.window_of(draw)
        text.place(draw)
        text.epochs(draw + 1)
    assert cuts == [0, 1, 2, 3, 4]


def test_windows_that_vary_are_drawn_anew_each_epoch():
    text = stream([5000], 1, 30, vary=True)
    assert text.starts(0) != text.starts(1)
    sizes = np.concatenate([np.diff(text.starts(number)[:-1]) for number in range(20)])
    assert sizes.min() >= 5
    assert sizes.mean() == pytest.approx(0.95 * 30 + 0.05 * 15, abs=0.5)
    assert np.mean(sizes < 18) == pytest.approx(0.05, abs=0.02)
    assert stream([5000], 1, 30, vary=True, seed=2).starts(0) != text.starts(0)


def test_windows_are_even_unless_they_vary():
    assert stream([10, 11], 2, 4, vary=False).starts(0) == [0, 4, 8, 9]


def test_only_the_rows_named_are_read():
    text = Stream(column([2, 3, 2]), np.array([0, 2]), streams=1, window=9)
    assert text.values.tolist() == [[0, 1, 5, 6]]


def test_a_text_too_short_for_its_streams_is_refused():
    with pytest.raises(ValueError, match="5 tokens are too few for 3 streams of at least two"):
        stream([5], 3, 4, vary=False)
