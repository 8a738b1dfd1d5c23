"""How often symbols were seen in training, and the vocabulary that comes of it."""

from dataclasses import dataclass

from seqloom.data.columns import Column
from seqloom.data.vocabulary import SPECIALS, Order, Vocabulary


@dataclass(frozen=True, slots=True)
class Counted:
    """How often each symbol was seen, and how a vocabulary is made of that.

    Args:
        counts: by symbol.
        minimum: how often a symbol must have been seen.
        most: how many symbols may be listed; None for all.
        specials: what the vocabulary begins with.
        private: whether it belongs to the task (or its `share` group) alone.
        order: how symbols are listed.
    """

    counts: dict[str, int]
    minimum: int = 1
    most: int | None = None
    specials: tuple[str, ...] = SPECIALS
    private: bool = False
    order: Order = "frequency"

    @classmethod
    def labels(cls, column: Column) -> "Counted":
        """The labels of a column, a vocabulary of the task's own without any special symbol."""
        return cls(column.counts(), specials=(), private=True)

    def fit(self) -> Vocabulary:
        """The vocabulary."""
        return Vocabulary.fit(
            self.counts,
            minimum=self.minimum,
            most=self.most,
            specials=self.specials,
            order=self.order,
        )
