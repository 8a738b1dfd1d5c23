"""The encoders of the original GenSen programs, read by ours, and their golden vectors."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from seqloom.api import Model
from seqloom.deploy.legacy import import_gensen
from seqloom.model.folder import assemble

FOLDER = Path(__file__).parent / "gensen"
ENCODER = load_file(FOLDER / "encoder.safetensors")
TOLD = json.loads((FOLDER / "encoder.json").read_text())
SENTENCES: list[str] = TOLD["sentences"]
FILES = {name: FOLDER / file for name, file in TOLD["models"].items()}


def imported(name: str, folder: Path) -> Model:
    """One of the two published models, its words' case kept."""
    import_gensen(FILES[name], folder / name, lower=False)
    return Model.load(folder / name)


def originals_order(vectors: Tensor, sizes: list[int]) -> Tensor:
    """Vectors of [forward; backward] halves as [backward; forward], for each encoder side by side."""
    parts = [part.chunk(2, -1) for part in vectors.split(sizes, -1)]
    return torch.cat([half for ahead, back in parts for half in (back, ahead)], -1)


def unbounded(model: Model) -> Model:
    """The same model, its texts without `<s>` and `</s>`."""
    held = model._assembly
    reader = held.settings["tasks"]["sentences"]["reader"] | {"bounds": False}
    settings = held.settings | {
        "tasks": {"sentences": held.settings["tasks"]["sentences"] | {"reader": reader}}
    }
    return Model(assemble(settings, held.vocabularies, held.network.state_dict()))
