"""A training step of an AWD-LSTM language model with all its regularisers, beside the textbook structure of it.

The textbook is written here plainly, as the published program is built: recurrent weights masked and assigned anew at
each call, one nn.LSTM a layer, a masked copy of the embedding table, a full softmax whose scores are all kept. A second
rival leaves every regulariser out: what a step costs at least that is made of nn.LSTM and a softmax.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from measure import interleaved, row, save
from seqloom.config import source_of
from seqloom.experiment import check
from seqloom.model.build import build
from seqloom.model.folder import Assembly
from seqloom.model.plan import lay_out
from seqloom.model.streaming import Streamer, Windows
from seqloom.model.task import bind, fit
from seqloom.training.distributed import Ranks
from seqloom.training.report import Report
from seqloom.training.trainer import Course, Trainer

WORDS, SIZE, HIDDEN, LAYERS, WINDOW, BATCH, ROUNDS = 10_000, 400, 1150, 3, 70, 40, 3
RATES = {"input": 0.4, "between": 0.25, "output": 0.4, "words": 0.1, "weights": 0.5}
RATE, DECAY, CLIP, ACTIVITY, SLOWNESS = 30.0, 1.2e-6, 0.25, 2.0, 1.0
SHAPES = f"{LAYERS}-layer LSTM {SIZE}-{HIDDEN}-{SIZE}, {WORDS:,} words tied, {BATCH} streams of {WINDOW} tokens"


def corpus(path: Path) -> None:
    """Made-up text in which words are as uneven as in real text, every word of the vocabulary once at least."""
    random = np.random.Generator(np.random.PCG64(1))
    shares = 1 / np.arange(1, WORDS - 2)
    drawn = random.choice(WORDS - 3, BATCH * (WINDOW * 40 + 1), p=shares / shares.sum())
    words = [*range(WORDS - 3), *drawn.tolist()]
    path.write_text(
        "\n".join(" ".join(f"w{one}" for one in words[at : at + 20]) for at in range(0, len(words), 20))
    )


def config(text: Path, precision: str) -> dict[str, Any]:
    """Ours."""
    encoder = {
        "type": "awd",
        "input": "words",
        "hidden": HIDDEN,
        "layers": LAYERS,
        "weight_drop": RATES["weights"],
    }
    encoder |= {"input_dropout": RATES["input"], "dropout": RATES["between"], "output_dropout": RATES["output"]}
    head = {"type": "language", "tied": True, "activity": ACTIVITY, "slowness": SLOWNESS}
    training = {
        "steps": 1000,
        "batch": BATCH,
        "clip": CLIP,
        "precision": precision,
        "stream": {"window": WINDOW},
    }
    return {
        "embedders": {"words": {"type": "word", "size": SIZE, "drop_words": RATES["words"]}},
        "encoders": {"stack": encoder},
        "tasks": {
            "lm": {
                "reader": {"type": "lines", "tokenizer": "blanks", "train": str(text)},
                "encoder": "stack",
                "head": head,
            }
        },
        "training": training
        | {"optimizer": {"type": "sgd", "rate": RATE, "weight_decay": DECAY}, "device": "cpu"},
    }


def ours(text: Path, folder: Path, precision: str) -> Trainer:
    """Our trainer; a step of it is what is timed."""
    table = check(source_of(config(text, precision), {}))
    plan = lay_out(table)
    tasks = bind(table, plan)
    columns = tasks["lm"].columns(str(text))
    vocabularies = fit(tasks, {"lm": columns})
    model = Assembly(
        table.model_dump(), plan, tasks, vocabularies, build(plan, tasks, vocabularies, stores={}), {}
    )
    train = Streamer(tasks["lm"], columns, vocabularies, streams=BATCH, window=WINDOW)
    course = Course(train, Windows(train.stream), None, BATCH)
    report = Report(folder / precision)
    made = Trainer(
        model, {"lm": course}, table.training, seed=0, ranks=Ranks(), report=report, run=folder, data={}
    )
    made.network.train()
    return made


class Textbook(nn.Module):
    """The model as the published program is built; without `regularised`, its layers and softmax alone."""

    def __init__(self, regularised: bool = True) -> None:
        super().__init__()
        sizes = [SIZE, *[HIDDEN] * (LAYERS - 1), SIZE]
        self.regularised = regularised
        self.encoder = nn.Embedding(WORDS, SIZE)
        self.rnns = nn.ModuleList(nn.LSTM(sizes[one], sizes[one + 1]) for one in range(LAYERS))
        self.decoder = nn.Linear(SIZE, WORDS)
        self.decoder.weight = self.encoder.weight
        if regularised:
            for rnn in self.rnns:
                raw = rnn.weight_hh_l0
                del rnn._parameters["weight_hh_l0"]
                rnn.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))

    def embedded(self, x: Tensor) -> Tensor:
        """Vectors of words, of which some of the vocabulary are left out."""
        weight = self.encoder.weight
        if self.regularised:
            mask = weight.new_empty(WORDS, 1).bernoulli_(1 - RATES["words"]).expand_as(weight) / (
                1 - RATES["words"]
            )
            weight = mask * weight
        return functional.embedding(x, weight)

    def locked(self, x: Tensor, rate: float) -> Tensor:
        """Dropout with one mask for all steps."""
        if not self.regularised:
            return x
        return x.new_empty(1, *x.shape[1:]).bernoulli_(1 - rate).div_(1 - rate).expand_as(x) * x

    def forward(self, x: Tensor, hidden: list[Any]) -> tuple[Tensor, Tensor, list[Any]]:
        """The last layer's output before and after dropout, (time, batch, size), and the state."""
        x, carried = self.locked(self.embedded(x), RATES["input"]), []
        for number, rnn in enumerate(self.rnns):
            if self.regularised:
                rnn.weight_hh_l0 = functional.dropout(rnn.weight_hh_l0_raw, RATES["weights"])
                rnn._flat_weights = [getattr(rnn, name) for name in rnn._flat_weights_names]
            raw, last = rnn(x, hidden[number])
            carried.append(tuple(one.detach() for one in last))
            x = raw if number == LAYERS - 1 else self.locked(raw, RATES["between"])
        return raw, self.locked(raw, RATES["output"]), carried


class Rival:
    """The loop around the textbook."""

    def __init__(self, text: Tensor, regularised: bool = True) -> None:
        self.model, self.text, self.at = Textbook(regularised), text, 0
        self.descent = torch.optim.SGD(self.model.parameters(), RATE, weight_decay=DECAY)
        self.hidden: list[Any] = [None] * LAYERS

    def step(self) -> None:
        """One step of training."""
        self.at = (self.at + WINDOW) % (len(self.text) - WINDOW - 1)
        x, gold = self.text[self.at : self.at + WINDOW], self.text[self.at + 1 : self.at + 1 + WINDOW]
        self.descent.zero_grad()
        raw, output, self.hidden = self.model(x, self.hidden)
        loss = functional.cross_entropy(self.model.decoder(output).view(-1, WORDS), gold.reshape(-1))
        if self.model.regularised:
            loss = loss + ACTIVITY * output.pow(2).mean() + SLOWNESS * (raw[1:] - raw[:-1]).pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.descent.step()
        loss.item()


def run(folder: Path) -> None:
    """Measure, and write down."""
    torch.manual_seed(1)
    text = folder / "text"
    corpus(text)
    float32, bfloat16 = (ours(text, folder, precision) for precision in ("float32", "bfloat16"))
    ids = torch.from_numpy(float32.courses["lm"].train.stream.values.astype(np.int64)).t().contiguous() + 2
    textbook, plain = Rival(ids.clamp(max=WORDS - 1)), Rival(ids.clamp(max=WORDS - 1), regularised=False)
    sides = {
        "textbook": textbook.step,
        "plain": plain.step,
        "float32": float32._step,
        "bfloat16": bfloat16._step,
    }
    taken = interleaved(sides, ROUNDS)
    best = min(("float32", "bfloat16"), key=taken.__getitem__)
    common: dict[str, Any] = {"unit": "s a step", "packages": ("torch",), "rounds": ROUNDS}
    save(
        "awd_train",
        [
            row(
                "awd_train",
                taken[dtype],
                taken["textbook"],
                rival_name="textbook, float32",
                shapes=f"{SHAPES}, all regularisers",
                dtype=dtype,
                headline=dtype == best,
                **common,
            )
            for dtype in ("float32", "bfloat16")
        ]
        + [
            row(
                "awd_train",
                taken["float32"],
                taken["plain"],
                rival_name="nn.LSTM and softmax, no regularisers",
                shapes=SHAPES,
                **common,
            )
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("takes no arguments")
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))
