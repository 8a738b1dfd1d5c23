from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from seqloom.config import source_of
from seqloom.errors import ConfigError, ModelError
from seqloom.experiment import Experiment
from seqloom.model.tables import discover
from seqloom.training.table import TrainingTable
from seqloom.training.updates import Updates
from tests import tiny


def table(**training: Any) -> TrainingTable:
    config = {"steps": 10, "optimizer": {"type": "sgd", "rate": 1.0}, "clip": None, **training}
    discover()
    # The table alone: these networks have no parts by the configuration's names.
    found = Experiment.check(source_of(tiny.two(Path("nowhere"), **config), {}))
    assert found is not None
    return found.training


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.ModuleDict({"first": nn.Linear(3, 3), "second": nn.Linear(3, 2)})


def updates(own_steps: int = 5, **training: Any) -> Updates:
    config = table(**training)
    return Updates(network(), config, config.steps or 0, dict.fromkeys(config.per_task, own_steps))


def test_what_is_frozen_is_not_unfrozen() -> None:
    with pytest.raises(
        ConfigError, match=r'training\.unfreeze: all that "first\.\*" fits stays frozen; take it out'
    ):
        updates(freeze=["first.*"], unfreeze={"first.*": 2})
    assert updates(freeze=["first.*"], rates={"*": 0.1}, clip_except=["first.*"]).holds is False


def test_something_learns_from_the_first_step_on() -> None:
    with pytest.raises(ConfigError, match=r"training\.unfreeze: nothing learns at first"):
        updates(unfreeze={"*": 3})
    assert updates(unfreeze={"*.bias": 0, "*": 3}).holds is False


def change(updates: Updates, task: str = "pos", step: int = 0, own_step: int = 0, count: float = 1) -> Any:
    """How far each parameter moves in a step whose gradients are all 1."""
    before = {name: one.detach().clone() for name, one in updates.parameters.items()}
    for one in updates.parameters.values():
        one.grad = torch.ones_like(one)
    updates.apply(task, step, own_step, count)
    return {name: (before[name] - one).detach() for name, one in updates.parameters.items()}


def norm(changes: dict[str, torch.Tensor], part: str = "") -> float:
    return float(torch.cat([one.reshape(-1) for name, one in changes.items() if part in name]).norm())


def test_gradients_are_divided_by_the_count() -> None:
    assert change(updates(), count=4)["first.weight"][0, 0] == pytest.approx(0.25)
    assert change(updates(), count=0)["first.weight"][0, 0] == pytest.approx(1), (
        "an empty batch divides nothing"
    )


def test_clipping_bounds_the_norm_of_what_is_not_excepted() -> None:
    assert norm(change(updates())) == pytest.approx(20**0.5)
    assert norm(change(updates(clip=0.5))) == pytest.approx(0.5, rel=1e-4)
    excepted = change(updates(clip=0.5, clip_except=["second.*"]))
    assert norm(excepted, "first") == pytest.approx(0.5, rel=1e-4)
    assert norm(excepted, "second") == pytest.approx(8**0.5)


@pytest.mark.parametrize("count", [1.0, 4.0])
def test_tables_looked_up_sparsely_end_as_whole_ones_do(count: float) -> None:
    ends = []
    for sparsely in (False, True):
        config = table(clip=0.5)
        tables = nn.ModuleDict({"words": nn.Embedding(5, 3, _weight=torch.ones(5, 3))})
        made = Updates(tables, config, 10, {})
        if sparsely:
            made.look_up_sparsely(tables)
        for step in range(2):
            made.clear()
            # Word 2 stands there twice: its row is to be measured whole.
            tables["words"](torch.tensor([2, 0, 2])).square().sum().backward()
            assert all(one.is_sparse == sparsely for one in made.gradients())
            made.apply("pos", step, step, count)
        ends.append(made.parameters["words.weight"].detach())
    torch.testing.assert_close(*ends)
    assert (ends[1][[1, 3, 4]] == 1).all()
    assert (ends[1][[0, 2]] < 1).all()


@pytest.mark.parametrize("more", [{"momentum": 0.9}, {"weight_decay": 0.1}, {"type": "adam"}])
def test_tables_stay_whole_where_rows_move_without_a_gradient(more: dict[str, Any]) -> None:
    tables = nn.ModuleDict({"words": nn.Embedding(5, 3)})
    Updates(tables, table(optimizer={"type": "sgd", "rate": 1.0, **more}), 10, {}).look_up_sparsely(tables)
    tables["words"](torch.tensor([2])).sum().backward()
    assert not tables["words"].weight.grad.is_sparse


def test_clipping_comes_after_the_division() -> None:
    assert norm(change(updates(clip=100.0), count=2)) == pytest.approx(20**0.5 / 2)


def test_rates_and_freezing_by_globs() -> None:
    moved = change(updates(rates={"*.bias": 0.5}, freeze=["first.*"]))
    assert norm(moved, "first") == 0
    assert moved["second.bias"][0] == pytest.approx(0.5)
    assert moved["second.weight"][0, 0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("key", "value"), [("freeze", ["secnd.*"]), ("rates", {"secnd.*": 0.5}), ("clip_except", ["secnd.*"])]
)
def test_a_glob_that_fits_nothing_is_refused(key: str, value: Any) -> None:
    with pytest.raises(
        ConfigError, match=rf'training.{key}: "secnd.\*" fits the name of no parameter, such as'
    ):
        updates(**{key: value})


def test_something_must_be_left_to_train() -> None:
    with pytest.raises(ConfigError, match=r"training.freeze: leaves nothing to train"):
        updates(freeze=["*"])


def test_a_tasks_optimizer_takes_its_steps_alone() -> None:
    own = {"pos": {"optimizer": {"type": "sgd", "rate": 0.1, "momentum": 0.5}}}
    both = updates(per_task=own)
    assert change(both, "kind")["first.bias"][0] == pytest.approx(1)
    assert not any(name.startswith("pos/") for name in both.tensors()), "it saw no step of the other task"
    assert change(both, "pos")["first.bias"][0] == pytest.approx(0.1)
    assert change(both, "pos")["first.bias"][0] == pytest.approx(0.15), "momentum of its own two steps"
    assert change(both, "kind")["first.bias"][0] == pytest.approx(1)


def test_a_tasks_schedule_counts_its_own_steps() -> None:
    own = {"pos": {"optimizer": {"type": "sgd", "rate": 1.0}, "schedule": {"type": "linear"}}}
    falling = updates(own_steps=4, schedule={"type": "linear"}, per_task=own)
    assert change(falling, "pos", step=8, own_step=1)["first.bias"][0] == pytest.approx(0.75)
    assert change(falling, "kind", step=8, own_step=1)["first.bias"][0] == pytest.approx(0.2)


def test_a_missing_gradient_moves_nothing() -> None:
    stepping = updates(optimizer={"type": "adam", "rate": 1.0})
    change(stepping)
    stepping.clear()
    assert stepping.gradients() == []
    before = stepping.parameters["first.bias"].detach().clone()
    stepping.apply("pos", 1, 1, 1)
    assert torch.equal(stepping.parameters["first.bias"], before)


def test_the_state_of_another_model_is_refused() -> None:
    state = updates(optimizer={"type": "adam"})
    change(state)
    tensors = {name.replace("second", "third"): one for name, one in state.tensors().items()}
    with pytest.raises(ModelError, match=r"optimiser knows third.weight, which this model lacks"):
        updates(optimizer={"type": "adam"}).restore(tensors, {})
