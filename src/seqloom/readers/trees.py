"""Labelled trees in brackets, one a line: sentences or their phrases with labels, or with their tree as a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import model_validator

from seqloom.config import Count
from seqloom.data.tokens import tokenize
from seqloom.errors import DataError
from seqloom.files import lines, locate
from seqloom.progress import notice
from seqloom.readers import Example, Reader, ReaderTable

PIECE = re.compile(r"[()]|[^\s()]+")
FUNCTION = re.compile(r"^([^-=]+)[-=].*")
TRACE = "-NONE-"
UNESCAPED = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


@dataclass(slots=True)
class Tree:
    """A phrase: its label, the phrases it is made of, and its words."""

    label: str
    parts: list["Tree"] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def phrases(self) -> Iterator["Tree"]:
        """The phrase and all phrases inside, from left to right, each before its parts."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            yield one
            waiting.extend(reversed(one.parts))


class Trees(Reader):
    """Sentences with the label of their tree's root, such as the Stanford Sentiment Treebank's, or with the tree.

    As a text to be written, a tree is its brackets, each with its label: `(S (NP DT NN )NP (VP VBZ )VP )S` (Vinyals et
    al., "Grammar as a Foreign Language", 2015). Functions behind a label and traces, as in the Penn Treebank, are left
    out.
    """

    class Config(ReaderTable):
        """`phrases`: whether each phrase of at least `least` words is a training row of its own, equal ones once.

        `skip`: labels whose rows are left out; `join`: what labels become, such as {"0": neg, "1": neg, "3": pos,
        "4": pos} with skip: ["2"], for sentiment with two classes. `target`: the `label` of a `text`, or the `tree` as
        the `target` of a `source`, in which a word stands as its tag or, without `tags`, as XX.
        """

        type: Literal["trees"] = "trees"
        phrases: bool = False
        least: Count = 1
        skip: list[str] = []
        join: dict[str, str] = {}
        lower: bool = False
        target: Literal["label", "tree"] = "label"
        tags: bool = True

        @model_validator(mode="after")
        def _whole(self) -> "Trees.Config":
            if self.target == "tree" and (self.phrases or self.skip or self.join):
                raise ValueError("phrases, skip and join are about labels; with target: tree leave them out")
            return self

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """`text` and `label`, or `source` and `target`."""
        return frozenset({"text", "label"} if config.target == "label" else {"source", "target"})

    def variant(self, path: str) -> str:
        """Phrases are read of the training file alone."""
        return "phrases" if self.config.phrases and path in self.config.files("train") else ""

    def read(self, path: str) -> Iterator[Example]:
        """The sentences, or, of the training file, their phrases."""
        yield from self._written(path) if self.config.target == "tree" else self._labelled(path)

    def _written(self, path: str) -> Iterator[Example]:
        empty = 0
        for number, line in lines(path):
            if not line.strip():
                continue
            tree = parsed(line, path, number, bare=True)
            _refuse_mixed(tree, path, number)
            words, target = linear(tree, tags=self.config.tags)
            if words:
                yield {"source": self._words(words), "target": target, "line": number}
            empty += not words
        if empty:
            notice(f"{locate(path)}: {empty:,} trees without a word are left out")

    def _labelled(self, path: str) -> Iterator[Example]:
        seen: set[tuple[str, ...]] = set()
        whole, again = not self.variant(path), 0
        for number, line in lines(path):
            if not line.strip():
                continue
            tree = parsed(line, path, number)
            for one in [tree] if whole else tree.phrases():
                row = self._row(one)
                if one.label in self.config.skip or (not whole and len(one.words) < self.config.least):
                    continue
                if not whole and (known := (row["label"], *row["text"])) in seen:
                    again += 1
                    continue
                if not whole:
                    seen.add(known)
                yield {**row, "line": number}
        if again:
            notice(f"{locate(path)}: {again:,} phrases that came before are left out")

    def parse(self, text: str) -> Example:
        """A line of raw text, words with blanks between."""
        words = tokenize(text.lower() if self.config.lower else text, "blanks")
        return {"text" if self.config.target == "label" else "source": words}

    def _row(self, one: Tree) -> Example:
        return {"text": self._words(one.words), "label": self.config.join.get(one.label, one.label)}

    def _words(self, words: list[str]) -> list[str]:
        found = [UNESCAPED.get(word, word) for word in words]
        return [word.lower() for word in found] if self.config.lower else found


def linear(tree: Tree, *, tags: bool = True) -> tuple[list[str], list[str]]:
    """The words of a tree, each in a phrase without others, and its brackets as tokens, each with its label.

    A bracket without label, which the Penn Treebank has around each sentence, is left out; so are traces (-NONE-) and
    what is empty without them.
    """
    words, tokens = list[str](), list[str]()
    waiting: list[Tree | str] = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            # What was opened last and holds nothing goes again.
            tokens = tokens[:-1] if tokens[-1] == "(" + one[1:] else [*tokens, one]
        elif one.parts:
            label = FUNCTION.sub(r"\1", one.label)
            if label:
                tokens.append(f"({label}")
                waiting.append(f"){label}")
            waiting.extend(reversed(one.parts))
        elif one.label != TRACE:
            words += one.words
            tokens += [FUNCTION.sub(r"\1", one.label) if tags else "XX"] * len(one.words)
    return words, tokens


def _refuse_mixed(tree: Tree, path: str, number: int) -> None:
    """A word beside phrases has no tag to stand for it."""
    for one in tree.phrases():
        if one.parts and len(one.words) != sum(len(part.words) for part in one.parts):
            what = (
                f"the phrase ({one.label}) has words beside its phrases; give each word a bracket with its tag"
            )
            raise DataError(what, locate(path), number)


def parsed(line: str, path: str, number: int, *, bare: bool = False) -> Tree:
    """The tree of a line; the outermost bracket may be `bare`, without a label.

    Raises:
        DataError: the brackets do not close, or a phrase has no label or no word.
    """
    top, above = Tree(""), list[Tree]()
    expects_label = False
    for piece in PIECE.findall(line):
        if expects_label and piece in "()" and not (bare and piece == "(" and len(above) == 1):
            raise DataError(f'a label should follow "(", found "{piece}"', locate(path), number)
        if piece == "(":
            above.append(top)
            top, expects_label = Tree(""), True
        elif piece == ")":
            top = _closed(top, above, path, number)
        elif expects_label:
            top.label, expects_label = piece, False
        else:
            top.words.append(piece)
    if above or len(top.parts) != 1 or len(top.words) != len(top.parts[0].words):
        what = "should be one tree, as in (3 (2 A) (4 delight)); brackets do not close, or there is more"
        raise DataError(what, locate(path), number)
    return top.parts[0]


def _closed(phrase: Tree, above: list[Tree], path: str, number: int) -> Tree:
    """What stands around a phrase that is complete, with the phrase in it."""
    if not above or not phrase.words:
        what = 'a ")" has no "("' if not above else f"the phrase ({phrase.label}) has no word"
        raise DataError(what, locate(path), number)
    outer = above.pop()
    outer.parts.append(phrase)
    outer.words.extend(phrase.words)
    return outer
