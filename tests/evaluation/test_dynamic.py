"""Dynamic evaluation, step by step against its equations."""

import pytest
import torch
from torch import nn

from seqloom.evaluation.dynamic import learning
from seqloom.heads.language import Dynamic

BEFORE = torch.tensor([1.0, -2.0])


@pytest.fixture
def network():
    network = nn.Linear(2, 1)
    with torch.no_grad():
        network.weight.copy_(BEFORE)
        network.bias.zero_()
    return network


def loss(network, *slopes):
    return (network.weight * torch.tensor(slopes)).sum()


def test_plain_steps_are_clipped_and_go_part_of_the_way_back(network):
    how = Dynamic(rate=0.5, decay=0.25, clip=1.0)
    with learning(
        [network.weight, network.bias], how, over=lambda paths, learn: pytest.fail("nothing to gather")
    ) as learn:
        learn(loss(network, 3.0, 4.0))
        moved = BEFORE - 0.5 * torch.tensor([0.6, 0.8])
        torch.testing.assert_close(network.weight.data[0], moved)
        learn(loss(network, 3.0, 4.0))
        torch.testing.assert_close(
            network.weight.data[0], moved + 0.25 * (BEFORE - moved) - 0.5 * torch.tensor([0.6, 0.8])
        )
        assert network.bias == 0
    assert torch.equal(network.weight.data[0], BEFORE)


@pytest.mark.parametrize("statistics", [[], ["text"]])
def test_in_half_precision_products_are_of_what_was_learnt(network, statistics):
    how, x = Dynamic(rate=0.5, decay=0.25, clip=1.0, statistics=statistics), torch.tensor([[1.0, 1.0]])

    def gather(paths, learn):
        learn(loss(network, 3.0, 4.0))

    with torch.autocast("cpu", torch.bfloat16):
        with learning([network.weight], how, over=gather) as learn:
            assert network(x) == -1
            learn(loss(network, 3.0, 4.0))
            assert network(x).item() == pytest.approx(network.weight.sum().item(), abs=0.01)
            assert network(x).item() < -1.5
        assert network(x) == -1


def test_steps_are_scaled_by_the_gradients_of_another_text(network):
    def over(paths, learn):
        assert paths == ["training.txt"]
        for slopes in ((3.0, 0.1), (4.0, 0.1)):
            learn(loss(network, *slopes))

    how = Dynamic(rate=0.5, decay=0.25, statistics=["training.txt"], floor=0.01)
    roots = torch.tensor([12.5**0.5, 0.1])
    with learning([network.weight, network.bias], how, over) as learn:
        assert torch.equal(network.weight.data[0], BEFORE)
        learn(loss(network, 2.0, 1.0))
        step = 0.5 * torch.tensor([2.0, 1.0]) / (roots + 0.01)
        moved = BEFORE - step
        torch.testing.assert_close(network.weight.data[0], moved)
        learn(loss(network, 2.0, 1.0))
        # The bias, which no loss depends on, is not in the mean.
        backward = (0.25 * roots / roots.mean()).clamp(max=1)
        torch.testing.assert_close(network.weight.data[0], moved + backward * (BEFORE - moved) - step)
        assert network.bias == 0
    assert torch.equal(network.weight.data[0], BEFORE)


def test_without_a_rule_nothing_learns(network):
    with learning([network.weight, network.bias], None, over=lambda paths, learn: None) as learn:
        assert learn is None


@pytest.mark.parametrize("statistics", [[], ["training.txt"]])
def test_what_training_holds_still_or_looks_up_sparsely_learns_too(statistics):
    table = nn.Embedding.from_pretrained(torch.ones(3, 2), freeze=True, sparse=True)

    def loss():
        return table(torch.tensor([1])).sum()

    how = Dynamic(rate=0.5, decay=0.0, clip=9.0, statistics=statistics, floor=1.0)
    with learning([table.weight], how, over=lambda paths, learn: learn(loss())) as learn:
        learn(loss())
        assert (table.weight[1] < 1).all()
        assert (table.weight[[0, 2]] == 1).all()
    assert (table.weight == 1).all()
    assert not table.weight.requires_grad
