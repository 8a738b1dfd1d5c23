"""The answer to a question as a span of a document, found by a dynamic coattention network."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from seqloom.config import Count, Share, Table
from seqloom.data.answers import Language, exact, overlap
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.data.columns import Columns
from seqloom.data.fields import UNLISTED, Field, TextField
from seqloom.data.spans import AnswersField, CharactersField, IdField, OffsetsField, spelt
from seqloom.data.vocabulary import Vocabularies
from seqloom.errors import DataError
from seqloom.heads import Head
from seqloom.metrics import mean
from seqloom.nn.coattention import Coattention
from seqloom.nn.pointing import DynamicPointer, best_spans
from seqloom.progress import notice

DIGITS = 4


class Span(Head):
    """Coattention between a question and a document, and a decoder that points at the answer's start and end.

    Xiong et al., "Dynamic Coattention Networks for Question Answering" (2017). With `no_answer` the document's
    sentinel is a position that the decoder may point at, for questions that the document does not answer.
    """

    class Config(Table):
        """`hidden`: units of each direction of the fusing BiLSTM, and of the decoder; `pieces`: of a maxout unit.

        `begin`: the span supposed at first, the whole document or its first token. `end_sees`: whether the end is
        sought with the new start in view or with the old. `until_settled`: learn from an example's iterations until
        its span no longer changes, not from all. `over`: whether losses of the iterations are added or averaged.
        `no_answer`: questions without an answer are learnt, too, and predicted; else they are left out of learning.
        `ordered`: no answer ends before it starts. `language`: compare answers by MLQA's rules for that language, not
        by SQuAD's.
        """

        type: Literal["span"] = "span"
        hidden: Count
        pieces: Count = 16
        iterations: Count = 4
        begin: Literal["edges", "first"] = "edges"
        end_sees: Literal["new", "old"] = "new"
        until_settled: bool = False
        over: Literal["sum", "mean"] = "sum"
        no_answer: bool = False
        ordered: bool = True
        language: Language | None = None
        dropout: Share = 0.0

    encodes = ("document", "question")
    aligned: ClassVar[bool] = True

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """The texts, the document as it was written and where its tokens stand there, an id, and the answers."""
        read = {"document": TextField(), "question": TextField()}
        told = {"characters": CharactersField(), "offsets": OffsetsField(), "id": IdField()}
        return {**read, **told, "answers": AnswersField()}

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """F1 of words, and exact match."""
        return ("f1", "exact")

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        rules = f"MLQA's rules for {config.language}" if config.language else "SQuAD's rules"
        return f"f1 of words and exact match of normalised answers by {rules}, best reference; in percent"

    def __init__(
        self, config: Any, *, size: int, vocabularies: Vocabularies, shared: nn.Module | None = None
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.coattention = Coattention(size, config.hidden, sentinel=config.no_answer)
        options = {"iterations": config.iterations, "begin": config.begin, "end_sees": config.end_sees}
        self.pointer = DynamicPointer(self.coattention.out, config.hidden, config.pieces, **options)

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over questions; scores (batch, time) of start and end, with `no_answer` its own in front."""
        document, question = encoded["document"], encoded["question"]
        states = self.dropout(document.states), self.dropout(question.states)
        fused = self.coattention(states[0], document.lengths, states[1], question.lengths)
        gold, lengths = batch.tensor("answers"), document.lengths + int(self.config.no_answer)
        pointing = self.pointer(self.dropout(fused), lengths, whole=gold is not None)
        start, end = (scores.float() for scores in pointing.final())
        scores = {"start": start, "end": end}
        if gold is None:
            return Output(None, len(batch), scores)
        if self.config.no_answer:
            gold = gold + 1  # so that UNLISTED becomes the sentinel's position
        options = {"until_settled": self.config.until_settled, "mean": self.config.over == "mean"}
        loss = pointing.loss(gold[:, 0], gold[:, 1], **options).sum()
        return Output(loss, int((gold[:, 0] != UNLISTED).sum()), scores)

    def decode(self, output: Output, batch: Batch) -> list[dict[str, Any]]:
        """An answer a row, as a dict.

        `text`: from character `start` to `end`, excluded, of the document, all None where only its tokens are known
        and empty where there is no answer; `tokens`: the same in tokens of the row; `probability`: of this span in
        this row; `score`: what windows of one document are compared by; `id`: that of the question, where it has one.
        """
        found = self._found(output.scores["start"], output.scores["end"])
        characters, offsets = batch.tensor("characters"), batch.tensor("offsets")
        answers = [_answer(*one) for one in zip(*(each.tolist() for each in found), strict=True)]
        if characters is not None and offsets is not None:
            for answer, text, places in zip(answers, characters, offsets, strict=True):
                _spell(answer, text, places)
        if (names := batch.tensor("id")) is not None:
            for answer, name in zip(answers, names, strict=True):
                answer["id"] = spelt(name)
        return answers

    def _found(self, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """First and last token, UNLISTED where there is no answer, probability and score of each row's answer."""
        skipped = int(self.config.no_answer)
        first, last = best_spans(start[:, skipped:], end[:, skipped:], self.config.ordered)
        places = (first + skipped).unsqueeze(1), (last + skipped).unsqueeze(1)
        score = (start.gather(1, places[0]) + end.gather(1, places[1])).squeeze(1)
        if skipped:
            none = start[:, 0] + end[:, 0]
            first, last = (one.masked_fill(none >= score, UNLISTED) for one in (first, last))
            score = torch.maximum(none, score)
        probability = (score - start.logsumexp(1) - end.logsumexp(1)).exp()
        return first, last, probability, score

    @classmethod
    def look(cls, config: Any, training: Columns, place: str) -> None:
        """Tell how many questions have no answer where the head learns none from them."""
        answers = training["answers"].lengths[training.numbers]
        if config.no_answer or answers.all():
            return
        what = f"{int((answers == 0).sum()):,} of {len(answers):,} training examples have no answer"
        remedy = f"set {place}.head.no_answer: true to learn from them"
        if not answers.any():
            raise DataError(f"{place}: {what}, and nothing is learnt; {remedy}")
        notice(f"{place}: {what} and are left out; {remedy}")

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> list[str]:
        """The texts of the question's answers."""
        return AnswersField.texts(stored["answers"])

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """F1 and exact match in percent; of a question's windows, one after another, the best answer counts."""
        asked = groupby(zip(predicted, gold, strict=True), lambda row: row[0]["id"])
        best = [max(windows, key=lambda row: _rank(row[0])) for _, windows in asked]
        language = self.config.language
        figures = {"f1": overlap, "exact": exact}
        return {
            name: 100 * mean([figure(answer["text"], wanted or [""], language) for answer, wanted in best])
            for name, figure in figures.items()
        }

    @classmethod
    def row(cls, example: Mapping[str, Any]) -> str | None:
        """The question's id, where it has one."""
        return example.get("id")

    @classmethod
    def chosen(cls, predicted: Sequence[Any]) -> int:
        """The best answer, as `score` has it."""
        return max(range(len(predicted)), key=lambda place: _rank(predicted[place]))

    @classmethod
    def moved(cls, predicted: Any, first: int) -> Any:
        """The answer in tokens of the whole document."""
        tokens = predicted["tokens"]
        return predicted | {"tokens": tokens and [first + one for one in tokens]}

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """The answer and its probability, with the question's id in front where it has one, tabs between."""
        text = predicted["text"]
        if text is None:
            text = " ".join(example["document"][slice(*predicted["tokens"])])
        cells = [predicted["id"]] if "id" in predicted else []
        return "\t".join([*cells, " ".join(text.split()), f"{predicted['probability']:.{DIGITS}f}"]) + "\n"


def _rank(answer: Mapping[str, Any]) -> tuple[bool, float]:
    """What decides between windows: a window without the answer says so, one with it knows better."""
    return answer["tokens"] is not None, answer["score"]


def _answer(first: int, last: int, probability: float, score: float) -> dict[str, Any]:
    rated = {"probability": round(probability, DIGITS), "score": round(score, DIGITS)}
    none = first == UNLISTED
    tokens = None if none else [first, last + 1]
    return {"text": "" if none else None, "start": None, "end": None, "tokens": tokens, **rated}


def _spell(answer: dict[str, Any], text: Tensor, places: Tensor) -> None:
    """Fill in where the answer stands in the document, and what is there."""
    if answer["tokens"] is not None:
        first, after = answer["tokens"]
        start, end = int(places[first, 0]), int(places[after - 1, 1])
        answer |= {"start": start, "end": end, "text": spelt(text[start:end])}
