import copy
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqloom.errors import ConfigError
from seqloom.nn import unrolling
from seqloom.nn.awd import WeightDropLayer
from seqloom.nn.recurrent import Recurrent, RecurrentLayer
from seqloom.nn.sparse import SparseLSTM

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=4)
STACKS = list(product(["lstm", "gru"], [False, True]))


@pytest.fixture(params=["packed", "padded"])
def way(request, monkeypatch):
    """Force one of the two ways through a ragged batch."""
    share = {"packed": 2.0, "padded": 0.0}[request.param]
    for key in unrolling.PACKED_BELOW:
        monkeypatch.setitem(unrolling.PACKED_BELOW, key, share)
    return request.param


def torch_twin(ours, cell, size):
    """The same weights in torch's own class."""
    twin = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](
        size, ours.hidden, ours.layers, batch_first=True, bidirectional=ours.out > ours.hidden
    ).to(next(ours.parameters()))
    with torch.no_grad():
        for name, theirs in twin.named_parameters():
            kind, layer = name.removesuffix("_reverse").split("_l")
            theirs.copy_(ours.get_parameter(f"layer{layer}.{kind}{'_reverse' * name.endswith('_reverse')}"))
    return twin


def packed_twin(twin, x, lengths, state=None):
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    states, last = twin(packed, state)
    states, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
    return states, last if isinstance(last, tuple) else (last,)


def batch(lengths, size=3, beyond=0):
    torch.manual_seed(sum(lengths))
    return torch.randn(len(lengths), max(lengths) + beyond, size, dtype=torch.float64), torch.tensor(lengths)


@pytest.mark.parametrize(("cell", "bidirectional"), STACKS)
@pytest.mark.parametrize("lengths", [[4, 4], [1], [5, 1, 3, 5], [2, 6]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # they take different kernels
def test_a_stack_is_torchs_own_in_states_carried_state_and_gradients(cell, bidirectional, lengths, dtype, way):
    x, lengths = batch(lengths, beyond=1)
    x, ours = x.to(dtype), Recurrent(cell, 3, 4, layers=2, bidirectional=bidirectional).to(dtype)
    twin = torch_twin(ours, cell, 3)
    result, (states, last) = ours(x, lengths), packed_twin(twin, x, lengths)
    torch.testing.assert_close(result.states, states)
    torch.testing.assert_close(tuple(torch.cat(parts) for parts in zip(*result.state, strict=True)), last)
    weighing = torch.randn_like(states)
    (result.states * weighing).sum().backward()
    (states * weighing).sum().backward()
    for mine, theirs in zip(ours.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("cell", "bidirectional"), STACKS)
@pytest.mark.parametrize("gradients", [False, True])
@settings(max_examples=15, deadline=None)
@given(lengths=LENGTHS)
def test_a_sentence_fares_in_a_batch_as_alone(cell, bidirectional, gradients, lengths):
    x, lengths = batch(lengths, beyond=1)
    stack = Recurrent(cell, 3, 4, 2, bidirectional, layer_norm=True, residual=True).double()
    rubbish = x.masked_fill(unrolling.past_end(lengths, x.shape[1], x.device).unsqueeze(-1), float("nan"))
    with torch.set_grad_enabled(gradients):
        together = stack(rubbish, lengths)
        alone = [stack(row[None, :length], length[None]) for row, length in zip(x, lengths, strict=True)]
    for i, (length, one) in enumerate(zip(lengths, alone, strict=True)):
        torch.testing.assert_close(together.states[i, :length], one.states[0])
        assert not together.states[i, length:].any()
        torch.testing.assert_close(together.final[i], one.final[0])
        for ours, theirs in zip(together.state, one.state, strict=True):
            torch.testing.assert_close(tuple(part[:, i : i + 1] for part in ours), theirs)


@pytest.mark.parametrize(("cell", "bidirectional"), STACKS)
def test_a_state_is_where_the_next_call_starts(cell, bidirectional, way):
    x, lengths = batch([3, 1, 2])
    stack = Recurrent(cell, 3, 4, bidirectional=bidirectional).double()
    (start,) = stack(x, torch.tensor([3, 3, 3])).state
    expected, last = packed_twin(torch_twin(stack, cell, 3), x, lengths, start if cell == "lstm" else start[0])
    result = stack(x, lengths, (start,))
    torch.testing.assert_close(result.states, expected)
    torch.testing.assert_close(result.state[0], last)


def test_a_text_in_two_windows_is_the_text_in_one():
    x, lengths = batch([6, 6])
    stack = Recurrent("lstm", 3, 4, layers=2).double()
    first = stack(x[:, :2], torch.tensor([2, 2]))
    second = stack(x[:, 2:], torch.tensor([4, 4]), first.state)
    torch.testing.assert_close(torch.cat([first.states, second.states], 1), stack(x, lengths).states)


def test_final_is_the_last_word_forward_and_the_first_word_backward():
    x, lengths = batch([2, 4])
    stack = Recurrent("gru", 3, 4, bidirectional=True).double()
    result = stack(x, lengths)
    forward, backward = result.state[0][0]
    torch.testing.assert_close(result.final, torch.cat([forward, backward], -1))


def test_padding_passes_no_gradient(way):
    x, lengths = batch([5, 2])
    x.requires_grad_()
    stack = Recurrent("lstm", 3, 4, bidirectional=True).double()
    result = stack(x, lengths)
    (result.states.sum() + result.state[0][1].sum()).backward()
    assert not x.grad[1, 2:].any()
    assert x.grad[0].any(-1).all()


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_falls_between_layers_and_on_the_output_alone(locked):
    torch.manual_seed(0)
    stack = Recurrent("lstm", 3, 64, layers=2, dropout=0.5, output_dropout=0.5, locked=locked)
    x, lengths = torch.randn(2, 5, 3), torch.tensor([5, 5])
    result = stack(x, lengths)
    first = stack.layer0(x, lengths)[0]
    torch.testing.assert_close(result.layers[0], first)
    assert not torch.allclose(result.raw, stack.layer1(first, lengths)[0])
    dropped = result.states == 0
    assert 0.3 < dropped.float().mean() < 0.7
    assert (dropped == dropped[:, :1]).all() == locked
    torch.testing.assert_close(result.states[~dropped], 2 * result.raw[~dropped])
    stack.eval()
    result = stack(x, lengths)
    assert torch.equal(result.states, result.raw)


def test_a_residual_adds_a_layers_input_to_its_normalised_output():
    x, lengths = batch([3, 2])
    stack = Recurrent("gru", 3, 4, layers=2, layer_norm=True, residual=True).double()
    first, second = stack(x, lengths).layers
    normalised = stack.norm1(stack.layer1(first, lengths)[0])
    torch.testing.assert_close(second[0], normalised[0] + first[0])
    torch.testing.assert_close(first[0].mean(-1), torch.zeros(3).double())
    assert not second[1, 2:].any()


def test_parameters_are_named_by_layer():
    names = {name for name, _ in Recurrent("gru", 3, 4, layers=2, bidirectional=True).named_parameters()}
    kinds = [f"{a}_{b}{c}" for a in ("weight", "bias") for b in ("ih", "hh") for c in ("", "_reverse")]
    assert names == {f"layer{i}.{kind}" for i in (0, 1) for kind in kinds}


def test_whole_matrices_may_begin_orthogonal_with_biases_near_zero():
    torch.manual_seed(1)
    layer = Recurrent("lstm", 6, 4, bidirectional=True, initial="whole").layer0
    for matrix in (layer.weight_ih, layer.weight_hh_reverse):
        torch.testing.assert_close(matrix.t() @ matrix, torch.eye(matrix.shape[1]))
    assert 0 < layer.bias_hh.abs().max() <= 1e-4


def test_all_weights_may_begin_from_minus_to_plus_a_tenth():
    torch.manual_seed(0)
    stack = Recurrent("lstm", 50, 60, bidirectional=True, initial="uniform")
    for parameter in stack.parameters():
        assert 0.09 < parameter.abs().max() <= 0.1


def test_orthogonal_weights_and_forget_bias_are_what_they_say():
    layer = Recurrent("lstm", 6, 4, bidirectional=True, initial="orthogonal", forget_bias=1.0).layer0
    for gate in (*layer.weight_hh.chunk(4), *layer.weight_hh_reverse.chunk(4)):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))
    for gate in layer.weight_ih.chunk(4):
        assert 0.5 * (6 / 10) ** 0.5 < gate.abs().max() <= (6 / 10) ** 0.5
    for suffix in ("", "_reverse"):
        effective = layer.get_parameter(f"bias_ih{suffix}") + layer.get_parameter(f"bias_hh{suffix}")
        assert effective.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


def test_a_forget_bias_leaves_the_other_default_weights_random():
    layer = Recurrent("lstm", 6, 4, forget_bias=2.0).layer0
    assert (layer.bias_ih + layer.bias_hh)[4:8].tolist() == [2.0] * 4
    assert layer.bias_hh[:4].all()


def test_settings_that_contradict_are_refused():
    with pytest.raises(ConfigError, match="no forget gate"):
        Recurrent("gru", 3, 4, forget_bias=1.0)
    with pytest.raises(ConfigError, match="at least 1 layer"):
        Recurrent("gru", 3, 4, layers=0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bf16_autocast_stays_near_full_precision(cell, way):
    stack = Recurrent(cell, 3, 4, layers=2, bidirectional=True)
    x, lengths = batch([4, 2, 3])
    exact = stack(x.float(), lengths)
    with torch.autocast("cpu", torch.bfloat16):
        result = stack(x.float(), lengths)
        stack(x.float(), lengths, result.state).final.float().sum().backward()
    torch.testing.assert_close(result.final.float(), exact.final, atol=0.03, rtol=0.03)
    assert all(parameter.grad.any() for parameter in stack.parameters())


@pytest.mark.parametrize(("cell", "bidirectional"), STACKS)
@pytest.mark.parametrize("lengths", [[4] * 5, [4, 2, 3] * 2])
def test_odd_sizes_in_bf16_give_states_and_gradients_near_those_in_full_precision(
    cell, bidirectional, lengths, way, monkeypatch
):
    widths, kernel = set(), getattr(torch, cell)

    def watched(*given):
        (weights,) = [one for one in given if isinstance(one, list)]
        widths.update(weight.shape[1] for weight in weights if weight.dim() > 1)
        return kernel(*given)

    monkeypatch.setattr(torch, cell, watched)
    stack = Recurrent(cell, 3, 5, layers=2, bidirectional=bidirectional)
    x, lengths = batch(lengths, beyond=1)
    found = []
    for half in (False, True):
        read = x.float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            first = stack(read, lengths)
            result = stack(read, lengths, first.state)
        loss = result.states.float().square().sum() + sum(part.float().sum() for part in result.state[-1])
        slopes = torch.autograd.grad(loss, [read, *stack.parameters()])
        found.append([result.states.float(), *(part.float() for part in result.state[-1]), *slopes])
    # torch's GRU needs no even sizes.
    assert any(width % 8 == 0 for width in widths) == (cell == "lstm")
    for exact, near in zip(*found, strict=True):
        assert near.shape == exact.shape
        assert (near - exact).abs().max() < 0.05 * exact.abs().max()


def directions_kept(layer, size):
    """The cosines of a layer's gradients in bf16 and in full precision, for the input and all weights."""
    x = torch.randn(4, 5, size, generator=torch.Generator().manual_seed(1))
    found = []
    for half in (False, True):
        read = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            states, _ = layer(read, torch.full((4,), 5))
        slopes = torch.autograd.grad(states.float().square().sum(), [read, *layer.parameters()])
        found.append([slope.flatten() for slope in slopes])
    return [torch.cosine_similarity(*pair, dim=0).item() for pair in zip(*found, strict=True)]


# These can fail on processors with AMX units alone.
@pytest.mark.parametrize("sizes", [(40, 1024), (40, 1150), (39, 1151), (1152, 1144), (1056, 1056)])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_wide_layers_learn_in_bf16_in_the_direction_of_full_precision(cell, sizes):
    torch.manual_seed(0)
    assert min(directions_kept(RecurrentLayer(cell, *sizes), sizes[0])) > 0.99


def test_wide_sparse_layers_learn_in_bf16_in_the_direction_of_full_precision(monkeypatch):
    monkeypatch.setattr("seqloom.nn.sparse.BULK", 1)
    torch.manual_seed(0)
    # Blocks of 1,500 inputs, evened to 1,504, a multiple of 32.
    assert min(directions_kept(SparseLSTM(3000, 2080, blocks=2, density=0.5), 3000)) > 0.99


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.filterwarnings("error")
def test_a_gpu_gives_what_the_cpu_gives(cell):
    stack = Recurrent(cell, 3, 4, layers=2, bidirectional=True)
    x, lengths = batch([4, 2, 3])
    moved = copy.deepcopy(stack).cuda()(x.float().cuda(), lengths)
    torch.testing.assert_close(moved.states.cpu(), stack(x.float(), lengths).states, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("ours", [WeightDropLayer("lstm", 4, 8), SparseLSTM(4, 8, blocks=2, density=0.75)])
def test_a_compiled_layer_gives_the_same_states_and_gradients(ours):
    x, lengths = batch([3, 2], size=4)
    found = []
    for layer in (ours, torch.compile(ours, backend="aot_eager")):
        states, _ = layer(x.float(), lengths)
        found.append([states, *torch.autograd.grad(states.square().sum(), list(ours.parameters()))])
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain)
