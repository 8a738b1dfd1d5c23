"""How well predictions agree with gold: pure functions on lists. Shares and rates are fractions of 1.

Wherever both are taken, predictions come before gold, row for row; rows that differ in number raise a ValueError.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple, TypeVar

from seqloom.errors import ConfigError

Scheme = Literal["iob", "bio", "bioes"]
Row = TypeVar("Row")
Label = TypeVar("Label", bound=Hashable)

_PREFIXES = {"iob": ("B", "I"), "bio": ("B", "I"), "bioes": ("B", "I", "E", "S")}


@dataclass(frozen=True)
class Scores:
    """Counts of what was found (`tp`), found wrongly (`fp`) and missed (`fn`), and the rates that follow from them.

    A rate whose denominator is zero is zero.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    by_type: Mapping[str, "Scores"] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        """The share of the found that is right."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """The share of the gold that is found."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def pooled(scores: Iterable[Scores]) -> Scores:
    """The scores of several rows together, counts added up; types are dropped."""
    rows = list(scores)
    return Scores(sum(row.tp for row in rows), sum(row.fp for row in rows), sum(row.fn for row in rows))


def _scores(right: Counter[str], found: Counter[str], gold: Counter[str]) -> Scores:
    by_type = {
        kind: Scores(right[kind], found[kind] - right[kind], gold[kind] - right[kind])
        for kind in sorted(found.keys() | gold.keys())
    }
    total = pooled(by_type.values())
    return Scores(total.tp, total.fp, total.fn, by_type)


class Span(NamedTuple):
    """A typed stretch of tokens, `end` excluded."""

    kind: str
    start: int
    end: int


class _Tag(NamedTuple):
    prefix: str
    kind: str


_OUTSIDE = _Tag("O", "")


def _parsed(tags: Iterable[str]) -> Iterator[_Tag]:
    """The tags cut at their first hyphen, and an outside tag after the last."""
    for tag in tags:
        prefix, _, kind = tag.partition("-")
        yield _Tag(prefix, kind)
    yield _OUTSIDE


def _starts(previous: _Tag, current: _Tag) -> bool:
    if current.prefix in ("B", "S", "[", "]"):
        return True
    if current.prefix in ("I", "E") and previous.prefix in ("E", "S", "O"):
        return True
    return current.prefix not in ("O", ".") and current.kind != previous.kind


def _ends(previous: _Tag, current: _Tag) -> bool:
    if previous.prefix in ("E", "S", "[", "]"):
        return True
    if previous.prefix in ("B", "I") and current.prefix in ("B", "S", "O"):
        return True
    return previous.prefix not in ("O", ".") and current.kind != previous.kind


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence as conlleval reads them: IOB1, BIO, BIOES or a mixture, ill-formed tags included."""
    found: list[Span] = []
    previous, start = _OUTSIDE, None
    for place, current in enumerate(_parsed(tags)):
        if start is not None and _ends(previous, current):
            found.append(Span(previous.kind, start, place))
            start = None
        if _starts(previous, current):
            start = place
        previous = current
    return found


def span_scores(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Scores:
    """Scores of whole spans by the rules of conlleval, the script of the CoNLL shared tasks from 2000 on.

    A span is right if its start, end and type are. Ill-formed tags count for what they suggest: `I-X` after `O`
    starts a span. Sentences are told apart as by an empty line.
    """
    right, found, wanted = Counter[str](), Counter[str](), Counter[str]()
    before, agreeing = (_OUTSIDE, _OUTSIDE), False
    for pair in _pairs(predicted, gold):
        ends = [_ends(*both) for both in zip(before, pair, strict=True)]
        starts = [_starts(*both) for both in zip(before, pair, strict=True)]
        same = pair[0].kind == pair[1].kind
        right[before[1].kind] += agreeing and all(ends)
        agreeing = same and (all(starts) or (agreeing and not any(ends)))
        found[pair[0].kind] += starts[0]
        wanted[pair[1].kind] += starts[1]
        before = pair
    right[before[1].kind] += agreeing
    return _scores(right, +found, +wanted)


def _pairs(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Iterator[tuple[_Tag, _Tag]]:
    for ours, theirs in zip(predicted, gold, strict=True):
        yield from zip(_parsed(ours), _parsed(theirs), strict=True)


def strict_spans(tags: Sequence[str], scheme: Scheme = "bio") -> list[Span]:
    """The well-formed spans of a sentence: those that the scheme itself would write so.

    `bio`: `B-X` and every `I-X` that follows at once. `bioes`: `S-X`, or `B-X`, any `I-X`, `E-X`. `iob`: as conlleval
    reads it, since every sequence is well-formed. All other tags count for nothing.
    """
    if scheme == "iob":
        return spans(tags)
    return [each for each in spans(tags) if _written(each, scheme) == list(tags[each.start : each.end])]


def strict_span_scores(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], scheme: Scheme = "bio"
) -> Scores:
    """Scores of whole spans of which only the well-formed count, as `strict_spans` tells."""
    right, found, wanted = Counter[str](), Counter[str](), Counter[str]()
    for ours, theirs in zip(predicted, gold, strict=True):
        guesses, truths = set(strict_spans(ours, scheme)), set(strict_spans(theirs, scheme))
        right.update(each.kind for each in guesses & truths)
        found.update(each.kind for each in guesses)
        wanted.update(each.kind for each in truths)
    return _scores(right, found, wanted)


def outside(tags: Sequence[str], scheme: Scheme) -> int | None:
    """The place of the first tag whose form is none of the scheme's; None where all are.

    Forms are `O` and prefixes with a type: B, I in `iob` (IOB1) and `bio` (IOB2); B, I, E, S in `bioes`. What
    precedes a tag does not matter.
    """
    places = (place for place, tag in enumerate(tags) if not _fits(tag, scheme))
    return next(places, None)


def _fits(tag: str, scheme: Scheme) -> bool:
    prefix, hyphen, kind = tag.partition("-")
    return tag == "O" or bool(hyphen and kind and prefix in _PREFIXES[scheme])


def convert(tags: Sequence[str], source: Scheme, target: Scheme) -> list[str]:
    """The tags of a sentence in another scheme.

    Spans are read as conlleval reads them, so that the result is well-formed whatever the tags were; a tag of none of
    the source's forms (see `outside`) becomes `O`.
    """
    known = [tag if _fits(tag, source) else "O" for tag in tags]
    result, previous = ["O"] * len(known), Span("", 0, 0)
    for span in spans(known):
        result[span.start : span.end] = _written(span, target, previous)
        previous = span
    return result


def _written(span: Span, scheme: Scheme, previous: Span | None = None) -> list[str]:
    """A span's tags; in IOB1 it begins with B only where it touches one of its own type."""
    length = span.end - span.start
    prefixes = ["B"] + ["I"] * (length - 1)
    if scheme == "iob" and (previous is None or previous[0] != span.kind or previous.end != span.start):
        prefixes[0] = "I"
    if scheme == "bioes":
        prefixes[-1] = "E" if length > 1 else "S"
    return [f"{prefix}-{span.kind}" for prefix in prefixes]


def accuracy(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """The share of rows where both are equal; rows may be labels or whole sequences (exact match). 0 without rows."""
    return _share(sum(ours == theirs for ours, theirs in zip(predicted, gold, strict=True)), len(gold))


def label_scores(predicted: Sequence[Label], gold: Sequence[Label]) -> dict[Label, Scores]:
    """The scores of each label that is seen in either, in the order of gold, then of the predictions."""
    right = Counter(ours for ours, theirs in zip(predicted, gold, strict=True) if ours == theirs)
    found, wanted = Counter(predicted), Counter(gold)
    return {
        label: Scores(right[label], found[label] - right[label], wanted[label] - right[label])
        for label in dict.fromkeys([*gold, *predicted])
    }


def macro_f1(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """The unweighted mean of the F1 of every label seen in either; 0 without rows."""
    return mean([scores.f1 for scores in label_scores(predicted, gold).values()])


def confusions(predicted: Sequence[Label], gold: Sequence[Label]) -> list[tuple[Label, Label, int]]:
    """What was taken for what: (gold, predicted, times) of each unequal pair, the most frequent first."""
    pairs = Counter((theirs, ours) for ours, theirs in zip(predicted, gold, strict=True) if ours != theirs)
    return [(theirs, ours, times) for (theirs, ours), times in pairs.most_common()]


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; 0 of nothing."""
    return fmean(values) if values else 0.0


def spread(values: Sequence[float]) -> float:
    """The sample standard deviation (the divisor is one less than their number); 0 of fewer than two values."""
    return stdev(values) if len(values) > 1 else 0.0


def pearson(predicted: Sequence[float], gold: Sequence[float]) -> float:
    """Pearson's correlation; 0 where one side does not vary, or holds what is no number."""
    if not all(map(math.isfinite, (*predicted, *gold))):
        return 0.0
    first, second = _centred(predicted), _centred(gold)
    product = math.fsum(x * y for x, y in zip(first, second, strict=True))
    return max(-1.0, min(1.0, _share(product, math.hypot(*first) * math.hypot(*second))))


def _centred(values: Sequence[float]) -> list[float]:
    if values and min(values) == max(values):
        # Their mean may differ from them by rounding, which is no variation.
        return [0.0] * len(values)
    middle = mean(values)
    return [value - middle for value in values]


def spearman(predicted: Sequence[float], gold: Sequence[float]) -> float:
    """Spearman's correlation: Pearson's of the ranks, where equal values share the mean of theirs."""
    broken = any(map(math.isnan, (*predicted, *gold)))
    return 0.0 if broken else pearson(_ranks(predicted), _ranks(gold))


def _ranks(values: Sequence[float]) -> list[float]:
    rank, below = dict[float, float](), 0
    for value, times in sorted(Counter(values).items()):
        rank[value] = below + (times + 1) / 2
        below += times
    return [rank[value] for value in values]


def bleu(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU (Papineni et al. 2002) in percent, of texts cut into words already, by sacrebleu.

    Raises:
        ConfigError: the extra `eval` is not installed.
    """
    texts = [[" ".join(words) for words in rows] for rows in (predicted, gold)]
    return float(_bleu().corpus_score(texts[0], [texts[1]]).score)


def require_bleu() -> str:
    """The signature of sacrebleu's figure; raises a ConfigError where the extra `eval` is not installed."""
    metric = _bleu()
    metric.corpus_score(["a"], [["a"]])
    return str(metric.get_signature())


def _bleu() -> Any:
    try:
        from sacrebleu import BLEU
    except ImportError:
        raise ConfigError('BLEU is computed by sacrebleu: pip install "seqloom[eval]"') from None
    # The words are those of the data: sacrebleu is neither to cut them anew nor to warn that they are cut.
    return BLEU(tokenize="none", force=True)


@dataclass(frozen=True)
class Comparison:
    """One system against another: the `difference` of their figures, its 95 % interval, and a one-sided `p`."""

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    first: Sequence[Row],
    second: Sequence[Row],
    figure: Callable[[Sequence[Row]], float],
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Whether the first system is better on rows like these (Koehn 2004, "Statistical significance tests").

    Rows are resampled with replacement, the same for both systems, `samples` times. A row is whatever `figure` takes
    several of: a number with `mean`, or the `Scores` of a sentence with `lambda rows: pooled(rows).f1`. `p` is the
    share of resamples in which the first is not better; the interval is between the 2.5th and the 97.5th percentile.

    Raises:
        ValueError: there are no rows, or not as many of one as of the other.
    """
    if not first or len(first) != len(second):
        raise ValueError(
            f"{len(first)} rows against {len(second)}; as many of both are needed, and at least one"
        )
    random, rows = Random(seed), range(len(first))

    def difference(chosen: Sequence[int]) -> float:
        return figure([first[row] for row in chosen]) - figure([second[row] for row in chosen])

    drawn = sorted(difference(random.choices(rows, k=len(rows))) for _ in range(samples))
    low, high = drawn[int(0.025 * samples)], drawn[math.ceil(0.975 * samples) - 1]
    return Comparison(difference(rows), low, high, sum(each <= 0 for each in drawn) / samples)


def foretold(sums: Mapping[str, float], count: int) -> dict[str, float]:
    """Perplexity, and the percentage of words that would have been right, of sums of losses and of right words."""
    loss, right = sums["loss"] / max(1, count), sums["right"] / max(1, count)
    return {"perplexity": math.exp(min(loss, 700)), "accuracy": 100 * right}
