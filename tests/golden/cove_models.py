"""The networks of the original CoVe programs, with their golden weights in ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from seqloom.nn.decoder import AttentionDecoder
from seqloom.nn.recurrent import Recurrence, Recurrent

FOLDER = Path(__file__).parent / "cove"
_DECODER = {
    "words.weight": "decoder.word_lut.weight",
    "attention.compare.weight": "decoder.attn.linear_in.weight",
    "attention.combine.weight": "decoder.attn.linear_out.weight",
    "output.weight": "generator.0.weight",
    "output.bias": "generator.0.bias",
}


def translator(variant: str | None = None) -> dict[str, Tensor]:
    """The weights of the translation model, by the original's names."""
    if variant is None:
        held = torch.load(FOLDER / "nmt.pt", weights_only=True)
        return held["model"] | {f"generator.{name}": one for name, one in held["generator"].items()}
    held = load_file(FOLDER / "nmt_variants.safetensors")
    own = {name.removeprefix(f"{variant}.weight."): one for name, one in held.items()}
    return {name: one for name, one in own.items() if name.startswith(("encoder.", "decoder.", "generator."))}


def encoder(weights: Mapping[str, Tensor], size: int, hidden: int, mark: str = "") -> Recurrent:
    """A bidirectional LSTM of two layers from torch's names behind a mark."""
    made = Recurrent("lstm", size, hidden, layers=2, bidirectional=True)
    made.load_state_dict({name: weights[mark + _layered(name)] for name in made.state_dict()})
    return made.eval()


def _layered(name: str) -> str:
    """Torch's name of a weight: `layer1.bias_hh_reverse` is `bias_hh_l1_reverse`."""
    layer, weight = name.split(".")
    number, reverse = layer.removeprefix("layer"), weight.endswith("_reverse")
    return f"{weight.removesuffix('_reverse')}_l{number}{'_reverse' if reverse else ''}"


def decoder(weights: Mapping[str, Tensor], **settings: Any) -> AttentionDecoder:
    """The decoder of two layers."""
    made = AttentionDecoder(17, 8, 12, 12, layers=2, **settings)
    names = {
        name: _DECODER.get(name) or name.replace("layer", "decoder.rnn.layers.") for name in made.state_dict()
    }
    made.load_state_dict({ours: weights[theirs] for ours, theirs in names.items()})
    return made.eval()


def encoded(weights: Mapping[str, Tensor], source: Tensor, lengths: Tensor) -> Recurrence:
    """The states of source ids (batch, time)."""
    vectors = weights["encoder.word_lut.weight"][source]
    found: Recurrence = encoder(weights, 8, 6, "encoder.rnn.")(vectors, lengths)
    return found
