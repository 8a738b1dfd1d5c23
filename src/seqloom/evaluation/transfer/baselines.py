"""What an encoder must beat: a bag of word vectors, and an encoder that was never trained."""

import hashlib
from collections.abc import Sequence
from itertools import chain
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from seqloom.config import unknown
from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.data.vectors import Vectors
from seqloom.errors import ConfigError
from seqloom.evaluation.transfer.vectors import Encode, Encoder
from seqloom.nn.pooling import pool as pooled

Baseline = Literal["bag", "random"]
HIDDEN, SEED, BATCH = 1024, 1, 64


def baseline(kind: str, vectors: Vectors, tokenizer: Tokenizer = "blanks") -> Encoder:
    """A baseline over word vectors; words are lower-cased, and those without a vector left out.

    `bag` is the mean of a text's word vectors; `random` an LSTM of 1,024 units a direction with the weights it begins
    with, whose states are pooled by their maximum (Wieting and Kiela, "No Training Required: Exploring Random Encoders
    for Sentence Classification", 2019).

    Raises:
        ConfigError: no such baseline.
    """
    if kind not in get_args(Baseline):
        raise ConfigError(unknown("baseline", kind, get_args(Baseline)))
    encode = _bag(vectors, tokenizer) if kind == "bag" else _random(vectors, tokenizer)
    pool = "mean" if kind == "bag" else "max"
    content = hashlib.sha256(" ".join(vectors.words).encode())
    content.update(np.ascontiguousarray(vectors.matrix).data)
    # Torch draws the weights of a random encoder.
    made_by = f"{kind} {torch.__version__}" if kind == "random" else kind
    return Encoder({pool: encode}, f"{made_by} {tokenizer} {content.hexdigest()}", tokenizer)


def _looked_up(texts: Sequence[str], vectors: Vectors, tokenizer: Tokenizer) -> list[np.ndarray]:
    """The vectors of each text's known words (words, size); one row of zeros where none is known."""
    cut = [tokenize(text.lower(), tokenizer) for text in texts]
    known = [word for word in dict.fromkeys(chain.from_iterable(cut)) if word in vectors]
    places = {word: place for place, word in enumerate(known)}
    table = np.concatenate([vectors.rows(known), np.zeros((1, vectors.size), np.float32)])
    return [table[[places[word] for word in words if word in places] or [len(known)]] for words in cut]


def _bag(vectors: Vectors, tokenizer: Tokenizer) -> Encode:
    def encode(texts: Sequence[str]) -> np.ndarray:
        return np.stack([found.mean(0) for found in _looked_up(texts, vectors, tokenizer)])

    return encode


def _random(vectors: Vectors, tokenizer: Tokenizer) -> Encode:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        encoder = nn.LSTM(vectors.size, HIDDEN, bidirectional=True, batch_first=True).eval()

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> np.ndarray:
        words = [torch.from_numpy(found) for found in _looked_up(texts, vectors, tokenizer)]
        # Texts of like length together: little is spent on padding.
        order = sorted(range(len(words)), key=lambda place: len(words[place]))
        found = np.empty((len(words), 2 * HIDDEN), np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            lengths = torch.tensor([len(words[place]) for place in places])
            padded = pad_sequence([words[place] for place in places], batch_first=True)
            packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(encoder(packed)[0], batch_first=True)
            found[places] = pooled(states, lengths, "max").numpy()
        return found

    return encode
