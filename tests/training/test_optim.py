import math
from typing import Any

import pytest
import torch
from torch import nn

from seqloom.config import part
from seqloom.training.optim import groups, set_rate


def made(family: str, kind: str, *words: Any, **settings: Any) -> Any:
    one: Any = part(family, kind)
    return one(one.Config(type=kind, **settings), *words)


def factors(kind: str, steps: int, **settings: Any) -> list[float]:
    schedule = made("schedules", kind, steps, **settings)
    return [round(schedule.factor(step), 4) for step in range(steps)]


def optimizer(kind: str, network: nn.Module, **settings: Any) -> torch.optim.Optimizer:
    one: Any = part("optimizers", kind)
    config = one.Config(type=kind, **settings)
    made: torch.optim.Optimizer = one.make(config, groups(network.named_parameters(), {}, config.rate))
    return made


@pytest.mark.parametrize(
    ("kind", "settings", "torch_kind", "torch_settings"),
    [
        ("sgd", {"rate": 0.1, "momentum": 0.9, "nesterov": True}, "SGD", {"momentum": 0.9, "nesterov": True}),
        ("adam", {"rate": 0.1, "beta1": 0.5, "epsilon": 1e-3}, "Adam", {"betas": (0.5, 0.999), "eps": 1e-3}),
        ("adamw", {"rate": 0.1}, "AdamW", {"weight_decay": 0.01}),
        ("adagrad", {"rate": 0.1, "weight_decay": 0.3}, "Adagrad", {"weight_decay": 0.3}),
        ("adadelta", {"rate": 0.1, "decay": 0.5, "epsilon": 1e-4}, "Adadelta", {"rho": 0.5, "eps": 1e-4}),
    ],
)
def test_an_optimizer_is_torchs_with_these_settings(
    kind: str, settings: dict[str, Any], torch_kind: str, torch_settings: dict[str, Any]
) -> None:
    torch.manual_seed(1)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    steppers = [
        (ours, optimizer(kind, ours, **settings)),
        (theirs, getattr(torch.optim, torch_kind)(theirs.parameters(), lr=0.1, **torch_settings)),
    ]
    for _ in range(3):
        for network, stepper in steppers:
            stepper.zero_grad()
            network(torch.ones(4, 3)).square().sum().backward()
            stepper.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_schedules_without_an_end() -> None:
    assert factors("constant", 3) == [1, 1, 1]
    assert factors("constant", 5, warmup=4) == [0.25, 0.5, 0.75, 1, 1]
    assert factors("milestones", 5, at=[1, 4], factor=0.5) == [1, 0.5, 0.5, 0.5, 0.25]
    assert factors("milestones", 6, at=[4], warmup=2) == [0.5, 1, 1, 1, 0.1, 0.1]
    assert factors("milestones", 5, at=[2], warmup=4) == [0.25, 0.5, 0.075, 0.1, 0.1]
    assert factors("exponential", 5, factor=0.25, every=2) == [1, 0.5, 0.25, 0.125, 0.0625]
    assert factors("exponential", 5, factor=0.25, every=2, stepwise=True) == [1, 1, 0.25, 0.25, 0.0625]


def test_schedules_that_end() -> None:
    assert factors("linear", 4, end=0.2) == [1, 0.8, 0.6, 0.4]
    assert factors("linear", 6, warmup=2) == [0.5, 1, 1, 0.75, 0.5, 0.25]
    half = (1 + math.cos(math.pi / 4)) / 2
    assert factors("cosine", 4) == [1, round(half, 4), 0.5, round(1 - half, 4)]
    longer = made("schedules", "linear", 4, end=0.2)
    assert longer.factor(9) == pytest.approx(0.2), "a run that was made longer stays at the end"


def test_plateau_falls_when_patience_is_out() -> None:
    schedule = made("schedules", "plateau", 0, factor=0.5, patience=1, least=0.2)
    heard = []
    best = -math.inf
    for figure in (10, 9, 10, 11, 5, 5, 5, 5, 5, 5):
        schedule.evaluated(figure, best)
        best = max(best, figure)
        heard.append(schedule.factor(0))
    assert heard == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]


def averages(kind: str, **settings: Any) -> list[float]:
    averaging = made("averagings", kind, **settings)
    found = []
    for step in range(1, 6):
        averaging.update(step, {"a": torch.tensor([float(step**2)])})
        found.append(float(averaging.average["a"]) if averaging.average else math.nan)
    return found


def test_averages() -> None:
    assert averages("mean") == pytest.approx([1, 2.5, 14 / 3, 7.5, 11])
    assert averages("mean", start=4)[2:] == pytest.approx([math.nan, 16, 20.5], nan_ok=True)
    moving = averages("moving", decay=0.5)
    assert moving[0] == 1
    assert moving[3:] == pytest.approx([0.5 * moving[2] + 8, 0.5 * moving[3] + 12.5])
    slow = averages("moving", decay=0.999)
    assert slow[1] == pytest.approx(1 + (4 - 1) / 3), "the start is forgotten faster than by the decay"


def test_rates_by_the_first_glob_that_fits() -> None:
    network = nn.ModuleDict({"low": nn.Linear(1, 1), "high": nn.Linear(1, 1)})
    network["high"].bias.requires_grad_(False)
    found = groups(network.named_parameters(), {"low.weight": 0.0, "low.*": 0.5}, 0.2)
    assert [group["lr"] for group in found] == [0.0, 0.1, 0.2]
    assert [len(group["params"]) for group in found] == [1, 1, 1]
    stepper = torch.optim.SGD(found, lr=0.2)
    assert set_rate(stepper, 0.5) == pytest.approx(0.1), "the common rate is told, not that of a glob"
    assert [group["lr"] for group in stepper.param_groups] == pytest.approx([0.0, 0.05, 0.1])


def halved(figures: list[float], **settings: Any) -> list[float]:
    schedule = made("schedules", "halving", 0, **settings)
    found = []
    for figure in figures:
        schedule.evaluated(figure, 0.0)
        found.append(schedule.factor(0))
    return found


def test_halving_goes_on_once_it_began_unless_told_otherwise() -> None:
    figures = [-9.0, -8.0, -8.5, -7.0, -7.5]
    assert halved(figures) == [1, 1, 0.5, 0.25, 0.125]
    assert halved(figures, sticky=False) == [1, 1, 0.5, 0.5, 0.25]
    assert halved(figures, sticky=False, start=2, factor=0.1) == pytest.approx([1, 0.1, 0.01, 1e-3, 1e-4])


def test_halving_can_end_training() -> None:
    schedule = made("schedules", "halving", 0, stop=0.4)
    seen = []
    for figure in (-1.0, -2.0, -3.0):
        schedule.evaluated(figure, -1.0)
        seen.append(schedule.over)
    assert seen == [False, False, True]
