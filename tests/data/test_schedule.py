from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.config import kinds
from seqloom.data.sampling import (
    Interval,
    Proportional,
    Related,
    Sampling,
    Share,
    Uniform,
    Weighted,
    seeded,
    uniform,
)
from seqloom.data.schedule import Groups, Schedule, Tokens, in_order, nested, share_of
from seqloom.errors import ConfigError

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60).map(lambda lengths: np.array(lengths)[:, None])
BUDGETS = st.integers(1, 9) | st.integers(1, 120).map(lambda tokens: Tokens(tokens=tokens))


def epoch(groups, number):
    return [groups.rows(number * len(groups) + draw) for draw in range(len(groups))]


@settings(max_examples=60, deadline=None)
@given(LENGTHS, BUDGETS, st.integers(0, 3))
def test_an_epoch_has_every_row_once_within_the_budget(lengths, budget, number):
    batches = epoch(Groups(lengths, budget, seed=1), number)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        if isinstance(budget, Tokens):
            assert len(rows) == 1 or len(rows) * lengths[rows].max() <= budget.tokens
        else:
            assert 1 <= len(rows) <= budget


@settings(max_examples=60, deadline=None)
@given(LENGTHS, BUDGETS, st.integers(0, 3))
def test_rows_of_a_batch_are_neighbours_in_length(lengths, budget, number):
    batches = epoch(Groups(lengths, budget, seed=1), number)
    spans = sorted((lengths[rows].min(), lengths[rows].max()) for rows in batches)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_padding_is_small():
    lengths = np.random.default_rng(0).geometric(0.05, (5000, 1))
    for budget in (32, Tokens(tokens=1000)):
        assert share_of(epoch(Groups(lengths, budget, seed=1), 0), lengths) < 0.05
    shuffled = np.random.default_rng(0).permutation(5000).reshape(-1, 20)
    assert share_of(list(shuffled), lengths) > 0.5


def test_a_batch_is_cut_where_its_lengths_leap():
    lengths = np.array([[5]] * 31 + [[400]])
    assert sorted(map(len, epoch(Groups(lengths, 32, seed=1), 0))) == [1, 31]
    assert sorted(map(len, epoch(Groups(np.minimum(lengths, 9), 32, seed=1), 0))) == [32]


def test_a_curriculum_begins_with_the_shortest_rows():
    lengths = np.random.default_rng(0).integers(1, 40, (60, 1))
    groups = Groups(lengths, 7, seed=1, rising=True)
    first, second = (np.concatenate([lengths[rows, 0] for rows in epoch(groups, number)]) for number in (0, 1))
    assert (np.diff(first) >= 0).all()
    assert sorted(second) == first.tolist() != second.tolist()


@pytest.mark.parametrize("budget", [7, Tokens(tokens=280)])
def test_rows_may_be_mixed_whatever_their_lengths(budget):
    lengths = np.random.default_rng(0).integers(1, 40, (60, 1))
    groups = Groups(lengths, budget, seed=1, mixed=True)
    first, second = epoch(groups, 0), epoch(groups, 1)
    for batches in (first, second):
        assert sorted(np.concatenate(batches).tolist()) == list(range(60))
        assert np.mean([np.ptp(lengths[rows]) for rows in batches]) > 20
        assert max(map(len, batches)) == 7
    assert {frozenset(rows.tolist()) for rows in first}.isdisjoint(frozenset(rows.tolist()) for rows in second)


def test_rows_are_grouped_by_the_second_length_within_the_first():
    lengths = np.random.default_rng(0).integers(5, 25, (5000, 2))
    assert share_of(epoch(Groups(lengths, 32, seed=1), 0), lengths) < 0.07


def test_batches_of_a_number_of_rows_are_as_few_and_even_as_can_be():
    sizes = [len(rows) for rows in epoch(Groups(np.ones((10, 1), int), 4, seed=1), 0)]
    assert sorted(sizes) == [3, 3, 4]


def test_a_row_over_the_budget_has_a_batch_of_its_own():
    batches = epoch(Groups(np.array([[3], [50], [3]]), Tokens(tokens=10), seed=1), 0)
    assert sorted(map(sorted, (rows.tolist() for rows in batches))) == [[0, 2], [1]]


@settings(max_examples=30, deadline=None)
@given(LENGTHS, BUDGETS, st.integers(0, 300))
def test_any_draw_can_be_had_without_those_before(lengths, budget, draw):
    walked = Groups(lengths, budget, seed=5)
    for one in range(draw % (3 * len(walked))):
        walked.rows(one)
    last = draw % (3 * len(walked))
    assert walked.rows(last).tolist() == Groups(lengths, budget, seed=5).rows(last).tolist()


def test_epochs_and_seeds_mix_anew():
    lengths = np.ones((40, 1), int)
    one = Groups(lengths, 4, seed=1)
    drawn = [np.concatenate(epoch(one, number)).tolist() for number in (0, 1)]
    drawn.append(np.concatenate(epoch(Groups(lengths, 4, seed=2), 0)).tolist())
    assert len({tuple(rows) for rows in drawn}) == 3


def test_the_order_is_the_same_on_every_machine():
    assert seeded(1, "epoch", 0) == 6653624655485779468
    assert uniform(1, "epoch", 0) == 6653624655485779468 / 2**63
    assert seeded(1, 23) != seeded(12, 3)
    assert Groups(np.ones((6, 1), int), 6, seed=1).rows(0).tolist() == [5, 1, 0, 4, 3, 2]


@given(LENGTHS, st.integers(1, 20), st.booleans())
def test_without_learning_rows_come_once_longest_first(lengths, budget, full):
    batches = in_order(lengths, budget, full=full)
    assert not full or {len(rows) for rows in batches[:-1]} <= {budget}
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    found = lengths[np.concatenate(batches), 0]
    assert (np.diff(found) <= 0).all()
    assert max(map(len, batches)) <= budget


def test_without_learning_a_batch_ends_where_lengths_change():
    lengths = np.repeat([9, 8, 7, 5], [1, 20, 40, 2])[:, None]
    found = [np.unique(lengths[rows], return_counts=True) for rows in in_order(lengths, 32)]
    told = [dict(zip(*(one.tolist() for one in each), strict=True)) for each in found]
    assert told == [{9: 1, 8: 20}, {7: 32}, {7: 8}, {5: 2}]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200), st.integers(0, 9))
def test_a_smaller_sample_is_part_of_a_larger_one(rows, one, other, seed):
    small, large = (nested(rows, keep, seed).tolist() for keep in sorted((one, other)))
    assert set(small) <= set(large)
    assert large == sorted(set(large))
    assert len(large) == min(rows, max(one, other))


def test_a_sample_may_be_a_share_but_is_never_empty():
    assert len(nested(200, 0.1, 0)) == 20
    assert len(nested(3, 0.01, 0)) == 1
    assert nested(200, 0.1, 0).tolist() == nested(200, 20, 0).tolist()
    assert nested(200, 0.1, 0).tolist() != nested(200, 0.1, 1).tolist()


TASKS = {
    "a": Share(rows=900, batch=10),
    "b": Share(rows=100, batch=10),
    "c": Share(rows=400, batch=10, weight=2.0),
}


def shares(sampling, steps=4000):
    found = Counter(sampling.task(step) for step in range(steps))
    return [found[name] / steps for name in TASKS]


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        (Uniform, {}, [1, 1, 2]),
        (Proportional, {}, [900, 100, 800]),
        (Proportional, {"power": 0.5}, [30, 10, 40]),
        (Proportional, {"power": 0.0}, [1, 1, 2]),
        (Weighted, {"weights": {"a": 3.0}}, [3, 1, 2]),
        (Interval, {"every": {"a": 5}}, [3, 4, 8]),
        (Interval, {"every": {"b": 4, "c": 4}}, [2, 1, 1]),
        (Interval, {"every": {"b": 10}, "power": 1.0}, [900 * 0.9 / 1700, 0.1, 800 * 0.9 / 1700]),
        (Related, {"target": "a", "cross_lingual": ["b", "c"], "cross_task": ["c"]}, [30, 1, 0.4]),
        (Related, {"target": "a", "cross_lingual": ["b"], "factor": 0.5}, [30, 5, 40]),
    ],
)
def test_tasks_are_drawn_in_the_shares_of_the_sampling(kind, words, expected):
    sampling = kind(kind.Config(**words), TASKS, seed=1)
    assert shares(sampling) == pytest.approx([one / sum(expected) for one in expected], abs=0.025)


@pytest.mark.parametrize("kind", kinds("samplings"))
def test_the_task_of_a_step_depends_on_seed_and_step_alone(kind):
    needed = {
        "weighted": {"weights": {"a": 2.0}},
        "related": {"target": "a"},
        "interval": {"every": {"a": 7}},
    }
    words = needed.get(kind, {})
    make = kinds("samplings")[kind]
    assert issubclass(make, Sampling)
    one, again = (make(make.Config(**words), TASKS, seed=3) for _ in range(2))
    forward = [one.task(step) for step in range(60)]
    assert [again.task(step) for step in reversed(range(60))][::-1] == forward
    assert [make(make.Config(**words), TASKS, seed=4).task(step) for step in range(60)] != forward


def test_a_task_comes_once_in_its_interval_and_the_share_of_each_is_known():
    sampling = Interval(Interval.Config(every={"b": 10, "c": 5}), TASKS, seed=1)
    drawn = [sampling.task(step) for step in range(100)]
    assert [step for step, name in enumerate(drawn) if name == "b"] == list(range(0, 100, 10))
    assert [step for step, name in enumerate(drawn) if name == "c"] == list(range(1, 100, 5))
    assert {name: sampling.share(name) for name in TASKS} == pytest.approx({"a": 0.7, "b": 0.1, "c": 0.2})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Interval, {"every": {"a": 2, "b": 3}}),
        (Interval, {"every": {"b": 6, "c": 4}, "power": 1.0}),
        (Related, {"target": "a", "cross_lingual": ["b"], "mix": "epoch"}),
        (Related, {"target": "a", "cross_lingual": ["b"], "mix": "rows"}),
        (Related, {"target": "a", "cross_lingual": ["b"]}),
        (Weighted, {"weights": {"a": 3.0}}),
    ],
)
def test_a_sampling_knows_how_often_each_task_is_drawn(kind, words):
    sampling = kind(kind.Config(**words), TASKS, seed=1)
    assert shares(sampling) == pytest.approx([sampling.share(name) for name in TASKS], abs=0.025)


@pytest.mark.parametrize(
    ("every", "fault"),
    [
        ({"a": 9, "b": 9, "c": 9}, "no other task is there"),
        ({"a": 2, "b": 2}, "no step is left"),
    ],
)
def test_intervals_that_leave_nothing_are_refused(every, fault):
    with pytest.raises(ConfigError, match=fault):
        Interval(Interval.Config(every=every), TASKS, seed=1)
    far = Interval(Interval.Config(every={"a": 2, "b": 3, "c": 100003}), TASKS | {"d": Share(9, 3)}, seed=1)
    assert far.task(100005) == "c"
    assert far.share("c") == pytest.approx(1 / 3 / 100003)
    with pytest.raises(ConfigError, match="c never has its turn, the steps that it is due at being those of"):
        Interval.check(Interval.Config(every={"a": 2, "b": 5, "c": 2}), dict.fromkeys("abcd", 1.0))


@pytest.mark.parametrize(
    ("mix", "expected"), [("epoch", {"a": 90, "b": 3, "c": 120}), ("rows", {"a": 90, "c": 53})]
)
def test_a_cycle_around_a_target_has_fixed_counts_in_a_new_order(mix, expected):
    sampling = Related(Related.Config(target="a", cross_lingual=["b"], mix=mix), TASKS, seed=1)
    size = sum(expected.values())
    cycles = [[sampling.task(cycle * size + place) for place in range(size)] for cycle in range(2)]
    assert Counter(cycles[0]) == Counter(cycles[1]) == expected
    assert cycles[0] != cycles[1]


def test_a_target_smaller_than_a_batch_still_has_one():
    tasks = {"a": Share(rows=3, batch=10), "b": Share(rows=300, batch=10)}
    for mix in ("epoch", "rows"):
        assert Related(Related.Config(target="a", mix=mix), tasks, seed=1).cycle()["a"] == 1


def walk(schedule, steps):
    tasks = [schedule.task(step) for step in steps]
    return [(task, schedule.draw(task).tolist()) for task in tasks]


def test_a_schedule_goes_on_from_what_was_consumed():
    groups = {name: Groups(np.arange(1, 30)[:, None], 4, seed=1) for name in TASKS}
    sampling = Uniform(Uniform.Config(), TASKS, seed=1)
    whole = Schedule(sampling, groups)
    steps = walk(whole, range(30))
    half = Schedule(sampling, groups)
    walk(half, range(15))
    resumed = Schedule(sampling, {name: Groups(np.arange(1, 30)[:, None], 4, seed=1) for name in TASKS})
    resumed.draws = dict(half.draws)
    assert walk(resumed, range(15, 30)) == steps[15:]
    assert whole.epoch("a") == whole.draws["a"] / 8
    assert sum(whole.draws.values()) == 30
