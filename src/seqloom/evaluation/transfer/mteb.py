"""An encoder as MTEB, the benchmark of text embeddings, takes one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from seqloom.errors import ConfigError
from seqloom.evaluation.transfer.vectors import Encode


class MtebEncoder:
    """A model for `mteb.evaluate`, made of any encoder of texts: `MtebEncoder(model.encode, "my/model")`.

    Args:
        encode: texts → vectors (texts, size).
        name: the model's, OWNER/MODEL, in MTEB's results.
        revision: which state of it, such as a digest of its weights.
    """

    def __init__(self, encode: Encode, name: str = "seqloom/encoder", revision: str | None = None) -> None:
        self._encode, self.name, self.revision = encode, name, revision

    def encode(self, inputs: Iterable[Any], **settings: Any) -> np.ndarray:
        """Vectors (texts, size) of batches {"text": [...]}, as MTEB 2 gives them, or of texts, as MTEB 1 does.

        What MTEB tells of the task, and its prompts, change nothing.
        """
        texts = list(_texts(inputs))
        return np.asarray(self._encode([text if text.strip() else "." for text in texts]))

    def similarity(self, first: Any, second: Any) -> np.ndarray:
        """The cosine of every row of `first` with every row of `second`: (rows, rows)."""
        found: np.ndarray = _unit(first) @ _unit(second).T
        return found

    def similarity_pairwise(self, first: Any, second: Any) -> np.ndarray:
        """The cosine of each row of `first` with the same row of `second`: (rows,)."""
        found: np.ndarray = (_unit(first) * _unit(second)).sum(1)
        return found

    @property
    def mteb_model_meta(self) -> Any:
        """What MTEB notes of the model; raises a ConfigError where MTEB is not installed."""
        try:
            from mteb.models.model_meta import ModelMeta
        except ImportError:
            raise ConfigError("MTEB is not installed: pip install mteb") from None
        return ModelMeta.create_empty({"name": self.name, "revision": self.revision or "unknown"})


def _texts(inputs: Iterable[Any]) -> Iterator[str]:
    for one in inputs:
        if isinstance(one, Mapping):
            some: Sequence[str] | str = one["text"]
            yield from [some] if isinstance(some, str) else some
        else:
            yield one


def _unit(vectors: Any) -> np.ndarray:
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return found
