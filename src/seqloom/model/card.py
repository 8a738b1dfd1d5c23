"""The model card: the README.md of a model folder, written from its configuration and figures."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn


def card(settings: Mapping[str, Any], figures: Mapping[str, Any], network: nn.Module) -> str:
    """The card as Markdown: what the model does, its figures, its size, how to use it."""
    return "\n".join([*_tasks(settings), *_figures(figures), *_size(network), *_use(settings)]) + "\n"


def _tasks(settings: Mapping[str, Any]) -> Iterator[str]:
    yield "# A seqloom model"
    yield ""
    yield "| task | head | trained on |"
    yield "|---|---|---|"
    for name, task in settings["tasks"].items():
        yield f"| {name} | {task['head']['type']} | `{task['reader'].get('train') or '-'}` |"
    for name, store in settings.get("vectors", {}).items():
        yield f"\nWord vectors `{name}` came from `{store['path']}`."
    for path in dict.fromkeys(_origins(settings)):
        yield f"\nParts came from the model `{path}`; this folder holds them."


def _origins(settings: Any) -> Iterator[str]:
    """The other models that parts came from, in order."""
    if isinstance(settings, Mapping):
        if "inside" in settings:
            yield settings.get("of") or settings["path"]
        settings = list(settings.values())
    if isinstance(settings, list):
        for one in settings:
            yield from _origins(one)


def _figures(figures: Mapping[str, Any]) -> Iterator[str]:
    for split, tasks in figures.items():
        if not isinstance(tasks, Mapping):
            continue
        yield f"\n## Figures on {split}\n"
        for task, values in tasks.items():
            yield f"- {task}: " + ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    yield "\nRates are in percent; `f1` follows conlleval's rules, `f1_strict` counts well-formed spans only."


def parameters(network: nn.Module) -> dict[str, int]:
    """How many parameters each part has, such as `embedders.words` and `encoders.shared`, and `all` together."""
    sizes: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        part = ".".join(name.split(".")[:2])
        sizes[part] = sizes.get(part, 0) + parameter.numel()
    return sizes | {"all": sum(sizes.values())}


def _size(network: nn.Module) -> Iterator[str]:
    yield "\n## Size\n"
    for part, size in parameters(network).items():
        yield f"- {part}: {size:,} parameters"


def _use(settings: Mapping[str, Any]) -> Iterator[str]:
    task = next(iter(settings["tasks"]))
    yield "\n## Use\n"
    yield "```"
    if settings["tasks"][task]["head"]["type"] == "encode":
        yield "seqloom encode FOLDER input.txt -o vectors.npy"
    else:
        yield f"seqloom predict FOLDER --task {task} input.txt"
    yield "```"
