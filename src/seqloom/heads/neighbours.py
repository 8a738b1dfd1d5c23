"""The sentences around a sentence, each written from the one vector of it: skip-thought."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from seqloom.config import Count, Share, Table
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.fields import Field, TargetField, TextField
from seqloom.data.subwords import join_pieces
from seqloom.data.vocabulary import END, START, Vocabularies
from seqloom.heads import Head
from seqloom.metrics import foretold
from seqloom.nn.beam import Search, beam_search
from seqloom.nn.conditional import ConditionalDecoder
from seqloom.nn.decoder import DecoderWriter
from seqloom.nn.softmaxes import likeliest
from seqloom.nn.unrolling import Cell

SIDES = ("previous", "next")


class Neighbours(Head):
    """Two decoders over one encoding, for the sentence before and the one after (Kiros et al. 2015, section 2.1).

    The loss is the sum of both, counted over all their words; both have the one vocabulary of the book.
    """

    class Config(Table):
        """The decoders, alike for both sides.

        `hidden`: units of a layer; `size`: numbers in a target word's vector, by default as many. `bridge`: a decoder's
        first state, `linear`: learnt from the encoder's final state, or `copy`: that state itself. `dropout`: on the
        encoder's final state, and between layers. `tied`: target words are scored by their own vectors. `minimum`,
        `most`: which target words are listed. `beam`: hypotheses kept when a sentence is written; `limit`: its most
        words.
        """

        type: Literal["neighbours"] = "neighbours"
        hidden: Count
        size: Count | None = None
        layers: Count = 1
        cell: Cell = "gru"
        bridge: Literal["linear", "copy"] = "linear"
        dropout: Share = 0.0
        tied: bool = False
        minimum: Count = 1
        most: Count | None = None
        beam: Count = 1
        limit: Count = 30

    measures: ClassVar[bool] = True
    falling: ClassVar[frozenset[str]] = frozenset({"perplexity"})

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """`text`, and `previous` and `next` in one vocabulary."""
        target = TargetField(minimum=config.minimum, most=config.most)
        return {"text": TextField(), **dict.fromkeys(SIDES, target)}

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """Perplexity and accuracy of words after the right ones before them."""
        return ("perplexity", "accuracy")

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        return "perplexity, accuracy: of each word and end symbol of both neighbours after the right words"

    def __init__(
        self, config: Any, *, size: int, vocabularies: Vocabularies, shared: nn.Module | None = None
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        self.config, self.target = config, vocabularies["target"]
        for side in SIDES:
            decoder = ConditionalDecoder(
                len(self.target),
                config.size or config.hidden,
                config.hidden,
                size,
                config.layers,
                config.cell,
                config.bridge,
                config.dropout,
                config.tied,
            )
            self.add_module(side, decoder)

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over the words and end symbols of both neighbours."""
        begun = {side: self._decoder(side).start(encoded["text"].final) for side in SIDES}
        found = [self._loss(side, batch, begun[side]) for side in SIDES if side in batch.columns]
        if len(found) < len(SIDES):
            return Output(None, len(batch), begun)
        losses, counts, rights = zip(*found, strict=True)
        return Output(sum(losses), sum(counts), begun, sums={} if self.training else {"right": sum(rights)})

    def _decoder(self, side: str) -> ConditionalDecoder:
        found = getattr(self, side)
        assert isinstance(found, ConditionalDecoder)
        return found

    def _loss(self, side: str, batch: Batch, begun: Any) -> tuple[Tensor, int, float]:
        """The loss of one side, over how many words, and how many of them would have been right."""
        decoder, text = self._decoder(side), batch.text(side)
        ids = text.ids["target"]
        expected = ids[:, 1:]
        real = expected != 0
        states = decoder(ids[:, :-1], *begun, text.lengths - 1)[real]
        expected = expected[real]
        right = 0.0 if self.training else float((likeliest(decoder.scores(states)) == expected).sum())
        return decoder.loss(states, expected), len(expected), right

    def decode(self, output: Output, batch: Batch) -> list[dict[str, list[str]]]:
        """What each row's neighbours might be, as words by side."""
        sides = [self._written(side, output.scores[side], len(batch)) for side in SIDES]
        return [dict(zip(SIDES, row, strict=True)) for row in zip(*sides, strict=True)]

    def _written(self, side: str, begun: Any, rows: int) -> list[list[str]]:
        decoder = self._decoder(side)
        limits = decoder.words.weight.new_full((rows,), self.config.limit).long()
        writer, search = DecoderWriter(decoder, *begun), Search(self.config.beam)
        start, end = self.target.id(START), self.target.id(END)
        found = beam_search(writer, limits, search, start=start, end=end, barred=(0, start))
        return [join_pieces([self.target[word] for word in one[0].words]) for one in found]

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> dict[str, list[str]]:
        """The words of both neighbours."""
        return {side: join_pieces(stored[side]) for side in SIDES}

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Nothing: of all that could stand around a sentence, what is written is one."""
        return {}

    @classmethod
    def measured(cls, sums: Mapping[str, float], count: int) -> dict[str, float]:
        """Perplexity, and the share of words that would have been right, in percent."""
        return foretold(sums, count)

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """The previous and the next sentence, a tab between."""
        return "\t".join(" ".join(predicted[side]) for side in SIDES) + "\n"
