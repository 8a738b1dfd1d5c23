"""A model folder: resolved configuration, weights, vocabularies, figures and a card; it stands alone."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seqloom.config import Source, read, write_yaml
from seqloom.data.vectors import Origin
from seqloom.data.vocabulary import Vocabulary
from seqloom.errors import ConfigError, ModelError
from seqloom.files import read_json, recover_folder, write_json
from seqloom.model.build import build
from seqloom.model.card import card
from seqloom.model.network import Network
from seqloom.model.plan import Plan, lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import Task, bind

CONFIG, WEIGHTS, FIGURES, CARD = "config.yaml", "weights.safetensors", "metrics.json", "README.md"


@dataclass
class Assembly:
    """Everything a model consists of.

    Args:
        settings: the whole resolved configuration as plain values, training included.
        plan: its parts and routes.
        tasks: by name.
        vocabularies: by name.
        network: the weights in place.
        figures: by split, task and name.
    """

    settings: dict[str, Any]
    plan: Plan
    tasks: dict[str, Task]
    vocabularies: dict[str, Vocabulary]
    network: Network
    figures: dict[str, Any]


def save(folder: Path, model: Assembly, weights: Mapping[str, Tensor] | None = None) -> None:
    """Write a model into an existing, empty folder.

    Args:
        folder: where; use `files.replacing_folder` so that a kill cannot tear it.
        model: what to write.
        weights: the tensors to write instead of the network's own, such as averaged ones.
    """
    (folder / CONFIG).write_text(write_yaml(model.settings), encoding="utf-8")
    tensors = weights if weights is not None else model.network.state_dict()
    write_tensors(folder / WEIGHTS, tensors)
    (folder / "vocabulary").mkdir()
    for name, vocabulary in model.vocabularies.items():
        vocabulary.save(folder / "vocabulary" / f"{name}.txt")
    write_json(folder / FIGURES, model.figures)
    (folder / CARD).write_text(card(model.settings, model.figures, model.network), encoding="utf-8")


def vacant(folder: Path) -> None:
    """Raise a ModelError where something is there already, which a model must not be written over."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError("is there already; name a folder that is not, or remove it", folder)


def find(path: str | Path) -> Path:
    """The model folder that a path names: itself, or a run folder's `best` or `last`.

    Raises:
        ModelError: there is none.
    """
    path = Path(path)
    for inner in ("", "best", "last"):
        candidate = path / inner if inner else path
        recover_folder(candidate)
        if (candidate / CONFIG).is_file() and (candidate / WEIGHTS).is_file():
            return candidate
    if runs := sorted(
        str(one.parent) for one in chain(path.glob("*/best"), path.glob("*/*/best")) if one.is_dir()
    ):
        listed = f"{', '.join(runs[:4])}{', ...' * (len(runs) > 4)}"
        raise ModelError(f"holds several runs; name one of them: {listed}", path)
    what = "is not a model or run folder" if path.exists() else "does not exist"
    raise ModelError(
        f"{what}; a model folder holds {CONFIG} and {WEIGHTS}, as `seqloom train` writes them", path
    )


def load(path: str | Path, device: torch.device | None = None) -> Assembly:
    """Read a model folder, or a run folder's best model.

    Raises:
        ModelError: no such folder, or one that is damaged or of another layout.
    """
    folder = find(path)
    table, settings = _table(folder)
    plan = lay_out(table)
    tasks = bind(table, plan)
    vocabularies = load_vocabularies(folder)
    stores = {name: Origin(one.size or 0) for name, one in table.vectors.items()}
    try:
        for task in tasks.values():
            task.recall(vocabularies)
        network = build(plan, tasks, vocabularies, stores=stores)
    except KeyError as fault:
        raise ModelError(f"the vocabulary {fault} is missing; restore the model folder", folder) from None
    load_weights(network, folder / WEIGHTS)
    figures = read_json(folder / FIGURES) if (folder / FIGURES).exists() else {}
    return Assembly(settings, plan, tasks, vocabularies, network.to(device or torch.device("cpu")), figures)


def assemble(
    settings: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary], weights: Mapping[str, Tensor]
) -> Assembly:
    """A model from its settings as plain values; of the weights, those that it has a place for are taken.

    Settings that are none of a model's, such as `training`, are kept as they are.

    Raises:
        ConfigError: settings that are wrong.
        KeyError: a vocabulary or weight is missing.
    """
    discover()
    source = Source({key: value for key, value in settings.items() if key in ModelTable.model_fields})
    table = ModelTable.check(source)
    source.done()
    assert table is not None
    plan = lay_out(table)
    tasks = bind(table, plan)
    for task in tasks.values():
        task.recall(vocabularies)
    stores = {name: Origin(one.size or 0) for name, one in table.vectors.items()}
    network = build(plan, tasks, vocabularies, stores=stores)
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return Assembly({**settings, **table.model_dump()}, plan, tasks, dict(vocabularies), network.eval(), {})


def _table(folder: Path) -> tuple[ModelTable, dict[str, Any]]:
    discover()
    try:
        source = read(folder / CONFIG)
        settings = dict(source.values)
        kept = {key: value for key, value in source.values.items() if key in ModelTable.model_fields}
        source = Source(kept, source.name, source.positions)
        table = ModelTable.check(source)
        source.done()
    except ConfigError as fault:
        raise ModelError(f"the configuration does not fit this seqloom:\n{fault}", folder) from None
    assert table is not None
    return table, settings


def load_vocabularies(folder: Path) -> dict[str, Vocabulary]:
    """The vocabularies of a model folder, by name."""
    paths = sorted((folder / "vocabulary").glob("*.txt"))
    if not paths:
        raise ModelError("its folder `vocabulary` is missing or empty; restore the model folder", folder)
    return {path.name.removesuffix(".txt"): Vocabulary.load(path) for path in paths}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; a ModelError where it is damaged or of another format."""
    try:
        # The library tells of a file that may not be read as of one that is not there.
        path.open("rb").close()
    except OSError as fault:
        what = f"cannot be read: {fault.strerror}; use another copy, or an earlier checkpoint"
        raise ModelError(what, path) from None
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as fault:
        what = f"is not a whole safetensors file ({fault}); use another copy, or an earlier checkpoint"
        raise ModelError(what, path) from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file; an OSError tells why the disk would not have it."""
    # Contiguous copies on the CPU: the file depends on the numbers only, not on where they were.
    plain = {name: one.detach().cpu().contiguous() for name, one in tensors.items()}
    # The library writes for its user alone; others may read what they may read of any file written here.
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(plain, path)
    except SafetensorError as fault:
        raise OSError(errno.EIO, str(fault), str(path)) from None
    path.chmod(mode)


def load_weights(network: Network, path: Path) -> None:
    """Fill a network from a file; a ModelError names weights that are missing, left over or of another shape."""
    found, own = read_tensors(path), network.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in found]
    wrong += [f"{name} is unknown" for name in found if name not in own]
    wrong += [
        f"{name} has shape {tuple(found[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in found and found[name].shape != own[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ModelError(f"the weights are of another model: {'; '.join(wrong[:5])}{more}", path)
    network.load_state_dict(found)
