"""The states of a saved model's encoder, as vectors of words in their context."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from seqloom.config import Choice, Count, FilePath, Name, Natural, Table
from seqloom.data.batch import Text
from seqloom.data.columns import FORMAT, cache_root
from seqloom.data.kept import DIGEST, KeptVectors
from seqloom.data.tokens import Index
from seqloom.data.vectors import Origin, Vectors
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder, indexes
from seqloom.errors import ConfigError
from seqloom.nn.mixing import ScalarMix


class Inside(Table):
    """What the model there holds: the encoder, the embedder it reads and all that is made of.

    `vectors`: the sizes of stores; `words`: the frozen word table whose rows a store may replace.
    """

    vectors: dict[Name, Count] = {}
    embedders: dict[Name, Annotated[Table, Choice("embedders")]]
    embedder: Name
    encoder: Annotated[Table, Choice("encoders")]
    words: Name | None = None


class Inner(nn.Module):
    """An embedder and an encoder of a saved model, which look words up in vocabularies of their own.

    Args:
        embedders: the embedder and all that it is made of, by name.
        embedder: its name.
        encoder: reads it.
        mark: what the names of its vocabularies begin with here.
    """

    def __init__(self, embedders: nn.Module, embedder: Embedder, encoder: nn.Module, mark: str) -> None:
        super().__init__()
        self.embedders, self.encoder = embedders, encoder
        # The module `embedders` owns it; here it would be owned twice.
        self._reads, self._mark = (embedder,), mark
        if embedder.drops:
            what = "the model there leaves out words that no set has (nowhere: dropped)"
            raise ConfigError(f"{what}, and here each word needs a vector; take another, or nowhere: kept")
        self.size = embedder.size
        self.causal = bool(encoder.causal) and embedder.causal
        self.backward = bool(encoder.backward) and embedder.backward
        self.sizes = layer_sizes(encoder, self.size)

    def forward(self, text: Text) -> tuple[Tensor, Sequence[Tensor]]:
        """The vectors that the encoder reads and what each of its layers makes of them, all (batch, time, size)."""
        own = {name.removeprefix(self._mark): ids for name, ids in self.own(text).items()}
        vectors = self._reads[0](replace(text, ids=own))
        return vectors, self.encoder(vectors, text.lengths).layers

    def own(self, text: Text) -> dict[str, Tensor]:
        """The ids of a text in the vocabularies that are looked up here, by their names in it."""
        return {name: ids for name, ids in text.ids.items() if name.startswith(self._mark)}

    def rows(self, text: Text) -> Iterator[Text]:
        """Each row of a text by itself, without padding."""
        ids = {name: one.cpu() for name, one in self.own(text).items()}
        for row, length in enumerate(text.lengths.tolist()):
            alone = {name: _trimmed(one[row : row + 1, :length]) for name, one in ids.items()}
            yield Text(alone, text.lengths[row : row + 1])


class Context(Embedder):
    """What a saved model's encoder makes of a text (CoVe: McCann et al. 2017; mixed layers: Peters et al. 2018)."""

    class Config(Table):
        """`of`: a model or run folder; `encoder`: its encoder's name, or that of a task with its embedder, if several.

        `layers`: whose states: of the `top` layer, of some by number (from 0), or a learnt `mix` of all. `input`:
        whether the vectors that the encoder reads come first; layers follow as they are listed. `trainable`: whether
        what was saved is trained on; else it stays as it is, its dropout never acting. `vectors`: a store whose rows
        replace the model's frozen word table, so that every word of the new data that the store has is known.
        `lower`: whether the model is given words in lower case, as it needs where it learnt from texts in lower case.
        `cache`: whether what the encoder makes of a training text is kept on disk, so that it runs once for each.
        `inside` is filled in when a model is saved, so that its folder needs the other no longer.
        """

        type: Literal["context"] = "context"
        of: FilePath
        encoder: Name | None = None
        layers: Literal["top", "mix"] | Annotated[list[Natural], Field(min_length=1)] = "top"
        input: bool = False
        trainable: bool = False
        vectors: Annotated[str | None, Choice("vectors", names=("vectors",), inline=False)] = None
        lower: bool = False
        cache: bool = False
        inside: Inside | None = None

        @model_validator(mode="after")
        def _lasting(self) -> "Context.Config":
            if self.cache and self.trainable:
                raise ValueError("cache keeps vectors that never change; with trainable: true they would")
            return self

    private: ClassVar[bool] = True

    @classmethod
    def indexes(cls, config: Any) -> tuple[Index, ...]:
        """Those of the embedders inside; a table that a store replaces lists every word."""
        if config.inside is None:
            return ()
        found = (indexes(name, table) for name, table in config.inside.embedders.items())
        replaced = cls.replaced(config)
        listed = (
            replace(index, minimum=1, most=None) if index.vocabulary == replaced else index
            for each in found
            for index in each
        )
        if not config.lower:
            return tuple(listed)
        return tuple(replace(index, view=replace(index.view, lower=True)) for index in listed)

    @classmethod
    def replaced(cls, config: Any) -> str | None:
        """The vocabulary of the word table whose rows a store replaces, as the model there names it, if any."""
        if config.vectors is None or config.inside is None or config.inside.words is None:
            return None
        words = config.inside.words
        return indexes(words, config.inside.embedders[words])[0].vocabulary

    def __init__(
        self,
        config: Any,
        *,
        vocabularies: Vocabularies,
        inside: Inner,
        vectors: Vectors | Origin | None = None,
    ) -> None:
        super().__init__()
        self.inside, self.trainable, self.input = inside, config.trainable, config.input
        if not self.trainable:
            inside.requires_grad_(False)
        self.layers = chosen_layers(config, inside.sizes)
        self.mix = ScalarMix(len(self.layers)) if config.layers == "mix" else None
        sizes = [inside.sizes[layer] for layer in self.layers]
        self.size = (inside.size if self.input else 0) + (sizes[0] if self.mix else sum(sizes))
        self.causal, self.backward, self.steady = inside.causal, inside.backward, not self.trainable
        self.cache, self._sizes = config.cache, [inside.size] * self.input + sizes
        how = f"{config.inside!r} {self.layers} {self.input} {config.lower}"
        self._made_by = f"{FORMAT} {how} {torch.__version__}"
        self._kept: KeptVectors | None = None
        self.train()

    def train(self, mode: bool = True) -> "Context":
        """Go into training or evaluation mode; what is frozen stays in evaluation."""
        super().train(mode)
        self.inside.train(mode and self.trainable)
        return self

    def forward(self, text: Text) -> Tensor:
        """(batch, time, size): the vectors that the encoder reads, if asked for, then layer after layer, or the mix."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trainable):
            columns = self._remembered(text) if self.cache and self.training else self._computed(text)
        if self.mix is not None:
            columns = [*columns[: int(self.input)], self.mix(columns[int(self.input) :])]
        return torch.cat(columns, -1)

    def _computed(self, text: Text) -> list[Tensor]:
        """The vectors that the encoder reads, if asked for, and the layers to be listed or mixed."""
        vectors, layers = self.inside(text)
        return [vectors] * self.input + [layers[layer] for layer in self.layers]

    def _remembered(self, text: Text) -> list[Tensor]:
        """What `_computed` gives, for each row from the disk where it was ever asked for."""
        device = next(self.inside.parameters()).device
        self._kept = self._kept or self._opened(device)
        width = max(ids.shape[1] for ids in self.inside.own(text).values())
        found = torch.zeros(len(text.lengths), width, sum(self._sizes))
        for row, alone in enumerate(self.inside.rows(text)):
            length = int(alone.lengths)
            found[row, :length] = self._row(self._kept, alone, device)
        return list(torch.split(found.to(device), self._sizes, -1))

    def _row(self, kept: KeptVectors, alone: Text, device: torch.device) -> Tensor:
        """(time, size) of a row, made of it alone and in float32: so it does not depend on who asked first."""
        digest = _digest(alone)
        vectors = kept.get(digest, int(alone.lengths))
        if vectors is None:
            with torch.autocast(device.type, enabled=False):
                vectors = torch.cat(self._computed(alone.to(device)), -1)[0].cpu().numpy()
            kept.add(digest, vectors)
        return torch.from_numpy(vectors)

    def _opened(self, device: torch.device) -> KeptVectors:
        made_by = hashlib.blake2b(f"{self._made_by} {device.type}".encode(), digest_size=DIGEST)
        for name, tensor in sorted(self.inside.state_dict().items()):
            made_by.update(f"{name} {tuple(tensor.shape)}".encode())
            made_by.update(tensor.cpu().contiguous().numpy().tobytes())
        return KeptVectors(cache_root().parent / "context" / made_by.hexdigest(), sum(self._sizes))


def _trimmed(ids: Tensor) -> Tensor:
    """The ids of a row (1, time, ...) without the columns of padding that longer tokens of other rows asked for."""
    if ids.dim() == 2:
        return ids
    used = ids.any(0).any(0).nonzero()
    return ids[..., : int(used[-1]) + 1 if len(used) else 1]


def _digest(alone: Text) -> bytes:
    """What a row is known by: its ids."""
    made = hashlib.blake2b(digest_size=DIGEST)
    for name, ids in sorted(alone.ids.items()):
        made.update(f"{name} {tuple(ids.shape)}".encode())
        made.update(ids.contiguous().numpy().tobytes())
    return made.digest()


def layer_sizes(encoder: nn.Module, size: int) -> tuple[int, ...]:
    """The numbers in a state of each layer of an encoder that reads vectors of a size: told by reading one."""
    with torch.no_grad():
        one = encoder.eval()(torch.zeros(1, 1, size), torch.tensor([1]))
    return tuple(layer.shape[-1] for layer in one.layers)


def chosen_layers(config: Any, sizes: Sequence[int]) -> list[int]:
    """The numbers of the layers that a table asks for, of an encoder whose layers have these sizes.

    Raises:
        ConfigError: there is no such layer, or layers to be mixed differ in size.
    """
    if config.layers == "mix":
        if len(set(sizes)) > 1:
            what = f"its layers have {', '.join(map(str, sizes))} numbers"
            raise ConfigError(f"layers: mix needs layers of one size, {what}; list those to use, as in [0, 1]")
        return list(range(len(sizes)))
    layers: list[int] = [len(sizes) - 1] if config.layers == "top" else config.layers
    if max(layers) >= len(sizes):
        what = f"the encoder of {config.of} has {len(sizes)} layers, numbered from 0"
        raise ConfigError(f"layers: there is no layer {max(layers)}; {what}")
    return layers
