"""The seven models of MLMT's numbers: one network whose configuration says by names what they share."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from seqloom.config import parse
from seqloom.data.batch import Batch, Text
from seqloom.data.vocabulary import Vocabulary
from seqloom.deploy.mlmt import Sizes, moved
from seqloom.model.build import build
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import bind

FOLDER = Path(__file__).parent / "mlmt"
FACTS = json.loads((FOLDER / "lstm_crf.json").read_text())
MODELS = load_file(FOLDER / "lstm_crf.safetensors")
MULTI_TASK = ("tgt", "cl", "ct", "clct")

CONFIG = """
embedders:
  first: {type: word, size: 6, vocabulary: first}
  second: {type: word, size: 6, vocabulary: second}
  characters: {type: chars, size: 4, filters: {2: 3, 3: 3}, highway: 2, activation: selu}
  plain: {type: chars, size: 4, filters: {2: 3, 3: 3}, highway: 0}
  first-text: {type: concat, of: [first, characters]}
  second-text: {type: concat, of: [second, characters]}
  plain-text: {type: concat, of: [first, plain]}
encoders:
  shared: {type: lstm, hidden: 5, bidirectional: true}
tasks:
  tgt:
    reader: &file {type: conll}
    embedder: first-text
    encoder: shared
    head: &ner {type: tag, crf: true, share: ner, specific: true}
  cl: {reader: *file, embedder: second-text, encoder: shared, head: *ner}
  ct:
    reader: *file
    embedder: first-text
    encoder: shared
    head: &pos {type: tag, crf: true, share: pos, specific: true}
  clct: {reader: *file, embedder: second-text, encoder: shared, head: *pos}
  no_spec: {reader: *file, embedder: first-text, encoder: shared, head: {type: tag, crf: true, share: ner}}
  no_highway: {reader: *file, embedder: plain-text, encoder: shared, head: *ner}
  mlp_single: {reader: *file, embedder: first-text, encoder: shared, head: {type: tag, crf: true, hidden: 10}}
"""


def part(name, tensors=MODELS):
    """The tensors whose names begin so, under the rest of their names."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}


def seven_models():
    """The network with the original weights, its filters seeing the padding as the original's do."""
    network = _built()
    weights = {}
    for model in FACTS["models"]:
        for name, weight in _weights(model).items():
            assert torch.equal(weights.setdefault(name, weight), weight), "the original shares it, so do we"
    network.load_state_dict(weights)
    for name in ("characters", "plain"):
        network.embedders[name].network.windows_over_padding = True
    return network.eval()


def _built():
    discover()
    source = parse(CONFIG)
    table = ModelTable.check(source)
    source.done()
    plan = lay_out(table)
    listed = {ours: Vocabulary(FACTS["vocab"][theirs]) for ours, theirs in _VOCABULARIES.items()}
    return build(plan, bind(table, plan), listed, stores={})


_VOCABULARIES = {
    "first": "token_1",
    "second": "token_2",
    "chars": "char",
    "shared.ner.tags": "ner",
    "shared.pos.tags": "pos",
    "mlp_single.tags": "ner",
}


def _weights(model):
    """A model's weights by the names that they have among the seven."""
    facts, weights = FACTS["models"][model], part(f"{model}.weight")
    words = len(FACTS["vocab"][f"token_{facts['language']}"])
    sizes = Sizes.of(weights, words, len(FACTS["vocab"]["char"]), len(facts["labels"]))
    owners = {
        "embedders.words": "embedders.first" if facts["language"] == 1 else "embedders.second",
        "embedders.characters": "embedders.characters" if facts["highway"] else "embedders.plain",
        "heads.target.own": "heads.mlp_single.own" if model == "mlp_single" else f"shared.{facts['task']}",
        "heads.target": f"heads.{model}",
        "encoders": "encoders",
    }
    return {_owned(name, owners): weight for name, weight in moved(weights, sizes).items()}


def _owned(name, owners):
    start = next(one for one in owners if name.startswith(f"{one}."))
    return owners[start] + name.removeprefix(start)


def batch(model):
    """The golden batch of a model."""
    golden = part(model)
    words, characters = golden["tokens"], golden["chars"].view(*golden["tokens"].shape, -1)
    text = Text({"first": words, "second": words, "chars": characters}, golden["lengths"])
    return Batch(model, {"text": text, "tags": golden["labels"]}, range(len(words)))


def parts(network, model):
    """The modules that a model is made of, by the kinds of the golden file's list of what is shared."""
    embedder, encoder = network.routes[model]
    word, characters = network.embedders[embedder].vectors()
    scorer = network.head(model).universal
    encoder = network.encoders[encoder]
    return {"word": word, "char": characters, "lstm": encoder, "universal": scorer.scorer, "crf": scorer.crf}
