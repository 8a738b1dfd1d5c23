"""MLMT's taggers (Lin et al. 2018), as its program saved them, in the terms of ours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from torch import Tensor

from seqloom.data.vocabulary import SPECIALS, Vocabulary
from seqloom.deploy import foreign
from seqloom.errors import ModelError
from seqloom.metrics import outside

PADDING, UNKNOWN = "<$PAD$>", "<$UNK$>"

Shape = tuple[int, ...]

_CHARACTERS = "embedders.characters.network"
_SCORER = "heads.target.own.scorer.linears"
_TRANSITIONS = "heads.target.own.crf.transitions"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds of the target's tagger.

    Args:
        weights: by the original's names.
        settings: the options that it was trained with.
        words: in the order of their numbers, padding and the unknown word first.
        characters: so as well.
        labels: so as well, padding first.
    """

    weights: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    words: Sequence[str]
    characters: Sequence[str]
    labels: Sequence[str]

    @classmethod
    def of(cls, held: object) -> "Checkpoint":
        """The tagger in what a file holds; raises ModelError where it is not as MLMT's training writes it."""
        weights = _table(held, "model", "lstm_crf")
        if odd := [name for name, one in weights.items() if not isinstance(one, Tensor)]:
            raise ModelError(f"model.lstm_crf.{odd[0]} is not a tensor")
        weights = foreign.weights(weights)
        words, characters = (_symbols(held, name, (PADDING, UNKNOWN)) for name in ("token", "char"))
        return cls(weights, _table(held, "args"), words, characters, _symbols(held, "label", (PADDING,)))


def _table(held: object, *keys: str) -> Mapping[str, Any]:
    for place, key in enumerate(keys):
        if not isinstance(held, Mapping) or key not in held:
            raise ModelError(
                f'{".".join(keys[:place]) or "the file"} should hold "{key}", found {_described(held)}'
            )
        held = held[key]
    if not isinstance(held, Mapping):
        raise ModelError(f"{'.'.join(keys)} should be a table, found {_described(held)}")
    return held


def _described(held: object) -> str:
    keys = f"a table of {', '.join(map(str, held))}" if isinstance(held, Mapping) else type(held).__name__
    return keys if len(keys) <= 200 else f"{keys[:197]}..."


def _symbols(held: object, name: str, first: Sequence[str]) -> list[str]:
    numbers = _table(held, "vocab", name)
    listed = {
        number: one for one, number in numbers.items() if isinstance(one, str) and isinstance(number, int)
    }
    symbols = [listed[number] for number in range(len(numbers)) if number in listed]
    if len(symbols) != len(numbers) or symbols[: len(first)] != list(first):
        what = f"vocab.{name} should number its {len(numbers)} entries from 0 on, {' and '.join(first)} first"
        raise ModelError(f"{what}; only files of the program's last version are read")
    return symbols


@dataclass(frozen=True)
class Sizes:
    """The sizes of a tagger's parts: some entries of its vocabularies, the others read off its weights.

    Args:
        words: entries.
        characters: entries.
        labels: entries, padding among them.
        word: numbers in a word's vector.
        character: numbers in a character's vector.
        filters: (width, count) of each convolution.
        highway: layers.
        hidden: numbers in a state, each direction.
        perceptron: numbers in the scorer's hidden layer, 0 for none.
        specific: whether there is a gated scorer besides.
    """

    words: int
    characters: int
    labels: int
    word: int
    character: int
    filters: Sequence[tuple[int, int]]
    highway: int
    hidden: int
    perceptron: int
    specific: bool

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], words: int, characters: int, labels: int) -> "Sizes":
        """The sizes that go with some weights; a ModelError names one that is missing or of another form."""
        filters = [_shape(weights, name, 4) for name in _numbered(weights, "char_embedding.convs.{}.weight")]
        perceptron = "univ_fc_layer.linears.0.weight"
        return cls(
            words,
            characters,
            labels,
            word=_shape(weights, "word_embedding.weight", 2)[1],
            character=_shape(weights, "char_embedding.embedding.weight", 2)[1],
            filters=[(width, number) for number, _, width, _ in filters],
            highway=len(list(_numbered(weights, "char_highway.gate.{}.weight"))),
            hidden=_shape(weights, "lstm.weight_hh_l0", 2)[1],
            perceptron=_shape(weights, perceptron, 2)[0] if perceptron in weights else 0,
            specific="spec_fc_layer.weight" in weights,
        )


def _shape(weights: Mapping[str, Tensor], name: str, dimensions: int) -> Shape:
    if name not in weights:
        raise ModelError(f"the weight {name} is missing")
    shape = tuple(weights[name].shape)
    if len(shape) != dimensions:
        raise ModelError(f"the weight {name} should have {dimensions} dimensions, has shape {shape}")
    return shape


def _numbered(weights: Mapping[str, Tensor], pattern: str) -> Iterator[str]:
    for number in count():
        if (name := pattern.format(number)) not in weights:
            return
        yield name


def moved(weights: Mapping[str, Tensor], sizes: Sizes) -> dict[str, Tensor]:
    """A tagger's weights under our names, padding still among its labels.

    Raises:
        ModelError: weights that are missing, of another shape than their neighbours ask for, or unknown.
    """
    places = {name: (ours, shape) for name, ours, shape in _places(sizes)}
    wrong = [f"{name} is missing" for name in places if name not in weights]
    wrong += [f"{name} is unknown" for name in weights if name not in places]
    shapes = {name: tuple(weights[name].shape) for name in places if name in weights}
    wrong += [
        f"{name} should have shape {places[name][1]}, has {shape}"
        for name, shape in shapes.items()
        if shape != places[name][1]
    ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ModelError(f"weights do not fit each other and the vocabularies: {'; '.join(wrong[:5])}{more}")
    return {ours: _turned(weights[name]) for name, (ours, _) in places.items()}


def _turned(weight: Tensor) -> Tensor:
    """The original convolves an image (1, characters, size), we a sequence (size, characters)."""
    return (weight.squeeze(1).transpose(1, 2) if weight.dim() == 4 else weight).float()


def _places(sizes: Sizes) -> Iterator[tuple[str, str, Shape]]:
    """The original name of each weight, ours, and the original shape."""
    yield "word_embedding.weight", "embedders.words.table.weight", (sizes.words, sizes.word)
    yield from _character_places(sizes)
    ahead, gates = sizes.word + sum(number for _, number in sizes.filters), 4 * sizes.hidden
    for end in ("", "_reverse"):
        for name, shape in {
            "weight_ih": (gates, ahead),
            "weight_hh": (gates, sizes.hidden),
            "bias_ih": (gates,),
            "bias_hh": (gates,),
        }.items():
            yield f"lstm.{name}_l0{end}", f"encoders.shared.layer0.{name}{end}", shape
    yield from _scorer_places(sizes, 2 * sizes.hidden)
    yield "crf.transition", _TRANSITIONS, (sizes.labels + 2, sizes.labels + 2)


def _character_places(sizes: Sizes) -> Iterator[tuple[str, str, Shape]]:
    table = (sizes.characters, sizes.character)
    yield "char_embedding.embedding.weight", f"{_CHARACTERS}.embedding.weight", table
    for place, (width, number) in enumerate(sizes.filters):
        theirs = f"char_embedding.convs.{place}"
        yield f"{theirs}.weight", f"{_CHARACTERS}.weights.{place}", (number, 1, width, sizes.character)
        yield f"{theirs}.bias", f"{_CHARACTERS}.biases.{place}", (number,)
    size = sum(number for _, number in sizes.filters)
    for layer in range(sizes.highway):
        for theirs, ours in (("non_linear", "transforms"), ("gate", "gates")):
            ours = f"{_CHARACTERS}.highway.{ours}.{layer}"
            yield from _linear(f"char_highway.{theirs}.{layer}", ours, size, size)


def _scorer_places(sizes: Sizes, state: int) -> Iterator[tuple[str, str, Shape]]:
    if sizes.perceptron:
        yield from _linear("univ_fc_layer.linears.0", f"{_SCORER}.0", state, sizes.perceptron)
        yield from _linear("univ_fc_layer.output_linear", f"{_SCORER}.1", sizes.perceptron, sizes.labels)
    else:
        yield from _linear("univ_fc_layer", f"{_SCORER}.0", state, sizes.labels)
    if sizes.specific:
        yield from _linear("spec_fc_layer", "heads.target.specific", state, sizes.labels)
        yield from _linear("spec_gate", "heads.target.gate", state, sizes.labels)


def _linear(theirs: str, ours: str, size: int, out: int) -> Iterator[tuple[str, str, Shape]]:
    yield f"{theirs}.weight", f"{ours}.weight", (out, size)
    yield f"{theirs}.bias", f"{ours}.bias", (out,)


def configured(checkpoint: Checkpoint, sizes: Sizes) -> dict[str, Any]:
    """The configuration of the tagger, as plain values; raises ModelError for what no configuration can say."""
    if len(dict(sizes.filters)) < len(sizes.filters):
        widths = ", ".join(str(width) for width, _ in sizes.filters)
        raise ModelError(f"it has several groups of filters of one width ({widths}), which seqloom has not")
    settings = checkpoint.settings
    if sizes.highway and "charhw_func" not in settings:
        raise ModelError(f'args should hold "charhw_func", found {_described(settings)}')
    characters = {"type": "chars", "size": sizes.character, "filters": dict(sizes.filters)}
    characters["highway"] = sizes.highway
    if sizes.highway:
        characters["activation"] = settings["charhw_func"]
    text = {"type": "concat", "of": ["words", "characters"], "dropout": settings.get("feat_dropout", 0.0)}
    encoder = {"type": "lstm", "input": "text", "hidden": sizes.hidden, "bidirectional": True}
    head = {"type": "tag", "scheme": _scheme(checkpoint.labels[1:]), "crf": True, "constraints": "none"}
    return {
        "embedders": {"words": {"type": "word", "size": sizes.word}, "characters": characters, "text": text},
        "encoders": {"shared": {**encoder, "output_dropout": settings.get("lstm_dropout", 0.0)}},
        "tasks": {
            "target": {
                "reader": {"type": "conll", "tags": 1, "separator": "tab", "brackets": True},
                "encoder": "shared",
                "head": {**head, "hidden": sizes.perceptron, "specific": sizes.specific},
            }
        },
    }


def _scheme(labels: Sequence[str]) -> str | None:
    return next((scheme for scheme in ("bio", "bioes") if outside(labels, scheme) is None), None)


def vocabularies(checkpoint: Checkpoint) -> dict[str, Vocabulary]:
    """The vocabularies by our names; see `kept` for words that ours cannot list."""
    words = [checkpoint.words[number] for number in kept(checkpoint.words)]
    return {
        "words": Vocabulary((*SPECIALS, *words[len(SPECIALS) :])),
        "chars": Vocabulary((*SPECIALS, *checkpoint.characters[len(SPECIALS) :])),
        "target.tags": Vocabulary(checkpoint.labels[1:]),
    }


def kept(words: Sequence[str]) -> list[int]:
    """The numbers of the words without those that are spelt `<pad>` or `<unk>`: in ours they are unknown words."""
    return [number for number, word in enumerate(words) if number < len(SPECIALS) or word not in SPECIALS]


def fitted(checkpoint: Checkpoint, sizes: Sizes) -> dict[str, Tensor]:
    """The weights as our vocabularies and labels ask for: without padding among the labels; see `kept` too.

    Raises ModelError as `moved` does.
    """
    last = f"{_SCORER}.{1 if sizes.perceptron else 0}."
    weights = moved(checkpoint.weights, sizes)
    for name, weight in weights.items():
        if name.startswith((last, "heads.target.specific.", "heads.target.gate.")):
            weights[name] = weight[1:]
    weights[_TRANSITIONS] = weights[_TRANSITIONS][1:, 1:]
    table = "embedders.words.table.weight"
    return {**weights, table: weights[table][kept(checkpoint.words)]}
