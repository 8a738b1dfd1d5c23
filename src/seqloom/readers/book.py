"""Text in its order: each sentence with the one before and the one after it, as skip-thought reads books."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal

from seqloom.data.sentences import sentences
from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.files import lines, locate
from seqloom.progress import notice
from seqloom.readers import Example, Reader, ReaderTable

Sentence = tuple[int, list[str]]
"""The line that it begins at, and its tokens."""


class Book(Reader):
    """Sentences between their neighbours (Kiros et al., "Skip-Thought Vectors", 2015).

    Neighbours stand in one document. A document ends where its file ends and, where a line is a sentence, at a blank
    line. Its first and its last sentence are neighbours alone.
    """

    class Config(ReaderTable):
        """`unit`: whether a `line` is a sentence, or `prose` is cut into sentences, which blank lines end too.

        `target`: which neighbours a row has, `both` as the columns `previous` and `next` of a `text`, or one of the two
        as the `target` of a `source`. `lower`: whether letters are lower-cased.
        """

        type: Literal["book"] = "book"
        unit: Literal["line", "prose"] = "line"
        target: Literal["both", "next", "previous"] = "both"
        tokenizer: Tokenizer = "words"
        lower: bool = False

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """`text`, `previous` and `next`, or `source` and `target`."""
        return frozenset({"text", "previous", "next"} if config.target == "both" else {"source", "target"})

    def read(self, path: str) -> Iterator[Example]:
        """The sentences of a file that have both neighbours."""
        short = 0
        for document in self._documents(path):
            alone = True
            for row in self._rows(document):
                alone = False
                yield row
            short += alone
        if short:
            what = f"{short:,} documents of fewer than 3 sentences"
            notice(f"{locate(path)}: {what} have none between two others, and are left out")

    def parse(self, text: str) -> Example:
        """A line of text as a sentence."""
        return {"text" if self.config.target == "both" else "source": self._cut(text)}

    def _rows(self, document: Iterable[Sentence]) -> Iterator[Example]:
        near = deque[Sentence](maxlen=3)
        for one in document:
            near.append(one)
            if len(near) < 3:
                continue
            (_, before), (line, words), (_, after) = near
            if self.config.target == "both":
                yield {"text": words, "previous": before, "next": after, "line": line}
            else:
                target = after if self.config.target == "next" else before
                yield {"source": words, "target": target, "line": line}

    def _documents(self, path: str) -> Iterator[Iterator[Sentence]]:
        """The sentences of each document; a document is read while it is gone through, for it may be a whole file."""
        blocks = self._blocks(path)
        if self.config.unit == "line":
            for block in blocks:
                yield ((number, self._cut(line)) for number, line in block)
        else:
            yield (one for block in blocks for one in self._prose(list(block)))

    def _blocks(self, path: str) -> Iterator[Iterator[tuple[int, str]]]:
        """The runs of lines between blank lines."""
        for blank, run in groupby(lines(path), key=lambda one: not one[1].strip()):
            if not blank:
                yield run

    def _prose(self, block: list[tuple[int, str]]) -> Iterator[Sentence]:
        """The sentences of a paragraph."""
        text, starts = "", []
        for _, line in block:
            starts.append(len(text))
            text += line + " "
        for place, sentence in sentences(text):
            yield block[bisect_right(starts, place) - 1][0], self._cut(sentence)

    def _cut(self, text: str) -> list[str]:
        return tokenize(text.lower() if self.config.lower else text, self.config.tokenizer)
