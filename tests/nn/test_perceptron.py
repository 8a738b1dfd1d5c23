import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.nn.perceptron import MLP


def test_a_perceptron_is_its_layers_one_after_another():
    perceptron = MLP(3, [5, 4], 2, activation="tanh", dropout=0.5).eval()
    x = torch.randn(2, 7, 3)
    first, second, third = perceptron.linears
    torch.testing.assert_close(perceptron(x), third(torch.tanh(second(torch.tanh(first(x))))))


def test_dropout_falls_on_hidden_units_only_and_gradients_reach_all():
    torch.manual_seed(0)
    perceptron = MLP(3, [64], 2, dropout=0.5)
    x = torch.randn(8, 3)
    assert not torch.equal(perceptron(x), perceptron(x))
    assert torch.equal(MLP(3, [], 2, dropout=0.5)(x) != 0, torch.ones(8, 2, dtype=torch.bool))
    perceptron(x).sum().backward()
    assert all(parameter.grad.any() for parameter in perceptron.parameters())


def test_an_unknown_activation_is_refused():
    with pytest.raises(ConfigError, match="'swoosh' is no activation; there are relu"):
        MLP(3, [4], 2, activation="swoosh")


def test_layers_may_begin_by_xavier_with_biases_near_zero():
    torch.manual_seed(1)
    for linear in MLP(30, [20], 10, initial="xavier").linears:
        bound = (6 / sum(linear.weight.shape)) ** 0.5
        assert 0.95 * bound < linear.weight.abs().max() <= bound
        assert 0 < linear.bias.abs().max() <= 1e-4
