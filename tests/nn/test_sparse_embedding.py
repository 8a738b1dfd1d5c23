import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from seqloom.errors import ConfigError
from seqloom.nn import SparseEmbedding
from seqloom.nn.heights import heights

IDS = torch.tensor([[0, 3, 29, 11], [2, 1, 28, 29]])


def table(**how):
    torch.manual_seed(0)
    return SparseEmbedding(30, 6, 4, 0.5, **how).double()


@settings(max_examples=60, deadline=None)
@given(
    words=st.integers(1, 400), size=st.integers(1, 30), blocks=st.integers(1, 30), density=st.floats(0.01, 1)
)
def test_heights_never_rise_and_keep_to_the_density(words, size, blocks, density):
    blocks = min(blocks, size)
    density = 1.0 if blocks == 1 else max(density, 1 / blocks)
    found = heights(words, size, blocks, density)
    assert found.heights[0] == words
    assert sorted(found.heights, reverse=True) == list(found.heights)
    assert sum(found.widths) == size
    budget = words * size * density
    assert budget - max(found.widths) - 1 < found.parameters <= budget + 1e-5


def test_falling_heights_are_those_of_the_paper():
    found = heights(10000, 400, 10, 0.5)
    published = heights(10000, 400, 10, 0.5, "published")
    assert found.parameters == published.parameters == 2_000_000
    assert all(abs(a - b) < 5 for a, b in zip(found.heights, published.heights, strict=True))


PLACES = torch.randperm(30, generator=torch.Generator().manual_seed(1))


def test_no_block_has_more_rows_than_there_are_words():
    assert max(heights(12, 12, 12, 0.95, "published").heights) <= 12
    assert max(heights(876, 400, 400, 0.85, "published").heights) <= 876


ORDERS = [{}, {"order": "down", "pinned": 2}, {"places": PLACES}, {"shape": "published"}]


@pytest.mark.parametrize("how", ORDERS)
def test_vectors_scores_and_gradients_are_those_of_the_dense_table(how):
    ours = table(**how)
    hidden = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    found = []
    for vectors, scores in (
        (ours(IDS), ours.scores(hidden)),
        (functional.embedding(IDS, ours.dense()), functional.linear(hidden, ours.dense())),
    ):
        loss = vectors.square().sum() + (scores * scores.detach().cos()).sum()
        found.append((vectors, scores, torch.autograd.grad(loss, [hidden, *ours.blocks])))
    torch.testing.assert_close(*found)


def lengths(ours):
    """How many features each word has."""
    return (ours.dense() != 0).sum(1)


def test_frequent_words_have_long_vectors_wherever_they_stand():
    up, down = lengths(table()), lengths(table(order="down", pinned=2))
    assert up[-1] == 6
    assert up[0] == up.min() < 6
    assert torch.equal(up, up.sort().values)
    assert down[2] == 6
    assert torch.equal(down[:2], up[:2])  # the pinned count as the rarest
    assert torch.equal(down[2:], up[2:].flip(0))
    shuffled = lengths(table(places=PLACES))
    assert torch.equal(shuffled, up[PLACES])


@pytest.mark.parametrize("how", ORDERS)
def test_filled_with_a_table_it_keeps_what_there_is_room_for(how):
    ours, whole = table(**how), torch.randn(30, 6).double()
    ours.fill(whole)
    assert torch.equal(ours.dense(), whole * (ours.dense() != 0))


def test_only_what_is_kept_is_stored():
    ours = table(order="down", pinned=2)
    stored = sum(one.numel() for one in ours.state_dict().values())
    assert stored == ours.geometry.parameters <= 30 * 6 * 0.5


def test_dropout_falls_on_whole_words_and_on_features_all_along_a_text():
    words = table(drop_words=0.5)
    vectors = words(IDS)
    assert torch.equal(vectors[0, 2], vectors[1, 3])  # the same word
    assert any((words(IDS) == 0).all(-1).any() for _ in range(5))
    dropped = table(dropout=0.5)(torch.full((1, 4), 29)) == 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert torch.equal(words.eval()(IDS), functional.embedding(IDS, words.dense()))


@pytest.mark.parametrize(("blocks", "density"), [(4, 0.2), (1, 0.5), (0, 1), (4, 1.2), (4, 0)])
def test_a_density_that_cannot_be_met_is_refused_with_the_least_one(blocks, density):
    with pytest.raises(ConfigError, match=r"density must be .*at most 1"):
        heights(30, 6, blocks, density)


def test_scores_go_by_half_precision_where_the_rest_does():
    ours, hidden = table().float(), torch.randn(2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        scores = ours.scores(hidden)
    assert scores.dtype == torch.bfloat16
    torch.testing.assert_close(scores.float(), ours.scores(hidden), atol=0.05, rtol=0.05)
    scores.sum().backward()
    assert all(block.grad is not None for block in ours.blocks)
