"""The sentence encoder of GenSen (Subramanian et al. 2018), as its programs saved it, in the terms of ours."""

import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from seqloom.data.vocabulary import END, PADDING, PRODUCED, START, UNKNOWN, Vocabulary
from seqloom.deploy import foreign
from seqloom.errors import ModelError

SPECIAL = (START, PADDING, END, UNKNOWN)
"""The symbols that an original vocabulary begins with."""
WORDS = "src_embedding.weight"
_ENCODER = re.compile(r"(weight|bias)_(ih|hh)_l(\d+)(_reverse)?")


class _Plain(pickle.Unpickler):
    """Reads what Python 2 pickled, plain values alone: byte strings, numbers, dicts."""

    def find_class(self, module: str, name: str) -> Any:
        raise ModelError(f"holds more than plain values: {module}.{name}, which could be code and is not run")

    def persistent_load(self, pid: Any) -> Any:
        raise ModelError("refers to objects outside the file")


def words(path: Path) -> list[str]:
    """The words of a vocabulary file, `PREFIX_vocab.pkl`, by their numbers; nothing that it holds is run.

    Raises:
        ModelError: no such file, one that holds anything but plain values, or no vocabulary of GenSen's.
    """
    try:
        with path.open("rb") as file:
            held = _Plain(file, encoding="bytes").load()
        return list(_numbered(held))
    except FileNotFoundError:
        raise ModelError("no such file; it belongs beside the weights", path) from None
    except ModelError as fault:
        raise ModelError(f"{fault}; get another copy of the vocabulary", path) from None
    except Exception as fault:  # of a damaged file, pickle raises errors of all kinds
        what = f"is not a whole vocabulary of GenSen ({type(fault).__name__})"
        raise ModelError(f"{what}; get another copy of it", path) from None


def _numbered(held: Any) -> Iterator[str]:
    table = {_text(key): value for key, value in held.items()}["id2word"]
    if len(table) < len(SPECIAL):
        raise ModelError(f"lists {len(table)} words, where {', '.join(SPECIAL)} should be at least")
    for number in range(len(table)):
        if number not in table:
            raise ModelError(f"lists {len(table):,} words, but none of number {number}")
        word = _text(table[number])
        if number < len(SPECIAL) and word != SPECIAL[number]:
            raise ModelError(f'begins with "{word}" as number {number}, where "{SPECIAL[number]}" should be')
        yield word


def _text(value: bytes | str) -> str:
    if isinstance(value, str):
        # Half a character, which no file of UTF-8 can hold, is an error here.
        return value.encode("utf-8").decode("utf-8")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


@dataclass(frozen=True)
class SentenceEncoder:
    """The weights by our names, with what they say of the model's form.

    Args:
        weights: of the word table and the encoder.
        words: all, ours begin with `<pad>`, `<unk>`, `<s>`, `</s>`.
        form: the encoder's keys in a configuration.
        size: numbers in a word's vector.
    """

    weights: Mapping[str, Tensor]
    words: Vocabulary
    form: Mapping[str, Any]
    size: int

    @classmethod
    def of(cls, held: object, listed: list[str]) -> "SentenceEncoder":
        """The encoder in a table of weights, published or of the whole training program, and its list of words.

        Raises:
            ModelError: a weight is missing or of another shape than the others ask for, or the list is of another
                length.
        """
        if not isinstance(held, Mapping):
            raise ModelError(f"the file should hold a table of weights, found {type(held).__name__}")
        own = {name.removeprefix("module."): one for name, one in foreign.weights(held).items()}
        if WORDS not in own:
            raise ModelError(f"the weight {WORDS} is missing")
        if own[WORDS].dim() != 2:
            raise ModelError(f"the weight {WORDS} has shape {tuple(own[WORDS].shape)}, not (words, size)")
        if len(own[WORDS]) != len(listed):
            what = f"the vocabulary lists {len(listed):,} words, the table has {len(own[WORDS]):,} rows"
            raise ModelError(f"{what}; they are of different models")
        recurrent = {
            name.removeprefix("encoder."): one for name, one in own.items() if name.startswith("encoder.")
        }
        size = own[WORDS].shape[1]
        form = _form(recurrent, size)
        order = [SPECIAL.index(one) for one in PRODUCED]
        rows = torch.cat([own[WORDS][order], own[WORDS][len(SPECIAL) :]]).float()
        weights = {"embedders.words.table.weight": rows, **dict(_moved(recurrent))}
        return cls(weights, Vocabulary([*PRODUCED, *listed[len(SPECIAL) :]]), form, size)

    def configured(self, lower: bool) -> dict[str, Any]:
        """The configuration, as plain values, of a model that only encodes."""
        return {
            "version": 1,
            "embedders": {"words": {"type": "word", "size": self.size, "lower": lower}},
            "encoders": {"gensen": {"input": "words", **self.form}},
            "tasks": {
                "sentences": {
                    "reader": {"type": "lines", "tokenizer": "blanks", "bounds": True},
                    "encoder": "gensen",
                    "head": {"type": "encode", "pool": "last"},
                }
            },
        }

    @property
    def capital(self) -> str | None:
        """The first word with a capital letter; where there is none, every text is to be read in lower case."""
        return next((word for word in self.words if word != word.lower()), None)


def _moved(recurrent: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, one in recurrent.items():
        kind, side, layer, reverse = _ENCODER.fullmatch(name).groups()  # type: ignore[union-attr]
        yield f"encoders.gensen.layer{layer}.{kind}_{side}{reverse or ''}", one.float()


def _form(recurrent: Mapping[str, Tensor], size: int) -> dict[str, Any]:
    """The encoder's keys, from the shapes of its weights, which must be whole."""
    first = recurrent.get("weight_hh_l0")
    if first is None or first.dim() != 2 or first.shape[0] not in (3 * first.shape[1], 4 * first.shape[1]):
        raise ModelError("encoder.weight_hh_l0 is missing, or is neither a GRU's nor an LSTM's")
    hidden, gates = first.shape[1], first.shape[0] // first.shape[1]
    layers = 1 + max(int(found[3]) for name in recurrent if (found := _ENCODER.fullmatch(name)))
    if layers > len(recurrent):
        raise ModelError(f"its encoder has a layer {layers - 1}, and {len(recurrent)} weights in all")
    both = "weight_hh_l0_reverse" in recurrent
    expected = dict(_shapes(size, hidden, gates, layers, both))
    wrong = [name for name in {**expected, **recurrent} if expected.get(name) != _shape(recurrent.get(name))]
    if wrong:
        raise ModelError(
            f"encoder.{wrong[0]} has shape {_shape(recurrent.get(wrong[0]))}, not {expected.get(wrong[0])}"
        )
    cell: Literal["gru", "lstm"] = "gru" if gates == 3 else "lstm"
    return {"type": cell, "hidden": hidden, "layers": layers, "bidirectional": both}


def _shape(one: Tensor | None) -> tuple[int, ...] | None:
    return None if one is None else tuple(one.shape)


def _shapes(
    size: int, hidden: int, gates: int, layers: int, both: bool
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for layer in range(layers):
        before = (2 if both else 1) * hidden if layer else size
        for reverse in ("", "_reverse")[: 2 if both else 1]:
            yield f"weight_ih_l{layer}{reverse}", (gates * hidden, before)
            yield f"weight_hh_l{layer}{reverse}", (gates * hidden, hidden)
            yield f"bias_ih_l{layer}{reverse}", (gates * hidden,)
            yield f"bias_hh_l{layer}{reverse}", (gates * hidden,)
