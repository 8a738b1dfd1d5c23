"""Predictions as text: lines in, labels out, in pieces so that no input is too long."""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from seqloom.data.columns import PLACE
from seqloom.data.vocabulary import Vocabularies
from seqloom.errors import DataError
from seqloom.evaluation import evaluate
from seqloom.files import lines, numbered
from seqloom.model.folder import Assembly
from seqloom.model.task import Batcher, Task
from seqloom.readers import Example

CHUNK = 2048
"""Examples held at a time."""


def predicted(model: Assembly, task: Task, examples: Sequence[Example], *, explain: bool = False) -> list[Any]:
    """One prediction for each example, in the reader's own terms; or, with `explain`, a dict of what lies behind it."""
    if not examples:
        return []
    rows = [task.reader.windows(one) for one in examples]
    cut = [task.reader.cut(one) for row in rows for _, one in row]
    vocabularies: Vocabularies = model.vocabularies
    gold = explain and task.head.judges
    batcher = Batcher(task, task.from_examples(cut), vocabularies, gold=gold)
    found = [] if explain and len(cut) == len(rows) else evaluate.predict(model.network, batcher)
    best = _best(task, rows, found)
    if not explain:
        firsts = [first for row in rows for first, _ in row]
        return [task.head.moved(found[place], firsts[place]) for place in best]
    told = evaluate.explain(model.network, batcher)
    return [{**{name: cut[place][name] for name in task.texts}, **told[place]} for place in best]


def _best(task: Task, rows: Sequence[Sequence[Any]], found: Sequence[Any]) -> Iterator[int]:
    """Of what was found for the windows of each row, one after another, the place of the one that is chosen."""
    start = 0
    for row in rows:
        yield start + (task.head.chosen(found[start : start + len(row)]) if len(row) > 1 else 0)
        start += len(row)


def written(
    model: Assembly,
    task: Task,
    source: Path | None,
    *,
    as_data: bool = False,
    as_json: bool = False,
    explain: bool = False,
) -> Iterator[str]:
    """The predictions for a file, or for standard input, as text; for a line without text there is none.

    Args:
        model: whose task it is.
        task: what to predict.
        source: lines of text, or None for standard input.
        as_data: the file has the form of the task's training files rather than lines of text.
        as_json: one JSON object an example: its texts and the prediction.
        explain: one JSON object an example: its texts and what lies behind the prediction.

    Raises:
        DataError: a line that cannot be read, by file and line.
    """
    where = str(source or "standard input")
    examples: Iterator[Example | None]
    examples = task.reader.read(where) if as_data and source else _parsed(task, source, where)
    rows = _rows(task, (one and {**one, PLACE: (where, one["line"])} for one in examples))
    while chunk := list(islice(rows, CHUNK)):
        full = [one for row in chunk for one in row if one is not None]
        found = iter(predicted(model, task, full, explain=explain))
        for row in chunk:
            told = [None if one is None else next(found) for one in row]
            if explain:
                yield from (json.dumps(one, ensure_ascii=False) + "\n" for one in told)
            else:
                chosen = task.head.chosen(told) if len(told) > 1 else 0
                yield _line(task, row[chosen], told[chosen], as_json)


def _rows(task: Task, examples: Iterator[Example | None]) -> Iterator[list[Example | None]]:
    """The examples, windows of one row of data together."""

    def key(numbered: tuple[int, Example | None]) -> object:
        number, example = numbered
        row = task.head.row(example) if example else None
        return number if row is None else row

    for _, group in groupby(enumerate(examples), key):
        yield [example for _, example in group]


def _parsed(task: Task, source: Path | None, where: str) -> Iterator[Example | None]:
    """Examples line by line, None for a line without text, so that line by line goes out too.

    What continues a text begins from nothing there.
    """
    for number, line in lines(source) if source else numbered(sys.stdin.buffer, where):
        try:
            said = line.strip() or task.head.continues
            yield {**task.reader.parse(line), "line": number} if said else None
        except DataError as fault:
            raise DataError(fault.what, where, number) from None


def _line(task: Task, example: Example | None, one: Any, as_json: bool) -> str:
    if as_json:
        texts = {name: example[name] if example else [] for name in task.texts}
        return json.dumps({**texts, "prediction": one}, ensure_ascii=False) + "\n"
    if not example:
        return "\n"
    if task.turned:
        # What came before stands before.
        example, one = {**example, "text": one}, example["text"]
    return task.head.written(example, one)
