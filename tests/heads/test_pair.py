import pytest
import torch

from seqloom.data.batch import Batch, Encoded
from seqloom.data.vocabulary import Vocabulary
from seqloom.heads.pair import Pair

LABELS = Vocabulary(["no", "yes"])


def encoded(states, *lengths):
    torch.manual_seed(states)
    found = torch.randn(len(lengths), max(lengths), 4)
    final = found[:, 0] + 1
    return Encoded(found, [found], found, final, torch.tensor(lengths))


def pair(**keys):
    torch.manual_seed(0)
    return Pair(Pair.Config(**{"hidden": [], **keys}), size=4, vocabularies={"label": LABELS}).eval()


def scores(head, premise, hypothesis):
    batch = Batch("one", {}, range(len(premise.lengths)))
    return head(batch, premise=premise, hypothesis=hypothesis).scores


def test_a_linear_head_reads_both_vectors_their_distance_and_their_product():
    head, u, v = pair(), encoded(1, 3, 2), encoded(2, 1, 4)
    pooled = [text.states[1, :length].amax(0) for text, length in ((u, 2), (v, 4))]
    features = torch.cat([*pooled, (pooled[0] - pooled[1]).abs(), pooled[0] * pooled[1]])
    torch.testing.assert_close(scores(head, u, v)[1], head.scorer.linears[0](features))


@pytest.mark.parametrize("pool", ["max", "mean", "last", "attention"])
def test_a_symmetric_head_knows_no_order(pool):
    u, v = encoded(1, 3, 2), encoded(2, 1, 4)
    head = pair(symmetric=True, pool=pool)
    torch.testing.assert_close(scores(head, u, v), scores(head, v, u))
    other = pair(pool=pool)
    assert not torch.allclose(scores(other, u, v), scores(other, v, u))


def test_the_last_states_are_those_of_both_directions():
    u, v = encoded(1, 3, 2), encoded(2, 1, 4)
    features = torch.cat([u.final, v.final, (u.final - v.final).abs(), u.final * v.final], -1)
    head = pair(pool="last")
    torch.testing.assert_close(scores(head, u, v), head.scorer(features))


@pytest.mark.parametrize(
    ("keys", "zeros"), [({"dropout": 0.5}, True), ({"dropout": 0.5, "input_dropout": 0}, False)]
)
def test_dropout_on_the_vector_may_be_set_apart(keys, zeros):
    head = pair(**keys).train()
    seen = head.dropout(torch.ones(4, 16))
    assert bool((seen == 0).any()) == zeros
    assert head.scorer.dropout.p == 0.5
