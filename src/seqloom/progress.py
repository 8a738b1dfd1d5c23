"""Progress and notices: silent in a library, shown by whoever installs a display (the command line does)."""

import logging
from collections.abc import Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Bar(Protocol):
    """One running bar."""

    def advance(self, amount: float = 1, *, note: str = "") -> None:
        """Move on by `amount`; `note` replaces the words at the bar's end."""


class Display(Protocol):
    """Where bars and notices go."""

    def bar(self, what: str, total: float | None) -> AbstractContextManager[Bar]:
        """A bar that stands while the context is open."""

    def notice(self, text: str) -> None:
        """Tell something that the user can act on."""


class _Still:
    def advance(self, amount: float = 1, *, note: str = "") -> None:
        pass


class Silent:
    """The display of a library: no bars, notices to the log `seqloom`."""

    def bar(self, what: str, total: float | None) -> AbstractContextManager[Bar]:
        """A bar that shows nothing."""
        return nullcontext(_Still())

    def notice(self, text: str) -> None:
        """Log a warning."""
        logging.getLogger("seqloom").warning(text)


_display: Display = Silent()


@contextmanager
def showing(display: Display) -> Iterator[None]:
    """Show progress and notices on `display` while the context is open."""
    global _display
    before, _display = _display, display
    try:
        yield
    finally:
        _display = before


def bar(what: str, total: float | None = None) -> AbstractContextManager[Bar]:
    """A bar on the present display."""
    return _display.bar(what, total)


def track(items: Iterable[Item], what: str, total: float | None = None) -> Iterator[Item]:
    """Yield the items, moving a bar on as they are taken."""
    with bar(what, total if total is not None else _length(items)) as running:
        for item in items:
            yield item
            running.advance()


def _length(items: Iterable[Item]) -> float | None:
    return len(items) if isinstance(items, Sized) else None


def notice(text: str) -> None:
    """Tell the user something to act on, on the present display."""
    _display.notice(text)
