"""Files that other programs saved with torch; nothing that such a file holds is run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqloom.errors import ModelError


class Foreign(dict[Any, Any]):
    """What stands for an object of any class that is not ours: it takes everything and does nothing."""

    def __init__(self, *words: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        pass


def read(file: Path, others: bool = False) -> object:
    """What torch saved in a file: tensors and plain values alone, or objects of `others` too, which stay empty.

    Raises:
        ModelError: no such file, a damaged one, or one that holds more; nothing of it was run.
    """
    empty: list[str] = []
    while True:
        try:
            with torch.serialization.safe_globals([(Foreign, name) for name in empty]):
                return torch.load(file, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise ModelError("no such file", file) from None
        except Exception as fault:  # of a damaged file, torch raises errors of all kinds
            code = re.search(r"GLOBAL (\S+)", str(fault))
            # Torch tells the names of Python's own functions and classes without where they are.
            name = (code[1] if "." in code[1] else f"builtins.{code[1]}") if code else ""
            if not (others and name and name not in empty):
                raise ModelError(_refused(fault, name), file) from None
            empty.append(name)


def weights(table: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of a table by name, in float32.

    Raises:
        ModelError: one is empty, no plain array of real numbers, or holds a number that is not finite.
    """
    found = {str(name): one for name, one in table.items() if isinstance(one, Tensor)}
    for name, one in found.items():
        if one.layout != torch.strided or one.is_complex() or one.is_quantized or not one.numel():
            raise ModelError(f"the weight {name} is no plain array of numbers, or has none")
        if not one.isfinite().all():
            raise ModelError(f"the weight {name} holds a number that is infinite or NaN")
    return {name: one.float() for name, one in found.items()}


def _refused(fault: Exception, name: str) -> str:
    if name:
        what = f"holds more than tensors and plain values: {name}, which could be code and is not run"
    else:
        what = f"is not a whole file of torch.save ({type(fault).__name__})"
    return f"{what}; get another copy of it"
