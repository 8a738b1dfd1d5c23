"""How a process that is wholly ours computes: the command line, and those that work for it."""

import ctypes
import os
import signal
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD = (-3, 32 * 2**20), (-1, 256 * 2**20)
"""Settings of GNU's allocator, by their numbers in malloc.h: bytes from which a piece of memory goes back to the system
as soon as it is freed (what the allocator itself would come to at most), and free bytes from which the rest does."""

CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
"""By what a user sets these; that stands."""


def settle() -> None:
    """Compute on one thread, by which small recurrent models are fastest, and keep freed memory for the next step.

    Each step takes the same pieces anew. Where they have been given back, each 4 KiB costs a fault of a page: a fifth
    of the time of a language model. Other allocators than GNU's are left as they are.
    """
    import torch

    torch.set_num_threads(1)
    if sys.platform != "linux" or any(name in os.environ for name in CHOSEN):
        return
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(*MMAP_THRESHOLD)
        adjust(*TRIM_THRESHOLD)


def serve() -> None:
    """Settle as a process that works for another: Ctrl-C ends it at once, as it might outlive that other."""
    settle()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
