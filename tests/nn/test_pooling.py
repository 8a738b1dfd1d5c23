import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.nn.pooling import POOLINGS, AttentivePooling, Poolings, pool

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def batch(lengths, fill):
    torch.manual_seed(sum(lengths))
    rows = [torch.randn(length, 3, dtype=torch.float64) for length in lengths]
    states = torch.full((len(rows), max(lengths) + 1, 3), fill, dtype=torch.float64)
    for row, state in zip(rows, states, strict=True):
        state[: len(row)] = row
    return rows, states, torch.tensor(lengths)


@pytest.mark.parametrize("how", POOLINGS)
@settings(max_examples=20, deadline=None)
@given(lengths=LENGTHS)
def test_pooling_is_that_of_each_sentence_alone(how, lengths):
    rows, states, lengths = batch(lengths, float("nan"))
    alone = {
        "mean": lambda row: row.mean(0),
        "max": lambda row: row.amax(0),
        "min": lambda row: row.amin(0),
        "sum": lambda row: row.sum(0),
        "first": lambda row: row[0],
        "last": lambda row: row[-1],
    }[how]
    torch.testing.assert_close(pool(states, lengths, how), torch.stack([alone(row) for row in rows]))


@pytest.mark.parametrize("how", POOLINGS)
def test_padding_passes_no_gradient(how):
    _, states, lengths = batch([3, 1], 9.0)
    states.requires_grad_()
    pool(states, lengths, how).sum().backward()
    assert states.grad.any()
    assert not states.grad[1, 1:].any()


@pytest.mark.parametrize("hidden", [0, 4])
@settings(max_examples=20, deadline=None)
@given(lengths=LENGTHS)
def test_attention_weighs_each_sentences_words_alone(hidden, lengths):
    rows, states, lengths = batch(lengths, float("nan"))
    torch.manual_seed(0)
    pooling = AttentivePooling(3, hidden, heads=2).double()
    alone = torch.cat([pooling(row[None], torch.tensor([len(row)])) for row in rows])
    pooled = pooling(states, lengths)
    torch.testing.assert_close(pooled, alone)
    assert pooled.shape == (len(rows), pooling.out)


def test_attention_weights_are_distributions_over_words():
    _, states, lengths = batch([4, 1], 9.0)
    weights = AttentivePooling(3, 5, heads=2).double().weights(states, lengths)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2).double())
    assert weights[1].tolist() == [[1, 0, 0, 0, 0]] * 2


def test_attention_learns_in_every_parameter_whatever_the_padding_holds():
    _, states, lengths = batch([4, 2], float("nan"))
    pooling = AttentivePooling(3, 5).double()
    pooling(states, lengths).pow(2).sum().backward()
    for parameter in pooling.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ConfigError, match="there are mean, max"):
        pool(torch.zeros(1, 1, 1), torch.tensor([1]), "median")


def test_several_poolings_stand_in_the_order_given():
    _, states, lengths = batch([3, 1], 9.0)
    poolings = Poolings(3, ["min", "attention", "max"]).double()
    expected = [pool(states, lengths, "min"), poolings.attention(states, lengths), pool(states, lengths, "max")]
    torch.testing.assert_close(poolings(states, lengths), torch.cat(expected, -1))
    assert poolings.out == 9


def test_an_unknown_one_among_several_is_refused():
    with pytest.raises(ConfigError, match="'median' is no pooling"):
        Poolings(3, ["min", "median"])
