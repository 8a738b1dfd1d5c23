"""Figures against definitions and numbers worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.metrics import (
    Scores,
    accuracy,
    confusions,
    convert,
    label_scores,
    macro_f1,
    mean,
    outside,
    paired_bootstrap,
    pearson,
    pooled,
    span_scores,
    spans,
    spearman,
    spread,
    strict_span_scores,
    strict_spans,
)

SCHEMES = st.sampled_from(["iob", "bio", "bioes"])
ANY_TAGS = st.lists(st.sampled_from(["O", *(f"{p}-{k}" for p in "BIES" for k in ("A", "B-C"))]), max_size=9)


def texts(*lines):
    return [line.split() for line in lines]


def written(stretches):
    """The BIO tags of stretches of (type or None, length)."""
    return [
        tag
        for kind, length in stretches
        for tag in (["O"] * length if kind is None else [f"B-{kind}"] + [f"I-{kind}"] * (length - 1))
    ]


BIO = st.lists(st.tuples(st.sampled_from([None, "A", "B"]), st.integers(1, 3)), max_size=6).map(written)


def test_rates_follow_from_the_counts_and_are_zero_of_nothing():
    scores = span_scores(texts("B-A I-A O B-B"), texts("B-A I-A B-A I-A"))
    assert (scores.tp, scores.fp, scores.fn) == (1, 1, 1)
    assert (scores.precision, scores.recall, scores.f1) == (0.5, 0.5, 0.5)
    assert scores.by_type == {"A": Scores(1, 0, 1), "B": Scores(0, 1, 0)}
    assert (Scores().precision, Scores().recall, Scores().f1, span_scores([], []).f1) == (0, 0, 0, 0)


def test_pooled_scores_are_those_of_all_rows():
    predicted, gold = texts("B-A O", "B-A B-B", "O O"), texts("B-A O", "B-A O", "O B-B")
    rows = [span_scores([ours], [theirs]) for ours, theirs in zip(predicted, gold, strict=True)]
    total = span_scores(predicted, gold)
    assert pooled(rows) == Scores(total.tp, total.fp, total.fn)
    assert pooled([]) == Scores()


@given(BIO, BIO)
def test_spans_of_whole_tags_are_scored_as_sets(first, second):
    length = min(len(first), len(second))
    first, second = ["O", *first[:length]], ["O", *second[:length]]
    scores = span_scores([first], [second])
    found, gold = set(spans(first)), set(spans(second))
    assert (scores.tp, scores.fp, scores.fn) == (len(found & gold), len(found - gold), len(gold - found))
    assert strict_span_scores([first], [second]) == scores


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O I-A I-A", [("A", 1, 3)]),
        ("I-A B-A I-B", [("A", 0, 1), ("A", 1, 2), ("B", 2, 3)]),
        ("B-A E-A I-A S-A", [("A", 0, 2), ("A", 2, 3), ("A", 3, 4)]),
        ("NOUN VERB", []),
    ],
)
def test_ill_formed_tags_count_for_what_they_suggest(tags, expected):
    assert spans(tags.split()) == expected


def test_sentences_do_not_run_into_each_other():
    assert span_scores(texts("B-A", "I-A"), texts("B-A", "I-A")).tp == 2
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        span_scores(texts("B-A O"), texts("B-A"))


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        ("B-A I-A I-B O I-A", "bio", [("A", 0, 2)]),
        ("S-A B-A E-A", "bio", []),
        ("B-A I-A E-A S-B", "bioes", [("A", 0, 3), ("B", 3, 4)]),
        ("B-A I-A O I-A E-A B-A", "bioes", []),
        ("O I-A", "iob", [("A", 1, 2)]),
    ],
)
def test_strictly_only_well_formed_spans_count(tags, scheme, expected):
    assert strict_spans(tags.split(), scheme) == expected


def test_strict_scores_leave_ill_formed_spans_out():
    predicted, gold = texts("O I-A O B-B"), texts("O B-A O B-B")
    assert span_scores(predicted, gold).f1 == 1
    assert strict_span_scores(predicted, gold) == Scores(1, 0, 1, {"A": Scores(0, 0, 1), "B": Scores(1, 0, 0)})


@given(BIO, SCHEMES, SCHEMES)
def test_conversion_there_and_back_changes_nothing(tags, first, second):
    start = convert(tags, "bio", first)
    assert convert(convert(start, first, second), second, first) == start
    assert convert(start, first, "bio") == tags


@given(ANY_TAGS, SCHEMES)
def test_conversion_keeps_the_spans_and_mends_their_tags(tags, target):
    result = convert(tags, "bioes", target)
    assert spans(result) == spans(tags)
    assert strict_spans(result, target) == spans(tags)
    assert outside(result, target) is None


def test_each_scheme_writes_as_it_is_known_to():
    tags = ["B-A", "I-A", "B-A", "O", "B-B", "B-A"]
    assert convert(tags, "bio", "iob") == ["I-A", "I-A", "B-A", "O", "I-B", "I-A"]
    assert convert(tags, "bio", "bioes") == ["B-A", "E-A", "S-A", "O", "S-B", "S-A"]
    assert convert(["B-A", "<pad>", "E-A"], "bio", "bio") == ["B-A", "O", "O"]


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        ("O I-A B-A-B", "bio", None),
        ("O B-A E-A", "bio", 2),
        ("O B-A E-A S-A", "bioes", None),
        ("B-A BI-A", "iob", 1),
        ("O B", "bioes", 1),
        ("O B-", "bioes", 1),
        ("-A", "bioes", 0),
    ],
)
def test_the_first_tag_outside_a_scheme_is_found(tags, scheme, expected):
    assert outside(tags.split(), scheme) == expected


def test_labels_are_scored_one_by_one_and_averaged():
    predicted, gold = list("aabbc"), list("abbbd")
    assert accuracy(predicted, gold) == 0.6
    assert label_scores(predicted, gold) == {
        "a": Scores(1, 1, 0),
        "b": Scores(2, 0, 1),
        "d": Scores(0, 0, 1),
        "c": Scores(0, 1, 0),
    }
    assert macro_f1(predicted, gold) == pytest.approx((2 / 3 + 4 / 5) / 4)
    assert confusions([*predicted, "c"], [*gold, "d"]) == [("d", "c", 2), ("b", "a", 1)]
    assert accuracy(texts("a b", "c"), texts("a b", "d")) == 0.5
    assert accuracy([], []) == macro_f1([], []) == 0
    with pytest.raises(ValueError, match="argument 2 is longer"):
        accuracy([1], [1, 2])


def test_mean_and_sample_spread():
    assert mean([1, 2, 6]) == 3
    assert spread([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == pytest.approx(math.sqrt(32 / 7))
    assert mean([]) == spread([]) == spread([7.0]) == 0


def test_correlations_of_values_and_of_ranks():
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 7.0]
    assert pearson(x, y) == pytest.approx(12 / math.sqrt(10 * 21.2))
    assert spearman(x, y) == pytest.approx(0.8)
    assert spearman([1, 2, 2, 4], [1, 3, 2, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert spearman(x, [math.exp(-value) for value in x]) == pytest.approx(-1)
    assert pearson([0.1] * 3, [0.7] * 3) == pearson([0.1] * 3, [0.7, 0.2, 0.1]) == 0
    assert pearson(x, [3.0] * 5) == spearman([], []) == 0
    for wrong in (math.nan, math.inf):
        assert pearson([wrong, 2.0, 3.0, 4.0, 5.0], x) == pearson([wrong] * 5, x) == 0
    assert spearman([math.nan, 2.0, 3.0, 4.0, 5.0], x) == 0
    assert spearman([math.inf, 2.0, 3.0, 4.0, 5.0], x) < 1


def test_the_bootstrap_tells_a_difference_from_noise():
    better, worse = [1.0] * 60 + [0.0] * 40, [0.0] * 30 + [1.0] * 30 + [0.0] * 40
    clear = paired_bootstrap(better, worse, mean, samples=400)
    assert clear.difference == pytest.approx(0.3)
    assert 0.15 < clear.low < 0.3 < clear.high < 0.45
    assert clear.p == 0
    assert paired_bootstrap(worse, better, mean, samples=400).p == 1
    noise = paired_bootstrap([0.0, 1.0] * 50, [1.0, 0.0] * 50, mean, samples=400, seed=3)
    assert noise.low < 0 < noise.high
    assert 0.2 < noise.p < 0.8
    assert noise == paired_bootstrap([0.0, 1.0] * 50, [1.0, 0.0] * 50, mean, samples=400, seed=3)
    assert noise != paired_bootstrap([0.0, 1.0] * 50, [1.0, 0.0] * 50, mean, samples=400, seed=4)
    with pytest.raises(ValueError, match="2 rows against 1"):
        paired_bootstrap([1.0, 2.0], [1.0], mean)


def test_the_bootstrap_takes_scores_of_sentences():
    rows = [Scores(1, 0, 0), Scores(0, 1, 1)] * 10
    found = paired_bootstrap(rows, [Scores(0, 1, 1)] * 20, lambda some: pooled(some).f1, samples=50)
    assert found.difference == 0.5
