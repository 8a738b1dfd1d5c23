"""Readers: step 1 of the way of the data, from a file to examples. One file, one kind."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from seqloom.config import Count, FilePath, Natural, Part, Table
from seqloom.data.tokens import tokenize
from seqloom.data.vocabulary import Vocabularies

Example = dict[str, Any]
"""A plain dict: token lists, strings and numbers by column, and `line`, the file line that it began at."""


Fraction = Annotated[float, Field(gt=0, lt=1)]
"""A part of the rows: above 0, below 1."""


Files = FilePath | Annotated[list[FilePath], Field(min_length=1)]
"""A file, or several that are read one after another as if they were one."""


SPLITS = ("train", "dev", "test")


class First(Table):
    """The first rows of the file."""

    first: Count


SELECTING = {"train", "dev", "test", "sample", "sample_seed", "longest", "within"}
"""The keys that choose files and rows, and leave what a row holds as it is."""


class ReaderTable(Table):
    """What every reader has: the files of three splits, how much of the training rows to use, and limits on length.

    `train`, `dev`, `test`: a file, or a list of files that are read one after another.
    `longest`: the most tokens that a text may have at all; `within`: training rows with a longer text are left out.
    """

    train: Files | None = None
    dev: Files | None = None
    test: Files | None = None
    sample: Annotated[Count | Fraction | First | Literal["all"], Field(union_mode="left_to_right")] = "all"
    sample_seed: Natural = 0
    longest: Count = 1000
    within: Count | None = None

    def files(self, split: str) -> tuple[str, ...]:
        """The files of a split; none where it has none."""
        named = getattr(self, split)
        return () if named is None else (named,) if isinstance(named, str) else tuple(named)

    def content(self) -> dict[str, Any]:
        """The keys that decide what a file's rows hold: all but the files themselves and the choice of rows.

        Defaults are left out, so that a key that is added later changes nothing for older runs.
        """
        return self.model_dump(exclude=SELECTING, exclude_defaults=True)


class Reader(Part, ABC):
    """Reads one kind of file.

    Args:
        config: its table.
        texts: the columns that the task's head reads as texts; they must come as lists of tokens.
        targets: the columns of texts that it is to produce; they too come as lists of tokens.
    """

    family: ClassVar[str] = "readers"
    learned: str = ""
    """A fingerprint of what it learnt, where it cuts words by that."""

    def __init__(self, config: Any, texts: tuple[str, ...], targets: tuple[str, ...] = ()) -> None:
        self.config, self.texts, self.targets = config, texts, targets

    @classmethod
    @abstractmethod
    def gives(cls, config: Any) -> frozenset[str] | None:
        """The columns of its examples, or None where only the file can tell."""

    def files(self, path: str) -> list[str]:
        """All the files that reading `path` reads, itself first."""
        return [path]

    def variant(self, path: str) -> str:
        """What, beside its content and the reader's table, decides which of a file's rows are read."""
        return ""

    @abstractmethod
    def read(self, path: str) -> Iterator[Example]:
        """The examples of a file; a DataError names file and line of what is wrong."""

    @abstractmethod
    def parse(self, text: str) -> Example:
        """One line of raw text as an example without gold columns, for prediction."""

    @classmethod
    def require(cls, config: Any) -> None:
        """Raise a ConfigError where an extra is absent that learning needs; asked before training begins."""

    def learns(self) -> tuple[str, ...]:
        """The names of what it learns from the training rows."""
        return ()

    def learn(self, words: Mapping[str, Mapping[str, int]], place: str) -> Vocabularies:
        """What it learns from the words of the training rows, counted by column; the model keeps it by these names.

        Messages name the reader's `place` in the configuration.
        """
        return {}

    def recall(self, learned: Vocabularies) -> None:
        """Take what was learnt, to cut by it; a KeyError names what is missing."""

    def cut(self, example: Example) -> Example:
        """An example with its words cut by what was learnt."""
        return example

    def windows(self, example: Example) -> list[tuple[int, Example]]:
        """The example in the pieces that the model learns from, each with the place of its first token in it."""
        return [(0, example)]

    def example(self, texts: Mapping[str, str]) -> Example:
        """Raw texts, by column, as an example for prediction."""
        return {name: self.tokens(text) for name, text in texts.items()}

    def tokens(self, text: str) -> list[str]:
        """One raw text as tokens, whether the head reads one text or several."""
        if len(self.texts) == 1:
            return list(self.parse(text)[self.texts[0]])
        return tokenize(text, getattr(self.config, "tokenizer", "words"))
