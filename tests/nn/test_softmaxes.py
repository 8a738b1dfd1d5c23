import pytest
import torch
from torch.nn import functional

from seqloom.nn import softmaxes
from seqloom.nn.softmaxes import linear_cross_entropy
from seqloom.nn.split import SplitSoftmax
from seqloom.nn.stepwise import Stepwise


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("rows", [3, 512])
def test_the_loss_and_its_gradients_are_those_of_scores_that_are_kept(smoothing, biased, rows, monkeypatch):
    monkeypatch.setattr(softmaxes, "ROWS", rows)
    torch.manual_seed(1)
    given = [torch.randn(size, requires_grad=True) for size in ((7, 4), (9, 4), (9,))][: 2 + biased]
    states, weight, *bias = given
    gold = torch.randint(0, 9, (7,))
    ours = linear_cross_entropy(states, weight, bias[0] if bias else None, gold, smoothing)
    scores = functional.linear(states, weight, *bias)
    theirs = functional.cross_entropy(scores, gold, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(ours, theirs)
    for found, expected in zip(
        torch.autograd.grad(3 * ours, given), torch.autograd.grad(3 * theirs, given), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_rows_of_half_precision_are_of_few_counts(monkeypatch):
    torch.manual_seed(1)
    counts, linear = [], functional.linear
    monkeypatch.setattr(functional, "linear", lambda x, *rest: counts.append(len(x)) or linear(x, *rest))
    given = [torch.randn(size, requires_grad=True) for size in ((37, 4), (9, 4), (9,))]
    gold, found = torch.randint(0, 9, (37,)), {}
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = linear_cross_entropy(*given, gold, smoothing=0.1)
        found[half] = [loss.detach(), *torch.autograd.grad(loss, given)]
    assert counts == [37, 64]
    for whole, rounded in zip(*found.values(), strict=True):
        torch.testing.assert_close(rounded, whole, rtol=0.05, atol=0.05)


def test_without_gradients_there_is_the_loss_alone():
    states, weight = torch.randn(5, 4), torch.randn(9, 4, requires_grad=True)
    gold = torch.tensor([0, 1, 2, 3, 4])
    with torch.no_grad():
        loss = linear_cross_entropy(states, weight, None, gold)
    assert not loss.requires_grad
    torch.testing.assert_close(
        loss, functional.cross_entropy(states @ weight.t(), gold, reduction="sum").detach()
    )


def test_words_of_no_chance_give_a_finite_loss():
    states = torch.tensor([[400.0]], requires_grad=True)
    loss = linear_cross_entropy(states, torch.tensor([[1.0], [-1.0]]), None, torch.tensor([1]))
    loss.backward()
    assert float(loss.detach()) == 800
    assert states.grad.tolist() == [[2.0]]


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("cuts", [[1], [8], [3, 9, 16]])
def test_split_words_are_foretold_as_by_the_probabilities_of_all(cuts, sharpness):
    torch.manual_seed(1)
    split, table = SplitSoftmax(4, cuts, 20), (sharpness * torch.randn(20, 4), torch.randn(20))
    split.groups.data.normal_(std=sharpness)
    states = torch.randn(700, 4)
    likely = split.log_probabilities(states, *table)
    # Some words as the model would have them, some others.
    gold = torch.where(torch.rand(700) < 0.5, likely.argmax(1), torch.randint(0, 20, (700,)))
    found, likeliest = split.foretold(states, gold, *table)
    torch.testing.assert_close(found, likely.gather(1, gold.unsqueeze(1)).squeeze(1))
    assert torch.equal(likeliest, likely.argmax(1) == gold)
    assert 0 < int(likeliest.sum()) < 700


def test_a_weight_of_many_steps_has_the_sum_of_their_gradients():
    torch.manual_seed(1)
    weight, x = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)

    def looped(product):
        h = x
        for _ in range(4):
            h = torch.tanh(product(h))
        return h.sum()

    ours = torch.autograd.grad(looped(Stepwise(weight)), [weight, x])
    theirs = torch.autograd.grad(looped(lambda h: h @ weight.t()), [weight, x])
    torch.testing.assert_close(ours, theirs)


def test_a_weight_of_no_gradient_is_multiplied_alike():
    product = Stepwise(torch.eye(2))
    x = torch.ones(1, 2, requires_grad=True)
    product(product(x)).sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0]]


def test_half_precision_gives_the_loss_and_gradients_of_about_the_same_size():
    torch.manual_seed(1)
    states, weight = torch.randn(7, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    gold = torch.randint(0, 9, (7,))
    plain = linear_cross_entropy(states, weight, None, gold)
    with torch.autocast("cpu", torch.bfloat16):
        half = linear_cross_entropy(states.bfloat16(), weight, None, gold)
    torch.testing.assert_close(half, plain, rtol=0.02, atol=0)
    for ours, theirs in zip(
        *(torch.autograd.grad(one, [states, weight]) for one in (half, plain)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0.1, atol=0.1)
