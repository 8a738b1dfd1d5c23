"""How many words of the training texts the models know that embedders come out of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqloom.config import part
from seqloom.data.columns import Columns
from seqloom.data.fields import TextField
from seqloom.data.tokens import Index
from seqloom.data.vocabulary import Vocabularies
from seqloom.embedders import indexes
from seqloom.errors import ConfigError
from seqloom.model.plan import Plan
from seqloom.model.task import Task
from seqloom.progress import notice


def tell_known(
    plan: Plan, tasks: Mapping[str, Task], training: Mapping[str, Columns], brought: Vocabularies
) -> None:
    """Tell how many of the training words each model knows that an embedder comes out of.

    Args:
        plan: the parts.
        tasks: by name.
        training: the training columns of each.
        brought: the vocabularies out of those models, by the names that they have here.

    Raises:
        ConfigError: a model knows nothing of the training texts.
    """
    tables: Mapping[str, Any] = plan.embedders
    for name, table in tables.items():
        kind: Any = part("embedders", table.type)
        if not kind.private:
            continue
        found = [_Known.of(index, brought, tasks, training) for index in indexes(name, table)]
        what = f"embedders.{name}: the model of {table.of} knows "
        if not any(one.known for one in found):
            remedy = "name in `vectors` a store that has them, or take a model that learnt from such texts"
            raise ConfigError(f"{what}{found[0]}; {remedy}")
        for one in found:
            if one.index.view.kind == "word" and one.index.vocabulary in brought:
                notice(f"{what}{one}")


@dataclass(frozen=True)
class _Known:
    """Which symbols of the training texts a vocabulary lacks; one that is fitted to them lacks none.

    `lowered` is how many of these it has in lower case.
    """

    index: Index
    symbols: int
    missing: tuple[str, ...]
    lowered: int

    @classmethod
    def of(
        cls, index: Index, brought: Vocabularies, tasks: Mapping[str, Task], training: Mapping[str, Columns]
    ) -> "_Known":
        columns = [
            training[name][key]
            for name, task in tasks.items()
            for key, field in task.stored.items()
            if isinstance(field, TextField) and index in field.indexes
        ]
        forms = (form for column in columns for form in column.counts())
        symbols = dict.fromkeys(symbol for form in forms for symbol in index.view.symbols(form))
        known = brought.get(index.vocabulary, symbols)
        missing = tuple(one for one in symbols if one not in known)
        return cls(index, len(symbols), missing, sum(one.lower() in known for one in missing))

    @property
    def known(self) -> int:
        return self.symbols - len(self.missing)

    def __str__(self) -> str:
        missing = f"; it lacks {' '.join(self.missing[:8])}" if self.missing else ""
        more = " and others" if len(self.missing) > 8 else ""
        lower = f"; with lower: true it would know {self.lowered:,} more" if self.lowered else ""
        return f"{self.known:,} of the {self.symbols:,} different words in training{missing}{more}{lower}"
