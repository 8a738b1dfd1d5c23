"""Plain text, one text a line: for heads that read nothing but text."""

from collections.abc import Iterator
from typing import Any, Literal

from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.files import lines
from seqloom.readers import Example, Reader, ReaderTable


class Lines(Reader):
    """One text a line; blank lines are skipped."""

    class Config(ReaderTable):
        """`tokenizer`: how a line is cut into tokens."""

        type: Literal["lines"] = "lines"
        tokenizer: Tokenizer = "words"

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """`text` alone."""
        return frozenset({"text"})

    def read(self, path: str) -> Iterator[Example]:
        """The texts of a file, plain or gzipped."""
        for number, line in lines(path):
            if line.strip():
                yield {**self.parse(line), "line": number}

    def parse(self, text: str) -> Example:
        """A line of text, cut into tokens by `tokenizer`."""
        return {"text": tokenize(text, self.config.tokenizer)}
