"""In which precision products are taken."""

import torch
from torch import Tensor


def as_multiplied(values: Tensor) -> Tensor:
    """The values in the precision of products under autocast; cast so once, no step of a loop casts them again."""
    device = values.device.type
    return values.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else values
