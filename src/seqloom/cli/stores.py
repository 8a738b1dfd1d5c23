"""The commands around models: stores of word vectors, public data sets, weights of other programs."""

import sys
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from seqloom.cli.terminal import DataRoot, Json, dumped, rooted, say, show, shown

vectors = typer.Typer(
    name="vectors", help="Stores of word vectors: convert, look into, ask for near words.", no_args_is_help=True
)
data = typer.Typer(name="data", help="Public data sets by name: list them, fetch them.", no_args_is_help=True)
imports = typer.Typer(
    name="import", help="Weights that other programs published → a model folder.", no_args_is_help=True
)

Store = Annotated[
    Path, typer.Argument(metavar="STORE", help="A store's folder, or a text or binary file of vectors.")
]


@vectors.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="GloVe, word2vec or fastText text (.gz too), or binary of the latter two.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder of the store to be.")],
    words: Annotated[
        Path | None, typer.Option("--words", help="Keep only the words of this file, one a line.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Look at the first so many rows only.")] = None,
    dtype: Annotated[str, typer.Option(help="float32, or float16 at half the size.")] = "float32",
    replace: Annotated[
        bool, typer.Option("--replace", help="Read words that are not UTF-8 with U+FFFD.")
    ] = False,
) -> None:
    """Convert word vectors into a memory-mapped store that opens at once and that processes share."""
    from seqloom.config import unknown
    from seqloom.data import vectors as store
    from seqloom.data.vector_store import Precision
    from seqloom.errors import ConfigError
    from seqloom.files import lines

    if dtype not in get_args(Precision):
        raise ConfigError(unknown("dtype", dtype, get_args(Precision)))
    only = [line for _, line in lines(words) if line] if words else None
    with shown():
        done = store.convert(
            source,
            out,
            only=only,
            limit=limit,
            dtype=cast(Precision, dtype),
            undecodable="replace" if replace else "error",
        )
    repeated = f"; {done.repeated:,} rows repeated a word and were left out" if done.repeated else ""
    say(f"{done.folder}: {done.words:,} words of {done.size} numbers, {done.bytes / 1e6:.1f} MB{repeated}")


@vectors.command()
def info(
    store: Store,
    text: Annotated[
        Path | None, typer.Option("--text", help="A text: how many of its words have a vector.")
    ] = None,
) -> None:
    """Tell how many words and numbers there are, and how much of a text they cover."""
    from seqloom.data.tokens import tokenize
    from seqloom.data.vectors import Vectors
    from seqloom.files import lines

    with shown():
        opened = Vectors.open(store)
        show(f"{opened.name}: {len(opened):,} words of {opened.size} numbers")
        if text is not None:
            words = dict.fromkeys(token for _, line in lines(text) for token in tokenize(line))
            show(str(opened.match(words).coverage))


@vectors.command()
def near(
    store: Store,
    word: Annotated[str, typer.Argument(help="A word of the store.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many neighbours.")] = 10,
) -> None:
    """List the words whose vectors have the highest cosine with a word's."""
    from seqloom.data.vectors import Vectors

    with shown():
        for other, cosine in Vectors.open(store).near(word, count):
            show(f"{cosine:.3f}  {other}")


@data.command("list")
def list_sets(as_json: Json = False) -> None:
    """List the data sets that can be fetched by name, with their licences."""
    from seqloom.data.catalogue import rows

    found = rows()
    if as_json:
        show(dumped([row._asdict() for row in found]))
        return
    width = max(len(row.name) for row in found)
    for row in found:
        mark = "" if row.verified else "  (unverified)"
        show(f"{row.name:<{width}}  {row.task}; {row.size}; {row.licence}{mark}")


@data.command()
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names that `seqloom data list` shows.")],
    mirror: Annotated[
        str | None, typer.Option("--from", metavar="DIR|URL", help="Take the files from there instead.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="The licence is read and accepted.")] = False,
    root: DataRoot = None,
) -> None:
    """Fetch data sets into the data root: licences are shown first, a broken download goes on where it stopped."""
    from seqloom.data import catalogue
    from seqloom.files import data_root

    def accepted(entry: Any) -> bool:
        say(f"{entry.name}: {entry.what}\nlicence: {entry.licence} {entry.licence_page or ''}")
        if yes or not sys.stdin.isatty():
            return yes
        return typer.confirm("Fetch it under this licence?", default=False)

    rooted(root)
    with shown():
        known = catalogue.catalogue()
        for name in names:
            # No name is wrong once the first is being fetched.
            catalogue.named(name, known)
        for name in names:
            for path in catalogue.get(name, Path(data_root()), mirror=mirror, accept_licence=accepted):
                show(str(path))


@imports.callback()
def published() -> None:
    """Weights that other programs published → a model folder."""


@imports.command("mlmt")
def import_mlmt(
    file: Annotated[Path, typer.Argument(help="A checkpoint of MLMT (model.*.mdl).")],
    out: Annotated[Path, typer.Argument(help="The model folder to be.")],
) -> None:
    """Import a checkpoint of the multi-lingual multi-task tagger."""
    from seqloom.deploy import legacy

    legacy.import_mlmt(file, out)
    say(f"{out}: imported; try `seqloom predict {out}`")


@imports.command("cove")
def import_cove(
    file: Annotated[
        Path, typer.Argument(help="The published encoder (wmtlstm-*.pth), or a checkpoint of its training.")
    ],
    out: Annotated[Path, typer.Argument(help="The model folder to be.")],
    vectors: Annotated[
        Path | None,
        typer.Option("--vectors", metavar="STORE", help="Word vectors whose words the folder shall know."),
    ] = None,
) -> None:
    """Import the encoder of CoVe, for context embedders and saved encoders."""
    from seqloom.deploy import legacy

    with shown():
        legacy.import_cove(file, out, vectors)
    say(
        f"{out}: imported; use it in a configuration, as in `cove: {{type: context, of: {out}, vectors: NAME}}`"
    )


@imports.command("gensen")
def import_gensen(
    prefix: Annotated[Path, typer.Argument(help="What PREFIX.model and PREFIX_vocab.pkl begin with.")],
    out: Annotated[Path, typer.Argument(help="The model folder to be.")],
    keep_case: Annotated[
        bool, typer.Option("--keep-case", help="Read capital letters as they are, as the original does.")
    ] = False,
) -> None:
    """Import a sentence encoder of GenSen, for `seqloom encode`."""
    from seqloom.deploy import legacy

    with shown():
        legacy.import_gensen(prefix, out, lower=False if keep_case else None)
    say(f"{out}: imported; encode with `seqloom encode {out} INPUT -o OUT.npy`")
