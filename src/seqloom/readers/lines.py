"""Plain text, one text a line: for heads that read nothing but text."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Literal

from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.data.vocabulary import END, START
from seqloom.files import lines
from seqloom.readers import Example, Reader, ReaderTable


class Lines(Reader):
    """One text a line, or one a paragraph."""

    class Config(ReaderTable):
        """How a file is cut into texts, and these into tokens.

        `tokenizer`: how a text is cut; `lower`: whether letters are lower-cased; `bounds`: whether it begins with `<s>`
        and ends with `</s>`. `unit`: whether a text is a `line`, blank ones left out, `any` line, or a `paragraph`: the
        lines up to a blank one.
        """

        type: Literal["lines"] = "lines"
        tokenizer: Tokenizer = "words"
        lower: bool = False
        bounds: bool = False
        unit: Literal["line", "any", "paragraph"] = "line"

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """`text` alone."""
        return frozenset({"text"})

    def read(self, path: str) -> Iterator[Example]:
        """The texts of a file, plain or gzipped."""
        for number, text in self._texts(path):
            if text.strip() or self.config.unit == "any":
                yield {**self.parse(text), "line": number}

    def _texts(self, path: str) -> Iterator[tuple[int, str]]:
        if self.config.unit != "paragraph":
            yield from lines(path)
            return
        for blank, run in groupby(lines(path), key=lambda one: not one[1].strip()):
            if not blank:
                numbers, texts = zip(*run, strict=True)
                yield numbers[0], " ".join(texts)

    def parse(self, text: str) -> Example:
        """A text cut into tokens by `tokenizer`."""
        return {"text": tokenize(text.lower() if self.config.lower else text, self.config.tokenizer)}

    def cut(self, example: Example) -> Example:
        """The text between its bounds, where they are asked for."""
        return example | {"text": [START, *example["text"], END]} if self.config.bounds else example
