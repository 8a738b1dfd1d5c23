import pytest
import torch
from torch.testing import assert_close

from seqloom.errors import ConfigError
from seqloom.nn.maxout import BatchNorm, Maxout, MaxoutNetwork


def test_a_unit_is_the_largest_of_its_own_linear_maps():
    torch.manual_seed(0)
    layer = Maxout(5, 3, pieces=2)
    x = torch.randn(4, 7, 5)
    maps = layer.linear(x)
    assert_close(layer(x), torch.stack([maps[..., 2 * unit : 2 * unit + 2].amax(-1) for unit in range(3)], -1))


def test_one_row_trains_by_the_running_statistics_and_leaves_them():
    torch.manual_seed(0)
    norm = BatchNorm(3)
    norm(torch.randn(9, 3) + 4)
    mean, row = norm.running_mean.clone(), torch.randn(1, 3)
    assert mean.all()
    trained = norm(row)
    assert_close(norm.running_mean, mean)
    assert_close(trained, norm.eval()(row))
    assert trained.requires_grad


def test_layers_stand_one_after_another_each_over_a_normalised_input():
    torch.manual_seed(0)
    network, x = MaxoutNetwork(6, [4, 2], pieces=3, batch_norm=True), torch.randn(8, 6) + 3
    expected = x
    for layer in network.layers:
        expected = layer((expected - expected.mean(0)) / (expected.var(0, unbiased=False) + 1e-5).sqrt())
    assert_close(network(x), expected)
    assert network.out == 2


def test_dropout_falls_before_each_layer_at_its_own_rate():
    torch.manual_seed(0)
    ones = torch.ones(1000, 1)
    network = MaxoutNetwork(1, [1, 1], pieces=1, dropout=[0.25, 0.5])
    for layer in network.layers:
        torch.nn.init.ones_(layer.linear.weight)
        torch.nn.init.zeros_(layer.linear.bias)
    found = network(ones)
    assert_close(found.unique(), torch.tensor([0, 1 / 0.75 / 0.5]))
    assert (found > 0).float().mean() == pytest.approx(0.75 * 0.5, abs=0.05)


def test_rates_must_be_as_many_as_layers():
    with pytest.raises(ConfigError, match="2 rates of dropout, 3 layers"):
        MaxoutNetwork(4, [3, 2, 1], dropout=[0.1, 0.2])
