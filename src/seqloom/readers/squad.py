"""Questions about contexts, answered by spans of them: the JSON of SQuAD 1.1 and 2.0 and of what follows it."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import model_validator

from seqloom.config import Count
from seqloom.data.fields import UNLISTED
from seqloom.data.spans import Answer, places
from seqloom.data.tokens import tokenize
from seqloom.errors import DataError
from seqloom.files import lines, locate
from seqloom.progress import notice
from seqloom.readers import Example, Reader, ReaderTable

Source = Literal["context", "question", "characters", "offsets", "answers", "id"]
COLUMNS: dict[str, Source] = {
    "document": "context",
    "question": "question",
    "characters": "characters",
    "offsets": "offsets",
    "answers": "answers",
    "id": "id",
}
Value = TypeVar("Value", str, int, bool, list[Any])


@dataclass(frozen=True)
class _Place:
    """Where in a file something stands, and what may stand there."""

    path: Path
    names: tuple[str, ...] = ()

    def inside(self, name: str) -> "_Place":
        return replace(self, names=(*self.names, name))

    def fault(self, what: str) -> DataError:
        return DataError(": ".join(filter(None, (", ".join(self.names), what))), self.path)

    def take(self, table: Any, key: str, kind: type[Value]) -> Value:
        value = table.get(key) if isinstance(table, dict) else None
        if type(value) is not kind:
            found = f"found {value!r:.40}" if value is not None else "found none"
            raise self.fault(f'an object with "{key}" ({_WORDS[kind]}) should stand here, {found}')
        return self.whole(value) if isinstance(value, str) else value

    def whole(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            what = "holds half a character: a surrogate such as \\ud83d without its other half"
            raise self.fault(f"{text!r:.40} {what}") from None
        return text


_WORDS: dict[type, str] = {str: "text", int: "a number", bool: "true or false", list: "a list"}


@dataclass(frozen=True)
class _Context:
    """A context, cut into tokens."""

    text: str
    tokens: Sequence[str]
    places: Sequence[tuple[int, int]]

    def span(self, start: int, text: str, place: _Place) -> Answer:
        """The tokens that an answer touches."""
        end = start + len(text)
        if start < 0 or self.text[start:end] != text:
            found = f'"{self.text[start:end]:.40}"' if start >= 0 else "nothing"
            raise place.fault(
                f'the answer "{text:.40}" should begin at character {start}; there stands {found}'
            )
        first = bisect_right([after for _, after in self.places], start)
        last = bisect_left([before for before, _ in self.places], end)
        if first >= last:
            raise place.fault(f'the answer "{text:.40}" at character {start} has no token')
        return Answer(first, last, text)

    def splits(self, start: int, answer: Answer) -> bool:
        """Whether an answer that begins there begins or ends inside a token."""
        end = start + len(answer.text)
        return self.places[answer.start][0] < start or self.places[answer.end - 1][1] > end


class SQuAD(Reader):
    """Contexts, questions and answers (Rajpurkar et al. 2016, 2018).

    `columns` maps a head's column to what it holds: the tokens of the `context` or of the `question`, the context's
    `characters` and the `offsets` of its tokens in them, the `answers`, or the question's `id`.
    """

    class Config(ReaderTable):
        """`window`: contexts of more tokens are cut into pieces of so many, a new one each `stride` (by default half).

        Each piece is an example; an answer that is not within it is not learnt from it.
        """

        type: Literal["squad"] = "squad"
        columns: dict[str, Source] = COLUMNS
        window: Count | None = None
        stride: Count | None = None
        tokenizer: Literal["words", "plain", "blanks", "characters", "moses"] = "words"

        @model_validator(mode="after")
        def _overlapping(self) -> "SQuAD.Config":
            if self.stride and self.stride > (self.window or 0):
                raise ValueError("stride is at most window, so that no token is left out")
            return self

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """The mapped columns."""
        return frozenset(config.columns)

    def read(self, path: str) -> Iterator[Example]:
        """A question an example, or several where its context is cut; `line` is the example's number.

        Answers that begin or end inside a token are widened to it, and counted in a notice.
        """
        number = widened = 0
        for context, questions in self._paragraphs(path):
            for place, question in questions:
                answers, split = _answers(question, context, place)
                widened += split
                for row in self._rows(question, context, answers, place):
                    number += 1
                    yield {**row, "line": number}
        if widened:
            notice(f"{locate(path)}: {widened:,} answers begin or end inside a token; whole tokens are learnt")

    def parse(self, text: str) -> Example:
        """A line of raw text: the texts that the head reads, tabs between."""
        cells = text.split("\t")
        if len(cells) != len(self.texts):
            what = f"{len(cells)} texts in a line, {len(self.texts)} are needed ({', '.join(self.texts)})"
            raise DataError(f"{what}, tabs between")
        return self.example(dict(zip(self.texts, cells, strict=True)))

    def example(self, texts: Mapping[str, str]) -> Example:
        """Raw texts, by column, as an example for prediction; of the context it keeps the characters."""
        values: dict[str, Any] = {}
        for name, text in texts.items():
            tokens = tokenize(text, self.config.tokenizer)
            values[self.config.columns[name]] = tokens
            if self.config.columns[name] == "context":
                try:
                    values |= {"characters": text, "offsets": places(text, tokens)}
                except ValueError as fault:
                    raise DataError(f"a text for {name}: {fault}", "input") from None
        return self._named(values)

    def windows(self, example: Example) -> list[tuple[int, Example]]:
        """The example, or where its context is longer than a window, its windows, by the place of their first token."""
        named = {source: name for name, source in self.config.columns.items()}
        length = len(example[named["context"]])
        if length <= (self.config.window or length):
            return [(0, example)]
        cut = [named[source] for source in ("context", "offsets") if named.get(source) in example]
        return [
            (first, {**example, **{name: example[name][first:last] for name in cut}})
            for first, last in self._windows(length)
        ]

    def _named(self, values: dict[str, Any]) -> Example:
        return {name: values[source] for name, source in self.config.columns.items() if source in values}

    def _paragraphs(self, path: str) -> Iterator[tuple[_Context, list[tuple[_Place, Any]]]]:
        file, seen = _Place(locate(path)), set[str]()
        for number, article in enumerate(file.take(_load(path), "data", list), 1):
            of_article = file.inside(f"article {number}")
            for part, paragraph in enumerate(of_article.take(article, "paragraphs", list), 1):
                place = of_article.inside(f"paragraph {part}")
                text = place.take(paragraph, "context", str)
                tokens = self._cut(text, "context", place)
                questions = place.take(paragraph, "qas", list)
                try:
                    context = _Context(text, tokens, places(text, tokens))
                except ValueError as fault:
                    raise place.fault(f"the context: {fault}") from None
                yield context, [(_identified(one, place, seen), one) for one in questions]

    def _cut(self, text: str, what: str, place: _Place) -> list[str]:
        tokens = tokenize(text, self.config.tokenizer)
        if not tokens:
            raise place.fault(f"the {what} has no tokens")
        return tokens

    def _rows(
        self, question: Any, context: _Context, answers: list[Answer] | None, place: _Place
    ) -> Iterator[Example]:
        tokens = self._cut(place.take(question, "question", str), "question", place)
        self._check_longest(len(context.tokens), place)
        for first, last in self._windows(len(context.tokens)):
            values = {
                "context": context.tokens[first:last],
                "question": tokens,
                "characters": context.text,
                "offsets": context.places[first:last],
                "id": str(question["id"]),
            }
            if answers is not None:
                values["answers"] = [_within(one, first, last) for one in answers]
            yield self._named(values)

    def _check_longest(self, length: int, place: _Place) -> None:
        longest = min(self.config.window or length, length)
        if longest > self.config.longest:
            what = f"a context of {longest:,} tokens is over the limit of {self.config.longest:,}"
            raise place.fault(f"{what}; cut it (reader key `window`), or raise the limit (`longest`)")

    def _windows(self, length: int) -> Iterator[tuple[int, int]]:
        """Where each window of a context begins and ends."""
        size = self.config.window or length
        stride = self.config.stride or max(1, size // 2)
        for first in range(0, length, stride):
            yield first, min(first + size, length)
            if first + size >= length:
                return


def _load(path: str) -> Any:
    try:
        return json.loads("\n".join(line for _, line in lines(path)))
    except json.JSONDecodeError as fault:
        what = f"not JSON at position {fault.colno}: {fault.msg}; is the file whole?"
        raise DataError(what, locate(path), fault.lineno) from None


def _identified(question: Any, place: _Place, seen: set[str]) -> _Place:
    """The place of a question, by its id, which no other one may have."""
    if isinstance(question, dict) and type(question.get("id")) is int:
        name = str(question["id"])
    else:
        name = place.take(question, "id", str)
    place = place.inside(f"question {name}")
    if name in seen:
        raise place.fault("another question has this id; each needs its own")
    seen.add(name)
    return place


def _answers(question: Any, context: _Context, place: _Place) -> tuple[list[Answer] | None, int]:
    """The answers, None where the file leaves them out, and how many of them begin or end inside a token."""
    if question.get("is_impossible"):
        return [], 0
    if "answers" not in question:
        return None, 0
    found, split = [], 0
    for one in place.take(question, "answers", list):
        start = place.take(one, "answer_start", int)
        answer = context.span(start, place.take(one, "text", str), place)
        split += context.splits(start, answer)
        found.append(answer)
    return found, split


def _within(answer: Answer, first: int, last: int) -> Answer:
    """The answer as a window has it."""
    if first <= answer.start and answer.end <= last:
        return Answer(answer.start - first, answer.end - first, answer.text)
    return Answer(UNLISTED, UNLISTED, answer.text)
