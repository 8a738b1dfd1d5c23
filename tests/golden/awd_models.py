"""Language models with the weights of the original programs."""

from pathlib import Path

import torch

from seqloom.config import Source
from seqloom.data.batch import Batch, Text
from seqloom.data.vocabulary import Vocabulary
from seqloom.model.build import build
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import bind

FOLDER = Path(__file__).parent / "awd"
WORDS = [f"w{number}" for number in range(2, 17)]
KNOWN = {"words": Vocabulary(["<pad>", "<unk>", *WORDS])}


def model(weights, *, layers=3, last=None, **head):
    """The network and its task, with weights under the original's names."""
    encoder = {"type": "awd", "input": "words", "hidden": 8, "layers": layers}
    source = Source(
        {
            "embedders": {"words": {"type": "word", "size": 6}},
            "encoders": {"stack": encoder | ({"last": last} if last else {})},
            "tasks": {
                "lm": {
                    "reader": {"type": "lines", "tokenizer": "blanks"},
                    "encoder": "stack",
                    "head": {"type": "language", "tied": True, "end": "w2", **head},
                }
            },
        }
    )
    discover()
    table = ModelTable.check(source)
    source.done()
    plan = lay_out(table)
    tasks = bind(table, plan)
    network = build(plan, tasks, KNOWN, stores={})
    network.load_state_dict(renamed(weights, layers))
    return network, tasks["lm"]


def renamed(weights, layers):
    """The original's weights under our names."""
    names = {"embedders.words.table.weight": "encoder.weight", "heads.lm.bias": "decoder.bias"}
    for layer in range(layers):
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            names[f"encoders.stack.layer{layer}.{kind}"] = f"rnns.{layer}.{kind}_l0"
    if "latent.0.weight" in weights:
        for kind in ("weight", "bias"):
            names[f"heads.lm.mixture.latent.{kind}"] = f"latent.0.{kind}"
        names["heads.lm.mixture.prior.weight"] = "prior.weight"
    return {ours: weights[theirs] for ours, theirs in names.items()}


def under(mark, tensors):
    """The tensors whose names begin with a mark, without it."""
    return {name.removeprefix(mark): one for name, one in tensors.items() if name.startswith(mark)}


def batch(x, y):
    """A window of ids (time, batch) with what follows."""
    text = Text({"words": x.t()}, torch.full((x.shape[1],), len(x)))
    return Batch("lm", {"text": text, "next": y.t()}, range(x.shape[1]), False)


def state(tensors, layers=3, mark="0"):
    """The state of all layers."""
    return tuple(tuple(tensors[f"{part}{mark}.{layer}"] for part in "hc") for layer in range(layers))
