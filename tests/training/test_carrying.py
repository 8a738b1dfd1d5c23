"""What streams carry is kept for every rank, and given back to the rank that kept it."""

import pytest
import torch

from seqloom.errors import TrainingError
from seqloom.training.carrying import Carried
from seqloom.training.distributed import CPU, Ranks

STATE = ((torch.ones(1, 2, 3), torch.zeros(1, 2, 3)), (torch.full((1, 2, 4), 2.0),))


def carrying(ranks):
    """What a rank carries that has read one window."""
    carried = Carried(ranks)
    carried.after("lm", 0, STATE)
    carried.after("lm", 1, (torch.ones(2),))
    return carried


def test_states_come_back_as_they_were():
    back = Carried(Ranks())
    back.restore(carrying(Ranks()).tensors() | {"lm/weight/exp_avg": torch.ones(2)}, CPU)
    (first, second), (third,) = back.before("lm", 0, fresh=False)
    for one, other in zip((first, second, third), (*STATE[0], *STATE[1]), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(back.before("lm", 1, fresh=False)[0], torch.ones(2))
    assert back.before("lm", 0, fresh=True) is None


@pytest.mark.parametrize("size", [2, 3])
def test_states_of_another_number_of_processes_are_refused(size):
    with pytest.raises(TrainingError, match=rf"streams: 1 did, and {size} would go on; resume with as many"):
        Carried(Ranks(1, size)).restore(carrying(Ranks()).tensors(), CPU)


def test_a_run_without_streams_may_go_on_with_another_number_of_processes():
    Carried(Ranks(1, 2)).restore({"pos/weight/exp_avg": torch.ones(2)}, CPU)
