"""Layers: tensors in, tensors out; no configuration, no vocabulary, no file. Worth importing alone."""

from seqloom.nn.characters import CharacterCNN, Highway
from seqloom.nn.crf import LinearChainCRF, allowed_transitions
from seqloom.nn.dropout import EmbeddingDropout, LockedDropout, WordDropout
from seqloom.nn.perceptron import MLP
from seqloom.nn.pooling import AttentivePooling, pool
from seqloom.nn.recurrent import Recurrence, Recurrent, RecurrentLayer
from seqloom.nn.unrolling import unroll

__all__ = [
    "MLP",
    "AttentivePooling",
    "CharacterCNN",
    "EmbeddingDropout",
    "Highway",
    "LinearChainCRF",
    "LockedDropout",
    "Recurrence",
    "Recurrent",
    "RecurrentLayer",
    "WordDropout",
    "allowed_transitions",
    "pool",
    "unroll",
]
