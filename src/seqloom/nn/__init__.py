"""Layers: tensors in, tensors out; no configuration, no vocabulary, no file. Worth importing alone."""

from seqloom.nn.biattention import BCN, biattend
from seqloom.nn.characters import CharacterCNN, Highway
from seqloom.nn.coattention import Coattention
from seqloom.nn.crf import LinearChainCRF, allowed_transitions
from seqloom.nn.dropout import EmbeddingDropout, LockedDropout, WordDropout
from seqloom.nn.maxout import Maxout, MaxoutNetwork
from seqloom.nn.meta import DynamicMetaEmbedding
from seqloom.nn.perceptron import MLP
from seqloom.nn.pointing import DynamicPointer, HighwayMaxout, Pointing, best_spans
from seqloom.nn.pooling import AttentivePooling, Poolings, pool
from seqloom.nn.recurrent import Recurrence, Recurrent, RecurrentLayer
from seqloom.nn.sparse import SparseLSTM
from seqloom.nn.sparse_embedding import SparseEmbedding
from seqloom.nn.unrolling import unroll

__all__ = [
    "BCN",
    "MLP",
    "AttentivePooling",
    "CharacterCNN",
    "Coattention",
    "DynamicMetaEmbedding",
    "DynamicPointer",
    "EmbeddingDropout",
    "Highway",
    "HighwayMaxout",
    "LinearChainCRF",
    "LockedDropout",
    "Maxout",
    "MaxoutNetwork",
    "Pointing",
    "Poolings",
    "Recurrence",
    "Recurrent",
    "RecurrentLayer",
    "SparseEmbedding",
    "SparseLSTM",
    "WordDropout",
    "allowed_transitions",
    "best_spans",
    "biattend",
    "pool",
    "unroll",
]
