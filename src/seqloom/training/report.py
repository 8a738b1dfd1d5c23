"""What a run tells while it trains: events kept in its folder, writers that follow them, a bar that moves.

`events.jsonl` holds one JSON object a line, each with `event`, `step`, `time` (seconds since 1970) and
`elapsed` (seconds of training, resumed parts added up); a number that is not finite is written as null.
"""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from seqloom import progress
from seqloom.errors import DataError, ModelError

EVENTS = "events.jsonl"
SHOWN_EVERY = 0.1
NAMED = 3

Event = dict[str, Any]
Figures = Mapping[str, Mapping[str, float]]


class Writer(Protocol):
    """One that follows a run's events: a tracker, or a display of results."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Take one event, as `events` would read it back."""

    def close(self) -> None:
        """The run has ended; an event may still follow, such as the figures on the test set."""


def events(folder: str | Path) -> list[Event]:
    """The events of a run, in order; a last line without its end was torn by a kill and is left out.

    Raises:
        ModelError: the folder holds no run.
        DataError: a line is not an event; it names file and line.
    """
    path = Path(folder) / EVENTS
    if not path.is_file():
        raise ModelError(
            f"holds no run (there is no {EVENTS} in it); name a folder that was trained in", folder
        )
    whole = path.read_bytes().split(b"\n")[:-1]
    return [_event(line, path, number) for number, line in enumerate(whole, 1)]


def _event(line: bytes, path: Path, number: int) -> Event:
    try:
        event = json.loads(line)
    except ValueError as fault:
        raise DataError(f"not JSON ({fault}); delete the line to go on without it", path, number) from None
    if not isinstance(event, dict) or not {"event", "step"} <= event.keys():
        found = line.decode(errors="replace")[:60]
        raise DataError(f'an event has the keys "event" and "step", found {found}', path, number)
    return event


def rounded(value: float | None) -> str:
    """A figure as people read it: two decimals, or four where it is below one, or 1.23e+09."""
    if value is None or not math.isfinite(value):
        return "nan"
    if abs(value) >= 1e9:
        return f"{value:.2e}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


def measured(mean: float, spread: float, count: int) -> str:
    """A figure over so many seeds, `83.12 ± 0.41`, or the figure alone where there is one."""
    if count < 2 or not math.isfinite(mean):
        return rounded(mean)
    return f"{rounded(mean)} ± {spread:.{len(rounded(mean).partition('.')[2])}f}"


def short(value: float) -> str:
    """A large number as people say it: 950, 12.3k, 4.1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f}".removesuffix(".0") + letter
    return f"{value:.0f}"


@dataclass(slots=True)
class _Sums:
    loss: float = 0.0
    steps: int = 0
    count: int = 0
    tokens: int = 0
    sentences: int = 0

    @property
    def mean(self) -> float:
        return self.loss / max(self.count, 1)

    def event(self) -> Event:
        sizes = {"steps": self.steps, "count": self.count, "tokens": self.tokens, "sentences": self.sentences}
        return {"loss": self.mean, **sizes}


class _Window:
    """The sums of the steps since the last `train` event."""

    def __init__(self) -> None:
        self.tasks: dict[str, _Sums] = {}
        self.rate = 0.0
        self.began = self.last = time.perf_counter()

    def add(self, task: str, loss: float, count: int, tokens: int, sentences: int) -> None:
        sums = self.tasks.get(task) or self.tasks.setdefault(task, _Sums())
        sums.loss += loss * count
        sums.steps += 1
        sums.count += count
        sums.tokens += tokens
        sums.sentences += sentences
        self.last = time.perf_counter()

    def losses(self) -> dict[str, float]:
        return {task: sums.mean for task, sums in self.tasks.items()}

    def speed(self) -> float:
        """Tokens a second of training: the clock starts after an evaluation and stops with the last step."""
        return sum(sums.tokens for sums in self.tasks.values()) / max(self.last - self.began, 1e-9)

    def event(self) -> Event:
        tasks = {task: sums.event() for task, sums in self.tasks.items()}
        return {"rate": self.rate, "tokens_per_second": round(self.speed(), 1), "tasks": tasks}


class _File:
    """The file of events, closed between two lines; None keeps nothing."""

    def __init__(self, folder: Path | None, at: int | None) -> None:
        self.path = None if folder is None else folder / EVENTS
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            os.truncate(self.path, _kept(self.path, at or 0))

    def append(self, event: Event, *, sync: bool = False) -> None:
        if self.path is None:
            return
        with self.path.open("ab") as file:
            file.write(json.dumps(event, allow_nan=False).encode() + b"\n")
            if sync:
                file.flush()
                os.fsync(file.fileno())

    @property
    def offset(self) -> int:
        return 0 if self.path is None else self.path.stat().st_size


def _kept(path: Path, at: int) -> int:
    kept = path.read_bytes()[:at].rfind(b"\n") + 1
    if kept < at:
        progress.notice(f"{path}: cut short since the run was saved; its curves will have a gap")
    return kept


class _Live:
    """The bar of a run, and the words at its end: speed, losses, the last scores."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._bar: progress.Bar | None = None
        self._at = 0
        self._seen = 0.0
        self._speed = 0.0
        self._losses: dict[str, float] = {}
        self._scores = ""

    def start(self, steps: int | None, resumed: int) -> None:
        self._bar = self._open.enter_context(progress.bar("training", steps))
        self._bar.advance(resumed)
        self._at = resumed

    def due(self, now: float) -> bool:
        return now - self._seen >= SHOWN_EVERY

    def show(self, step: int, window: _Window) -> None:
        self._seen = time.perf_counter()
        if self._bar is not None:
            losses = self._losses or window.losses()
            speed = f"{short(self._speed or window.speed())} tokens/s"
            parts = [f"loss {_some(losses)}", self._scores, speed]
            self._bar.advance(step - self._at, note="  ".join(filter(None, parts)))
            self._at = step

    def learn(self, window: _Window) -> None:
        self._speed = window.speed()
        self._losses |= window.losses()

    def score(self, figures: Figures, split: str) -> None:
        self._scores = f"{split} {_some({task: next(iter(of.values()), None) for task, of in figures.items()})}"

    def close(self) -> None:
        self._bar = None
        self._open.close()


def _some(values: Mapping[str, float | None]) -> str:
    named = [f"{task} {rounded(value)}" for task, value in list(values.items())[:NAMED]]
    return " ".join(named) + (f" +{len(values) - NAMED}" if len(values) > NAMED else "")


class Report:
    """What the trainer talks to: it keeps a run's events, hands them to writers, and moves the bar.

    `at` is the `offset` that was saved with the state of the run that is resumed: what was written after
    it is cut off, so that the events equal those of an unbroken run; None starts the file anew. A `train`
    event sums up `every` steps, or those up to an evaluation or a save.
    """

    def __init__(
        self, folder: Path | None, writers: Sequence[Writer] = (), at: int | None = None, every: int = 50
    ) -> None:
        self._file = _File(folder, at)
        self._writers = writers
        self._every = every
        past = events(folder) if folder is not None else []
        self._started = next((event for event in reversed(past) if event["event"] == "start"), {})
        self._spent: float = past[-1].get("elapsed", 0.0) if past else 0.0
        self._began = time.perf_counter()
        self._step = 0
        self._window = _Window()
        self._live = _Live()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    @property
    def offset(self) -> int:
        """The bytes written so far: what `at` takes when the run is resumed."""
        return self._file.offset

    def start(
        self,
        steps: int | None,
        tasks: Mapping[str, Mapping[str, Any]],
        resumed: int,
        parameters: Mapping[str, int] | None = None,
    ) -> None:
        """Begin, at step `resumed`, a run of so many steps over tasks of these sizes (sentences, tokens).

        `parameters` says how many each part of the model has.

        A resumed run that goes on as it was begun adds no second `start` to the file.
        """
        self._step, self._began = resumed, time.perf_counter()
        sized = {"parameters": parameters} if parameters else {}
        event = self._made("start", steps=steps, tasks=tasks, resumed=resumed, **sized)
        known = (self._started.get("steps"), self._started.get("tasks"))
        self._tell(event, keep=known != (event["steps"], event["tasks"]))
        self._live.start(steps, resumed)
        self._window = _Window()

    def step(
        self, step: int, task: str, loss: float, count: int, tokens: int, rate: float, sentences: int = 0
    ) -> None:
        """Add one batch: its loss is the mean over `count` items, `rate` the learning rate."""
        if (step - 1) // self._every != (self._step - 1) // self._every:
            self._flush()
        self._step = step
        window = self._window
        window.add(task, loss, count, tokens, sentences)
        window.rate = rate
        if self._live.due(window.last):
            self._live.show(step, window)

    def evaluate(self, step: int, figures: Figures, best: bool, split: str = "dev") -> None:
        """Tell the figures of every task on one part of the data, and whether they are the best so far."""
        self._flush()
        self._step = step
        self._tell(self._made("evaluate", split=split, best=best, figures=figures))
        self._live.score(figures, split)
        self._live.show(step, self._window)
        self._window = _Window()

    def save(self, step: int, what: str) -> None:
        """Tell what was saved; sums so far are written out, so that `offset` may be saved with them."""
        self._flush()
        self._step = step
        self._tell(self._made("save", what=what), sync=True)
        self._window = _Window()

    def notice(self, text: str) -> None:
        """Tell, and keep, something that the user can act on."""
        self._tell(self._made("notice", text=text))
        progress.notice(text)

    def end(self, step: int, reason: str) -> None:
        """End the run: its `steps` are done, `patience` is out, it was `interrupted` or has `diverged`."""
        self._flush()
        self._step = step
        self._live.show(step, self._window)
        self._tell(self._made("end", reason=reason), sync=True)
        self.close()

    def close(self) -> None:
        """Take the bar away and close the writers; events told afterwards are still kept."""
        self._flush()
        self._live.close()
        for writer in self._writers:
            writer.close()

    def _made(self, event: str, **more: Any) -> Event:
        elapsed = round(self._spent + time.perf_counter() - self._began, 3)
        made = {"event": event, "step": self._step, "time": time.time(), "elapsed": elapsed, **more}
        return {key: _plain(value) for key, value in made.items()}

    def _tell(self, event: Event, *, keep: bool = True, sync: bool = False) -> None:
        if keep:
            self._file.append(event, sync=sync)
        for writer in self._writers:
            writer.write(event)

    def _flush(self) -> None:
        window, self._window = self._window, _Window()
        self._window.began = window.last
        if window.tasks:
            self._live.learn(window)
            self._tell(self._made("train", **window.event()))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
