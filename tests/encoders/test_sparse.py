import pytest
import torch

from seqloom.encoders.sparse import Sparse
from seqloom.nn.blocks import dense_parameters
from seqloom.nn.recurrent import Recurrent

X, LENGTHS = torch.randn(3, 7, 12, generator=torch.Generator().manual_seed(1)), torch.tensor([7, 4, 1])


def encoder(**keys):
    torch.manual_seed(0)
    return Sparse(Sparse.Config(hidden=20, **keys), size=12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_stack_is_the_stack_of_its_dense_layers(bidirectional):
    ours = encoder(layers=2, bidirectional=bidirectional)
    dense = Recurrent("lstm", 12, 20, 2, bidirectional)
    dense.layer0, dense.layer1 = ours.layer0.dense(), ours.layer1.dense()
    found, expected = ours.eval()(X, LENGTHS), dense(X, LENGTHS)
    torch.testing.assert_close(
        (found.states, found.final, found.state), (expected.states, expected.final, expected.state)
    )
    assert ours.size == found.states.shape[-1]
    assert ours.causal != bidirectional


def test_blocks_and_density_hold_for_every_layer_and_each_direction_below_is_read():
    stack = encoder(layers=2, bidirectional=True, blocks=5, density=0.4)
    first, second = stack.layer0.blocks, stack.layer1.blocks
    assert (len(first.inputs), first.parts, first.density) == (5, 1, 0.4)
    assert (len(second.inputs), second.parts, second.size) == (5, 2, 40)


def test_a_fraction_gives_layers_the_parameters_of_narrower_dense_ones():
    stack = Sparse(Sparse.Config(hidden=60, layers=2, fraction=0.5, mode="sparse_all"), size=60)
    for layer in (stack.layer0, stack.layer1):
        assert layer.blocks.parameters == pytest.approx(dense_parameters(30, 30), rel=0.01)
    assert len(Sparse(Sparse.Config(hidden=60, fraction=1.0, mode="direct"), size=60).layer0.layers) == 1


def test_orthogonal_weights_and_forget_bias_reach_every_block():
    stack = encoder(initial="orthogonal", forget_bias=1.0)
    for block in stack.layer0.layers:
        units = block.hidden
        torch.testing.assert_close(block.weight_hh[:units] @ block.weight_hh[:units].T, torch.eye(units))
        assert (block.bias_ih + block.bias_hh)[units : 2 * units].eq(1).all()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"blocks": 4, "density": 0.2}, "4 blocks of density 0.2: density lies from 1/blocks"),
        ({"density": 1.5}, "density lies from 1/blocks"),
        ({"fraction": 0.5, "blocks": 3}, "fraction finds blocks and density by itself"),
        ({"fraction": 1.5}, "at most 1"),
        ({"mode": "sparse_hidden"}, "mode sparse_hidden says where a fraction applies"),
        ({"mode": "sparse_emb", "density": 0.3}, "give fraction too"),
        ({"mode": "direct", "fraction": 0.5}, "mode direct is dense"),
        ({"mode": "sparse_hidden", "fraction": 0.5}, "between layers, and there is 1"),
    ],
)
def test_a_geometry_that_cannot_be_is_found_when_the_configuration_is_read(keys, told):
    with pytest.raises(ValueError, match=told):
        Sparse.Config(hidden=20, **keys)


def test_a_configuration_is_what_its_table_says_again():
    config = Sparse.Config(hidden=20)
    assert Sparse.Config(**config.model_dump()) == config


def test_one_layer_is_sparse_on_both_sides():
    layer = Sparse(Sparse.Config(hidden=60, fraction=0.5), size=60).layer0
    assert layer.blocks.parameters == pytest.approx(dense_parameters(30, 30), rel=0.01)
