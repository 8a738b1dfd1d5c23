"""seqloom: small recurrent text models that learn many tasks together, pass on what they learnt, and run anywhere."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqloom.api import Model, concat, expand, load, train
    from seqloom.data.vectors import Vectors

__version__ = "0.1.0"
__all__ = ["Model", "Vectors", "concat", "expand", "load", "nn", "train"]

_HOMES = {
    "Model": "seqloom.api",
    "concat": "seqloom.api",
    "expand": "seqloom.api",
    "load": "seqloom.api",
    "train": "seqloom.api",
    "Vectors": "seqloom.data.vectors",
}


def __getattr__(name: str) -> Any:
    """Find a public name when it is first used, so that `import seqloom` costs nothing."""
    if name == "nn":
        return import_module("seqloom.nn")
    if name not in _HOMES:
        raise AttributeError(f"seqloom has no {name}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
