"""Several processes: every rank knows the step's task and rows, takes its share, and sums gradients with the others.

No wrapper is put around the model. A batch belongs to one task, so most parameters have no gradient in a step; the
ranks exchange those that have one, with the counts, as one flat tensor.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from seqloom.errors import ConfigError

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run.

    Args:
        rank: its number, from 0.
        size: how many there are.
        device: where it trains.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes the run folder."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> tuple[np.ndarray, bool]:
        """Every size-th of a batch's rows, and whether they count.

        A rank that is left without a row takes the first, which then counts for nothing: so all ranks have gradients
        for the same parameters.
        """
        own = rows[self.rank :: self.size]
        return (own, True) if len(own) else (rows[:1], False)

    def join(self, gradients: Sequence[Tensor], sums: Sequence[float]) -> list[float]:
        """Sum gradients, in place, and some numbers over all ranks."""
        if self.size == 1:
            return list(sums)
        numbers = torch.tensor(sums, dtype=torch.float64, device=self.device)
        dist.all_reduce(numbers)
        if gradients:
            flat = torch.cat([one.reshape(-1) for one in gradients])
            dist.all_reduce(flat)
            parts = torch.split(flat, [one.numel() for one in gradients])
            torch._foreach_copy_(
                list(gradients), [part.view_as(one) for part, one in zip(parts, gradients, strict=True)]
            )
        found: list[float] = numbers.tolist()
        return found

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the leading rank do the context's work first, so that the others find its files."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()


@contextmanager
def ranks(device: torch.device) -> Iterator[Ranks]:
    """The ranks that `torchrun` started, joined while the context is open; without it, this process alone.

    Raises:
        ConfigError: more ranks than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(device=device)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"torchrun started more processes than there are GPUs ({torch.cuda.device_count()})"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
