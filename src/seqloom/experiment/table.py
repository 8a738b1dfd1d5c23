"""The root table of a configuration, and its check without any data."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqloom.config import Seed, Source, Table, Trail, data_paths, dotted, override, part, read, unknown
from seqloom.errors import ConfigError
from seqloom.files import locate
from seqloom.model.plan import Plan, lay_out
from seqloom.model.tables import ModelTable, Names, TaskTable, check_columns, check_groups, discover
from seqloom.model.task import bind, check_indexes
from seqloom.model.transfer import absent, inlined
from seqloom.training.averaging import Triggered
from seqloom.training.table import GLOBS, StreamTable, TrainingTable


class Experiment(ModelTable):
    """A whole configuration: a model, its training, and the seed that all randomness comes from."""

    seed: Seed = 1
    training: TrainingTable


def check(source: Source) -> Experiment:
    """The table of a source, checked without reading any data; parts of other models know what they hold inside.

    Raises:
        ConfigError: every mistake at once, with file:line and the nearest valid word.
    """
    discover()
    table = Experiment.check(source)
    Names(source).check()
    _check_named_tasks(source)
    if table is not None:
        check_columns(table, source)
        check_groups(table, source)
        _check_vectors(table, source)
        _check_training(table, source)
    source.done()
    assert table is not None
    # Parts are only joined where every name is known.
    table = inlined(table, source)
    source.done()
    plan = lay_out(table)
    _check_vocabularies(table, plan, source)
    _check_mixed(plan, source)
    _check_globs(table, plan, source)
    source.done()
    return table


def open_config(path: str | Path, settings: Sequence[str] = (), point: Sequence[str] = ()) -> Source:
    """Read a configuration file and apply `key.path=value` settings, then those of a point of a grid."""
    source = read(path)
    override(source, settings)
    override(source, point, "--grid")
    return source


def _check_vocabularies(table: Experiment, plan: Plan, source: Source) -> None:
    try:
        check_indexes(bind(table, plan))
    except ConfigError as fault:
        source.fault(("embedders",), str(fault))


def _check_mixed(plan: Plan, source: Source) -> None:
    for name, one in plan.embedders.items():
        sets = [_set(plan, member) for member in plan.members[name]["of"]] if _embedder(one).weighs else []
        for place, known in enumerate(sets):
            if known in sets[:place]:
                what = f"{known} is there twice; each set of vectors counts once"
                source.fault(("embedders", name, "of", place), what)


def _set(plan: Plan, embedder: str) -> str:
    """The store that a word table begins with; of another embedder, or a table without one, its own name."""
    table = plan.embedders[embedder]
    store: str | None = _embedder(table).store(table)
    return store or embedder


def _embedder(table: Any) -> Any:
    return part("embedders", table.type)


def _check_globs(table: Experiment, plan: Plan, source: Source) -> None:
    """Refuse globs of parameters' names that begin with no part; the rest of a name is known once the model is."""
    shared = [group for task in table.tasks.values() if (group := getattr(task.head, "share", None))]
    kinds = (
        ("embedders", plan.embedders),
        ("encoders", plan.encoders),
        ("heads", table.tasks),
        ("shared", shared),
    )
    parts = [f"{family}.{name}." for family, names in kinds for name in names]
    for key in GLOBS:
        globs = getattr(table.training, key)
        for place, glob in enumerate(globs):
            # Up to its first wildcard a glob is what names begin with.
            plain = re.split(r"[*?\[]", glob)[0]
            if not any(one.startswith(plain) or plain.startswith(one) for one in parts):
                where = place if isinstance(globs, list) else glob
                source.fault(("training", key, where), unknown("part", glob, [f"{one}*" for one in parts]))


def _check_vectors(table: Experiment, source: Source) -> None:
    first: dict[str, str] = {}
    for name, one in table.vectors.items():
        if (known := first.setdefault(one.path, name)) != name:
            source.fault(("vectors", name), f"is the file of {known} again; each set of vectors counts once")


def _check_training(table: Experiment, source: Source) -> None:
    if table.training.watch is not None:
        _check_watch(table, source, table.training.watch)
    elif table.training.goal is not None and len(table.tasks) > 1:
        source.fault(("training", "goal"), "of which task and figure? Name them in watch, as in TASK.FIGURE")
    if all(getattr(task.reader, "dev", None) is None for task in table.tasks.values()):
        _check_waiting(table.training, source)
    _check_sampling(table, source)
    for name, task in table.tasks.items():
        if getattr(task.reader, "train", None) is None:
            source.fault(("tasks", name, "reader"), 'needs the key "train"')
        if not _head(task).figures(task.head):
            source.fault(("tasks", name, "head"), "learns nothing; it is for encoders that are saved alone")
        if table.training.batch == 1 and _head(task).couples_rows:
            what = f"task {name} compares the rows of a batch with each other, and one row has no other"
            source.fault(("training", "batch"), f"{what}; take 2 or more")
    _check_running(table, source)


def _head(task: TaskTable) -> Any:
    return part("heads", getattr(task.head, "type", ""))


def _check_named_tasks(source: Source) -> None:
    """Refuse names of tasks that there are none of, whatever else is wrong with the table `training`."""
    tasks, training = (_mapping(source.values.get(key)) for key in ("tasks", "training"))
    for path, name in _named_tasks(training):
        if name not in tasks:
            source.fault(path, unknown("task", name, tasks))


def _named_tasks(training: Mapping[Any, Any]) -> Iterator[tuple[Trail, str]]:
    """The tasks that the values of `training` name, each with its place."""
    for name in _mapping(training.get("per_task")):
        yield ("training", "per_task", name), str(name)
    sampling = _mapping(training.get("sampling"))
    for key in ("weights", "every", "target", "cross_lingual", "cross_task"):
        named = sampling.get(key)
        for name in [named] if isinstance(named, str) else named if isinstance(named, list | dict) else []:
            yield ("training", "sampling", key, *([name] if isinstance(named, dict) else [])), str(name)
    if isinstance(watch := training.get("watch"), str):
        yield ("training", "watch"), watch.partition(".")[0]


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _check_watch(table: Experiment, source: Source, watch: str) -> None:
    place = ("training", "watch")
    name, _, figure = watch.partition(".")
    if name not in table.tasks:
        return
    task = table.tasks[name]
    figures = _head(task).figures(task.head)
    if "." in watch and figure not in figures:
        source.fault(place, unknown("figure", figure, figures))
    if getattr(task.reader, "dev", None) is None:
        source.fault(place, f"{name} has no dev file to watch; give its reader one, or leave watch out")


def _check_waiting(training: TrainingTable, source: Source) -> None:
    """Refuse what goes by figures where no task has a dev file."""
    remedy = "give a reader one, or leave this out"
    for key in ("patience", "goal"):
        if getattr(training, key) is not None:
            source.fault(("training", key), f"waits for figures, and no task has a dev file; {remedy}")
    schedules: dict[Trail, Any] = {("training", "schedule"): training.schedule}
    for name, own in training.per_task.items():
        schedules["training", "per_task", name, "schedule"] = own.schedule
    for place, schedule in schedules.items():
        kind: Any = part("schedules", getattr(schedule, "type", ""))
        if kind.waits:
            source.fault(place, f"{kind.kind} waits for figures, and no task has a dev file; {remedy}")
    how = training.averaging
    if isinstance(how, Triggered.Config) and (how.worse is not None or not how.at_once):
        what = "triggered waits for figures, and no task has a dev file"
        other = "average from a step on: {type: mean, start: 1000}"
        source.fault(("training", "averaging"), f"{what}; give a reader one, or {other}")


def _check_sampling(table: Experiment, source: Source) -> None:
    kind: Any = part("samplings", getattr(table.training.sampling, "type", ""))
    try:
        kind.check(table.training.sampling, {name: task.weight for name, task in table.tasks.items()})
    except ConfigError as fault:
        source.fault(("training", "sampling"), str(fault))


def _check_running(table: Experiment, source: Source) -> None:
    """Refuse settings of batches that a text read as one has no use for, and settings of such texts without one."""
    training = table.training
    running = {
        name: any(field.runs for field in _head(task).fields(task.head).values())
        for name, task in table.tasks.items()
    }
    for name in (name for name, runs in running.items() if runs and not isinstance(training.batch, int)):
        what = f"task {name} reads running text; batch is a number of streams"
        source.fault(("training", "batch"), what)
    if all(running.values()):
        for key in ("curriculum", "order"):
            if getattr(training, key):
                source.fault(("training", key), "running text keeps its order; leave it out")
    if not any(running.values()) and training.stream != StreamTable():
        source.fault(("training", "stream"), "no task reads running text; leave it out")


def reader_files(table: Any, path: str) -> list[str]:
    """The files that a reader reads when it is given one."""
    reader: Any = part("readers", table.type)
    files: list[str] = reader(table, ()).files(path)
    return files


def missing_files(table: ModelTable, source: Source, *, begins: bool = True) -> list[str]:
    """The files that a table names and that are not there, each with its place in the configuration.

    A run that is resumed no longer `begins`: it needs no model to begin from.
    """
    missing = []
    for name, task in table.tasks.items():
        for place, path in _task_files(name, task):
            whose = f"{source.where(place)}  {dotted(place)}"
            files = reader_files(task.reader, path)
            missing += [f"{whose}  {locate(one)}" for one in files if not locate(one).exists()]
    needed: list[tuple[Trail, str]] = [
        (("vectors", name, "path"), one.path) for name, one in table.vectors.items()
    ]
    begin = table.training.begin if begins and isinstance(table, Experiment) else None
    needed += [] if begin is None else [(("training", "begin", "path"), begin.path)]
    for where, path in [*(one for one in needed if not locate(one[1]).exists()), *absent(table)]:
        missing.append(f"{source.where(where)}  {dotted(where)}  {locate(path)}")
    return missing


def _task_files(name: str, task: Any) -> Iterator[tuple[Trail, str]]:
    """What a task's reader is to read, each with the place that names it: its splits, and texts that its head needs."""
    for key, path in data_paths(task.reader):
        yield ("tasks", name, "reader", key), path
    for key in type(task.head).model_fields:
        if isinstance(inner := getattr(task.head, key), Table):
            for own, path in data_paths(inner):
                yield ("tasks", name, "head", key, own), path
