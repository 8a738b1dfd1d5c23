import pytest
import torch
from torch.testing import assert_close

from seqloom.errors import ConfigError
from seqloom.nn.biattention import BCN, biattend

X_LENGTHS, Y_LENGTHS = torch.tensor([4, 1, 3]), torch.tensor([2, 5, 1])
ALLENNLP = {
    "integrators": 1,
    "reduction": 2,
    "batch_norm": False,
    "poolings": ("max", "min", "mean", "attention"),
    "dropout": (0.1, 0.2, 0.3),
}


def texts(fill=0.0):
    """States of three pairs of texts, with `fill` past their ends."""
    torch.manual_seed(1)
    x, y = torch.randn(3, 5, 6), torch.randn(3, 6, 6)
    for states, lengths in (x, X_LENGTHS), (y, Y_LENGTHS):
        for row, length in zip(states, lengths, strict=True):
            row[length:] = fill
    return x, y


def network(**words):
    torch.manual_seed(2)
    return BCN(6, 3, **{"hidden": 4, "pair": True} | words).eval()


def worked_out(x, y):
    """C_y and C_x of two texts (n, size) and (m, size) as the paper writes them."""
    affinity = torch.tensor([[float(a @ b) for b in y] for a in x])
    of_y = torch.stack([sum(w * b for w, b in zip(row.softmax(0), y, strict=True)) for row in affinity])
    of_x = torch.stack([sum(w * a for w, a in zip(row.softmax(0), x, strict=True)) for row in affinity.T])
    return of_y, of_x


def test_each_position_attends_to_the_true_positions_of_the_other_text():
    x, y = texts()
    of_y, of_x = biattend(x, X_LENGTHS, y, Y_LENGTHS)
    for row, (n, m) in enumerate(zip(X_LENGTHS, Y_LENGTHS, strict=True)):
        expected_y, expected_x = worked_out(x[row, :n], y[row, :m])
        assert_close(of_y[row, :n], expected_y)
        assert_close(of_x[row, :m], expected_x)


@pytest.mark.parametrize("integrators", [1, 2])
def test_the_vector_is_that_of_the_papers_equations(integrators):
    model, (x, y) = network(integrators=integrators), texts()
    found = model.pool(x, X_LENGTHS, y, Y_LENGTHS)
    row, n, m = 0, 4, 2
    of_y, of_x = worked_out(x[row, :n], y[row, :m])
    vectors = []
    for side, own, other in (model.sides[0], x[row, :n], of_y), (model.sides[-1], y[row, :m], of_x):
        joined = torch.cat([own, own - other, own * other], -1)[None]
        states = side.integrator(joined, torch.tensor([len(own)])).states[0]
        weights = (states @ side.poolings.attention.outer.weight[0]).softmax(0)
        vectors += [states.amax(0), states.mean(0), states.amin(0), weights @ states]
    assert_close(found[row], torch.cat(vectors))
    assert found.shape == (3, model.pooled) == (3, 2 * 4 * 8)


@pytest.mark.parametrize("words", [{}, {"integrators": 1}, ALLENNLP])
def test_padding_changes_nothing_whatever_it_holds(words):
    model, (x, y) = network(**words), texts(float("nan"))
    together = model(x, X_LENGTHS, y, Y_LENGTHS)
    for row, (n, m) in enumerate(zip(X_LENGTHS, Y_LENGTHS, strict=True)):
        alone = model(
            x[row : row + 1, :n], X_LENGTHS[row : row + 1], y[row : row + 1, :m], Y_LENGTHS[row : row + 1]
        )
        assert_close(alone[0], together[row])


def test_one_text_is_compared_with_itself():
    one, two = network(pair=False), network()
    x, _ = texts()
    assert_close(one(x, X_LENGTHS), two(x, X_LENGTHS, x, X_LENGTHS))


def test_one_text_with_one_integrator_has_one_side():
    model, (x, _) = network(**ALLENNLP, pair=False), texts()
    assert model.pool(x, X_LENGTHS).shape == (3, model.pooled) == (3, 4 * 8)
    assert [layer.out for layer in model.scorer.layers] == [16, 8, 3]
    assert [layer.linear.out_features for layer in model.scorer.layers] == [64, 32, 12]
    assert not model.couples_rows
    assert model(x, X_LENGTHS).shape == (3, 3)


@pytest.mark.parametrize("words", [{}, ALLENNLP])
def test_it_learns_in_every_parameter_from_one_row_too(words):
    x, y = texts()
    for rows in (slice(None), slice(0, 1)):
        model = network(**words).train()
        model(x[rows], X_LENGTHS[rows], y[rows], Y_LENGTHS[rows]).pow(2).sum().backward()
        assert [name for name, each in model.named_parameters() if not each.grad.any()] == []


def test_as_many_texts_are_asked_for_as_it_was_made_for():
    x, y = texts()
    with pytest.raises(ValueError, match="two texts"):
        network()(x, X_LENGTHS)
    with pytest.raises(ValueError, match="two texts"):
        network(pair=False)(x, X_LENGTHS, y, Y_LENGTHS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"integrators": 3}, "1 or 2 integrators"),
        ({"poolings": ["median"]}, "no pooling"),
        ({"dropout": [0.1]}, "3 lay"),
    ],
)
def test_what_cannot_be_built_is_refused(words, told):
    with pytest.raises(ConfigError, match=told):
        network(**words)
