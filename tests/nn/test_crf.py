"""The CRF against enumeration of every label sequence."""

import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import DataError
from seqloom.nn import crf_likelihood
from seqloom.nn.crf import LinearChainCRF, allowed_transitions
from seqloom.nn.crf_likelihood import layout, log_partition, log_partition_by_logs

SCHEMES = {"bio": ["O", "B-A", "I-A", "B-B", "I-B"], "bioes": ["O", "B-A", "I-A", "E-A", "S-A"]}
CHAINS = st.tuples(
    st.sampled_from([1, 2, 3, "bio", "bioes"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.sampled_from([0.1, 2.0, 60.0, 1000.0]),
    st.integers(0, 999),
)


def made(kind, lengths, scale, seed=0):
    """A CRF in double precision (`kind`: a number of labels, or a scheme), and emissions padded with no number."""
    torch.manual_seed(seed)
    labels = kind if isinstance(kind, int) else 5
    allowed = None if isinstance(kind, int) else allowed_transitions(SCHEMES[kind], kind)
    crf = LinearChainCRF(labels, allowed, constrain_training=True).double()
    emissions = scale * torch.randn(len(lengths), max(lengths), labels, dtype=torch.double)
    emissions[torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]] = torch.nan
    return crf, emissions, torch.tensor(lengths)


def enumerated(crf, emissions):
    """Every allowed path of one sentence as a row of labels, best first, and the paths' scores."""
    length, labels = emissions.shape
    moves = crf.transitions.detach()
    if crf.forbidden is not None:
        moves = moves.masked_fill(crf.forbidden, -torch.inf)
    paths = torch.tensor(list(product(range(labels), repeat=length)))
    states = [torch.tensor(labels), *paths.T, torch.tensor(labels + 1)]
    scores = sum(moves[to, origin] for origin, to in pairwise(states))
    scores = scores + emissions[torch.arange(length), paths].sum(1)
    order = scores.argsort(descending=True)[: int((scores > -torch.inf).sum())]
    return paths[order], scores[order]


@settings(max_examples=60, deadline=None)
@given(CHAINS)
def test_every_figure_is_that_of_enumeration(chain):
    kind, lengths, scale, seed = chain
    crf, emissions, counts = made(kind, lengths, scale, seed)
    partition, marginals = crf.log_partition(emissions, counts), crf.marginals(emissions, counts)
    decoded, best = crf.decode(emissions, counts), crf.n_best(emissions, counts, 700)
    gold = torch.full(emissions.shape[:2], -1)
    worst = torch.zeros(len(lengths), dtype=torch.double)
    for row, length in enumerate(lengths):
        paths, scores = enumerated(crf, emissions[row, :length])
        torch.testing.assert_close(partition[row], scores.logsumexp(0))
        shares = torch.nn.functional.one_hot(paths, crf.labels) * scores.softmax(0)[:, None, None]
        torch.testing.assert_close(marginals[row, :length], shares.sum(0), atol=1e-9, rtol=1e-6)
        assert not marginals[row, length:].any()
        assert [path for path, _ in best[row]] == paths[:700].tolist()
        assert [score for _, score in best[row]] == pytest.approx(scores[:700].tolist())
        assert decoded[row] == (paths[0].tolist(), pytest.approx(scores[0].item()))
        gold[row, :length], worst[row] = paths[-1], scores[-1]
    torch.testing.assert_close(crf.score(emissions, gold, counts), worst)
    torch.testing.assert_close(crf(emissions, gold, counts), partition - worst)
    assert crf.viterbi(emissions, counts) == [path for path, _ in decoded]


@pytest.mark.parametrize("kind", [3, "bio", "bioes"])
@pytest.mark.parametrize("scale", [1.0, 400.0])
def test_gradients_are_those_of_differences(kind, scale):
    crf, emissions, lengths = made(kind, [3, 1, 11], scale)
    gold = torch.zeros(emissions.shape[:2], dtype=torch.long)
    emissions = emissions.nan_to_num().requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5])

    def loss(scores, transitions):
        return torch.func.functional_call(crf, {"transitions": transitions}, (scores, gold, lengths)) * weights

    assert torch.autograd.gradcheck(loss, (emissions, crf.transitions), atol=1e-5, fast_mode=True)


def both_ways(crf, emissions, lengths):
    """The log-partitions and both gradients by the scaled sweep, or what takes its place, and by logarithms."""
    places = layout(lengths, emissions.size(1), emissions.device)
    results = []
    for total in (
        log_partition(emissions, crf._moves(True), places),
        log_partition_by_logs(emissions, crf._moves(True), lengths),
    ):
        results.append((total.detach(), *torch.autograd.grad(total.sum(), (emissions, crf.transitions))))
    return results


@pytest.mark.parametrize("kind", [12, "bio", "bioes"])
def test_ordinary_scores_of_long_sentences_stay_within_the_fast_sweep(kind, monkeypatch):
    crf, emissions, lengths = made(kind, [90, 1, 8, 9, 64, 89], 10.0)
    emissions = (emissions + torch.randn(6, 90, 1) * 100).requires_grad_()
    expected = both_ways(crf, emissions, lengths)[1]
    monkeypatch.setattr(crf_likelihood, "log_partition_by_logs", None)
    places = layout(lengths, emissions.size(1), emissions.device)
    total = log_partition(emissions, crf._moves(True), places)
    found = total, *torch.autograd.grad(total.sum(), (emissions, crf.transitions))
    torch.testing.assert_close(found, expected)
    monkeypatch.setattr(crf_likelihood, "_arrays", lambda *tensors: (torch, list(tensors)))
    again = log_partition(emissions, crf._moves(True), places)
    torch.testing.assert_close(again, total, msg="the loop on tensors, as other devices run it")


def test_a_path_that_underflows_from_both_ends_is_not_lost():
    # The labels exclude each other; both ends favour 0 beyond the range of numbers, the middle favours 1 by more.
    crf, emissions, lengths = made(2, [220], 0.0)
    with torch.no_grad():
        crf.transitions[:2, :2] = torch.tensor([[0.0, -2000.0], [-2000.0, 0.0]])
        emissions[0, 50:-50, 1] = 20.0
        emissions[0, :50, 0] = emissions[0, -50:, 0] = 20.0
    fast, slow = both_ways(crf, emissions.requires_grad_(), lengths)
    assert slow[0].item() > 20.0 * 120 - 10
    torch.testing.assert_close(fast, slow)


def test_transitions_far_below_the_highest_are_not_lost():
    crf, emissions, lengths = made(2, [40, 40], 1.0)
    with torch.no_grad():
        crf.transitions[0, 2] = 60.0
    fast, slow = both_ways(crf, emissions.requires_grad_(), lengths)
    torch.testing.assert_close(fast, slow)


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_single_precision_is_exact_and_finite_at_any_offset(offset):
    crf, emissions, lengths = made(6, [30, 7], 5.0)
    emissions = emissions.nan_to_num()
    gold = torch.zeros(emissions.shape[:2], dtype=torch.long)
    expected = crf(emissions, gold, lengths)
    loss = crf.float()((emissions + offset).float(), gold, lengths)
    torch.testing.assert_close(loss, expected.float(), atol=5e-3 if offset else 1e-5, rtol=1e-6)


def test_forbidden_gold_costs_infinitely_and_an_impossible_sentence_still_decodes():
    allowed = allowed_transitions(["I-A"], "bio")
    crf = LinearChainCRF(1, allowed, constrain_training=True)
    lengths, emissions = torch.tensor([2]), torch.zeros(1, 2, 1)
    assert crf.viterbi(emissions, lengths) == [[0, 0]]
    assert crf.n_best(emissions, lengths, 3) == [[]]
    crf, emissions, lengths = made("bio", [2], 1.0)
    assert crf(emissions, torch.tensor([[0, 2]]), lengths).item() == math.inf


@pytest.mark.parametrize("kind", [3, "bio"])
def test_unknown_labels_are_summed_over(kind):
    crf, emissions, lengths = made(kind, [4, 1, 3], 2.0)
    gold = torch.tensor([[0, -1, -1, 1], [-1, -1, -1, -1], [1, 0, 1, -1]])
    paths, scores = enumerated(crf, emissions[0])
    agreeing = scores[(paths[:, 0] == 0) & (paths[:, 3] == 1)].logsumexp(0)
    expected = scores.logsumexp(0) - agreeing, torch.tensor(0.0).double()
    emissions = emissions.nan_to_num().requires_grad_()
    loss = crf(emissions, gold, lengths)
    torch.testing.assert_close(tuple(loss[:2]), expected)
    torch.testing.assert_close(crf.score(emissions, gold, lengths)[0], agreeing)
    alone = crf(emissions[2:, :3], gold[2:, :3], lengths[2:])
    torch.testing.assert_close(loss[2:], alone)
    torch.testing.assert_close(
        *(torch.autograd.grad(each.sum(), emissions)[0][2:] for each in (loss[2:], alone))
    )


def test_a_label_that_is_none_is_refused():
    with pytest.raises(ValueError, match="the label 2 where there are 2"):
        LinearChainCRF(2)(torch.zeros(1, 2, 2), torch.tensor([[0, 2]]), torch.tensor([2]))


def test_constraints_hold_in_decoding_alone_unless_asked_for():
    labels = SCHEMES["bio"]
    crf = LinearChainCRF(5, allowed_transitions(labels, "bio"))
    free = LinearChainCRF(5)
    free.load_state_dict(crf.state_dict())
    emissions, lengths = torch.randn(4, 6, 5) * 5, torch.tensor([6, 5, 2, 1])
    torch.testing.assert_close(crf.log_partition(emissions, lengths), free.log_partition(emissions, lengths))
    emissions[:, 0, 2] = 100.0
    assert {path[0] for path in free.viterbi(emissions, lengths)} == {2}
    assert 2 not in {path[0] for path in crf.viterbi(emissions, lengths)}


def test_layouts_and_inference_mode_change_nothing():
    crf = LinearChainCRF(4)
    emissions, lengths = torch.randn(5, 3, 4), torch.tensor([1, 4, 3, 5, 2][:3])
    across, gold = emissions.transpose(0, 1), torch.zeros(3, 5, dtype=torch.long)
    torch.testing.assert_close(crf(across, gold, lengths), crf(across.contiguous(), gold, lengths))
    with torch.inference_mode():
        marginals = crf.marginals(across.clone(), lengths)
        assert crf.viterbi(across, lengths) == crf.viterbi(across.contiguous(), lengths)
    torch.testing.assert_close(marginals.sum(2).sum(1), lengths.float())


@pytest.mark.parametrize("lengths", [[0, 2], [2, 4]])
def test_impossible_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match=r"lengths from \d to \d where 1 to 3 are possible"):
        LinearChainCRF(2).log_partition(torch.zeros(2, 3, 2), torch.tensor(lengths))


def test_allowed_transitions_are_the_schemes_rules():
    def follows(labels, scheme):
        names = [*labels, "start", "end"]
        allowed = allowed_transitions(labels, scheme)
        return {(names[origin], names[to]) for to, origin in allowed.nonzero().tolist()}

    states = ["O", "B-A", "I-A", "start"]
    expected = {(a, b) for a in states for b in ("O", "B-A", "end")} | {("B-A", "I-A"), ("I-A", "I-A")}
    assert follows(["O", "B-A", "I-A"], "bio") == expected
    found = follows(["O", "B-A", "E-A", "S-A", "I-B"], "bioes")
    assert {to for origin, to in found if origin == "B-A"} == {"E-A"}
    assert {to for origin, to in found if origin == "I-B"} == {"I-B"}
    assert {to for origin, to in found if origin == "start"} == {"O", "B-A", "S-A", "end"}
    assert {origin for origin, to in found if to == "end"} == {"O", "E-A", "S-A", "start"}


def test_a_label_of_another_scheme_is_named():
    with pytest.raises(DataError, match='"E-A" is not one of the scheme "bio", which has O, B-, I-'):
        allowed_transitions(["O", "E-A"], "bio")
