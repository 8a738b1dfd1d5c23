"""Layers: tensors in, tensors out; no configuration, no vocabulary, no file. Worth importing alone."""

from seqloom.nn.attention import GlobalAttention
from seqloom.nn.awd import AWD, WeightDropLayer
from seqloom.nn.beam import Hypothesis, Search, beam_search
from seqloom.nn.biattention import BCN, biattend
from seqloom.nn.characters import CharacterCNN, Highway
from seqloom.nn.coattention import Coattention
from seqloom.nn.conditional import ConditionalDecoder
from seqloom.nn.crf import LinearChainCRF, allowed_transitions
from seqloom.nn.decoder import AttentionDecoder, DecoderWriter
from seqloom.nn.dropout import EmbeddingDropout, LockedDropout, WordDropout
from seqloom.nn.maxout import Maxout, MaxoutNetwork
from seqloom.nn.meta import DynamicMetaEmbedding
from seqloom.nn.mixing import ScalarMix
from seqloom.nn.mixture import MixtureOfSoftmaxes
from seqloom.nn.perceptron import MLP
from seqloom.nn.pointing import DynamicPointer, HighwayMaxout, Pointing, best_spans
from seqloom.nn.pooling import AttentivePooling, Poolings, pool
from seqloom.nn.qrnn import QRNNLayer
from seqloom.nn.recurrent import Recurrence, Recurrent, RecurrentLayer
from seqloom.nn.sampling import Sampling, sample
from seqloom.nn.sparse import SparseLSTM
from seqloom.nn.sparse_embedding import SparseEmbedding
from seqloom.nn.split import SplitSoftmax
from seqloom.nn.unrolling import unroll

__all__ = [
    "AWD",
    "BCN",
    "MLP",
    "AttentionDecoder",
    "AttentivePooling",
    "CharacterCNN",
    "Coattention",
    "ConditionalDecoder",
    "DecoderWriter",
    "DynamicMetaEmbedding",
    "DynamicPointer",
    "EmbeddingDropout",
    "GlobalAttention",
    "Highway",
    "HighwayMaxout",
    "Hypothesis",
    "LinearChainCRF",
    "LockedDropout",
    "Maxout",
    "MaxoutNetwork",
    "MixtureOfSoftmaxes",
    "Pointing",
    "Poolings",
    "QRNNLayer",
    "Recurrence",
    "Recurrent",
    "RecurrentLayer",
    "Sampling",
    "ScalarMix",
    "Search",
    "SparseEmbedding",
    "SparseLSTM",
    "SplitSoftmax",
    "WeightDropLayer",
    "WordDropout",
    "allowed_transitions",
    "beam_search",
    "best_spans",
    "biattend",
    "pool",
    "sample",
    "unroll",
]
