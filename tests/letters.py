"""A saved model for parts that come from one: it knows the letters that made-up words are spelt with."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from seqloom.config import Source
from seqloom.model.build import build
from seqloom.model.folder import Assembly, save
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import bind, fit
from seqloom.model.transfer import carried, inlined

TAGGER = {"reader": {"type": "conll"}, "encoder": "shared", "head": {"type": "tag"}}
EXAMPLE = {"text": list("abcdeABC1-"), "tags": ["O"] * 10}


@cache
def letters(size: int, layers: int = 2, bidirectional: bool = True) -> Path:
    """The folder of a tagger whose encoder reads vectors of a size, made of the letters of words."""
    folder = Path(tempfile.mkdtemp(prefix="seqloom-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    embedder = {"type": "chars", "filters": {1: size // 2, 2: size - size // 2}, "highway": 0}
    encoder = {
        "type": "lstm",
        "input": "spelt",
        "hidden": size,
        "layers": layers,
        "bidirectional": bidirectional,
    }
    save(folder, assembled({"spelt": embedder}, {"shared": {**encoder, "dropout": 0.5}}, {"one": TAGGER}))
    return folder


def assembled(embedders: Any, encoders: Any, tasks: Any) -> Assembly:
    """An untrained model of taggers."""
    discover()
    source = Source({"embedders": embedders, "encoders": encoders, "tasks": tasks})
    table = ModelTable.check(source)
    source.done()
    table = inlined(table, source)
    source.done()
    plan = lay_out(table)
    bound, parts = bind(table, plan), carried(plan)
    training = {name: one.from_examples([EXAMPLE]) for name, one in bound.items()}
    vocabularies = fit(bound, training, parts.vocabularies)
    network = build(plan, bound, vocabularies, stores={}, weights=parts.weights, seed=5)
    return Assembly(table.model_dump(), plan, bound, vocabularies, network, {})
