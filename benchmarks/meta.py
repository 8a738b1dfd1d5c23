"""A training step over three sets of word vectors: mixed by context (CDME) beside their concatenation."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from measure import interleaved, row, save
from ours import Ours
from seqloom.files import write_text
from seqloom.nn import DynamicMetaEmbedding

BATCH, STEPS, ROUNDS = 64, 5, 9
SETS, SIZE = ("one", "two", "three"), 300
PACKAGES = ("torch", "numpy")
READER = {
    "type": "table",
    "columns": {"premise": "sentence1", "hypothesis": "sentence2", "label": "gold_label"},
    "train": "${data}/snli/snli_dev_part_train.jsonl.gz",
}
EMBEDDERS = {
    "concat": {"type": "concat", "of": list(SETS)},
    "word": {"type": "meta", "of": list(SETS), "attention": "word", "size": 256},
    "context": {"type": "meta", "of": list(SETS), "attention": "context", "size": 256},
}
SHAPES = (
    f"SNLI, 3 sets of {SIZE} numbers, frozen, %s, BiLSTM 512, max, pair perceptron 512, batch {BATCH}, "
    f"{STEPS} steps, Adam"
)


def config(folder: Path, how: str) -> dict[str, Any]:
    """The classifier of pairs over the three sets."""
    return {
        "version": 1,
        "vectors": {name: {"path": str(folder / f"{name}.txt")} for name in SETS},
        "embedders": {"words": EMBEDDERS[how]},
        "encoders": {"text": {"type": "lstm", "input": "words", "hidden": 512, "bidirectional": True}},
        "tasks": {"snli": {"reader": READER, "encoder": "text", "head": {"type": "pair", "hidden": [512]}}},
        "training": {"steps": STEPS, "batch": BATCH, "optimizer": {"type": "adam", "rate": 0.0004}},
    }


def write_sets(folder: Path, words: list[str]) -> None:
    """Made-up vectors: what they hold does not matter to the time they take."""
    random = np.random.default_rng(1)
    for name in SETS:
        rows = random.integers(-99, 99, (len(words), SIZE)) / 100
        lines = (f"{word} {' '.join(map(str, one))}\n" for word, one in zip(words, rows.tolist(), strict=True))
        write_text(folder / f"{name}.txt", "".join(lines))


class OneByOne(DynamicMetaEmbedding):
    """The same mixture, in which the BiLSTM reads one set after another."""

    def _weights(self, projected: list[Tensor], lengths: Tensor, there: Tensor | None) -> Tensor:
        assert self.context is not None
        assert self.score is not None
        scores = torch.cat([self.score(self.context(one, lengths).states) for one in projected], -1)
        return scores.softmax(-1)


def measured() -> Iterator[dict[str, Any]]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = {"embedders__words": {"type": "word", "size": 2}, "vectors": {}}
        write_sets(folder, list(Ours(config(folder, "concat"), folder / "words", plain).vocabularies["words"]))
        ours = {how: Ours(config(folder, how), folder / how, {}) for how in EMBEDDERS}
        ours["loop"] = Ours(config(folder, "context"), folder / "loop", {})
        mix = ours["loop"].trainer.network.embedders["words"].mix
        mix.__class__ = OneByOne
        taken = interleaved({how: one.train for how, one in ours.items()}, ROUNDS)
        what = {"context": "weighed by context (CDME, 256)", "word": "weighed by word (DME, 256)"}
        for how, rival in (("context", "concat"), ("word", "concat"), ("context", "loop")):
            yield row(
                "meta_step",
                taken[how] / STEPS,
                taken[rival] / STEPS,
                rival_name={"concat": "concatenation", "loop": "one set after another"}[rival],
                unit="s",
                shapes=SHAPES % what[how],
                packages=PACKAGES,
                rounds=ROUNDS,
                headline=(how, rival) == ("context", "concat"),
            )


if __name__ == "__main__":
    save("meta_step", measured())
