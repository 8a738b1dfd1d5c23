"""What goes wrong because of a user's input: where it is, what was found, what would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class SeqloomError(Exception):
    """The base of every error that a user's input can cause."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a configuration: its place (file:line), its path in the tables, and what is wrong."""

    where: str
    path: str
    what: str

    def __str__(self) -> str:
        return "  ".join(part for part in (self.where, self.path, self.what) if part)


class ConfigError(SeqloomError):
    """One or more mistakes in a configuration, all told at once."""

    def __init__(self, faults: str | Sequence[Fault]) -> None:
        self.faults = [Fault("", "", faults)] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(map(str, self.faults)))


class DataError(SeqloomError):
    """A data file that cannot be read as what it is said to be."""

    def __init__(self, what: str, path: str | Path | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        self.what, self.line = what, line
        super().__init__(where + what)


class ModelError(SeqloomError):
    """A model or run folder that is missing, damaged, foreign, or does not fit the question."""

    def __init__(self, what: str, path: str | Path | None = None) -> None:
        super().__init__(f"{path}: {what}" if path is not None else what)


class TrainingError(SeqloomError):
    """A training run that cannot go on, such as one whose loss is no longer a number."""
