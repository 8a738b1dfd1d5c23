from pathlib import Path

import numpy as np
import pytest
import torch

from seqloom.data.batch import Batch
from seqloom.errors import ConfigError
from seqloom.model.folder import Assembly
from tests import tiny


def batch(model: Assembly, task: str, rows: int = 5) -> Batch:
    return tiny.batcher(model, task).batch(np.arange(rows))


def test_parameters_have_the_names_of_the_configuration(corpus: Path) -> None:
    names = dict(tiny.untrained(tiny.two(corpus)).network.named_parameters())
    assert "embedders.words.table.weight" in names
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in names} == {
        "embedders.words",
        "encoders.shared",
        "heads.pos",
        "heads.kind",
    }


def test_a_loss_reaches_the_shared_parts_and_its_own_head_only(corpus: Path) -> None:
    model = tiny.untrained(tiny.two(corpus))
    loss = model.network(batch(model, "pos")).loss
    loss.backward()
    reached = {name for name, one in model.network.named_parameters() if one.grad is not None}
    assert reached == {
        name for name, _ in model.network.named_parameters() if not name.startswith("heads.kind")
    }


def test_a_loss_is_a_sum_over_what_it_counts(corpus: Path) -> None:
    model = tiny.untrained(tiny.two(corpus))
    model.network.eval()
    for task in ("pos", "kind"):
        whole = model.network(batch(model, task))
        rows = tiny.batcher(model, task)
        parts = [model.network(rows.batch(np.array([row]))) for row in range(5)]
        assert whole.count == sum(one.count for one in parts)
        torch.testing.assert_close(whole.loss, sum(one.loss for one in parts))


def test_weights_depend_on_the_seed_alone(corpus: Path) -> None:
    config = tiny.two(corpus)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = tiny.untrained(config).network.state_dict()
    assert torch.equal(torch.get_rng_state(), before), "building must not draw from the common generator"
    torch.manual_seed(6)
    same, other = (
        tiny.untrained(config).network.state_dict(),
        tiny.untrained(config, seed=2).network.state_dict(),
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if one[name].dim() > 1)


def test_tasks_may_share_an_encoder_and_keep_their_words(corpus: Path) -> None:
    config = tiny.two(corpus)
    del config["encoders"]["shared"]["input"]
    config["embedders"] = {
        "left": {"type": "word", "size": 6},
        "right": {"type": "word", "size": 6, "vocabulary": "others"},
    }
    config["tasks"]["pos"]["embedder"], config["tasks"]["kind"]["embedder"] = "left", "right"
    model = tiny.untrained(config)
    model.network(batch(model, "kind")).loss.backward()
    reached = {name for name, one in model.network.named_parameters() if one.grad is not None}
    assert any(name.startswith("embedders.right") for name in reached)
    assert not any(name.startswith("embedders.left") for name in reached)


def test_embedders_of_one_encoder_must_agree_in_size(corpus: Path) -> None:
    config = tiny.two(corpus)
    config["tasks"]["kind"]["embedder"] = {"type": "word", "size": 7}
    with pytest.raises(ConfigError, match=r"encoders.shared: .* differ in size \(pos: 6, kind: 7\)"):
        tiny.untrained(config)


@pytest.mark.parametrize("name", ["train", "type", "items", "forward"])
def test_any_name_will_do(name: str, corpus: Path) -> None:
    config = tiny.two(corpus)
    config["tasks"] = {name: config["tasks"]["pos"]}
    model = tiny.untrained(config)
    assert model.network(batch(model, name)).count > 0
    assert any(key.startswith(f"heads.{name}.") for key in model.network.state_dict())
