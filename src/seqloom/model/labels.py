"""Labels that stand in data and that a model does not list."""

from collections.abc import Iterator

from seqloom.data.columns import Columns
from seqloom.data.vocabulary import Vocabularies
from seqloom.errors import ConfigError
from seqloom.model.task import Task
from seqloom.progress import notice


def tell_unseen(task: Task, columns: Columns, vocabularies: Vocabularies, split: str) -> None:
    """Notice labels that a split has and training never showed: they cannot be predicted and count as wrong."""
    for where, label, _ in _unlisted(task, columns, vocabularies):
        notice(f'{where}: the label "{label}" stands in {split} but never in training; it counts as wrong')


def check_labels(task: Task, columns: Columns, vocabularies: Vocabularies, path: str) -> None:
    """Notice training labels that the model at `path`, which the run begins with, does not list: they teach nothing.

    Raises:
        ConfigError: it lists none of them.
    """
    for where, label, others in _unlisted(task, columns, vocabularies):
        what = f'{where}: the label "{label}" is not among those of {path}'
        remedy = "with training.begin.parts that leave the head out, it would be learnt"
        if not others:
            raise ConfigError(f"{what}, and none of the others is; {remedy}")
        notice(f"{what}, and teaches nothing; {remedy}")


def _unlisted(task: Task, columns: Columns, vocabularies: Vocabularies) -> Iterator[tuple[str, str, bool]]:
    """Labels that are not listed, each with its first place and whether others of its column are."""
    known = task.vocabularies(vocabularies)
    for name, field in task.fields.items():
        vocabulary = known.get(getattr(field, "vocabulary", ""))
        if vocabulary is None or vocabulary.unknown is not None or name not in columns:
            continue
        counts = columns[name].counts()
        for label in (form for form in counts if form not in vocabulary):
            yield _first(columns, name, label), label, any(form in vocabulary for form in counts)


def _first(columns: Columns, name: str, label: str) -> str:
    rows: Iterator[int] = (row for row in columns.numbers.tolist() if label in columns[name].row(row))
    return columns.where(next(rows))
