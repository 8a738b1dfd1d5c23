import pytest
import torch

from seqloom.nn.beam import Search, beam_search
from seqloom.nn.decoder import DecoderWriter
from seqloom.nn.sampling import Sampling, draw, sample
from tests.nn.test_decoder import END, START, alone, begun, decoder

LIMITS = torch.tensor([6, 9, 4])
SHARES = torch.tensor([0.1, 0.5, 0.15, 0.25])
PLACES = (torch.arange(1000) + 0.5) / 1000


def texts(how: Sampling, count: int = 3, rows: slice = slice(None)):
    one = decoder()
    memory, state = begun(one)
    if rows != slice(None):
        memory, state = alone(memory, state, rows.start)
    return sample(DecoderWriter(one, memory, state), LIMITS[rows], how, count, start=START, end=END)


@pytest.mark.parametrize("how", [Sampling(0.0), Sampling(1e-6), Sampling(top_k=1), Sampling(nucleus=1e-9)])
def test_what_leaves_no_choice_writes_what_a_beam_of_one_does(how):
    one = decoder()
    best = beam_search(DecoderWriter(one, *begun(one)), LIMITS, Search(1), start=START, end=END)
    for drawn, (expected,) in zip(texts(how), best, strict=True):
        for found in drawn:
            assert (found.words, found.finished) == (expected.words, expected.finished)
            assert found.score == pytest.approx(expected.score, abs=1e-4)
            torch.testing.assert_close(found.attention, expected.attention)


def test_a_seed_gives_the_same_texts_another_others():
    def words(seed):
        return [[one.words for one in found] for found in texts(Sampling(seed=seed))]

    assert words(1) == words(1) != words(2)
    assert len({tuple(one) for one in words(1)[1]}) > 1


def test_a_text_does_not_depend_on_those_beside_it():
    together, apart = texts(Sampling()), texts(Sampling(), rows=slice(2, 3))
    assert [one.words for one in together[2]] == [one.words for one in apart[0]]
    assert all(len(one.words) + one.finished <= 4 for one in apart[0])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Sampling(), [0.1, 0.5, 0.15, 0.25]),
        (Sampling(top_k=2), [0, 2 / 3, 0, 1 / 3]),
        (Sampling(nucleus=0.7), [0, 2 / 3, 0, 1 / 3]),
        (Sampling(nucleus=0.5), [0, 1, 0, 0]),
        (Sampling(temperature=0.5), [1 / 34.5, 25 / 34.5, 2.25 / 34.5, 6.25 / 34.5]),
    ],
)
def test_words_come_as_often_as_their_probability(how, expected):
    found = draw(SHARES.log().expand(1000, -1), PLACES, how)
    assert found.bincount(minlength=4).div(1000).tolist() == pytest.approx(expected, abs=0.0015)


def test_what_is_barred_is_never_written():
    one = decoder()
    free, barred = (
        {
            word
            for found in (
                *sample(
                    DecoderWriter(one, *begun(one)), LIMITS, Sampling(5.0), 50, start=START, end=END, **how
                ),
                *beam_search(DecoderWriter(one, *begun(one)), LIMITS, Search(8), start=START, end=END, **how),
            )
            for text in found
            for word in text.words
        }
        for how in ({}, {"barred": (0, START)})
    )
    assert free - barred == {0, START}
