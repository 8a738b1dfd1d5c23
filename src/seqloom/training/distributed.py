"""Several processes: every rank knows the step's task and rows, takes its share, and sums gradients with the others.

No wrapper is put around the model. A batch belongs to one task, so most parameters have no gradient in a step; the
ranks exchange those that have one, with the counts, as one flat tensor.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load as unpacked
from safetensors.torch import save as packed
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from seqloom.errors import ConfigError, TrainingError

CPU = torch.device("cpu")
PATIENCE = timedelta(days=1)
"""How long ranks wait for one another: the first reading of a large corpus is long, and the dead are noticed."""


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
        with _together():
            dist.all_reduce(numbers)
        if gradients:
            flat = torch.cat([one.reshape(-1) for one in gradients])
            with _together():
                dist.all_reduce(flat)
            parts = torch.split(flat, [one.numel() for one in gradients])
            torch._foreach_copy_(
                list(gradients), [part.view_as(one) for part, one in zip(parts, gradients, strict=True)]
            )
        found: list[float] = numbers.tolist()
        return found

    def agree(self, number: float) -> float:
        """The leading rank's number: others may have computed it with other roundings, and would decide otherwise."""
        if self.size == 1:
            return number
        told = torch.tensor(number, dtype=torch.float64, device=self.device)
        with _together():
            dist.broadcast(told, 0)
        return float(told)

    def gather(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """The tensors of every rank, in the order of ranks, on the CPU; names and shapes may differ."""
        own = {name: one.detach().cpu().contiguous() for name, one in tensors.items()}
        if self.size == 1:
            return [own]
        # Whatever the ranks hold travels as bytes, as many as the longest needs.
        flat = torch.frombuffer(bytearray(packed(own)), dtype=torch.uint8).to(self.device)
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        with _together():
            dist.all_gather(sizes, torch.tensor([len(flat)], device=self.device))
        padded = flat.new_zeros(max(map(int, sizes)))
        padded[: len(flat)] = flat
        found = [torch.empty_like(padded) for _ in sizes]
        with _together():
            dist.all_gather(found, padded)
        return [
            unpacked(one[: int(size)].cpu().numpy().tobytes()) for one, size in zip(found, sizes, strict=True)
        ]

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            with _together():
                dist.barrier()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the leading rank do the context's work first, so that the others find its files."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()


_runs = count()


@cache
def _store() -> tuple[Store, int]:
    """Where the ranks meet, as torchrun's variables name it, and this process's number; kept for its life."""
    store, rank, _ = next(rendezvous("env://", timeout=PATIENCE))
    return store, rank


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as fault:
        raise TrainingError(f"another process of the run has ended; see what it said ({fault})") from None


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
        started, there = int(os.environ.get("LOCAL_WORLD_SIZE", local + 1)), torch.cuda.device_count()
        if started > there:
            raise ConfigError(f"torchrun started {started} processes for {there} GPUs; lower --nproc-per-node")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    store, rank = _store()
    # A name of its own for every run of the process: the addresses of the run before would be taken for this one's.
    apart = PrefixStore(f"run{next(_runs)}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=apart, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Ranks(rank, size, device)
    finally:
        dist.destroy_process_group()
