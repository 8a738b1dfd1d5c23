"""Training and applying a BiLSTM-CRF tagger on WikiANN, beside flair's."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

import flair
import numpy as np
import torch
from flair.data import Dictionary, Sentence
from flair.datasets import DataLoader
from flair.embeddings import CharacterEmbeddings, StackedEmbeddings, WordEmbeddings
from flair.models import SequenceTagger
from flair.training_utils import identify_dynamic_embeddings, store_embeddings

from measure import interleaved, row, save
from ours import Ours
from seqloom.data.schedule import Groups, share_of
from seqloom.metrics import spans
from seqloom.processes import settle
from seqloom.readers import Example

BATCH, STEPS, TESTED, ROUNDS = 32, 40, 2000, 5
RATE, CLIP, DROPOUT = 0.1, 5.0, 0.5
PACKAGES = ("torch", "numpy", "flair")
FILE = "${data}/wikiann/en/%s.gz"
READER = {"type": "conll", "train": FILE % "train", "test": FILE % "test", "prefix": "en:"}
CHARACTERS = {"type": "chars", "size": 25, "filters": {2: 16, 3: 17, 4: 17}}
CONFIG = {
    "version": 1,
    "embedders": {"text": {"type": "concat", "of": [{"type": "word", "size": 300}, CHARACTERS]}},
    "encoders": {
        "one": {
            "type": "lstm",
            "input": "text",
            "hidden": 256,
            "bidirectional": True,
            "dropout": DROPOUT,
            "locked": True,
        }
    },
    "tasks": {"ner": {"reader": READER, "encoder": "one", "head": {"type": "tag", "scheme": "bioes"}}},
    "training": {"steps": STEPS, "batch": BATCH, "clip": CLIP, "optimizer": {"type": "sgd", "rate": RATE}},
}
SHAPES = "WikiANN en, words 300 + characters 50 (here a CNN, there a BiLSTM), BiLSTM 256, CRF, batch "


class Tagger(Ours):
    """Our tagger with its trainer."""

    def __init__(self, folder: Path, precision: str = "float32") -> None:
        super().__init__(CONFIG, folder, {"training__precision": precision})

    def examples(self, split: str, count: int | None = None) -> list[Example]:
        """The first examples of a split."""
        return list(self.task.reader.read(FILE % split))[:count]


class Flair:
    """flair's tagger of the same shapes, trained by the step of its trainer."""

    def __init__(self, train: Sequence[Example], rows: np.ndarray) -> None:
        flair.device = torch.device("cpu")
        words = dict.fromkeys(token for one in train for token in one["text"])
        characters, kinds = Dictionary(), Dictionary(add_unk=False)
        for letter in sorted({letter for word in words for letter in word}):
            characters.add_item(letter)
        for kind in ("PER", "ORG", "LOC"):
            kinds.add_item(kind)
        kinds.span_labels = True
        vocabulary = {word: place for place, word in enumerate(words)}
        word = WordEmbeddings(None, vocab=vocabulary, embedding_length=300, fine_tune=True, name="words")
        torch.nn.init.normal_(word.embedding.weight, std=300**-0.5)
        self.tagger = SequenceTagger(
            StackedEmbeddings([word, CharacterEmbeddings(characters)]),
            kinds,
            "ner",
            hidden_size=256,
            reproject_embeddings=False,
            word_dropout=0,
            locked_dropout=DROPOUT,
        )
        self.optimizer = torch.optim.SGD(self.tagger.parameters(), lr=RATE)
        self.sentences = [labelled(train[place]) for place in rows.tolist()]
        self.dynamic: list[str] | None = None

    def train(self) -> None:
        """Every batch once, each step as in `flair.trainers.ModelTrainer`, without its plugins and records."""
        self.tagger.train()
        for batch in DataLoader(self.sentences, batch_size=BATCH, shuffle=True):
            self.tagger.zero_grad()
            loss, _ = self.tagger.forward_loss(batch)
            loss.item()
            loss.backward()
            self.dynamic = self.dynamic or identify_dynamic_embeddings(batch)
            store_embeddings(batch, "cpu", self.dynamic)
            torch.nn.utils.clip_grad_norm_(self.tagger.parameters(), CLIP)
            self.optimizer.step()

    def predict(self, sentences: list[Sentence], batch: int = BATCH) -> None:
        """Label the sentences in place."""
        self.tagger.predict(sentences, mini_batch_size=batch)


def labelled(example: Example) -> Sentence:
    """An example as flair holds it."""
    sentence = Sentence(example["text"])
    for span in spans(example["tags"]):
        sentence[span.start : span.end].add_label("ner", span.kind)
    return sentence


def training(ours: Tagger, half: Tagger, rival: Flair) -> Iterator[dict[str, Any]]:
    """The rows on training."""
    sides = {"float32": ours.train, "flair": rival.train, "bfloat16": half.train}
    taken = interleaved(sides, ROUNDS)
    tokens = int(ours.columns.select(ours.rows).lengths(["text"]).sum())
    for dtype in ("float32", "bfloat16"):
        yield compared("tagger_train", tokens, taken, dtype, "tokens/s", f"{STEPS} steps, SGD")


def predicting(ours: Tagger, rival: Flair) -> Iterator[dict[str, Any]]:
    """The rows on prediction: from token lists to tags here, there from sentences that are made already."""
    texts = [one["text"] for one in ours.examples("test", TESTED)]
    sentences = [Sentence(text) for text in texts]

    def half() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            ours.model.predict("ner", texts)

    sides: dict[str, Callable[[], object]] = {
        "float32": lambda: ours.model.predict("ner", texts),
        "flair": lambda: rival.predict(sentences),
        "bfloat16": half,
        "flair, batch 64": lambda: rival.predict(sentences, 64),
    }
    taken = interleaved(sides, ROUNDS)
    for dtype in ("float32", "bfloat16"):
        yield compared("tagger_predict", TESTED, taken, dtype, "sentences/s", f"{TESTED} of test, ours 64")
    what = f"{TESTED} of test, ours 64"
    yield compared("tagger_predict", TESTED, taken, "float32", "sentences/s", what, "flair, batch 64")


def compared(
    name: str, amount: int, taken: dict[str, float], dtype: str, unit: str, what: str, rival: str = "flair"
) -> dict[str, Any]:
    """A row on speed; the one that stands for the goal is in float32 against flair as it comes."""
    return row(
        name,
        amount / taken[dtype],
        amount / taken[rival],
        rival_name=rival,
        unit=unit,
        shapes=f"{SHAPES}{BATCH}, {what}",
        packages=PACKAGES,
        rounds=ROUNDS,
        headline=dtype == "float32" and rival == "flair",
        more_is_better=True,
        dtype=dtype,
    )


def padding(ours: Tagger) -> dict[str, Any]:
    """The share of padding in the batches of an epoch of the whole file, beside batches of random rows."""
    lengths = ours.columns.lengths(["text"])
    groups = Groups(lengths, BATCH, 0)
    mixed = np.random.default_rng(0).permutation(len(lengths))
    random = [mixed[start : start + BATCH] for start in range(0, len(mixed), BATCH)]
    shares = share_of([groups.rows(draw) for draw in range(len(groups))], lengths), share_of(random, lengths)
    return informing("padding", shares[0], shares[1], "random batches", f"WikiANN en train, batch {BATCH}")


def overhead(ours: Tagger) -> dict[str, Any]:
    """The share of a step outside forward, backward, clipping and optimiser, beside the goal of 5 %."""
    spent = 0.0

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def clocked(*arguments: Any, **options: Any) -> Any:
            nonlocal spent
            start = process_time()
            try:
                return work(*arguments, **options)
            finally:
                spent += process_time() - start

        return clocked

    with ExitStack() as patches:
        for owner, name in (
            (ours.trainer.network, "forward"),
            (torch.Tensor, "backward"),
            (ours.trainer.updates, "apply"),
        ):
            patches.enter_context(patch.object(owner, name, timed(getattr(owner, name))))
        start = process_time()
        for _ in range(ROUNDS):
            ours.train()
        share = 1 - spent / (process_time() - start)
    return informing("step_overhead", share, 0.05, "goal", f"{SHAPES}{BATCH}")


def informing(name: str, share: float, other: float, rival: str, shapes: str) -> dict[str, Any]:
    """A row on shares, in percent."""
    names = {"rival_name": rival, "unit": "%", "shapes": shapes}
    return row(name, 100 * share, 100 * other, **names, packages=PACKAGES, rounds=ROUNDS)


def main() -> None:
    """Build both taggers, time them, and write how they did."""
    settle()
    with tempfile.TemporaryDirectory() as folder:
        ours = Tagger(Path(folder) / "float32")
        rival = Flair(ours.examples("train"), ours.rows)
        half = Tagger(Path(folder) / "bfloat16", "bfloat16")
        save("tagger_train", [*training(ours, half, rival), padding(ours), overhead(ours)])
        save("tagger_predict", predicting(ours, rival))


if __name__ == "__main__":
    main()
