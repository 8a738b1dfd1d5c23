"""Ctrl-C and termination as a wish to stop, heard between steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """The run was asked to stop and has saved its state."""


class Wish:
    """Whether someone asked to stop; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear SIGINT and SIGTERM while the context is open."""
        before: dict[int, Any] = {}
        try:
            for one in (signal.SIGINT, signal.SIGTERM):
                before[one] = signal.signal(one, self._hear)
        except ValueError:
            # Only the main thread may listen; elsewhere an interrupt ends the run at its last save.
            pass
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
