import math

import pytest
import torch

from seqloom.data.batch import Batch, Encoded, Output
from seqloom.errors import ConfigError, DataError
from seqloom.heads.relate import Relate, sparse_distribution
from tests.tiny import untrained

NUMBERS = torch.arange(1.0, 6.0)


def relate(**keys):
    torch.manual_seed(0)
    config = Relate.Config(**{"lowest": 1, "highest": 5, "hidden": [], **keys})
    return Relate(config, size=4, vocabularies={}).eval()


def encoded(seed):
    states = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed))
    return Encoded(states, [states], states, states[:, 0], torch.tensor([3, 2]))


def always(head, *scores):
    """Make a linear head give these scores to any row."""
    linear = head.scorer.linears[0]
    torch.nn.init.zeros_(linear.weight)
    linear.bias.data = torch.tensor(scores)
    return head


def run(head, *gold):
    batch = Batch("one", {"score": torch.tensor(gold)}, range(len(gold)))
    output = head(batch, premise=encoded(1), hypothesis=encoded(2))
    return float(output.loss.detach()), output


def test_the_target_of_a_score_lies_on_the_two_nearest_whole_numbers():
    found = sparse_distribution(torch.tensor([3.6, 1.0, 4.0, 5.0]), NUMBERS)
    expected = [[0, 0, 0.4, 0.6, 0], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    torch.testing.assert_close(found, torch.tensor(expected))
    torch.testing.assert_close(found @ NUMBERS, torch.tensor([3.6, 1, 4, 5]))


def test_the_loss_is_the_divergence_from_the_target():
    right = always(relate(), -1e9, -1e9, math.log(0.4), math.log(0.6), -1e9)
    loss, output = run(right, 3.6, 3.6)
    assert loss == pytest.approx(0, abs=1e-5)
    assert right.decode(output, None) == pytest.approx([3.6, 3.6])
    uniform, _ = run(always(relate(), 0.0, 0.0, 0.0, 0.0, 0.0), 2.0, 3.6)
    entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    assert uniform == pytest.approx(2 * math.log(5) - entropy)


def test_a_prediction_is_the_mean_of_its_distribution_which_is_told():
    head = relate(lowest=-1, highest=1)
    output = Output(None, 1, torch.tensor([[0.1, 0.2, 0.7]]).log())
    (told,) = head.explain(output, None)
    assert told["prediction"] == pytest.approx(0.6)
    assert told["distribution"] == pytest.approx({"-1": 0.1, "0": 0.2, "1": 0.7})
    assert head.written({}, told["prediction"]) == "0.600\n"


def test_a_mean_over_the_scale_is_taken_in_full_precision():
    output = Output(None, 1, torch.tensor([[0.1, 0.2, 0.3, 0.25, 0.15]]).log())
    with torch.autocast("cpu", torch.bfloat16):
        assert relate().decode(output, None) == pytest.approx([3.15], abs=1e-6)


def test_a_squared_loss_is_that_of_a_number_within_the_scale():
    head = always(relate(loss="squared", highest=4.5), math.log(3))
    loss, output = run(head, 3.625, 1.625)
    assert loss == pytest.approx(4)
    assert head.explain(output, None) == [{"prediction": pytest.approx(3.625)}] * 2
    assert head.decode(Output(None, 2, torch.tensor([[-99.0], [99.0]])), None) == pytest.approx([1, 4.5])


@pytest.mark.parametrize("loss", ["distribution", "squared"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_order_of_the_texts_matters_only_if_it_should(loss, symmetric):
    head, batch = relate(loss=loss, symmetric=symmetric), Batch("one", {}, range(2))
    one, other = encoded(1), encoded(2)
    there = head(batch, premise=one, hypothesis=other).scores
    back = head(batch, premise=other, hypothesis=one).scores
    assert torch.allclose(there, back) == symmetric


def test_figures():
    found = relate().score([2.0, 3.0, 5.0], [1.0, 3.0, 4.0])
    expected = {"pearson": 100 * 13 / 14, "spearman": 100, "mse": 2 / 3}
    assert found == pytest.approx(expected)


def test_a_bcn_gives_distributions_too():
    head = relate(hidden=[50], bcn={"hidden": 3, "integrators": 1, "reduction": 2})
    assert run(head, 1.0, 5.0)[1].scores.shape == (2, 5)


def model(path="train.tsv", **keys):
    reader = {"type": "table", "train": str(path)}
    return {
        "encoders": {"shared": {"type": "lstm", "input": {"type": "word", "size": 4}, "hidden": 4}},
        "tasks": {"sick": {"reader": reader, "encoder": "shared", "head": {"type": "relate", **keys}}},
        "training": {"steps": 1},
    }


@pytest.mark.parametrize("score", ["0.9", "5.1", "nan"])
def test_a_score_outside_the_scale_is_refused_where_it_stands(score, tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text(f"premise\thypothesis\tscore\na b\tb\t1\na b\tb\t{score}\n")
    with pytest.raises(DataError, match=rf"train.tsv:3: score: .*{score}.*scale from 1 to 5; mend"):
        untrained(model(path, lowest=1))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"lowest": 5}, "lowest, 5, should be below highest, 5"),
        ({"lowest": 0.5}, "a distribution wants whole numbers as lowest and highest; or set loss: squared"),
        ({"bcn": {}, "lowest": 1, "symmetric": False, "dropout": 0.1}, "nothing reads dropout, symmetric;"),
    ],
)
def test_settings_that_do_not_fit_are_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        untrained(model(**keys))
