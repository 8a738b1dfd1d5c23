"""In which precision products are taken."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def unlearning() -> AbstractContextManager[None]:
    """The quickest way to compute without gradients.

    Within inference mode autocast keeps no weight that it has cast, so that each product would cast its own again.
    """
    half = any(torch.is_autocast_enabled(one) for one in ("cpu", "cuda"))
    return torch.no_grad() if half else torch.inference_mode()


def products() -> str:
    """The numbers that products are taken in on the CPU: "bfloat16" under autocast, else "float32"."""
    return "bfloat16" if torch.is_autocast_enabled("cpu") else "float32"


def forget_casts() -> None:
    """Let weights that have changed be cast anew: autocast keeps what it cast until its outermost context ends."""
    torch.clear_autocast_cache()


def multiplied(values: Tensor) -> torch.dtype:
    """The precision in which products of these values are taken."""
    device = values.device.type
    known = torch.amp.is_autocast_available(device) and values.dtype != torch.float64
    return torch.get_autocast_dtype(device) if known and torch.is_autocast_enabled(device) else values.dtype


def halved(values: Tensor) -> bool:
    """Whether products of these values are taken in bfloat16 on the CPU."""
    return values.device.type == "cpu" and multiplied(values) == torch.bfloat16


def as_multiplied(values: Tensor) -> Tensor:
    """The values in the precision of products under autocast; cast so once, no step of a loop casts them again."""
    return values.to(multiplied(values))
