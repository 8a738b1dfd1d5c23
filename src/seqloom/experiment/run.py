"""One run: from a checked configuration to a trained model in a run folder, with its figures."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seqloom.config import Source, part, read
from seqloom.data.columns import Columns
from seqloom.data.schedule import Groups
from seqloom.data.vectors import Vectors
from seqloom.data.vocabulary import Vocabulary
from seqloom.errors import ConfigError
from seqloom.evaluation.evaluate import evaluate
from seqloom.experiment.resuming import filled, same
from seqloom.experiment.table import Experiment, check, missing_files
from seqloom.files import alone, recover_folder, replacing_folder, write_json
from seqloom.model.build import build
from seqloom.model.card import parameters
from seqloom.model.folder import CONFIG, Assembly, load, save
from seqloom.model.known import tell_known
from seqloom.model.labels import check_labels, tell_unseen
from seqloom.model.plan import Plan, lay_out
from seqloom.model.streaming import Streamer, Windows, evaluated
from seqloom.model.task import Batcher, Task, bind, fit
from seqloom.model.transfer import Carried, begin, begun, carried
from seqloom.model.widen import widened
from seqloom.nn.sparse import missed
from seqloom.progress import notice
from seqloom.training import checkpoint
from seqloom.training.distributed import Ranks, ranks
from seqloom.training.keeping import BEST, LAST, same_data
from seqloom.training.report import Report, Writer
from seqloom.training.trainer import Course, Trainer

RESULT, SUMMARY = "result.json", "summary.json"


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        folder: the run folder.
        step: the last step.
        best_step: the step of the best model.
        dev: its figures on dev, by task and name.
        test: its figures on test.
        watched: the figure on dev that the best model was chosen by, with a minus where less is better; None without.
    """

    folder: Path
    step: int
    best_step: int
    dev: Mapping[str, Mapping[str, float]]
    test: Mapping[str, Mapping[str, float]]
    watched: float | None = None


def run(source: Source, out: str | Path, *, resume: bool = False, writers: Sequence[Writer] = ()) -> Result:
    """Train what a source describes into the run folder `out`, and evaluate the best model on the test files.

    Args:
        source: the configuration.
        out: the run folder, made if need be.
        resume: go on with the run in `out`, if there is one.
        writers: what follows the run's events besides its own file.

    Raises:
        ConfigError: mistakes in the configuration, missing files, or a folder that holds a run already.
        DataError: a data file that cannot be read.
        TrainingError: training cannot go on.
        Interrupted: asked to stop; the state is saved.
    """
    out = Path(out)
    table = ready(source, out, resume=resume)
    with (
        _threads(table.training.threads),
        ranks(choose_device(table.training.device)) as mine,
        alone(Path(out)) if mine.leads else nullcontext(),
    ):
        resumed = _opened(out, resume, mine)
        with source.placing():
            trainer = _prepare(table, out, resumed, writers, mine)
        with trainer.report:
            trainer.fit()
        mine.wait()
        return _finish(trainer, out)


def ready(source: Source, out: Path, *, resume: bool = False) -> Experiment:
    """The checked table of a run that can begin in `out`, or go on there.

    Raises:
        ConfigError: mistakes in the configuration, missing files or extras, or a folder that holds runs already.
    """
    goes_on = resume and (out / LAST / CONFIG).is_file()
    if goes_on:
        _recall(source.values, read(out / LAST / CONFIG).values)
    table = check(source)
    if missing := missing_files(table, source, begins=not goes_on):
        raise ConfigError("these files are missing:\n" + "\n".join(missing))
    for task in table.tasks.values():
        part("heads", getattr(task.head, "type", "")).require()  # type: ignore[attr-defined]
        part("readers", getattr(task.reader, "type", "")).require(task.reader)  # type: ignore[attr-defined]
    if not resume:
        _refuse_runs(out)
    return table


def _refuse_runs(out: Path) -> None:
    # Events alone are those of a start that failed.
    if (out / BEST).exists() or (out / LAST).exists():
        raise ConfigError(f"{out} holds a run; go on with it by --resume, or name another folder with --out")
    if (out / SUMMARY).exists():
        what = f"{out} holds several runs and what they came to"
        raise ConfigError(f"{what}; go on with them by --resume, or name another folder with --out")


def _recall(given: Any, kept: Any) -> None:
    """Fill in what parts of other models hold inside as the run knows it: it needs those models no longer."""
    if isinstance(given, dict) and isinstance(kept, dict):
        if "inside" in kept:
            given.setdefault("inside", kept["inside"])
        for key in given.keys() & kept.keys():
            _recall(given[key], kept[key])
    elif isinstance(given, list) and isinstance(kept, list):
        for one, other in zip(given, kept, strict=False):
            _recall(one, other)


def _opened(out: Path, resume: bool, mine: Ranks) -> bool:
    """Whether there is a run in `out` to go on with; a run that is not to be resumed is refused."""
    if mine.leads:
        for model in (BEST, LAST):
            recover_folder(out / model)
    mine.wait()
    if not resume:
        _refuse_runs(out)
    resumed = resume and (out / LAST / CONFIG).is_file()
    if resume and not resumed and (out / RESULT).is_file():
        what = f"{out} holds a run that has ended, but no longer its {LAST}, from which it could go on"
        raise ConfigError(f"{what}; bring that back, or name another folder with --out")
    mine.wait()
    return resumed


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute on so many threads, 0 standing for all; small recurrent models are fastest on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_device(name: str) -> torch.device:
    """The device of that name, `auto` being the GPU where there is one; a ConfigError where it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as fault:
        raise ConfigError(f'training.device: "{name}" cannot be used here ({fault}); try cpu') from None
    return torch.device(name)


def _prepare(table: Experiment, out: Path, resumed: bool, writers: Sequence[Writer], mine: Ranks) -> Trainer:
    out.mkdir(parents=True, exist_ok=True)
    settings = table.model_dump()
    plan = lay_out(table)
    tasks = bind(table, plan)
    with mine.in_turn():
        training = {name: _read(task, "train") for name, task in tasks.items()}
    data = {name: columns.digest for name, columns in training.items()}
    tensors, counters = checkpoint.load(out / LAST) if resumed else ({}, {})
    if resumed:
        model = _kept(settings, out)
        same_data(counters["data"], data)
        training = _cut(model.tasks, training)
    else:
        start = table.training.begin
        before = begun(start.path, start.parts, plan, tasks) if start else Carried()
        learned = {
            key: one
            for name, task in tasks.items()
            for key, one in task.learn(training[name], before.vocabularies).items()
        }
        training = _cut(tasks, training)
        model = _new(table, settings, plan, tasks, training, learned, before)
    report = Report(out, writers, at=counters.get("events")) if mine.leads else Report(None)
    trainer = Trainer(
        model,
        _courses(table, model, training),
        table.training,
        seed=table.seed,
        ranks=mine,
        report=report,
        run=out,
        data=data,
    )
    if resumed:
        trainer.at = trainer.keeper.restore(tensors, counters)
    sizes = {name: _sizes(tasks[name], columns) for name, columns in training.items()}
    report.start(trainer.steps, sizes, trainer.at.step, parameters(model.network))
    return trainer


def _kept(settings: dict[str, Any], out: Path) -> Assembly:
    """The last model of a run, which must have been configured so."""
    model = load(out / LAST)
    for name, store in model.settings.get("vectors", {}).items():
        settings.get("vectors", {}).get(name, {}).setdefault("size", store.get("size"))
    same(filled(model.settings), settings, out)
    model.settings = settings
    return model


def _read(task: Task, split: str) -> Columns:
    columns = task.read(split)
    assert columns is not None
    return columns


def _cut(tasks: Mapping[str, Task], training: Mapping[str, Columns]) -> dict[str, Columns]:
    """The training columns, read anew where a reader has learnt to cut words."""
    return {
        name: _read(tasks[name], "train") if tasks[name].reader.learned else one
        for name, one in training.items()
    }


def _sizes(task: Task, columns: Columns) -> dict[str, int]:
    return {"sentences": len(columns), "tokens": int(columns.lengths([*task.texts, *task.targets]).sum())}


def _new(
    table: Experiment,
    settings: dict[str, Any],
    plan: Plan,
    tasks: dict[str, Task],
    training: Mapping[str, Columns],
    learned: Mapping[str, Vocabulary],
    before: Carried,
) -> Assembly:
    stores = {name: Vectors.open(one.path) for name, one in table.vectors.items()}
    parts = carried(plan)
    tell_known(plan, tasks, training, parts.vocabularies)
    for name, task in tasks.items():
        task.head.look(task.table.head, training[name], f"tasks.{name}")
    fitted = fit(tasks, training, parts.vocabularies)
    fitted |= {name: one for name, one in before.vocabularies.items() if name in fitted}
    vocabularies = widened({**fitted, **learned}, plan, tasks, stores)
    for name, store in stores.items():
        settings["vectors"][name]["size"] = store.size
    network = build(plan, tasks, vocabularies, stores=stores, weights=parts.weights, seed=table.seed)
    for told in missed(network):
        notice(told)
    if start := table.training.begin:
        begin(network, before.weights, start.path)
        for name, task in tasks.items():
            check_labels(task, training[name], vocabularies, start.path)
    return Assembly(settings, plan, tasks, vocabularies, network, {})


def _training(table: Experiment, task: Task, columns: Columns, model: Assembly) -> Batcher:
    """What makes the batches that a task learns from."""
    how = table.training
    if not task.runs:
        return Batcher(task, columns, model.vocabularies)
    assert isinstance(how.batch, int)
    keys: dict[str, Any] = {"window": how.stream.window, "vary": how.stream.vary, "seed": table.seed}
    return Streamer(task, columns, model.vocabularies, streams=how.batch * how.accumulate, **keys)


def _courses(table: Experiment, model: Assembly, training: Mapping[str, Columns]) -> dict[str, Course]:
    courses = {}
    for name, task in model.tasks.items():
        train = _training(table, task, training[name], model)
        dev = task.read("dev")
        if dev is not None:
            tell_unseen(task, dev, model.vocabularies, "dev")
        how = table.training
        if isinstance(train, Streamer):
            watched = evaluated(task, dev, model.vocabularies) if dev is not None else None
            courses[name] = Course(
                train, Windows(train.stream, how.accumulate), watched, len(train.stream.values)
            )
            continue
        # Batches of one length each would give normalisation over a batch means that hold for none of the others.
        coupled = model.network.head(name).couples_rows and not how.curriculum
        mixed = how.order == "random" or (how.order is None and coupled)
        groups = Groups(train.lengths(), how.batch, table.seed, rising=how.curriculum, mixed=mixed)
        watched = evaluated(task, dev, model.vocabularies) if dev is not None else None
        courses[name] = Course(train, groups, watched, table.training.batch)
    return courses


def _finish(trainer: Trainer, out: Path) -> Result:
    model, at = load(out / BEST), trainer.at
    test: dict[str, dict[str, float]] = {}
    for name, task in model.tasks.items():
        if (columns := task.read("test")) is not None:
            tell_unseen(task, columns, model.vocabularies, "test")
            batcher = evaluated(task, columns, model.vocabularies)
            test[name] = evaluate(model.network, batcher, what=f"testing {name}")
    # The others have read the best model before the leading rank writes it anew.
    trainer.ranks.wait()
    watched = at.best if math.isfinite(at.best) else None
    result = Result(out, at.step, at.best_step, at.best_figures, test, watched)
    if not trainer.ranks.leads:
        return result
    if test:
        trainer.report.evaluate(at.best_step, test, best=True, split="test")
        model.figures = {**model.figures, "test": test}
        with replacing_folder(out / BEST) as partial:
            save(partial, model)
    values = {"step": at.step, "best_step": at.best_step, "best": result.dev, "test": result.test}
    write_json(out / RESULT, values)
    return result
