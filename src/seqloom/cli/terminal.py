"""What the commands have in common: their options, and how they speak."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="A configuration file (YAML).")]
ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder, or a run folder (its best model).")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as training.steps=100."),
]
Adjustments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="How the head is used this time, such as sampling.temperature=0.7."
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="What ${data} stands for [default: $SEQLOOM_DATA, data]."),
]
Precision = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(help="What products are taken in; bfloat16 is fast where the processor has units for it."),
]
TaskName = Annotated[str | None, typer.Option("--task", help="The task, where the model has several.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(text: str) -> None:
    """Print a line for people: to standard error."""
    print(text, file=sys.stderr)  # noqa: T201


def show(text: str) -> None:
    """Print a line of results: to standard output."""
    print(text)  # noqa: T201


@contextmanager
def shown(precision: str = "float32") -> Iterator[Any]:
    """Show progress and notices, and settle how this process computes."""
    import torch

    from seqloom import progress
    from seqloom.processes import settle
    from seqloom.training.display import RichDisplay

    settle()
    display = RichDisplay() if os.environ.get("RANK", "0") == "0" else progress.Silent()
    half = precision == "bfloat16"
    with progress.showing(display), torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
        yield display


def rooted(data: Path | None) -> None:
    """Let `${data}` stand for a folder."""
    from seqloom.files import DATA_VARIABLE

    if data is not None:
        os.environ[DATA_VARIABLE] = str(data)


def dumped(value: Any) -> str:
    """A value as JSON, for standard output."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)
