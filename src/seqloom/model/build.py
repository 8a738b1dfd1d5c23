"""The builder: from a plan, its tasks and their vocabularies to a network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.config import Table, field_choice, part
from seqloom.data.vectors import Origin
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import Embedder, inner
from seqloom.embedders.context import Context, Inner
from seqloom.encoders import Encoder, cell_sizes
from seqloom.encoders.saved import Saved
from seqloom.errors import ConfigError
from seqloom.heads import Head, Route
from seqloom.model.network import Named, Network
from seqloom.model.plan import Plan, lay_out_embedders
from seqloom.model.task import Task


def build(
    plan: Plan,
    tasks: Mapping[str, Task],
    vocabularies: Vocabularies,
    *,
    stores: Mapping[str, Any],
    weights: Mapping[str, Tensor] = MappingProxyType({}),
    seed: int = 0,
) -> Network:
    """The network, its weights drawn from `seed` but for those that are given.

    Args:
        plan: the parts and routes.
        tasks: by name.
        vocabularies: all, by name.
        stores: the open word-vector stores by name; empty when weights will be loaded.
        weights: what parts of other models bring along, by parameter name; see `transfer.carried`.
        seed: what initial weights depend on.

    Raises:
        ConfigError: parts that do not fit each other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        embedders = _embedders(plan, vocabularies, stores)
        encoders = _encoders(plan, embedders)
        shared = _shared(plan, tasks, encoders, vocabularies)
        heads = {
            name: _head(task, plan, embedders, encoders, vocabularies, shared, stores)
            for name, task in tasks.items()
        }
    network = Network(embedders, encoders, heads, shared, plan.routes)
    _bring(network, weights)
    return network


def _bring(network: Network, weights: Mapping[str, Tensor]) -> None:
    """Copy weights in; of a word table whose words were looked up anew, the rows of padding and of `<unk>` alone."""
    own = network.state_dict()
    for name, tensor in weights.items():
        place = own[name]
        (place if place.shape == tensor.shape else place[: len(tensor)]).copy_(tensor)


def _embedders(plan: Plan, vocabularies: Vocabularies, stores: Mapping[str, Any]) -> dict[str, Embedder]:
    built: dict[str, Embedder] = {}
    for name, table in plan.embedders.items():
        kind: Any = part("embedders", getattr(table, "type", ""))
        members = {key: _member(table, key, one, built, stores) for key, one in plan.members[name].items()}
        if isinstance(table, Context.Config):
            members["inside"] = _inner(name, table, vocabularies, members.get("vectors"))
        with _placed(f"embedders.{name}"):
            built[name] = kind(table, vocabularies=vocabularies, **members)
    return built


def _member(
    table: Table, key: str, named: Any, built: Mapping[str, Embedder], stores: Mapping[str, Any]
) -> Any:
    """What a reference field names: embedders, or the store of word vectors."""
    ruling = field_choice(type(table), key)
    if ruling is not None and ruling.family == "vectors":
        return stores.get(named)
    return [built[one] for one in named] if isinstance(named, list) else built[named]


def _inner(name: str, table: Any, vocabularies: Vocabularies, store: Any) -> Inner:
    """What a context embedder runs, its weights still to come; a store's rows stand in its word table already."""
    inside, mark = table.inside, inner(name)
    tables, stores = dict(inside.embedders), {one: Origin(size) for one, size in inside.vectors.items()}
    if store is not None:
        words = tables[inside.words]
        if store.size != (size := words.size or inside.vectors[words.vectors]):
            what = f"{table.vectors} has vectors of {store.size} numbers, {table.of} reads {size}"
            raise ConfigError(f"embedders.{name}.vectors: {what}; name a store of as many")
        stores |= {table.vectors: store}
        tables[inside.words] = words.model_copy(update={"vectors": table.vectors})
    own = {one.removeprefix(mark): known for one, known in vocabularies.items() if one.startswith(mark)}
    embedders = _embedders(lay_out_embedders(tables), own, stores)
    reads = embedders[inside.embedder]
    return Inner(Named(embedders), reads, _encoder(inside.encoder, f"embedders.{name}", reads.size), mark)


def _encoders(plan: Plan, embedders: Mapping[str, Embedder]) -> dict[str, Encoder]:
    built: dict[str, Encoder] = {}
    for name, table in plan.encoders.items():
        sizes = {
            task: embedders[one].size for task, (one, encoder) in plan.routes.items() if encoder == name and one
        }
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{task}: {size}" for task, size in sizes.items())
            raise ConfigError(f"encoders.{name}: its tasks' embedders differ in size ({told}); they must agree")
        built[name] = _encoder(table, f"encoders.{name}", next(iter(sizes.values()), 0))
    return built


def _encoder(table: Any, place: str, size: int) -> Encoder:
    kind: Any = part("encoders", table.type)
    inside = {}
    if isinstance(table, Saved.Config) and table.inside is not None:
        if size != table.inside.size:
            what = f"that of {table.path} reads vectors of {table.inside.size} numbers, its input has {size}"
            raise ConfigError(f"{place}: {what}; give it an embedder of {table.inside.size}")
        inside = {"inside": _encoder(table.inside.encoder, place, size)}
    with _placed(place):
        built: Encoder = kind(table, size=size, **inside)
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
            with _placed(f"tasks.{task.name}.head"):
                made[task.group] = task.head.common(task.table.head, size=size, vocabularies=known)
    return made


def _head(
    task: Task,
    plan: Plan,
    embedders: Mapping[str, Embedder],
    encoders: Mapping[str, Encoder],
    vocabularies: Vocabularies,
    shared: Mapping[str, nn.Module],
    stores: Mapping[str, Any],
) -> Head:
    embedder, name = plan.routes[task.name]
    encoder = encoders[name]
    if task.head.causal:
        _check_one_way(task, name, encoder, {one: embedders[one] for one in plan.closure(embedder)})
    for one in plan.closure(embedder):
        if embedders[one].drops and (task.head.aligned or one != embedder):
            why = (
                f"{task.head.__name__} needs every token"
                if task.head.aligned
                else f'"{embedder}" is made of it'
            )
            raise ConfigError(f"embedders.{one}.nowhere: dropped does not do for task {task.name}: {why}")
    given: dict[str, Any] = {"shared": shared[task.group]} if task.group else {}
    if (store := getattr(task.table.head, "vectors", None)) is not None:
        given["vectors"] = stores.get(store)
    if task.head.continues:
        given["route"] = Route(embedders[embedder], encoder, plan.indexes(embedder))
    if task.head.copies(task.table.head):
        given["cells"] = cell_sizes(encoder, embedders[embedder].size)
    known = task.vocabularies(vocabularies)
    with _placed(f"tasks.{task.name}.head"):
        return task.head(task.table.head, size=encoder.size, vocabularies=known, **given)


def _check_one_way(task: Task, name: str, encoder: Encoder, embedders: Mapping[str, Embedder]) -> None:
    """Refuse what would see the words that are to be foretold."""
    turned = task.runs and encoder.backward
    order, rest = ("right to left", "comes before") if turned else ("left to right", "follows")
    place = f"tasks.{task.name}.head: reads {order}, but"
    if not encoder.causal and not turned:
        raise ConfigError(f'{place} encoder "{name}" sees what {rest} (encoders.{name}.bidirectional: false)')
    # What others are made of comes last.
    for one, embedder in reversed(list(embedders.items())):
        if not (embedder.backward if turned else embedder.causal):
            what = f'{place} embedder "{one}" sees what {rest}'
            remedy = "take attention: word" if embedder.weighs else f"let it run an encoder that reads {order}"
            raise ConfigError(f"{what}; {remedy}")


@contextmanager
def _placed(path: str) -> Iterator[None]:
    """Tell which part a mistake is of that is found as it is made."""
    try:
        yield
    except ConfigError as found:
        raise ConfigError([replace(one, path=one.path or path) for one in found.faults]) from None
