"""Sentence and token vectors from a model's encoders."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np

from seqloom.data.batch import Batch, Encoded
from seqloom.data.columns import Column, Columns, build
from seqloom.data.fields import FormTable, TextField
from seqloom.data.schedule import in_order
from seqloom.data.vocabulary import END, SPECIALS, START
from seqloom.encoders import Encoder
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.model.folder import Assembly
from seqloom.model.tables import SECTIONS
from seqloom.nn.pooling import pool as pooled
from seqloom.nn.precision import forget_casts, unlearning
from seqloom.progress import notice

Pool = Literal["last", "mean", "max"]
_Cut = tuple[Columns, Mapping[str, FormTable]]
Raw = str | Sequence[str]
"""A text as it is, which the model's reader cuts, or its tokens."""
ROWS, LARGE, MANY = 256, 2048, 512
"""Texts at a time; where states have `LARGE` numbers or more, weights leave the cache at each step: `MANY`, always."""
TOKENS = 8192
"""The most tokens at a time, padding included, if a text is not longer."""


class Vectorizer(Protocol):
    """What makes vectors of texts: an encoder of a model, or several side by side."""

    @property
    def size(self) -> int:
        """Numbers in a vector."""

    def vectors(self, texts: Sequence[Raw], pool: Pool | None = None, batch: int | None = None) -> np.ndarray:
        """A vector for each text, (texts, size) float32; see `TextEncoder.vectors`."""

    def states(self, texts: Sequence[Raw], batch: int | None = None) -> list[np.ndarray]:
        """A vector for each token of each text, (time, size) float32."""

    def unknown(self, texts: Sequence[Raw]) -> np.ndarray:
        """Whether a text has no word that the model knows, (texts,)."""

    def digest(self) -> str:
        """A fingerprint of all that vectors depend on."""


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


class TextEncoder:
    """One encoder of a model, with the way by which texts come to it.

    Args:
        model: whose encoder.
        encoder: its name, where there are several; a task's name takes that task's embedder with it.

    Raises:
        ModelError: several encoders and none named, or a name that is neither an encoder nor a task.
    """

    def __init__(self, model: Assembly, encoder: str | None = None) -> None:
        self.model, self.task = model, model.tasks[route(model, encoder)]
        self.column = self.task.texts[0]
        field = self.task.fields[self.column]
        assert isinstance(field, TextField)
        # Running text would bring its end symbols along.
        self.field = TextField(field.indexes)
        self.pool: Pool = getattr(self.task.table.head, "pool", "mean") if not self.task.figures else "mean"
        self.known = self.task.vocabularies(model.vocabularies)
        self._last: tuple[Sequence[Raw], _Cut] | None = None

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        encoder = self.model.network.encoders[self.model.plan.routes[self.task.name][1]]
        assert isinstance(encoder, Encoder)
        return encoder.size

    def vectors(self, texts: Sequence[Raw], pool: Pool | None = None, batch: int | None = None) -> np.ndarray:
        """A vector for each text, (texts, size) float32.

        Args:
            texts: raw, cut by the rule of the task's reader, or lists of tokens.
            pool: how a text's states become one vector; `last` is [forward at its end; backward at its start]. None:
                what an encoder that was saved alone says, else `mean`.
            batch: texts at a time, at most; None: as many as suit the encoder's size.

        Raises:
            DataError: a text has no tokens; it is told by its number.
        """
        found = np.zeros((len(texts), self.size), np.float32)
        for rows, encoded in self._encoded(texts, batch):
            found[rows] = _pooled(encoded, pool or self.pool)
        return found

    def states(self, texts: Sequence[Raw], batch: int | None = None) -> list[np.ndarray]:
        """A vector for each token of each text, (time, size) float32."""
        found: list[np.ndarray] = [np.empty(0)] * len(texts)
        for rows, encoded in self._encoded(texts, batch):
            pairs = zip(encoded.states.float().numpy(), encoded.lengths.tolist(), strict=True)
            for row, (states, length) in zip(rows.tolist(), pairs, strict=True):
                found[row] = states[:length].copy()
        return found

    def unknown(self, texts: Sequence[Raw]) -> np.ndarray:
        """Whether a text has no word that any of the model's vocabularies lists, (texts,)."""
        columns, tables = self._read(texts)
        return _unknown(columns[self.column], tables) if len(columns) else np.zeros(0, bool)

    def digest(self) -> str:
        """A fingerprint of the weights and of the way that texts take."""
        settings = self.model.settings
        how = [settings["tasks"][self.task.name], *(settings.get(section) for section in SECTIONS)]
        found = hashlib.sha256(json.dumps(how, default=str).encode())
        for name, one in self.model.network.state_dict().items():
            found.update(name.encode())
            found.update(one.contiguous().numpy().data)
        for index in self.field.indexes:
            found.update("\n".join(self.known[index.vocabulary]).encode())
        return found.hexdigest()

    def _encoded(self, texts: Sequence[Raw], batch: int | None) -> Iterator[tuple[np.ndarray, Encoded]]:
        """Batches of texts of nearly equal lengths: their places and what the encoder makes of them."""
        if batch is not None and batch < 1:
            raise ConfigError(f"batch is at least 1, not {batch}")
        columns, tables = self._read(texts)
        if not len(columns):
            return
        self.model.network.eval()
        forget_casts()
        with unlearning():
            large = self.size >= LARGE
            lengths = columns.lengths([self.column])
            for rows in _batches(lengths, batch or (MANY if large else ROWS), full=large):
                text = self.field.collate(columns[self.column], tables, rows)
                one = Batch(self.task.name, {self.column: text}, rows.tolist())
                yield rows, self.model.network.encode(one, self.column)

    def _read(self, texts: Sequence[Raw]) -> _Cut:
        """The texts in columns, kept while the same list is asked about: for vectors, then for what is unknown."""
        if self._last is None or self._last[0] is not texts:
            self._last = texts, self._cut(texts)
        return self._last[1]

    def _cut(self, texts: Sequence[Raw]) -> _Cut:
        cut, column = self.task.reader.cut, self.column
        examples = (cut({column: self._tokens(one, number)}) for number, one in enumerate(texts, 1))
        columns = build(examples, {column: self.field}, path="input")
        return columns, self.field.tables(columns[column], self.known) if len(columns) else {}

    def _tokens(self, text: Raw, number: int) -> list[str]:
        if not isinstance(text, Iterable):
            raise DataError(f"a text is a string or a list of tokens, found {text!r:.60}", "input", number)
        tokens = self.task.reader.tokens(text) if isinstance(text, str) else list(text)
        if not tokens:
            raise DataError(
                "the text has no tokens; leave it out, or encode a file, where it gets zeros", "input", number
            )
        return tokens


def encode(
    model: Assembly,
    texts: Iterable[Raw],
    *,
    pool: Pool | None = None,
    tokens: bool = False,
    batch: int | None = None,
    encoder: str | None = None,
) -> np.ndarray | list[np.ndarray]:
    """Vectors of texts: (texts, size), or with `tokens` a list of (time, size) arrays; see `TextEncoder`."""
    one, given = TextEncoder(model, encoder), list(texts)
    return encoded(one, given, pool=pool, tokens=tokens, batch=batch)


def encoded(
    one: Vectorizer, texts: Sequence[Raw], *, pool: Pool | None, tokens: bool, batch: int | None
) -> np.ndarray | list[np.ndarray]:
    """What `one` makes of texts; those without a known word are told."""
    found = one.states(texts, batch) if tokens else one.vectors(texts, pool, batch)
    _tell(one.unknown(texts))
    return found


def _batches(lengths: np.ndarray, batch: int, *, full: bool) -> Iterator[np.ndarray]:
    """Rows of nearly equal lengths (rows, 1), within the budget of tokens; one row may exceed it."""
    for rows in in_order(lengths, batch, full=full):
        parts = -(-len(rows) * int(lengths[rows].max()) // TOKENS)
        yield from np.array_split(rows, min(parts, len(rows)))


def _pooled(encoded: Encoded, pool: Pool) -> np.ndarray:
    vectors = encoded.final if pool == "last" else pooled(encoded.states, encoded.lengths, pool)
    found: np.ndarray = vectors.float().numpy()
    return found


def _unknown(column: Column, tables: Mapping[str, FormTable]) -> np.ndarray:
    """Whether a row of a column has no symbol that is listed; the bounds of a text are no words of it."""
    known = np.zeros(len(column.forms), bool)
    for table in tables.values():
        ids = table.ids(np.arange(len(known))[None])[0]
        known |= (ids >= len(SPECIALS)).reshape(len(known), -1).any(1)
    known &= [form not in (START, END) for form in column.forms]
    return ~np.logical_or.reduceat(known[column.values], column.offsets[:-1])


def _tell(unknown: np.ndarray) -> None:
    if unknown.any():
        what = f"{int(unknown.sum()):,} of {len(unknown):,} texts have no word that the model knows"
        first = int(unknown.argmax()) + 1
        notice(f"{what} (the first is text {first}); their vectors tell little; `seqloom expand` adds words")
