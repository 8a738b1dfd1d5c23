"""Sentence and token vectors from a model's encoders."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from seqloom.data.batch import Batch, Encoded
from seqloom.data.columns import build
from seqloom.data.fields import TextField
from seqloom.data.schedule import in_order
from seqloom.encoders import Encoder
from seqloom.errors import ModelError
from seqloom.files import lines, replacing
from seqloom.model.folder import Assembly
from seqloom.nn.pooling import pool as pooled
from seqloom.progress import track

Pool = Literal["last", "mean", "max"]
CHUNK = 4096
"""Lines held at a time."""


def route(model: Assembly, encoder: str | None) -> str:
    """The task whose route is used: the one named, or the first that goes through the named (or only) encoder.

    Raises:
        ModelError: several encoders and none named, or a name that is neither an encoder nor a task.
    """
    routes = model.plan.routes
    encoders = sorted({one for _, one in routes.values()})
    if encoder is None:
        if len(encoders) > 1:
            raise ModelError(f"has several encoders; name one with encoder (--encoder): {', '.join(encoders)}")
        encoder = encoders[0]
    if encoder in routes:
        return encoder
    found = next((task for task, (_, one) in routes.items() if one == encoder), None)
    if found is None:
        raise ModelError(f'has no encoder "{encoder}"; its encoders: {", ".join(encoders)}')
    return found


def encode(
    model: Assembly,
    texts: Iterable[Sequence[str]],
    *,
    pool: Pool = "mean",
    tokens: bool = False,
    batch: int = 64,
    encoder: str | None = None,
) -> np.ndarray | list[np.ndarray]:
    """Vectors of tokenised texts: (texts, size), or with `tokens` a list of (time, size) arrays.

    Args:
        model: whose encoder.
        texts: lists of tokens.
        pool: how a sentence's states become one vector; `last` is [forward at its end; backward at its start].
        tokens: whether to give each token's state instead.
        batch: texts at a time.
        encoder: its name, where there are several; a task's name takes that task's embedder with it.
    """
    task = route(model, encoder)
    name = model.tasks[task].texts[0]
    field = model.tasks[task].fields[name]
    assert isinstance(field, TextField)
    cut = model.tasks[task].reader.cut
    columns = build((cut({name: list(text)}) for text in texts), {name: field}, path="input")
    if not len(columns):
        return [] if tokens else np.zeros((0, _size(model, task)), np.float32)
    tables = field.tables(columns[name], model.tasks[task].vocabularies(model.vocabularies))
    found: list[np.ndarray] = [np.empty(0)] * len(columns)
    model.network.eval()
    with torch.inference_mode():
        for rows in in_order(columns.lengths([name]), batch):
            text = field.collate(columns[name], tables, rows)
            encoded = model.network.encode(Batch(task, {name: text}, rows.tolist()), name)
            for row, vector in zip(rows.tolist(), _vectors(encoded, pool, tokens), strict=True):
                found[row] = vector
    return found if tokens else np.stack(found)


def _size(model: Assembly, task: str) -> int:
    encoder = model.network.encoders[model.plan.routes[task][1]]
    assert isinstance(encoder, Encoder)
    return encoder.size


def _vectors(encoded: Encoded, pool: Pool, tokens: bool) -> Sequence[np.ndarray]:
    if tokens:
        pairs = zip(encoded.states, encoded.lengths.tolist(), strict=True)
        return [states[:length].numpy() for states, length in pairs]
    vectors: np.ndarray = (
        encoded.final if pool == "last" else pooled(encoded.states, encoded.lengths, pool)
    ).numpy()
    return list(vectors)


def encode_file(
    model: Assembly, path: Path, out: Path, *, pool: Pool = "mean", encoder: str | None = None
) -> tuple[int, int]:
    """Write a vector for each line of a text file as a numpy array (lines, size); an empty line gets zeros.

    A line is one text, also where the encoder's task reads several at a time, such as premise and hypothesis.

    The array is filled through a memory map, so memory does not grow with the file. Returns its shape.
    """
    task = model.tasks[route(model, encoder)]
    size = _size(model, task.name)
    count = sum(1 for _ in lines(path))
    with replacing(out) as partial:
        array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=(count, size))
        numbered = track(lines(path), f"encoding {path}", count)
        while chunk := list(islice(numbered, CHUNK)):
            full = [(number - 1, line) for number, line in chunk if line.strip()]
            texts = [task.reader.tokens(line) for _, line in full]
            if texts:
                array[[place for place, _ in full]] = encode(model, texts, pool=pool, encoder=encoder)
        array.flush()
        del array
    return count, size
