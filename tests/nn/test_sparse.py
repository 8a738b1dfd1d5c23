import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.nn import RecurrentLayer, SparseLSTM
from seqloom.nn.awd import AWD
from seqloom.nn.blocks import blocks_of_density, dense_parameters, reductions
from seqloom.nn.sparse import missed

LENGTHS = torch.tensor([5, 2, 3])


def x(size):
    return torch.randn(3, 6, size, generator=torch.Generator().manual_seed(1)).double()


def sparse(size=8, hidden=10, bidirectional=False, **how):
    torch.manual_seed(0)
    return SparseLSTM(size, hidden, bidirectional, blocks=3, density=0.5, **how).double()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_layer_is_its_dense_one_in_states_state_and_gradients(bidirectional, parts):
    ours = sparse(bidirectional=bidirectional, parts=parts)
    dense, both = ours.dense(), []
    state = tuple(torch.randn(1 + bidirectional, 3, 10).double() for _ in range(2))
    for layer in (ours, dense):
        entering = x(8).requires_grad_()
        states, last = layer(entering, LENGTHS, state)
        (states.square().sum() + last[1].sum()).backward()
        both.append((states, last, entering.grad))
    torch.testing.assert_close(*both)
    for index, block in enumerate(ours.layers):
        for name, parameter in block.named_parameters():
            slope = dense.get_parameter(name).grad[ours.positions(name, index)]
            torch.testing.assert_close(parameter.grad, slope)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[6] * 3, [5, 2, 3]])
@pytest.mark.parametrize("hidden", [9, 12])
def test_bf16_gives_states_and_gradients_near_those_in_full_precision(
    bidirectional, lengths, hidden, monkeypatch
):
    monkeypatch.setattr("seqloom.nn.sparse.BULK", 1)
    ours, found = sparse(20, hidden, bidirectional=bidirectional, parts=2).float(), []
    state = tuple(torch.randn(1 + bidirectional, 3, hidden) for _ in range(2))
    for half in (False, True):
        entering = x(20).float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            states, last = ours(entering, torch.tensor(lengths), state)
        loss = states.float().square().sum() + sum(part.float().sum() for part in last)
        slopes = torch.autograd.grad(loss, [entering, *ours.parameters()])
        found.append([states.float(), *(part.float() for part in last), *slopes])
    for exact, near in zip(*found, strict=True):
        assert near.shape == exact.shape
        assert (near - exact).abs().max() < 0.05 * exact.abs().max()


def test_a_block_reads_its_segment_of_each_direction_below():
    layer = SparseLSTM(20, 6, blocks=2, density=0.6, parts=2)
    assert layer.blocks.inputs == ((0, 6), (4, 10))
    read = layer.dense().weight_ih[:3].any(0).nonzero().flatten().tolist()
    assert read == [*range(6), *range(10, 16)]


@settings(max_examples=40, deadline=None)
@given(size=st.integers(4, 60), hidden=st.integers(4, 60), blocks=st.integers(1, 4), density=st.floats(0.25, 1))
def test_blocks_cover_inputs_and_share_out_units(size, hidden, blocks, density):
    density = max(density, 1 / blocks)
    found = blocks_of_density(size, hidden, blocks, density)
    assert {place for begin, end in found.inputs for place in range(begin, end)} == set(range(size))
    units = [place for begin, end in found.outputs for place in range(begin, end)]
    assert units == list(range(hidden))
    lengths = [end - begin for begin, end in found.outputs]
    assert max(lengths) - min(lengths) <= 1
    assert found.parameters <= dense_parameters(size, hidden)


def test_weight_drop_falls_on_recurrent_weights_of_both_directions_in_training():
    layer = sparse(bidirectional=True, weight_drop=0.5)
    weights = layer._weights(layer.layers[0], layer.layers[0].size)
    dropped = [index for index, (one, whole) in enumerate(zip(weights, layer.layers[0].weights, strict=True))
               if not torch.equal(one, whole)]  # fmt: skip
    assert dropped == [1, 5]
    kept = weights[1] != 0
    torch.testing.assert_close(weights[1][kept], 2 * layer.layers[0].weight_hh[kept])
    evaluated = layer.eval()(x(8), LENGTHS)[0]
    assert not torch.equal(layer.train()(x(8), LENGTHS)[0], evaluated)
    torch.testing.assert_close(layer.eval()(x(8), LENGTHS)[0], evaluated)


def test_a_budget_that_is_missed_is_told_by_layer():
    stack = AWD("lstm", 40, 172, 2, mode="sparse_hidden", fraction=0.66666)
    first, second = stack.layer0.blocks, stack.layer1.blocks
    (told,) = missed(stack)
    assert told.startswith("layer0: sparse LSTM layer 40 -> 172, blocks: 3, density: 1.0000")
    assert f"a dense 40 -> 115 has 72,220, {-first.missed:.1%} fewer than wanted" in told
    assert -first.missed > 0.01 > abs(second.missed)


def test_the_least_density_may_be_rounded():
    assert SparseLSTM(9, 9, blocks=3, density=0.3333).blocks == SparseLSTM(9, 9, blocks=3, density=1 / 3).blocks
    with pytest.raises(ConfigError, match="at least 1/3"):
        SparseLSTM(9, 9, blocks=3, density=0.333)


def test_equivalent_of_blocks_and_density_has_the_same_input_and_about_as_many_parameters():
    found = blocks_of_density(100, 100, 4, 0.4)
    size, hidden = found.equivalent
    assert size == 100
    assert dense_parameters(size, hidden) == pytest.approx(found.parameters, rel=0.02)


@pytest.mark.parametrize(
    ("mode", "layers", "expected"),
    [
        ("direct", 2, [(1, 1), (1, 1)]),
        ("sparse_hidden", 3, [(1, 0.5), (0.5, 0.5), (0.5, 1)]),
        ("sparse_all", 1, [(0.5, 0.5)]),
        ("sparse_emb", 3, [(0.5, 1), (1, 1), (1, 0.5)]),
        ("sparse_all", 2, [(0.5, 0.5), (0.5, 0.5)]),
    ],
)
def test_modes_reduce_what_they_say(mode, layers, expected):
    assert reductions(mode, 0.5, layers) == expected


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, "needs blocks and density, or reduce_in and reduce_out"),
        ({"blocks": 3, "density": 0.2}, "density must be at least 1/3"),
        ({"reduce_in": 0.1, "reduce_out": 0.1}, "reduce it less"),
        ({"reduce_in": 2, "reduce_out": 0.1}, "at most 1"),
        ({"blocks": 9, "density": 0.2}, "take fewer blocks"),
        ({"blocks": 2, "density": 0.5, "parts": 3}, "8 inputs are not 3 equal parts"),
    ],
)
def test_a_geometry_that_cannot_be_met_is_refused_with_a_remedy(how, told):
    with pytest.raises(ConfigError, match=told):
        SparseLSTM(8, 8, **how)


def test_a_mode_that_would_leave_all_dense_says_so():
    with pytest.raises(ConfigError, match="between layers, and there is 1"):
        reductions("sparse_hidden", 0.5, 1)
    with pytest.raises(ConfigError, match="above 0"):
        reductions("sparse_all", 0.0, 2)


def test_one_block_that_reads_all_is_a_dense_layer():
    layer = SparseLSTM(4, 5, blocks=1, density=1)
    twin = RecurrentLayer("lstm", 4, 5)
    twin.load_state_dict(layer.layers[0].state_dict())
    entering = x(4).float()
    torch.testing.assert_close(layer(entering, LENGTHS), twin(entering, LENGTHS))
