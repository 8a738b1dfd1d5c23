"""Progress in a terminal: bars, notices and results; plain lines where nobody watches (a log, a pipe)."""

import atexit
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from seqloom.progress import Bar
from seqloom.training.report import SHOWN_EVERY, rounded

NAMED = 12
REDRAWS = 2


class RichDisplay:
    """A `progress.Display` on standard error, and a `report.Writer` that prints the results of evaluations.

    Without a terminal it prints one plain line for each bar every `seconds`, and no control characters.
    """

    def __init__(self, console: Console | None = None, seconds: float = 15.0) -> None:
        self._console = console or Console(stderr=True)
        self._seconds = seconds
        self._bars = _bars(self._console)
        if self._console.is_interactive:
            # An error that leaves a bar open must not leave the terminal without its cursor.
            atexit.register(self._bars.stop)

    @contextmanager
    def bar(self, what: str, total: float | None) -> Iterator[Bar]:
        """A bar that vanishes when the context closes."""
        if not self._console.is_interactive:
            yield _Lines(self._say, what, total, self._seconds)
            return
        self._bars.start()
        running = _Moving(self._bars, what, total)
        try:
            yield running
        finally:
            self._bars.remove_task(running.task)
            self._bars.refresh()
            if not self._bars.tasks:
                self._bars.stop()

    def notice(self, text: str) -> None:
        """Print a notice above the bars."""
        self._say(text, "yellow")

    def write(self, event: Mapping[str, Any]) -> None:
        """Print what an evaluation found, or how the run ended."""
        if event["event"] == "evaluate":
            best = " (best)" if event["best"] else ""
            self._say(f"{event['split']} at step {event['step']:,}{best}", "bold green" if best else "bold")
            for line in results(event["figures"]):
                self._say(line)
        elif event["event"] == "end":
            self._say(f"end at step {event['step']:,}: {event['reason']}, {_clock(event['elapsed'])}", "bold")

    def close(self) -> None:
        """Nothing is held open."""

    def _say(self, text: str, style: str = "") -> None:
        if self._console.is_interactive:
            self._console.print(Text(text, style), soft_wrap=True)
        else:
            self._console.file.write(text + "\n")
            self._console.file.flush()


def results(figures: Mapping[str, Mapping[str, float | None]], named: int = NAMED) -> list[str]:
    """One line a task with its figures, for the first `named` tasks; the last line counts the others."""
    width = max(map(len, list(figures)[:named]), default=0)
    lines = [
        f"  {task:{width}}  " + "  ".join(f"{name} {rounded(value)}" for name, value in of.items())
        for task, of in list(figures.items())[:named]
    ]
    return lines + ([f"  and {len(figures) - named} more tasks"] if len(figures) > named else [])


class _Moving:
    def __init__(self, bars: Progress, what: str, total: float | None) -> None:
        self.task = bars.add_task(what, total=total, note="")
        self._bars = bars
        self._total, self._done = total, 0.0
        self._note = ""
        self._moved = 0.0

    def advance(self, amount: float = 1, *, note: str = "") -> None:
        self._done += amount
        self._note = note or self._note
        now = time.monotonic()
        if now - self._moved >= SHOWN_EVERY:
            total = _reached(self._done, self._total)
            self._bars.update(self.task, completed=self._done, total=total, note=self._note)
            self._moved = now


class _Lines:
    def __init__(self, say: Callable[[str], None], what: str, total: float | None, seconds: float) -> None:
        self._say, self._what, self._total, self._seconds = say, what, total, seconds
        self._began = self._said = time.monotonic()
        self._done = 0.0
        self._first: float | None = None
        self._note = ""

    def advance(self, amount: float = 1, *, note: str = "") -> None:
        self._done += amount
        self._total = _reached(self._done, self._total)
        self._first = self._done if self._first is None else self._first
        self._note = note or self._note
        now = time.monotonic()
        if now - self._said >= self._seconds:
            self._said = now
            left = self._left(now - self._began)
            self._say(
                "  ".join(filter(None, [f"{self._what} {_of(self._done, self._total)}", left, self._note]))
            )

    def _left(self, elapsed: float) -> str:
        done = self._done - (self._first or 0.0)
        left = (self._total or 0.0) - self._done
        return f"{_clock(left * elapsed / done)} left" if left > 0 and done else ""


def _reached(done: float, total: float | None) -> float | None:
    """The total, which may be an expectation, such as of the steps of some epochs: never less than what is done."""
    return None if total is None else max(done, total)


def _bars(console: Console) -> Progress:
    note = TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, ratio=1))
    columns = [TextColumn("{task.description}", markup=False), BarColumn(20), _Count(), TimeRemainingColumn()]
    return Progress(*columns, note, console=console, refresh_per_second=REDRAWS, transient=True, expand=True)


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_of(task.completed, task.total), "progress.download")


def _of(done: float, total: float | None) -> str:
    return f"{done:,.0f}" if total is None else f"{done:,.0f}/{total:,.0f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
