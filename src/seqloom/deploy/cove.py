"""The encoder of CoVe (McCann et al. 2017), as its programs saved it, in the terms of ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from seqloom.data.vocabulary import END, PRODUCED
from seqloom.deploy import foreign
from seqloom.errors import ModelError

LAYERS = 2
MARK = "encoder.rnn."
"""Before the encoder's weights in a checkpoint of the translation model."""


@dataclass(frozen=True)
class MTLSTM:
    """The weights of the encoder by torch's names, with the sizes that they have.

    Args:
        weights: 16 tensors, `weight_ih_l0` and so on.
        size: numbers in a word's vector.
        hidden: numbers in a state, each direction.
    """

    weights: Mapping[str, Tensor]
    size: int
    hidden: int

    @classmethod
    def of(cls, held: object) -> "MTLSTM":
        """The encoder in what a file holds: a table of its weights, or a checkpoint of the translation model.

        Raises:
            ModelError: a weight is missing, unknown, or of another shape than the others ask for.
        """
        if isinstance(held, Mapping) and isinstance(held.get("model"), Mapping):
            held = held["model"]
        if not isinstance(held, Mapping):
            raise ModelError(f"the file should hold a table of weights, found {type(held).__name__}")
        marked = any(str(name).startswith(MARK) for name in held)
        own = {
            str(name).removeprefix(MARK): one for name, one in held.items() if not marked or MARK in str(name)
        }
        weights = foreign.weights(own)
        first, second = (_columns(weights, name) for name in ("weight_ih_l0", "weight_hh_l0"))
        _check(weights, dict(_shapes(first, second)))
        return cls(weights, first, second)

    def moved(self, place: str) -> dict[str, Tensor]:
        """The weights by our names, as of the encoder at a place."""
        found = {}
        for name, one in self.weights.items():
            stem, _, rest = name.rpartition("_l")
            layer, reverse = rest[:1], rest[1:]
            found[f"{place}.layer{layer}.{stem}{reverse}"] = one
        return found

    def configured(self, store: str | None) -> dict[str, Any]:
        """The configuration, as plain values, of a translator of which only the encoder is known.

        Args:
            store: the path of the word vectors that its table is filled from, if any.
        """
        words = {"type": "word", "lower": True, "trainable": False}
        encoder = {
            "type": "lstm",
            "input": "words",
            "hidden": self.hidden,
            "layers": LAYERS,
            "bidirectional": True,
        }
        return {
            "vectors": {"store": {"path": store, "size": self.size}} if store else {},
            "embedders": {"words": words | ({"vectors": "store"} if store else {"size": self.size})},
            "encoders": {"mtlstm": encoder},
            "tasks": {
                "translation": {
                    "reader": {"type": "parallel"},
                    "encoder": "mtlstm",
                    "head": {"type": "translate", "hidden": 1},
                }
            },
        }


def silent(head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a decoder that ends every translation at its beginning: the published file holds none."""
    found = {name: one.new_zeros(one.shape) for name, one in head.items()}
    found["decoder.output.bias"][PRODUCED.index(END)] = 100.0
    return found


def _columns(weights: Mapping[str, Tensor], name: str) -> int:
    if name not in weights:
        raise ModelError(f"the weight {name} is missing")
    if weights[name].dim() != 2:
        raise ModelError(f"the weight {name} should have 2 dimensions, has shape {tuple(weights[name].shape)}")
    return weights[name].shape[1]


def _shapes(size: int, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for layer in range(LAYERS):
        for reverse in ("", "_reverse"):
            yield f"weight_ih_l{layer}{reverse}", (4 * hidden, 2 * hidden if layer else size)
            yield f"weight_hh_l{layer}{reverse}", (4 * hidden, hidden)
            yield f"bias_ih_l{layer}{reverse}", (4 * hidden,)
            yield f"bias_hh_l{layer}{reverse}", (4 * hidden,)


def _check(weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [f"{name} is missing" for name in shapes if name not in weights]
    wrong += [f"{name} is unknown" for name in weights if name not in shapes]
    wrong += [
        f"{name} should have shape {shape}, has {tuple(weights[name].shape)}"
        for name, shape in shapes.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ModelError(
            f"its weights are not those of two bidirectional LSTM layers: {'; '.join(wrong[:5])}{more}"
        )
