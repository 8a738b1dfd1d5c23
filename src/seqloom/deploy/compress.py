"""A trained model's word tables made sparse, without its data."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqloom.config import nearest
from seqloom.embedders.sparse import Sparse
from seqloom.embedders.word import Word
from seqloom.errors import ModelError
from seqloom.model.folder import Assembly, assemble
from seqloom.nn.heights import heights

SHARED = ("vocabulary", "minimum", "most", "lower", "digits", "dropout", "drop_words")
"""Keys that mean the same in both kinds of table."""


@dataclass(frozen=True)
class Compression:
    """A model with a smaller word table, and what it lost.

    Args:
        model: the new model.
        embedder: whose table.
        before: numbers that it had.
        after: numbers that it has.
        kept: the share of the table's squares that its vectors still have, in percent.
    """

    model: Assembly
    embedder: str
    before: int
    after: int
    kept: float


def compress(model: Assembly, density: float, blocks: int = 10, embedder: str | None = None) -> Compression:
    """A model whose word embedder keeps a share `density` of its numbers: long vectors for frequent words alone.

    Vectors are turned to their principal components, so that what short ones lack says least. Nothing else changes;
    training may go on.

    Raises:
        ModelError: no such embedder, or none with a name of its own.
        ConfigError: the density cannot be met by so many blocks.
    """
    name = _named(model, embedder)
    old: Any = model.plan.embedders[name]
    weights = dict(model.network.state_dict())
    table = weights.pop(f"embedders.{name}.table.weight").float()
    heights(
        len(table), table.shape[1], blocks, density
    )  # refuses what cannot be, in the words of a user's mistake
    keys = {key: getattr(old, key) for key in SHARED} | {"size": table.shape[1], "blocks": blocks}
    settings = keys | {"type": "sparse", "density": density, "rotated": True, "trainable": not old.frozen}
    sparse, kept = _filled(settings, table, model)
    weights |= {f"embedders.{name}.{key}": one for key, one in sparse.state_dict().items()}
    made = assemble(_replaced(model, name, settings), model.vocabularies, weights)
    return Compression(made, name, table.numel(), sum(one.numel() for one in sparse.parameters()), kept)


def _named(model: Assembly, embedder: str | None) -> str:
    """The word embedder asked for, or the only one; it must have a name in the configuration."""
    known = [
        name
        for name, one in model.plan.embedders.items()
        if isinstance(one, Word.Config) and name in model.settings.get("embedders", {})
    ]
    if embedder is None and len(known) == 1:
        return known[0]
    if embedder in known:
        return str(embedder)
    inside = [
        name for name, one in model.plan.embedders.items() if isinstance(one, Word.Config) and name not in known
    ]
    none = "none with a name of its own"
    if inside:
        none = (
            f"none by itself: train with a name in the section embedders for what is {', '.join(inside)} here"
        )
    elif any(isinstance(one, Sparse.Config) for one in model.plan.embedders.values()):
        none = "none: the model's table is sparse already"
    listed = ", ".join(known) or none
    what = "which word embedder?" if embedder is None else f'no word embedder is called "{embedder}"'
    near = nearest(embedder, known) if embedder else None
    raise ModelError(f"{what} There is {listed}{f' (did you mean {near}?)' if near else ''}")


def _filled(settings: dict[str, Any], table: Tensor, model: Assembly) -> tuple[Sparse, float]:
    """The sparse embedder with what there is room for of a table, and the share of its squares, in percent."""
    if not torch.isfinite(table).all() or not table.any():
        raise ModelError("the word table is all zero, or not of finite numbers; there is nothing to keep")
    sparse = Sparse(Sparse.Config(**settings), vocabularies=model.vocabularies)
    _, axes = torch.linalg.eigh((table.t() @ table).double())
    axes = axes.flip(1).float()
    sparse.table.fill(table @ axes)
    assert sparse.rotation is not None
    with torch.no_grad():
        sparse.rotation.copy_(axes.t())
    squares = sum(float(block.detach().square().sum()) for block in sparse.table.blocks)
    return sparse, 100 * squares / float(table.square().sum())


def _replaced(model: Assembly, name: str, table: dict[str, Any]) -> dict[str, Any]:
    """The settings with another table for an embedder, and without a store that nothing refers to any more."""
    settings = {**model.settings, "embedders": {**model.settings["embedders"], name: table}}
    used = {
        store
        for other in model.plan.embedders
        for store in model.plan.references(other, "vectors")
        if other != name
    }
    left = {store: one for store, one in model.settings.get("vectors", {}).items() if store in used}
    return settings | {"vectors": left}
