"""The networks of the original GenSen programs, with their golden weights in ours."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from seqloom.data.vocabulary import PRODUCED, Vocabulary
from seqloom.heads.neighbours import SIDES, Neighbours
from seqloom.heads.pair import Pair
from seqloom.nn import Recurrent
from seqloom.nn.conditional import ConditionalDecoder

FOLDER = Path(__file__).parent / "gensen"
MULTITASK = load_file(FOLDER / "multitask.safetensors")
PADDING, WORDS, HIDDEN = 1, 13, 8
OURS = torch.tensor([2, 0, 3, 1, *range(4, WORDS)])
"""Our ids of the original's: it begins with <s>, <pad>, </s>, <unk>."""


def multitask() -> dict[str, Tensor]:
    """The weights of the training program's model."""
    held = torch.load(FOLDER / "best_model.model", weights_only=True)
    return {name.removeprefix("module."): one for name, one in held.items()}


def decoder_weights(held: Mapping[str, Tensor], task: int) -> dict[str, Tensor]:
    """A task's decoder by our names: the word's and the vector's part side by side, their biases added."""
    own = {name: held[f"decoders.{task}.{name}"] for name in _parts("input", "hidden", "peep")}
    back = OURS.argsort()
    return {
        "words.weight": held[f"trg_embedding.{task}.weight"][back],
        "layer0.weight_ih": torch.cat([own["input_weights.weight"], own["peep_weights.weight"]], 1),
        "layer0.weight_hh": own["hidden_weights.weight"],
        "layer0.bias_ih": own["input_weights.bias"] + own["peep_weights.bias"],
        "layer0.bias_hh": own["hidden_weights.bias"],
        "output.weight": held[f"decoder2vocab.{task}.weight"][back],
        "output.bias": held[f"decoder2vocab.{task}.bias"][back],
    }


def _parts(*names: str) -> list[str]:
    return [f"{name}_weights.{part}" for name in names for part in ("weight", "bias")]


def conditional(task: int) -> ConditionalDecoder:
    """A task's decoder, which starts from the sentence's vector itself."""
    made = ConditionalDecoder(WORDS, 5, HIDDEN, HIDDEN, bridge="copy")
    made.load_state_dict(decoder_weights(multitask(), task))
    return made.eval()


def paired() -> Neighbours:
    """The head of the paired tasks: 2 is the partner of 0."""
    words = Vocabulary([*PRODUCED, *map(str, range(4, WORDS))])
    config = Neighbours.Config(hidden=HIDDEN, size=5, bridge="copy")
    made = Neighbours(config, size=HIDDEN, vocabularies={"target": words})
    for side, task in zip(SIDES, (2, 0), strict=True):
        getattr(made, side).load_state_dict(decoder_weights(multitask(), task))
    return made.eval()


def inference() -> Pair:
    """The head for natural language inference."""
    made = Pair(Pair.Config(pool="last", hidden=[7]), size=HIDDEN, vocabularies={"label": Vocabulary("enc")})
    held = multitask()
    layers = {"scorer.linears.0": "nli_decoder.1", "scorer.linears.1": "nli_decoder.3"}
    made.load_state_dict(
        {
            f"{ours}.{part}": held[f"{theirs}.{part}"]
            for ours, theirs in layers.items()
            for part in ("weight", "bias")
        }
    )
    return made.eval()


def sentence_vectors(ids: Tensor, lengths: Tensor) -> Tensor:
    """The vectors of sentences (batch, time) of the original's ids: [backward; forward] final states."""
    held = multitask()
    encoder = Recurrent("gru", 6, HIDDEN // 2, bidirectional=True)
    names = {name: name.removeprefix("layer0.").replace("_reverse", "") for name in encoder.state_dict()}
    encoder.load_state_dict(
        {
            name: held[f"encoder.{own}_l0{'_reverse' if name.endswith('_reverse') else ''}"]
            for name, own in names.items()
        }
    )
    ahead, back = encoder.eval()(held["src_embedding.weight"][ids], lengths).final.chunk(2, 1)
    return torch.cat([back, ahead], 1)
