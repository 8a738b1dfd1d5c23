import pytest
import torch

from seqloom.encoders.recurrent import GRU, LSTM
from seqloom.nn.recurrent import Recurrent

X, LENGTHS = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(1)), torch.tensor([7, 4, 1])


@pytest.mark.parametrize("kind", [LSTM, GRU])
@pytest.mark.parametrize(("name", "activation"), [("relu", torch.relu), ("tanh", torch.tanh)])
def test_a_layer_over_each_vector_stands_before_the_stack(kind, name, activation):
    torch.manual_seed(0)
    encoder = kind(kind.Config(hidden=4, project={"size": 6, "activation": name}), size=5)
    projected = activation(X @ encoder.project.weight.T + encoder.project.bias)
    expected = Recurrent.forward(encoder, projected, LENGTHS).states
    torch.testing.assert_close(encoder(X, LENGTHS).states, expected)
    encoder(X, LENGTHS).states.sum().backward()
    assert all(parameter.grad.any() for parameter in encoder.parameters())


@pytest.mark.parametrize("locked", [False, True])
def test_the_layer_has_a_dropout_of_its_own(locked):
    torch.manual_seed(0)
    project = {"size": 6, "dropout": 0.5}
    encoder = LSTM(LSTM.Config(hidden=4, project=project, locked=locked), size=5)
    dropped = encoder.projected(torch.ones(3, 7, 6)) == 0
    assert dropped.any()
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped)) == locked
    assert torch.equal(encoder.before(X), X)
