"""The command that measures what an encoder's vectors are worth elsewhere."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from seqloom.cli.terminal import DataRoot, Json, dumped, rooted, say, show, shown

if TYPE_CHECKING:
    from seqloom.data.tokens import Tokenizer
    from seqloom.deploy.encode import Pool
    from seqloom.evaluation.transfer import Encoder

transfers = typer.Typer()
POOLS = ("mean", "max", "last")

Measured = Annotated[
    Path | None, typer.Argument(metavar="[MODEL]", help="A model folder, or a run folder (its best model).")
]
TaskNames = Annotated[
    str | None,
    typer.Option("--tasks", help="Their names, commas between, such as MR,TREC,sts [default: all with data]."),
]
SettingName = Annotated[
    str,
    typer.Option(
        help="`default`, as published figures are made; `prototyping`, five times as fast; or `logistic`."
    ),
]
PoolName = Annotated[
    str, typer.Option(help="mean, max, last, or best: of each task the one that is best on its dev data.")
]
EncoderName = Annotated[str | None, typer.Option(help="The encoder, where the model has several.")]
TokenizerName = Annotated[
    str, typer.Option(help="How texts become tokens: as the model does it, or blanks, words, characters.")
]
Baselines = Annotated[
    list[str] | None,
    typer.Option("--baseline", help="Beside it, over --vectors: bag or random; repeatable."),
]
BaselineVectors = Annotated[
    Path | None, typer.Option("--vectors", metavar="STORE", help="The word vectors of the baselines.")
]
Earlier = Annotated[
    list[Path] | None,
    typer.Option("--beside", metavar="JSON", help="A report of an earlier run to show too; repeatable."),
]
Counts = Annotated[
    str | None,
    typer.Option("--first", metavar="N,N", help="Learn also from only so many examples: 100,500,1000."),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes that train classifiers.")]
ReportName = Annotated[
    str | None, typer.Option("--name", help="What the model is called in reports [default: its folder].")
]
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", help="The folder of reports (JSON), table (Markdown) and chart.")
]


@transfers.command()
def transfer(
    model: Measured = None,
    tasks: TaskNames = None,
    setting: SettingName = "default",
    pool: PoolName = "mean",
    encoder: EncoderName = None,
    tokenizer: TokenizerName = "model",
    baseline: Baselines = None,
    vectors: BaselineVectors = None,
    beside: Earlier = None,
    first: Counts = None,
    workers: Workers = 1,
    name: ReportName = None,
    out: OutFolder = Path("transfer"),
    data: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Measure what an encoder's vectors are worth on tasks that it was not trained for, by SentEval's protocol.

    The model stays as it is: texts become vectors, and small classifiers learn each task from those: MR, CR, SUBJ,
    MPQA, SST-2, SST-5, TREC, MRPC, SICK-E, SICK-R, STS-B, STS12 to 16 (`sts`), SNLI, Captions, and ten of `probing`.
    `seqloom data get mr` fetches the data of one; tasks without data are told so.

    Try `seqloom transfer runs/mine --setting prototyping --tasks MR,CR,TREC` for a first look, and
    `--baseline bag --vectors glove.txt` for what the words alone are worth. Vectors are kept, so that a second run
    only trains classifiers. While it runs, the figures so far stand in a file NAME.partial.json.
    """
    from seqloom.errors import ConfigError
    from seqloom.evaluation.transfer import markdown
    from seqloom.evaluation.transfer.suite import setting_of
    from seqloom.evaluation.transfer.tables import read
    from seqloom.evaluation.transfer.tasks import named

    rooted(data)
    if model is None and not baseline:
        raise ConfigError("what is to be measured? Name a MODEL, or a --baseline with its --vectors")
    names = None if tasks is None else tasks.split(",")
    named(names or ())
    how: dict[str, Any] = {"tasks": names, "setting": setting_of(setting), "first": _counts(first)}
    _check(pool, tokenizer)
    earlier = [read(path) for path in beside or []]
    with shown():
        encoders = _encoders(model, name, encoder, pool, tokenizer, baseline or [], vectors)
        reports = [_measured(one, title, out, workers=workers, **how) for title, one in encoders.items()]
        _write(reports, earlier, out)
    show(dumped(reports) if as_json else markdown([*reports, *earlier]))


def _counts(first: str | None) -> list[int]:
    from seqloom.errors import ConfigError

    try:
        counts = [int(one) for one in first.split(",")] if first else []
    except ValueError:
        counts = [0]
    if any(one < 2 for one in counts):
        raise ConfigError(f'--first "{first}" should be numbers of examples, such as 100,500,1000')
    return sorted(set(counts))


def _encoders(
    model: Path | None,
    name: str | None,
    encoder: str | None,
    pool: str,
    tokenizer: str,
    baselines: list[str],
    vectors: Path | None,
) -> "dict[str, Encoder]":
    from seqloom.data.vectors import Vectors
    from seqloom.errors import ConfigError
    from seqloom.evaluation.transfer import baseline

    found = {} if model is None else {name or model.resolve().name: _of_model(model, encoder, pool, tokenizer)}
    if baselines and vectors is None:
        raise ConfigError("--baseline needs --vectors, the word vectors that it is made of")
    if baselines and vectors is not None:
        opened, cut = Vectors.open(vectors), "blanks" if tokenizer == "model" else tokenizer
        for kind in baselines:
            found[f"{kind} of {opened.name}"] = baseline(kind, opened, cast("Tokenizer", cut))
    return found


def _of_model(path: Path, encoder: str | None, pool: str, tokenizer: str) -> "Encoder":
    from functools import partial

    from seqloom.api import load
    from seqloom.data.tokens import tokenize
    from seqloom.evaluation.transfer import Encoder

    loaded = load(path)

    def encode(texts: list[str], how: str) -> Any:
        cut = (
            texts if tokenizer == "model" else [tokenize(text, cast("Tokenizer", tokenizer)) for text in texts]
        )
        return loaded.encode(cut, pool=cast("Pool", how), encoder=encoder)

    pools = {how: partial(encode, how=how) for how in (POOLS if pool == "best" else (pool,))}
    return Encoder(pools, f"{_digest(path)} {encoder or ''} {tokenizer}".strip(), tokenizer)


def _check(pool: str, tokenizer: str) -> None:
    from seqloom.config import unknown
    from seqloom.data.tokens import Tokenizer
    from seqloom.errors import ConfigError

    if pool not in (*POOLS, "best"):
        raise ConfigError(unknown("pool", pool, (*POOLS, "best")))
    known = ("model", *get_args(Tokenizer))
    if tokenizer not in known:
        raise ConfigError(unknown("tokenizer", tokenizer, known))


def _digest(path: Path) -> str:
    """The SHA-256 of what a model's vectors depend on: weights, configuration and vocabularies of each encoder."""
    from seqloom.deploy.concat import joined
    from seqloom.files import sha256
    from seqloom.model.folder import CONFIG, WEIGHTS, find

    folders = joined(path) or [find(path)]
    files = [
        file
        for folder in folders
        for file in (folder / CONFIG, folder / WEIGHTS, *sorted((folder / "vocabulary").glob("*.txt")))
    ]
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()


def _measured(encoder: "Encoder", name: str, out: Path, **how: Any) -> dict[str, Any]:
    """The report of an encoder, written; of a run that ends early, what it had found stays in a file of its own."""
    from seqloom.evaluation.transfer import transfer as run
    from seqloom.files import write_json

    file = f"{name.replace(' ', '-')}.json"
    partial = (out / file).with_suffix(".partial.json")
    try:
        report = run(encoder, name=name, each=lambda so_far: write_json(partial, so_far), **how)
    except BaseException:
        if partial.is_file():
            say(f"{partial}: the figures of what was finished; --beside shows them")
        raise
    write_json(out / file, report)
    partial.unlink(missing_ok=True)
    return report


def _write(reports: list[Any], earlier: list[Any], out: Path) -> None:
    from seqloom.errors import ConfigError
    from seqloom.evaluation.transfer import markdown
    from seqloom.files import write_text
    from seqloom.training.transfers import draw

    write_text(out / "transfer.md", markdown([*reports, *earlier]))
    try:
        draw([*reports, *earlier], out / "transfer.png")
    except ConfigError as fault:
        say(f"no chart: {fault}")
    say(f"{out}: the reports, transfer.md and transfer.png")
