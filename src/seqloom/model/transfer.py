"""Parts out of other models: their definitions when checked, then the weights and vocabularies they bring along."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from torch import Tensor

from seqloom.config import Source, Table, Trail, data_paths, part, unknown
from seqloom.data.fields import TextField
from seqloom.data.running import RunningText
from seqloom.data.tokens import Index
from seqloom.data.vocabulary import SPECIALS, Vocabulary
from seqloom.embedders import Embedder, context, indexes, inner
from seqloom.embedders.context import Context, chosen_layers, layer_sizes
from seqloom.embedders.word import Word
from seqloom.encoders import saved
from seqloom.encoders.saved import Saved
from seqloom.errors import ConfigError, ModelError, SeqloomError
from seqloom.files import locate
from seqloom.model.folder import Assembly, load
from seqloom.model.network import Network
from seqloom.model.plan import Plan
from seqloom.model.tables import ModelTable
from seqloom.model.task import Task, check_indexes
from seqloom.progress import notice

Root = TypeVar("Root", bound=ModelTable)


def origin(table: Table) -> str | None:
    """The path of the model that a part comes from; None for a part of any other kind."""
    if isinstance(table, Context.Config | Saved.Config):
        return next(path for _, path in data_paths(table))
    return None


def inlined(table: Root, source: Source) -> Root:
    """The table with `inside` of every part that comes from another model filled in; mistakes are noted in `source`.

    A part whose model is not there stays as it is; see `absent`.
    """
    found: Root = _Inlining(source).value(table, ())
    return found


def absent(table: ModelTable) -> Iterator[tuple[Trail, str]]:
    """The models that are needed and not there, each with the key that names it."""
    for path, one in _parts(table, ()):
        if one.inside is None and not locate(str(origin(one))).exists():
            yield (*path, _key(one)), str(origin(one))


def _parts(value: Any, path: Trail) -> Iterator[tuple[Trail, Any]]:
    if isinstance(value, Context.Config | Saved.Config):
        yield path, value
    for key, one in _entries(value):
        yield from _parts(one, (*path, key))


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """What stands in a table, list or dict; what a part holds inside is done already."""
    if isinstance(value, Table):
        yield from ((key, one) for key, one in value if key != "inside")
    elif isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _key(table: Context.Config | Saved.Config) -> str:
    return next(key for key, _ in data_paths(table))


@dataclass
class _Inlining:
    source: Source
    models: dict[str, Assembly] = field(default_factory=dict)

    def value(self, value: Any, path: Trail) -> Any:
        new = {key: self.value(one, (*path, key)) for key, one in _entries(value)}
        if isinstance(value, Table):
            changed = {key: one for key, one in new.items() if one is not getattr(value, key)}
            value = value.model_copy(update=changed) if changed else value
            return self._filled(value, path) if origin(value) and value.inside is None else value
        same = all(new[key] is one for key, one in _entries(value))
        return value if same else new if isinstance(value, dict) else list(new.values())

    def _filled(self, table: Any, path: Trail) -> Any:
        try:
            where = str(locate(str(origin(table))))
            if not locate(where).exists():
                return table
            if where not in self.models:
                self.models[where] = load(where)
            return table.model_copy(update={"inside": described(self.models[where], table)})
        except SeqloomError as fault:
            self.source.fault(path, str(fault))
            return table


def described(model: Assembly, table: Any) -> Table:
    """What goes into a part's `inside`.

    Raises:
        ConfigError: the model has no such part, or several and none is named.
    """
    embedder, encoder = _route(model, table)
    size = _embedder(model, embedder).size
    alone = _alone(model.plan.encoders[encoder])
    if isinstance(table, Saved.Config):
        return saved.Inside(size=size, encoder=alone)
    chosen_layers(table, layer_sizes(model.network.encoders[encoder], size))
    plan = model.plan
    needed = [name for name in plan.embedders if name in set(plan.closure(embedder))]
    inside = context.Inside(
        vectors={
            store: model.settings["vectors"][store]["size"]
            for store in sorted({store for name in needed for store in plan.references(name, "vectors")})
        },
        embedders={name: plan.embedders[name].model_copy(update=plan.members[name]) for name in needed},
        embedder=embedder,
        encoder=alone,
    )
    return inside.model_copy(update={"words": _words(inside)}) if table.vectors else inside


def _route(model: Assembly, table: Any) -> tuple[str, str]:
    """The names of the embedder and the encoder that a part comes from."""
    key = "part" if isinstance(table, Saved.Config) else "encoder"
    choices, named = _choices(model.plan, key), getattr(table, key)
    if named is None and len(model.plan.encoders) > 1:
        raise ConfigError(f"{key}: the model there has several encoders; name one: {', '.join(choices)}")
    named = next(iter(choices)) if named is None else named
    if named not in choices:
        raise ConfigError(f"{key}: {unknown(key, named, choices)}")
    if len(choices[named]) > 1:
        tasks = ", ".join(task for task, route in model.plan.routes.items() if route in choices[named])
        raise ConfigError(
            f'{key}: "{named}" reads several embedders there; name a task, to take its own: {tasks}'
        )
    return choices[named][0]


def _choices(plan: Plan, key: str) -> dict[str, list[tuple[str, str]]]:
    """The routes by what may be named: an encoder as in `encoders.shared`, or by name alone; or a task, for its own."""
    routes = list(dict.fromkeys(plan.routes.values()))
    if key == "part":
        return {f"encoders.{encoder}": [(embedder, encoder)] for embedder, encoder in routes}
    through = {encoder: [route for route in routes if route[1] == encoder] for _, encoder in routes}
    return {**{task: [route] for task, route in plan.routes.items()}, **through}


def _embedder(model: Assembly, name: str) -> Embedder:
    found = model.network.embedders[name]
    assert isinstance(found, Embedder)
    return found


def _alone(table: Any) -> Any:
    """An encoder's table without the name of what it reads."""
    return table.model_copy(update={"input": None}) if "input" in type(table).model_fields else table


def _words(inside: context.Inside) -> str:
    """The frozen word table that a store may replace: the only one, and no other part reads its vocabulary."""
    frozen = [name for name, one in inside.embedders.items() if isinstance(one, Word.Config) and one.frozen]
    if len(frozen) != 1:
        what = f"the model there has {len(frozen) or 'no'} frozen word tables that its rows could replace"
        raise ConfigError(f"vectors: {what}; leave vectors out")
    listed = [index.vocabulary for name, one in inside.embedders.items() for index in indexes(name, one)]
    vocabulary = indexes(frozen[0], inside.embedders[frozen[0]])[0].vocabulary
    if listed.count(vocabulary) > 1:
        what = f'the model there reads its vocabulary "{vocabulary}" by another table too'
        raise ConfigError(f"vectors: {what}; leave vectors out")
    return frozen[0]


@dataclass
class Carried:
    """What the parts of other models bring along, by the names of vocabularies and of parameters here."""

    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)


def carried(plan: Plan) -> Carried:
    """Read the weights and vocabularies of a plan's parts from the models that they come from.

    Raises:
        ModelError: a model is missing, damaged, or no longer the one that `inside` describes.
    """
    found = Carried()
    for name, table in plan.encoders.items():
        if isinstance(table, Saved.Config):
            model = _opened(table)
            weights = model.network.encoders[_route(model, table)[1]].state_dict()
            found.weights |= _under(f"encoders.{name}.inside.", weights)
    for name, table in plan.embedders.items():
        if isinstance(table, Context.Config):
            _bring_context(found, name, table, _opened(table))
    return found


def begun(path: str, parts: Sequence[str], plan: Plan, tasks: Mapping[str, Task]) -> Carried:
    """The vocabularies of a model, and the weights of it that a run begins with, by their own names.

    Args:
        path: of the model; the vocabularies are those that the chosen weights are of.
        parts: globs over the names of its parameters.
        plan: of this run.
        tasks: of this run.

    Raises:
        ConfigError: a glob that fits none of its parameters, or a vocabulary or table that is arranged in another way
            there, or of words that are cut in another way.
        ModelError: the model is missing or damaged.
    """
    model = load(locate(path))
    _check_orders(path, check_indexes(model.tasks), check_indexes(tasks))
    weights = model.network.state_dict()
    for glob in parts:
        if not any(fnmatchcase(name, glob) for name in weights):
            like = next(iter(weights))
            raise ConfigError(f'training.begin.parts: "{glob}" fits none of its parameters, such as {like}')
    chosen = {name: one for name, one in weights.items() if any(fnmatchcase(name, glob) for glob in parts)}
    _check_arranged(path, model, plan, chosen)
    needed = _needed(model, chosen)
    needed |= _pieces(path, model, tasks, needed)
    return Carried({name: one for name, one in model.vocabularies.items() if name in needed}, chosen)


def _needed(model: Assembly, weights: Iterable[str]) -> set[str]:
    """The vocabularies of a model that some of its weights have rows or columns for."""
    parts = {".".join(name.split(".")[:2]) for name in weights}
    found = {
        index.vocabulary
        for name, table in model.plan.embedders.items()
        if f"embedders.{name}" in parts
        for index in indexes(name, table)
    }
    for name, task in model.tasks.items():
        if {f"heads.{name}", f"shared.{task.group}"} & parts:
            found |= {one for one in model.vocabularies if one.startswith(f"{task.labels}.")}
            found |= {field.vocabulary for field in task.fields.values() if isinstance(field, RunningText)}
    return found


def _pieces(path: str, model: Assembly, tasks: Mapping[str, Task], needed: Collection[str]) -> set[str]:
    """What readers there learnt to cut words by, where vocabularies are needed of words that were cut so."""
    found = set[str]()
    for name, task in model.tasks.items():
        learnt, mine = (set(one.reader.learns() if one else ()) for one in (task, tasks.get(name)))
        fields = (field for field in task.fields.values() if isinstance(field, TextField))
        read = {index.vocabulary for field in fields for index in field.indexes}
        named = {f"{name}.{one}" for one in learnt}
        if not learnt or not (read | named).intersection(needed):
            continue
        if learnt != mine:
            what = f"task {name} of {path} cuts words into {' and '.join(sorted(learnt))}"
            remedy = f"give task {name} the same reader key subwords, or begin with other parts"
            raise ConfigError(f"training.begin: {what}, here they are not cut so; {remedy}")
        found |= named
    return found


def _check_orders(path: str, there: Mapping[str, Index], here: Mapping[str, Index]) -> None:
    for name in sorted(there.keys() & here.keys()):
        orders = there[name].order, here[name].order
        if orders[0] != orders[1]:
            what = f'the vocabulary "{name}" goes by {orders[0]} in {path}, here it is to go by {orders[1]}'
            remedy = "let the key order agree (none goes by appearance), or read a vocabulary of another name"
            raise ConfigError(f"training.begin: {what}; {remedy}")


def _check_arranged(path: str, model: Assembly, plan: Plan, chosen: Iterable[str]) -> None:
    taken = {name.split(".")[1] for name in chosen if name.startswith("embedders.")}
    for name in sorted(taken & plan.embedders.keys()):
        there, here = (_arranged(one.embedders[name]) for one in (model.plan, plan))
        if there.keys() == here.keys() and there != here:
            key = next(key for key in there if there[key] != here[key])
            what = f"embedders.{name} has {key}: {there[key]} in {path}, here {key}: {here[key]}"
            raise ConfigError(
                f"training.begin: {what}: the same rows would stand for something else; let them agree"
            )


def _arranged(table: Any) -> dict[str, Any]:
    kind: Any = part("embedders", table.type)
    found: dict[str, Any] = kind.arranged(table)
    return found


def begin(network: Network, weights: Mapping[str, Tensor], path: str) -> None:
    """Copy in what the network has too; a ConfigError where nothing is, or where a shape differs."""
    own = network.state_dict()
    shared = {name: one for name, one in weights.items() if name in own}
    if not shared:
        raise ConfigError(f"training.begin: {path} has no part of the same name as any here; name parts alike")
    for name, one in shared.items():
        if own[name].shape != one.shape:
            what = f"{name} has shape {tuple(one.shape)} there, {tuple(own[name].shape)} here"
            raise ConfigError(
                f"training.begin: {what}; let the parts agree, or choose others by training.begin.parts"
            )
        own[name].copy_(one)
    if left := sorted({".".join(name.split(".")[:3]) for name in weights.keys() - shared.keys()}):
        what = f"training.begin: nothing here is named {', '.join(left)}"
        notice(f"{what}; these weights of {path} are left")


def _opened(table: Any) -> Assembly:
    path = locate(str(origin(table)))
    model = load(path)
    if described(model, table) != table.inside:
        raise ModelError("is no longer the model that the key `inside` describes; take `inside` out", path)
    return model


def _bring_context(found: Carried, name: str, table: Any, model: Assembly) -> None:
    inside, place = table.inside, f"embedders.{name}.inside."
    encoder = model.network.encoders[_route(model, table)[1]]
    for one in inside.embedders:
        found.weights |= _under(f"{place}embedders.{one}.", model.network.embedders[one].state_dict())
    found.weights |= _under(f"{place}encoder.", encoder.state_dict())
    replaced = Context.replaced(table)
    if replaced is not None:
        rows = f"{place}embedders.{inside.words}.table.weight"
        found.weights[rows] = found.weights[rows][: len(SPECIALS)]
    for index in Context.indexes(table):
        if index.vocabulary != replaced:
            found.vocabularies[inner(name) + index.vocabulary] = model.vocabularies[index.vocabulary]
    task = next(one for one, (_, own) in model.plan.routes.items() if own == _route(model, table)[1])
    if model.tasks[task].reader.learned:
        what = f"embedders.{name}: the encoder of {table.of} learnt from pieces of words"
        notice(f"{what}, and knows no word but those of one piece; one that learnt from words knows more")
    if encoder.causal:
        what = f"embedders.{name}: the encoder of {table.of} reads left to right"
        notice(
            f"{what}, so its vectors tell nothing of what follows a word; those of a bidirectional one would"
        )


def _under(mark: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {mark + name: one for name, one in tensors.items()}
