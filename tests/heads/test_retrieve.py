import numpy as np
import pytest
import torch

from seqloom.data.features import VectorField
from seqloom.heads.retrieve import Retrieve
from seqloom.nn.ranking import hinge_ranking, ranks, recalls


def test_the_cost_is_that_of_pairs_within_the_margin():
    scores = torch.tensor([[0.9, 0.8, 0.1], [0.3, 0.5, 0.6], [0.0, 0.2, 0.7]])
    rows, columns = 0.1 + 0.3 + 0, 0 + 0.5 + 0.1
    torch.testing.assert_close(hinge_ranking(scores, 0.2), torch.tensor(rows + columns))
    everything = 0.1 + (0 + 0.3) + (0.5 + 0) + 0.1
    torch.testing.assert_close(hinge_ranking(scores, 0.2, negatives="all"), torch.tensor(everything))
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    torch.testing.assert_close(hinge_ranking(scores, 0.2, same), torch.tensor(0.3 + 0.1))


def test_the_rank_is_that_of_the_best_right_item():
    scores = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    right = torch.tensor([[False, True, True], [True, False, True]])
    assert ranks(scores, right).tolist() == [2, 1]
    found = recalls(torch.tensor([1, 2, 6, 20]))
    assert found == {
        "r1": 25,
        "r5": 50,
        "r10": 75,
        "mrr": pytest.approx(42.9167, abs=1e-3),
        "mean": 7.25,
        "median": 4,
    }


@pytest.mark.parametrize("value", [1.0, float("nan"), float("inf")])
def test_a_model_that_tells_nothing_apart_ranks_last(value):
    assert ranks(torch.full((4, 4), value), torch.eye(4).bool()).tolist() == [4, 4, 4, 4]


def test_a_score_that_is_no_number_is_held_against_the_model():
    scores = torch.tensor([[0.5, float("nan"), 0.1], [float("nan"), 0.2, 0.1]])
    right = torch.tensor([[True, False, False], [True, True, False]])
    assert ranks(scores, right).tolist() == [2, 2]


def score(rows, groups, **keys):
    head = Retrieve(Retrieve.Config(grouped=True, **keys), size=2, vocabularies={})
    return head.score([{"source": list(a), "target": list(b)} for a, b in rows], groups)


EAST, NORTH, WEST = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)


def test_vectors_that_differ_little_are_told_apart_in_half_precision_too():
    angles = [0.01 * place for place in range(20)]
    rows = [((np.cos(one), np.sin(one)),) * 2 for one in angles]
    with torch.autocast("cpu", torch.bfloat16):
        assert score(rows, list(range(20)))["recalls"] == pytest.approx(100)


def test_an_image_with_several_captions_is_one_target_and_a_text_is_one_of_several():
    rows = [(EAST, EAST), (WEST, EAST), (NORTH, NORTH)]
    images = score(rows, ["a", "a", "b"], target="vector")
    assert (images["forward_r1"], images["forward_mean"]) == (pytest.approx(200 / 3), pytest.approx(4 / 3))
    assert images["backward_r1"] == 100
    texts = score([(EAST, EAST), (EAST, (0.6, 0.8)), (WEST, WEST)], ["a", "a", "b"])
    assert texts["recalls"] == 100


def test_training_draws_one_of_an_images_crops_and_all_else_takes_the_first():
    head = Retrieve(Retrieve.Config(target="vector", features=2, crops=3), size=2, vocabularies={})
    features = torch.arange(12.0).view(2, 6)
    crops = features.view(2, 3, 2)
    assert torch.equal(head.eval()._drawn(features), crops[:, 0])
    torch.manual_seed(1)
    drawn = torch.stack([head.train()._drawn(features) for _ in range(20)])
    found = [{tuple(one) for one in drawn[:, image].tolist()} for image in range(2)]
    assert found == [{tuple(one) for one in image.tolist()} for image in crops]


def test_figures_over_folds_are_means_over_parts_of_the_targets():
    rows = [(EAST, EAST), (NORTH, NORTH), (WEST, (0.9, 0.1)), (EAST, WEST)]
    whole = score(rows, list("abcd"))
    assert whole["forward_r1"] == 50
    parts = score(rows, list("abcd"), folds=2)
    assert (parts["forward_r1"], parts["forward_mean"]) == (50, 1.5)


@pytest.mark.parametrize(
    ("value", "message"),
    [([1.0], r"2 numbers is expected, found shape \(1,\)"), ([1.0, np.nan], "infinite or NaN")],
)
def test_vectors_that_are_not_what_they_should_be_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        VectorField(2).store(value)
