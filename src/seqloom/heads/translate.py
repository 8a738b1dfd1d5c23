"""Another text for a text: by a decoder that attends to its states, or that is given its vector."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field as Limits
from pydantic import model_validator
from torch import Tensor, nn

from seqloom.config import Choice, Count, Seed, Share, Table
from seqloom.data.batch import Batch, Encoded, Output, Text
from seqloom.data.fields import Field, TargetField, TextField
from seqloom.data.subwords import copied, join_pieces
from seqloom.data.vectors import Origin, Vectors
from seqloom.data.vocabulary import END, PRODUCED, START, Vocabularies
from seqloom.errors import ConfigError
from seqloom.heads import Head
from seqloom.metrics import bleu, foretold, require_bleu
from seqloom.nn.attention import Memory
from seqloom.nn.beam import Hypothesis, Search, beam_search
from seqloom.nn.conditional import Condition, ConditionalDecoder, ConditionalState
from seqloom.nn.decoder import AttentionDecoder, DecoderState, DecoderWriter
from seqloom.nn.perceptron import begin_uniform
from seqloom.nn.sampling import Sampling, sample
from seqloom.nn.softmaxes import likeliest
from seqloom.nn.unrolling import Cell
from seqloom.progress import notice

ROOM = 10
"""A translation may have so many words more than `ratio` times those of its source."""


ATTENDING = ("attention", "input_feeding", "coverage", "replace_unknown")
"""The keys that are about what is looked at."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where translations of a batch begin: what decoding needs."""

    memory: Memory | Condition
    state: DecoderState | ConditionalState


class Drawn(Table):
    """Words drawn at random: at a `temperature`, of the `top_k` likeliest, of the likeliest with a share `nucleus`."""

    temperature: Annotated[float, Limits(ge=0)] = 1.0
    top_k: Count | None = None
    nucleus: Annotated[float, Limits(gt=0, le=1)] = 1.0
    seed: Seed = 1


class Translate(Head):
    """Translation (Luong et al. 2015; McCann et al. 2017, section 3), or from one vector (Subramanian et al. 2018)."""

    class Config(Table):
        """The decoder, its training and its search.

        `hidden`: units of a layer; `size`: numbers in a target word's vector, by default as many; `vectors`: a store
        that those of its words begin with, to be trained on. `context`: what a decoder gets of the source with each
        word, by `attention` to its states, or the encoder's `final` state; `cell`: of the decoder's layers, `gru` where
        the context is final. `attention`: how states are compared; `input_feeding`: whether what attention gave goes
        into the next word. `bridge`: the decoder's first state, `linear`: learnt from the last of the encoder's top
        layer, or `copy`: the last of its top layers as they are, of as many units; where the context is final, the last
        of the top layer.
        `tied`: target words are scored by their own vectors. `smoothing`: the share of a label given to all words.
        `minimum`, `most`: which target words are listed. `initial`: `uniform` draws all weights from -0.1 to 0.1, as
        CoVe's program does.

        `beam`: hypotheses kept; `length`, `coverage`: normalisation by Wu et al. (2016), equation 14; `limit`: the
        most words of a translation, and `ratio`: how many times those of its source it may have, and 10 more; null: any
        number. `replace_unknown`: by the source word that is most looked at. `sampling`: how words are drawn at random
        in place of a search, `beam` texts for each.
        """

        type: Literal["translate"] = "translate"
        hidden: Count
        size: Count | None = None
        vectors: Annotated[str | None, Choice("vectors", names=("vectors",), inline=False)] = None
        layers: Count = 1
        context: Literal["attention", "final"] = "attention"
        cell: Cell = "lstm"
        attention: Literal["general", "dot", "mlp"] = "general"
        input_feeding: bool = True
        bridge: Literal["linear", "copy"] = "linear"
        dropout: Share = 0.0
        tied: bool = False
        smoothing: Share = 0.0
        minimum: Count = 1
        most: Count | None = None
        beam: Count = 5
        length: Share = 0.0
        coverage: Share = 0.0
        limit: Count = 100
        ratio: Annotated[float, Limits(ge=1)] | None = 2.0
        replace_unknown: bool = False
        initial: Literal["default", "uniform"] = "default"
        sampling: Drawn | None = None

        @model_validator(mode="after")
        def _attending(self) -> "Translate.Config":
            if self.context == "attention" and self.cell == "gru":
                raise ValueError("cell: gru goes with context: final; a decoder with attention has cell: lstm")
            if self.context == "final" and (idle := self.changed(*ATTENDING)):
                what = f"with context: final nothing is looked at, and nothing reads {idle}"
                raise ValueError(f"{what}; leave it out, or take context: attention")
            return self

    adjustable: ClassVar[frozenset[str]] = frozenset(
        {"beam", "length", "coverage", "limit", "ratio", "replace_unknown", "sampling"}
    )
    encodes = ("source",)
    aligned: ClassVar[bool] = True
    measures: ClassVar[bool] = True
    judges: ClassVar[bool] = True
    falling: ClassVar[frozenset[str]] = frozenset({"perplexity"})

    @classmethod
    def copies(cls, config: Any) -> bool:
        """Where its first state is a copy; without attention it has a bridge of its own."""
        return bool(config.bridge == "copy" and config.context == "attention")

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """`source` and `target`."""
        return {"source": TextField(), "target": TargetField(minimum=config.minimum, most=config.most)}

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """BLEU of what beam search finds; perplexity and accuracy of words after the right ones before them."""
        return ("bleu", "perplexity", "accuracy")

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        search = f"beam {config.beam}, length {config.length}, coverage {config.coverage}"
        if config.sampling is not None:
            search = ", ".join(["sampled", *(f"{key} {value}" for key, value in config.sampling)])
        return (
            f"bleu: sacrebleu {require_bleu()} on the data's tokens ({search}); perplexity, accuracy: of each"
            " word and end symbol after the right words"
        )

    @classmethod
    def require(cls) -> None:
        """BLEU is computed by the extra `eval`."""
        require_bleu()

    def __init__(
        self,
        config: Any,
        *,
        size: int,
        vocabularies: Vocabularies,
        shared: nn.Module | None = None,
        vectors: Vectors | Origin | None = None,
        cells: Sequence[int] = (),
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        self.config, self.target = config, vocabularies["target"]
        self.decoder: AttentionDecoder | ConditionalDecoder
        self.bridge: nn.Linear | None = None
        words, common = _word_size(config, vectors), {"dropout": config.dropout, "tied": config.tied}
        sizes = (len(self.target), words, config.hidden, size, config.layers)
        if config.context == "final":
            self.decoder = ConditionalDecoder(*sizes, config.cell, config.bridge, **common)
        else:
            self.decoder = AttentionDecoder(*sizes, config.attention, config.input_feeding, **common)
            self._build_bridge(size, cells)
        if config.initial == "uniform":
            for parameter in self.parameters():
                begin_uniform(parameter)
        if isinstance(vectors, Vectors):
            self._begin_with(vectors)

    def _build_bridge(self, size: int, cells: Sequence[int]) -> None:
        """What makes the first state of a decoder with attention; one without has its own."""
        config = self.config
        if config.bridge == "linear":
            self.bridge = nn.Linear(size, config.layers * config.hidden)
            return
        last = list(cells[-config.layers :])
        if last != [config.hidden] * config.layers:
            what = f"the decoder has layers of {', '.join([str(config.hidden)] * config.layers)} numbers"
            other = (
                f"the encoder's last are of {', '.join(map(str, last))}" if last else "the encoder is no LSTM"
            )
            raise ConfigError(f"bridge: copy: {what}, {other}; let them agree, or take bridge: linear")

    def _begin_with(self, vectors: Vectors) -> None:
        """Let target words that have a vector in the store begin with it."""
        match = vectors.match(self.target.symbols[len(PRODUCED) :])
        notice(f"vectors {self.config.vectors}: {match.coverage}")
        if not match.found.any():
            what = (
                f"no target word has a vector in {self.config.vectors}; name a store of the target's language"
            )
            raise ConfigError(f"head translate: vectors: {what}")
        found = torch.from_numpy(match.filled("zero", seed=0)[match.found])
        with torch.no_grad():
            self.decoder.words.weight[len(PRODUCED) :][torch.from_numpy(match.found)] = found

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over target words and end symbols."""
        source = encoded["source"]
        begun = self._begin(source)
        if "target" not in batch.columns:
            return Output(None, len(batch), begun)
        ids = batch.text("target").ids["target"]
        attended = self._read(ids[:, :-1], begun, batch.text("target").lengths - 1)
        expected = ids[:, 1:]
        real = expected != 0
        attended, expected = attended[real], expected[real]
        loss = self.decoder.loss(attended, expected, self.config.smoothing if self.training else 0.0)
        return Output(loss, len(expected), begun, sums={} if self.training else self._right(attended, expected))

    def _begin(self, source: Encoded) -> Begun:
        if isinstance(self.decoder, ConditionalDecoder):
            return Begun(*self.decoder.start(source.final))
        memory = self.decoder.attention.remember(source.states, source.lengths)
        return Begun(memory, self._start(source, self.decoder))

    def _read(self, words: Tensor, begun: Begun, lengths: Tensor) -> Tensor:
        """What the next words are scored by, after each of words (batch, time), of which row i has `lengths[i]`."""
        if isinstance(self.decoder, ConditionalDecoder):
            states: Tensor = self.decoder(words, begun.memory, begun.state, lengths)
            return states
        attended: Tensor = self.decoder(words, begun.memory, begun.state)[0]
        return attended

    def _right(self, attended: Tensor, expected: Tensor) -> dict[str, float]:
        return {"right": float((likeliest(self.decoder.scores(attended)) == expected).sum())}

    def _start(self, source: Encoded, decoder: AttentionDecoder) -> DecoderState:
        """The decoder's first state from the encoder's last."""
        layers, hidden = self.config.layers, self.config.hidden
        if self.bridge is not None:
            first = torch.tanh(self.bridge(source.final)).view(-1, layers, hidden).transpose(0, 1)
            return decoder.start(first, torch.zeros_like(first))
        state = source.state
        joined = [
            torch.stack([one[part].transpose(0, 1).flatten(1) for one in state[-layers:]]) for part in (0, 1)
        ]
        return decoder.start(joined[0], joined[1])

    def candidates(self, output: Output, batch: Batch) -> list[list[Hypothesis]]:
        """What beam search finds for each row, the best first; or what is drawn for it."""
        begun: Begun = output.scores
        config = self.config
        lengths = batch.text("source").lengths.to(self.decoder.words.weight.device)
        writer = DecoderWriter(self.decoder, begun.memory, begun.state)
        limits = torch.full_like(lengths, config.limit)
        if config.ratio is not None:
            limits = torch.minimum(limits, (config.ratio * lengths).long() + ROOM)
        start, end = self.target.id(START), self.target.id(END)
        if config.sampling is not None:
            how = Sampling(**dict(config.sampling))
            return sample(writer, limits, how, config.beam, start=start, end=end, barred=(0, start))
        search = Search(config.beam, config.length, config.coverage)
        return beam_search(writer, limits, search, start=start, end=end, barred=(0, start))

    def decode(self, output: Output, batch: Batch) -> list[list[str]]:
        """The best translation of each row, as words."""
        found = self.candidates(output, batch)
        words = batch.text("source").words
        return [self._words(one[0], words(row)) for row, one in enumerate(found)]

    def _words(self, one: Hypothesis, source: Sequence[str]) -> list[str]:
        written = [self.target[word] for word in one.words]
        if not self.config.replace_unknown:
            return join_pieces(written)
        looked = one.attention.argmax(-1).tolist() if written else []
        return join_pieces(copied(written, looked, source))

    def explain(self, output: Output, batch: Batch) -> list[dict[str, Any]]:
        """All that beam search found, with scores, and how much each word looked at each of the source's.

        Where words are written in pieces, those are told too: it is they that looked. A right translation that is known
        has its score told, too: `gold`.
        """
        words = batch.text("source").words
        told: list[dict[str, Any]] = [
            {"translations": [self._told(one, words(row)) for one in found]}
            for row, found in enumerate(self.candidates(output, batch))
        ]
        if "target" in batch.columns:
            for one, score in zip(told, self._judged(output.scores, batch.text("target")), strict=True):
                one["gold"] = score
        return told

    def _judged(self, begun: Begun, target: Text) -> list[dict[str, Any]]:
        """Of each right translation the words, as they are listed, and their log-probability with the end's."""
        ids = target.ids["target"]
        expected = ids[:, 1:]
        scores = self.decoder.scores(self._read(ids[:, :-1], begun, target.lengths - 1)).float().log_softmax(-1)
        each = scores.gather(-1, expected.unsqueeze(-1)).squeeze(-1).masked_fill(expected == 0, 0)
        rows = zip(expected.tolist(), target.lengths.tolist(), each.sum(1).tolist(), strict=True)
        return [
            {"words": join_pieces([self.target[word] for word in words[: length - 2]]), "score": score}
            for words, length, score in rows
        ]

    def _told(self, one: Hypothesis, source: Sequence[str]) -> dict[str, Any]:
        words = self._words(one, source)
        told: dict[str, Any] = {"words": words, "score": one.score, "finished": one.finished}
        if self.config.context == "attention":
            told["attention"] = one.attention[: len(one.words), : len(source)].tolist()
        if len(words) < len(one.words):
            told["pieces"] = [self.target[word] for word in one.words]
        return told

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> list[str]:
        """The target's words."""
        return join_pieces(stored["target"])

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Corpus BLEU of words as they are."""
        return {"bleu": bleu(predicted, gold)}

    @classmethod
    def measured(cls, sums: Mapping[str, float], count: int) -> dict[str, float]:
        """Perplexity, and the share of words that would have been right, in percent."""
        return foretold(sums, count)

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """The translation's words, blanks between."""
        return " ".join(predicted) + "\n"


def _word_size(config: Any, vectors: Vectors | Origin | None) -> int:
    if vectors is None:
        return int(config.size or config.hidden)
    if config.size not in (None, vectors.size):
        what = f"its size is {config.size}, that of the vectors {config.vectors} is {vectors.size}"
        raise ConfigError(f"head translate: {what}; leave size out")
    return vectors.size
