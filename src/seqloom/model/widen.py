"""Words that training never showed but a store of vectors knows: they need no training to be of use."""

from collections.abc import Mapping

from seqloom.data.fields import TextField
from seqloom.data.tokens import Index
from seqloom.data.vectors import Vectors
from seqloom.data.vocabulary import Vocabulary
from seqloom.embedders import inner
from seqloom.embedders.context import Context
from seqloom.embedders.word import Word
from seqloom.model.plan import Plan
from seqloom.model.task import Task


def widened(
    vocabularies: Mapping[str, Vocabulary], plan: Plan, tasks: Mapping[str, Task], stores: Mapping[str, Vectors]
) -> dict[str, Vocabulary]:
    """The vocabularies, those of frozen word tables widened by the words of dev and test that their stores know.

    A vocabulary that a trainable table reads too stays as it is: there an untrained row is worse than `<unk>`.
    """
    found = dict(vocabularies)
    for name, store in _frozen(plan, stores).items():
        fresh = {
            form: None for task in tasks.values() for form in _forms(task, name) if form not in found[name]
        }
        match = store.match(fresh)
        known = [word for word, place in zip(fresh, match.found, strict=True) if place]
        found[name] = Vocabulary([*found[name], *sorted(known)], found[name].written)
    return found


def _frozen(plan: Plan, stores: Mapping[str, Vectors]) -> dict[str, Vectors]:
    """By vocabulary, the store of the frozen tables that read it, where no other table does."""
    readers: dict[str, list[Vectors | None]] = {}
    for name, table in plan.embedders.items():
        if isinstance(table, Word.Config):
            store = stores[table.vectors] if table.frozen and table.vectors else None
            readers.setdefault(table.vocabulary, []).append(store)
        elif isinstance(table, Context.Config) and (replaced := Context.replaced(table)) is not None:
            readers[inner(name) + replaced] = [stores[str(table.vectors)]]
    return {name: stores[0] for name, stores in readers.items() if stores[0] is not None and None not in stores}


def _forms(task: Task, vocabulary: str) -> list[str]:
    indexes = [
        (key, index)
        for key, field in task.stored.items()
        if isinstance(field, TextField)
        for index in field.indexes
        if index.vocabulary == vocabulary
    ]
    return sorted({form for split in ("dev", "test") for form in _split_forms(task, split, indexes)})


def _split_forms(task: Task, split: str, indexes: list[tuple[str, Index]]) -> set[str]:
    columns = task.read(split) if indexes else None
    if columns is None:
        return set()
    return {
        symbol for key, index in indexes for form in columns[key].forms for symbol in index.view.symbols(form)
    }
