"""The commands; each imports what it runs only when it runs."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from seqloom.cli.terminal import (
    Adjustments,
    ConfigFile,
    DataRoot,
    Json,
    ModelFolder,
    Precision,
    Settings,
    TaskName,
    dumped,
    rooted,
    say,
    show,
    shown,
)

DASH = Path("-")
"""Standard input or output, where a file could stand."""

app = typer.Typer(
    name="seqloom",
    help="Small recurrent text models that learn many tasks together, pass on what they learnt, and run anywhere.",
    epilog="Start with `seqloom demo`; then `seqloom check FILE` and `seqloom train FILE` on your own configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where the corpus, runs and plot go.")] = Path("demo"),
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each kind.")] = 3,
) -> None:
    """The guided run on the built-in corpus: train, compare, tag; no download, two minutes."""
    from seqloom.demo.guide import guide

    with shown():
        guide(out, seeds, show)


@app.command()
def check(file: ConfigFile, settings: Settings = None, data: DataRoot = None, as_json: Json = False) -> None:
    """Check a configuration without reading data: every mistake at once, with its line."""
    from seqloom.config import write_yaml
    from seqloom.experiment import check as checked
    from seqloom.experiment import missing_files, open_config

    rooted(data)
    source = open_config(file, settings or [])
    table = checked(source)
    resolved = table.model_dump()
    show(dumped(resolved) if as_json else write_yaml(resolved))
    missing = missing_files(table, source)
    for line in missing:
        say(f"not there yet: {line}")
    say(f"{file}: no mistakes; {len(table.tasks)} tasks, {len(missing)} files missing")


@app.command()
def schema() -> None:
    """Print the JSON schema of configurations, for editors that complete and check while you type."""
    from seqloom.experiment import Experiment
    from seqloom.model.tables import discover

    discover()
    show(dumped(Experiment.model_json_schema()))


@app.command("list")
def list_kinds(
    family: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="readers, embedders, encoders, heads, ...")
    ] = None,
) -> None:
    """List the kinds that a configuration can name, with what each does."""
    import seqloom.experiment
    from seqloom.config import families, kinds, unknown
    from seqloom.errors import ConfigError
    from seqloom.model.tables import discover

    assert seqloom.experiment
    discover()
    if family is not None and family not in families():
        raise ConfigError(unknown("family", family, families()))
    for one in [family] if family else families():
        show(one)
        for kind, part in kinds(one).items():
            show(f"  {kind:<14} {(part.__doc__ or '').splitlines()[0]}")


@app.command()
def train(
    file: ConfigFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="The run folder [default: runs/NAME of FILE].")
    ] = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, or start it.")] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="Train so many times, with seeds from the configuration's on.")
    ] = 1,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="KEY=V1,V2", help="Train once for each value; repeatable."),
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events too.")] = False,
    data: DataRoot = None,
) -> None:
    """Train a configuration; Ctrl-C saves, `--resume` goes on as if nothing had happened."""
    from seqloom.experiment import open_config, run, run_many
    from seqloom.training.stopping import Interrupted
    from seqloom.training.tracking import TensorBoardWriter

    rooted(data)
    out = out or Path("runs") / file.stem
    try:
        with shown() as display:

            def follow(folder: Path) -> list[Any]:
                return [display, TensorBoardWriter(folder)] if tensorboard else [display]

            if seeds > 1 or grid:
                many: dict[str, Any] = {
                    "seeds": seeds,
                    "grid": grid or [],
                    "resume": resume,
                    "follow": follow,
                }
                _tell_many(run_many(file, out, settings=settings or [], **many))
                return
            _tell(run(open_config(file, settings or []), out, resume=resume, writers=follow(out)))
    except (Interrupted, KeyboardInterrupt) as stop:
        there = any(any(Path(out).glob(one)) for one in ("last", "*/last", "*/*/last"))
        before = "the state saved last stays" if there else "nothing was saved yet"
        kept = "the state is saved" if isinstance(stop, Interrupted) else before
        again = shlex.join(["seqloom", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
        say(f"stopped; {kept}. Go on with:\n  {again}")
        sys.exit(130)


def _tell(result: Any) -> None:
    for split in ("dev", "test"):
        for task, figures in getattr(result, split).items():
            told = "  ".join(f"{name} {value:.2f}" for name, value in figures.items())
            show(f"{split:<5} {task:<16} {told}")
    show(f"the best model, of step {result.best_step}: {result.folder / 'best'}")


def _tell_many(results: dict[str, list[Any]]) -> None:
    from seqloom.experiment import best, summary

    for point, runs in results.items():
        told = summary(runs)
        show(f"{point or 'as configured'} ({told['seeds']} seed{'s' * (told['seeds'] > 1)})")
        for split in ("dev", "test"):
            for task, figures in told[split].items():
                cells = "  ".join(
                    f"{name} {one['mean']:.2f}"
                    + (f" ± {one['spread']:.2f}" if one["spread"] is not None else "")
                    for name, one in figures.items()
                )
                show(f"  {split:<5} {task:<16} {cells}")
    if len(results) > 1 and (chosen := best(results)):
        show(f"best on dev: {chosen}")


@app.command()
def evaluate(
    model: ModelFolder,
    task: TaskName = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="The file [default: the configuration's].")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Which of the configuration's files: train, dev or test.")
    ] = "test",
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Figures of the rows of each value too, such as a genre."),
    ] = None,
    settings: Adjustments = None,
    precision: Precision = "float32",
    data: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Figures of a model, with the protocol they follow; every task that has such a file, unless one is named."""
    from seqloom.api import Model
    from seqloom.errors import ModelError

    rooted(data)
    with shown(precision):
        loaded = Model.load(model)
        named = [task] if task or file else [name for name in loaded.tasks if loaded.has(name, split)]
        if not named:
            raise ModelError(
                f"no task has a {split} file that is there; name one with --task and --file", model
            )
        for name in named if settings else ():
            loaded.adjust(name, settings or [])
        told = [loaded.evaluate(name, file, split=split, by=by) for name in named]
    if as_json:
        show(dumped(told))
        return
    for one in told:
        how = f"{one['rows']:,} rows" + f", in {one['precision']}" * (one["precision"] != "float32")
        show(f"{one['task']}  {_line(one)}\n  {one['file']}, {how}; {one['protocol']}")
        for name, group in one.get("groups", {}).items():
            show(f"  {name}  {_line(group)}  ({group['rows']:,} rows)")


def _line(told: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in told["figures"].items())


@app.command()
def predict(
    model: ModelFolder,
    input_file: Annotated[
        Path | None, typer.Argument(metavar="[INPUT]", help="Lines of text [default: -, stdin].")
    ] = None,
    task: TaskName = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where predictions go [default: -, stdout].")
    ] = None,
    as_data: Annotated[
        bool, typer.Option("--as-data", help="INPUT has the form of the training files.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="What lies behind each prediction, a JSON object a line.")
    ] = False,
    settings: Adjustments = None,
    precision: Precision = "float32",
    plot: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="With --explain: heat maps of the first 50 rows.")
    ] = None,
) -> None:
    """Tag, classify, translate, answer, write on: one input a line, or a file in the form of the training data."""
    from seqloom.api import Model
    from seqloom.errors import ConfigError
    from seqloom.training.heatmaps import drawn

    input_file, out = (None if path == DASH else path for path in (input_file, out))
    if as_data and input_file is None:
        raise ConfigError("--as-data needs INPUT, a file in the form of the training data")
    if plot is not None and not explain:
        raise ConfigError("--plot draws what --explain tells; give both")
    if out is not None and input_file is not None and out.exists() and out.samefile(input_file):
        raise ConfigError(f"--out {out} is the input; name another file")
    with shown(precision):
        how = {"as_data": as_data, "as_json": as_json, "explain": explain}
        loaded = Model.load(model)
        loaded.adjust(task, settings or [])
        told = loaded.predict_file(task, input_file, **how)
        _write(told if plot is None else drawn(told, plot), out)


def _write(pieces: Iterator[str], out: Path | None) -> None:
    from seqloom.files import replacing

    if out is None:
        for piece in pieces:
            sys.stdout.write(piece)
        return
    with replacing(out) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(pieces)


@app.command()
def images(
    names: Annotated[Path, typer.Argument(metavar="NAMES", help="File names of images, one a line.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npy file to write.")],
    folder: Annotated[Path, typer.Option(help="Where the images are.")] = Path(),
    network: Annotated[str, typer.Option(help="A ResNet of torchvision.")] = "resnet152",
    weights: Annotated[
        Path | None, typer.Option(help="A file of its weights [default: ImageNet's, fetched].")
    ] = None,
    crops: Annotated[
        int, typer.Option(min=0, help="Random cuts of each image, beside its middle, to train on.")
    ] = 0,
) -> None:
    """Write the features of images, which captions are ranked against, as a numpy array; needs torchvision."""
    from seqloom.deploy.images import image_features

    with shown():
        shape = image_features(names, folder, out, network=network, weights=weights, crops=crops)
    say(f"{out}: {' x '.join(map(str, shape))} numbers")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders of runs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the plots and the page go.")] = Path("report"),
) -> None:
    """Draw loss and score curves, task shares and learning curves: PNG files and one HTML page."""
    from seqloom.training.curves import draw

    for path in draw(runs, out):
        show(str(path))
