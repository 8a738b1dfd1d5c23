"""The commands around encoders: vectors for texts, encoders alone and side by side, words added to them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from seqloom.cli.terminal import ModelFolder, Precision, say, show, shown

if TYPE_CHECKING:
    from seqloom.api import Model

EncoderName = Annotated[str | None, typer.Option("--encoder", help="The encoder, where there are several.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The model folder to write.")]


def encode(
    model: ModelFolder,
    input_file: Annotated[Path, typer.Argument(metavar="INPUT", help="A text file, one text a line.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npy or .parquet file to write.")],
    encoder: EncoderName = None,
    pool: Annotated[
        str | None, typer.Option(help="last, mean or max [default: the encoder's own, or mean].")
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="A vector for each token.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the lines.")] = 1,
    precision: Precision = "float32",
) -> None:
    """Write a vector for each line of a text file; the same command goes on where it was ended."""
    from seqloom import api
    from seqloom.config import unknown
    from seqloom.deploy.encode import Pool
    from seqloom.errors import ConfigError

    if pool is not None and pool not in get_args(Pool):
        raise ConfigError(unknown("pool", pool, get_args(Pool)))
    how = {"pool": cast("Pool | None", pool), "tokens": tokens, "workers": workers, "encoder": encoder}
    with shown(precision):
        shape = api.load(model).encode_file(input_file, out, **how)  # type: ignore[arg-type]
    say(f"{out}: {shape[0]:,} vectors of {shape[1]} numbers")


def extract(model: ModelFolder, out: Out, encoder: EncoderName = None) -> None:
    """Write an encoder alone as a small model folder: decoders and classifiers stay behind."""
    from seqloom import api

    with shown():
        loaded = api.Model.load(model)
        loaded.save_encoder(out, encoder)
    say(f"{out}: an encoder alone; encode with `seqloom encode {out} INPUT -o OUT.npy`")


def concat(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Model folders of one encoder each.")
    ],
    out: Out,
) -> None:
    """Put encoders side by side in one folder, whose vectors are theirs one after another."""
    from seqloom import api

    with shown():
        api.concat(*map(_of_one_encoder, models)).save(out)
    say(f"{out}: {len(models)} encoders; encode with `seqloom encode {out} INPUT -o OUT.npy`")


def _of_one_encoder(path: Path) -> "Model":
    from seqloom import api
    from seqloom.errors import ModelError

    loaded = api.load(path)
    if len(loaded.encoders) > 1 and not isinstance(loaded, api.Concatenation):
        remedy = f"take one out with `seqloom extract {path} --encoder {loaded.encoders[0]} -o ONE`"
        raise ModelError(f"has several encoders ({', '.join(loaded.encoders)}); {remedy}", path)
    return loaded


def expand(
    model: ModelFolder,
    vectors: Annotated[Path, typer.Option(metavar="STORE", help="A store or file of word vectors.")],
    out: Out,
    words: Annotated[
        Path | None, typer.Option(help="Words to add, one a line [default: all of STORE].")
    ] = None,
    ridge: Annotated[float, typer.Option(min=0, help="What a squared weight of the map costs.")] = 0.0,
    orthogonal: Annotated[bool, typer.Option("--orthogonal", help="Turn and scale the vectors only.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Forget the words that --words does not name.")
    ] = False,
    embedder: Annotated[
        str | None, typer.Option(help="A word embedder, where there are several vocabularies.")
    ] = None,
) -> None:
    """Add words to a model without training: their vectors are a store's, mapped into the model's own space."""
    from seqloom import api
    from seqloom.data.vectors import Vectors
    from seqloom.files import lines
    from seqloom.model.folder import vacant

    vacant(out)
    listed = None if words is None else [line.strip() for _, line in lines(words) if line.strip()]
    with shown():
        loaded, report = api.expand(
            api.Model.load(model),
            Vectors.open(vectors),
            listed,
            how="orthogonal" if orthogonal else "least-squares",
            ridge=ridge,
            replace=replace,
            embedder=embedder,
        )
        loaded.save(out)
    for one in report.fits:
        held = f"{one.held_out:,} held out of {one.shared:,} shared words"
        figures = (
            f"{one.explained:.1f} % of variance explained, cosine {one.cosine:.3f}, nearest {one.first:.1f} %"
        )
        show(f"{one.embedder}: {figures} ({held})")
    say(f"{out}: {report.added:,} words added, {report.missing:,} have no vector and stay unknown")


def compress(
    model: ModelFolder,
    out: Out,
    density: Annotated[float, typer.Option(help="The share of the table's numbers that is kept.")] = 0.5,
    blocks: Annotated[int, typer.Option(min=2, help="How many lengths vectors have.")] = 10,
    embedder: Annotated[str | None, typer.Option(help="Whose word table, where there are several.")] = None,
) -> None:
    """Make a model's word table sparse, without its data: long vectors for frequent words alone."""
    from seqloom import api
    from seqloom.deploy import compress as compression
    from seqloom.model.folder import vacant

    vacant(out)
    with shown():
        found = compression.compress(api.Model.load(model)._assembly, density, blocks, embedder)
        api.Model(found.model).save(out)
    kept = f"{found.before:,} numbers before, {found.after:,} after, {found.kept:.1f} % of their squares"
    say(f"{out}: {found.embedder}: {kept}; see what it costs with `seqloom evaluate {out}`")


COMMANDS = (encode, extract, concat, expand, compress)
