"""The builder: from a plan, its tasks and their vocabularies to a network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from seqloom.config import part
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder
from seqloom.encoders import Encoder
from seqloom.errors import ConfigError
from seqloom.heads import Head
from seqloom.model.network import Network
from seqloom.model.plan import Plan
from seqloom.model.task import Task


def build(
    plan: Plan,
    tasks: Mapping[str, Task],
    vocabularies: Vocabularies,
    *,
    stores: Mapping[str, Any],
    seed: int = 0,
) -> Network:
    """The network, its weights drawn from `seed`.

    Args:
        plan: the parts and routes.
        tasks: by name.
        vocabularies: all, by name.
        stores: the open word-vector stores by name; empty when weights will be loaded.
        seed: what initial weights depend on.

    Raises:
        ConfigError: parts that do not fit each other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        embedders = _embedders(plan, vocabularies, stores)
        encoders = _encoders(plan, embedders)
        shared = _shared(plan, tasks, encoders, vocabularies)
        heads = {name: _head(task, plan, encoders, vocabularies, shared) for name, task in tasks.items()}
    return Network(embedders, encoders, heads, shared, plan.routes)


def _embedders(plan: Plan, vocabularies: Vocabularies, stores: Mapping[str, Any]) -> dict[str, Embedder]:
    built: dict[str, Embedder] = {}
    for name, table in plan.embedders.items():
        kind: Any = part("embedders", getattr(table, "type", ""))
        members = {
            key: [built[one] for one in value]
            if isinstance(value, list)
            else built.get(value, stores.get(value))
            for key, value in plan.members[name].items()
        }
        built[name] = kind(table, vocabularies=vocabularies, **members)
    return built


def _encoders(plan: Plan, embedders: Mapping[str, Embedder]) -> dict[str, Encoder]:
    built: dict[str, Encoder] = {}
    for name, table in plan.encoders.items():
        sizes = {
            task: embedders[one].size for task, (one, encoder) in plan.routes.items() if encoder == name and one
        }
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{task}: {size}" for task, size in sizes.items())
            raise ConfigError(f"encoders.{name}: its tasks' embedders differ in size ({told}); they must agree")
        kind: Any = part("encoders", getattr(table, "type", ""))
        built[name] = kind(table, size=next(iter(sizes.values()), 0))
    return built


def _shared(
    plan: Plan, tasks: Mapping[str, Task], encoders: Mapping[str, Encoder], vocabularies: Vocabularies
) -> dict[str, nn.Module]:
    """What each group of heads has in common, made from the first of them; the others must have states as large."""
    made: dict[str, nn.Module] = {}
    sizes: dict[str, int] = {}
    for task in tasks.values():
        if task.group is None:
            continue
        size = encoders[plan.routes[task.name][1]].size
        if size != sizes.setdefault(task.group, size):
            what = f'its states have {size} numbers, those of the others in group "{task.group}" {sizes[task.group]}'
            raise ConfigError(f"tasks.{task.name}.head.share: {what}; encoders of one group must agree in size")
        if task.group not in made:
            known = task.vocabularies(vocabularies)
            made[task.group] = task.head.common(task.table.head, size=size, vocabularies=known)
    return made


def _head(
    task: Task,
    plan: Plan,
    encoders: Mapping[str, Encoder],
    vocabularies: Vocabularies,
    shared: Mapping[str, nn.Module],
) -> Head:
    name = plan.routes[task.name][1]
    encoder = encoders[name]
    if task.head.causal and not encoder.causal:
        what = f'reads left to right, but encoder "{name}" sees what follows'
        raise ConfigError(f"tasks.{task.name}.head: {what} (encoders.{name}.bidirectional: false)")
    common = {"shared": shared[task.group]} if task.group else {}
    known = task.vocabularies(vocabularies)
    return task.head(task.table.head, size=encoder.size, vocabularies=known, **common)
