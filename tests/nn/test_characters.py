import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.nn import characters
from seqloom.nn.characters import CharacterCNN, Highway, distinct_rows

WORDS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=6)


def network(**settings):
    torch.manual_seed(0)
    return CharacterCNN({2: 3, 1: 2, 4: 2}, 10, 4, **settings).double()


def padded(words, beyond=0):
    longest = max(map(len, words)) + beyond
    return torch.tensor([word + [0] * (longest - len(word)) for word in words])


def convolved(net, word):
    """The plain definition, for one word alone."""
    ids = torch.tensor(word + [0] * (net.widest - len(word)))
    vectors = net.embedding(ids).T
    responses = [F.conv1d(vectors, w, b).max(1).values for w, b in zip(net.weights, net.biases, strict=True)]
    return net.highway(torch.relu(torch.cat(responses)))


@pytest.mark.parametrize("highway", [0, 2])
@settings(max_examples=30, deadline=None)
@given(words=WORDS, beyond=st.integers(0, 3))
def test_vectors_and_gradients_are_those_of_each_word_convolved_alone(highway, words, beyond):
    ours, plain = network(highway=highway), network(highway=highway)
    vectors = ours(padded(words, beyond))
    expected = torch.stack([convolved(plain, word) for word in words])
    torch.testing.assert_close(vectors, expected)
    with torch.no_grad():
        torch.testing.assert_close(ours(padded(words, beyond)), expected)
    weighing = torch.randn_like(expected)
    (vectors * weighing).sum().backward()
    (expected * weighing).sum().backward()
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_every_parameter_learns_but_the_padding_character():
    net = network(highway=1)
    net(torch.randint(0, 10, (3, 5, 6))).pow(2).sum().backward()
    assert all(parameter.grad.any() for parameter in net.parameters())
    assert not net.embedding.weight.grad[0].any()


def test_words_that_are_padding_have_zero_vectors():
    ids = torch.zeros(2, 3, 5, dtype=torch.long)
    ids[0, 1, :2] = 3
    vectors = network(highway=1)(ids)
    assert vectors.shape == (2, 3, 7)
    assert vectors.any(-1).nonzero().tolist() == [[0, 1]]


def test_a_batch_of_padding_alone_is_zero():
    assert not network()(torch.zeros(1, 2, 1, dtype=torch.long)).any()


def test_windows_over_padding_can_win_only_where_they_are_asked_for():
    word = padded([[1, 2, 3, 4, 5]], beyond=4)
    alone, over = network(), network(windows_over_padding=True)
    for net in (alone, over):
        torch.nn.init.constant_(net.weights[0], -1.0)
        torch.nn.init.constant_(net.embedding.weight[1:], 1.0)
    responses = over(word)[0, :3] - alone(word)[0, :3]
    assert (responses >= 0).all()
    assert responses.any()


@pytest.mark.parametrize("factor", [None, 0])
def test_distinct_rows_are_exact_even_if_all_keys_collide(factor, monkeypatch):
    if factor is not None:
        monkeypatch.setattr(characters, "row_factors", lambda size, device: torch.zeros(size, dtype=torch.long))
    rows = torch.tensor([[1, 2], [2, 1], [1, 2], [0, 0], [2, 1]])
    found, places = distinct_rows(rows)
    assert len(found) == 3
    assert torch.equal(found[places], rows)


def test_filters_without_sense_are_refused():
    for filters in ({}, {0: 3}, {2: 0}):
        with pytest.raises(ConfigError, match="filters map"):
            CharacterCNN(filters, 10, 4)


def test_a_highway_whose_gates_are_shut_carries_its_input():
    highway = Highway(3, layers=2, activation="tanh")
    for gate in highway.gates:
        torch.nn.init.constant_(gate.bias, -1e4)
    x = torch.randn(2, 3)
    torch.testing.assert_close(highway(x), x)
