"""Predictions as text: lines in, labels out, in pieces so that no input is too long."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from seqloom.data.vocabulary import Vocabularies
from seqloom.evaluation.evaluate import predict
from seqloom.files import lines
from seqloom.model.folder import Assembly
from seqloom.model.task import Batcher, Task
from seqloom.readers import Example

CHUNK = 2048
"""Examples held at a time."""


def predicted(model: Assembly, task: Task, examples: Sequence[Example]) -> list[Any]:
    """One prediction for each example, in the reader's own terms."""
    if not examples:
        return []
    vocabularies: Vocabularies = model.vocabularies
    batcher = Batcher(task, task.from_examples(examples), vocabularies, gold=False)
    return predict(model.network, batcher)


def written(
    model: Assembly, task: Task, source: Path | None, *, as_data: bool = False, as_json: bool = False
) -> Iterator[str]:
    """The predictions for a file, or for standard input, as text.

    Args:
        model: whose task it is.
        task: what to predict.
        source: lines of text, or None for standard input.
        as_data: the file has the form of the task's training files rather than lines of text.
        as_json: one JSON object an example: its texts and the prediction.
    """
    examples = task.reader.read(str(source)) if as_data and source else _parsed(task, source)
    while chunk := list(islice(examples, CHUNK)):
        for example, one in zip(chunk, predicted(model, task, chunk), strict=True):
            yield _json(task, example, one) if as_json else task.head.written(example, one)


def _parsed(task: Task, source: Path | None) -> Iterator[Example]:
    numbered: Iterable[tuple[int, str]] = lines(source) if source else enumerate(map(_chomp, sys.stdin), 1)
    for number, line in numbered:
        if line.strip():
            yield {**task.reader.parse(line), "line": number}


def _chomp(line: str) -> str:
    return line.rstrip("\r\n")


def _json(task: Task, example: Mapping[str, Any], one: Any) -> str:
    texts = {name: example[name] for name in task.texts}
    return json.dumps({**texts, "prediction": one}, ensure_ascii=False) + "\n"
