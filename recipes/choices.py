"""Which set of vectors words choose: python recipes/choices.py MODEL FILE.conllu OUT.png [--task TASK] [--rows N].

A model whose embedder mixes sets of vectors (`type: meta`) reads the sentences of a tagged file. What each set weighs
is averaged over the words that it has of each part of speech, and of words by how often they occur: the figures of
Kiela, Wang and Cho (2018), section 5. The means are printed as a table, too.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from statistics import fmean

import numpy as np

from seqloom.api import Model
from seqloom.errors import ConfigError, SeqloomError
from seqloom.readers.conll import CoNLL
from seqloom.training.canvas import COLOURS, panels, save, styled

Means = dict[str, dict[str, float]]
"""By group of words, by set."""
BANDS = ((1, "once"), (5, "2 to 5 times"), (20, "6 to 20"), (100, "21 to 100"), (10**9, "more often"))
FEW = 50
"""Words that a group must have to be shown."""


def weighed(model: Model, task: str | None, sentences: list[list[str]]) -> list[dict[str, list[float]]]:
    """For each sentence, by set, what the set weighs for each token."""
    texts = model.task(task).texts
    told = model.explain(task, [dict.fromkeys(texts, words) for words in sentences])
    if not all("weights" in one for one in told):
        raise ConfigError(
            f"task {model.task(task).name} mixes no sets of vectors; train one with embedder meta"
        )
    return [one["weights"][texts[0]] for one in told]


def means(groups: Iterable[tuple[str, Mapping[str, float]]]) -> Means:
    """What each set weighs for the words of a group that it has, which are those that it weighs anything for.

    Groups that some set has few words of are left out.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group, weights in groups:
        for name, weight in weights.items():
            found[group][name] += [weight] if weight > 0 else []
    return {
        group: {name: fmean(values) for name, values in sets.items()}
        for group, sets in found.items()
        if min(map(len, sets.values())) >= FEW
    }


def band(count: int) -> str:
    """How often a word occurs, in words."""
    return next(name for most, name in BANDS if count <= most)


def draw(panels_of: Mapping[str, Means], path: Path) -> Path:
    """Draw a panel of bars for each way of grouping words."""
    names = list(next(iter(next(iter(panels_of.values())).values())))
    with styled():
        from matplotlib.patches import Patch

        key = {name: Patch(color=COLOURS[place % len(COLOURS)]) for place, name in enumerate(names)}
        note = "mean weight of each set of vectors, over the words that it has"
        figure, axes = panels(list(panels_of), "What words choose", note, key, height=2.6)
        for axis, groups in zip(axes, panels_of.values(), strict=True):
            places, wide = np.arange(len(groups)), 0.8 / len(names)
            for number, name in enumerate(names):
                heights = [group[name] for group in groups.values()]
                axis.bar(
                    places + (number - (len(names) - 1) / 2) * wide,
                    heights,
                    wide,
                    color=key[name].get_facecolor(),
                )
            axis.set_xticks(
                places,
                list(groups),
                rotation=45 if len(groups) > 6 else 0,
                ha="right" if len(groups) > 6 else "center",
            )
        return save(figure, path)


def table(groups: Means) -> str:
    """The means as lines of a Markdown table."""
    names = list(next(iter(groups.values())))
    rows = [[group, *(f"{weights[name]:.2f}" for name in names)] for group, weights in groups.items()]
    return "\n".join(
        f"| {' | '.join(cells)} |" for cells in [["words", *names], ["---"] * (1 + len(names)), *rows]
    )


def main() -> None:
    """Read, weigh, average, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model or run folder")
    parser.add_argument("file", help="a CoNLL-U file, plain or gzipped")
    parser.add_argument("out", type=Path, help="the PNG file")
    parser.add_argument("--task", help="whose embedder; needed if the model has several tasks")
    parser.add_argument("--rows", type=int, default=2000, help="sentences that are read")
    words = parser.parse_args()
    reader = CoNLL(CoNLL.Config(tags="upos"), ("text",))
    rows = list(islice(reader.read(words.file), words.rows))
    weights = weighed(Model.load(words.model), words.task, [row["text"] for row in rows])
    counts = Counter(word.lower() for row in rows for word in row["text"])
    single = [
        (tag, counts[word.lower()], {name: one[place] for name, one in weight.items()})
        for row, weight in zip(rows, weights, strict=True)
        for place, (word, tag) in enumerate(zip(row["text"], row["tags"], strict=True))
    ]
    by_tag = means((tag, one) for tag, _, one in single)
    by_band = means((band(count), one) for _, count, one in single)
    found = {
        "by part of speech": dict(sorted(by_tag.items())),
        "by how often a word occurs": {name: by_band[name] for _, name in BANDS if name in by_band},
    }
    if not all(found.values()):
        raise ConfigError(f"no group of words is large enough for a mean; read more than {len(rows)} sentences")
    for title, groups in found.items():
        print(f"{title}\n\n{table(groups)}\n")
    print(draw(found, words.out))


if __name__ == "__main__":
    try:
        main()
    except SeqloomError as fault:
        sys.exit(str(fault))
