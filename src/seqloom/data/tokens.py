"""From text to tokens, and from a token to the symbols that a vocabulary lists."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal
from unicodedata import category

from seqloom.config import Count
from seqloom.data.vocabulary import Order
from seqloom.errors import ConfigError

Tokenizer = Literal["words", "plain", "blanks", "characters", "moses", "moses-escaped"]


def _words(text: str) -> list[str]:
    return _word("" if text.isascii() else _marks()).findall(text)


@cache
def _word(marks: str) -> re.Pattern[str]:
    letter = rf"[\w{marks}]"
    return re.compile(rf"{letter}+(?:['’\-.]{letter}+)*|[^\w\s]{f'[{marks}]*' if marks else ''}")


@cache
def _marks() -> str:
    """Vowel signs, separate accents and joiners, which Python does not count among a word's characters."""
    runs: list[list[int]] = []
    for code in (one for one in range(0x300, 0x20000) if category(chr(one)).startswith("M")):
        if not runs or runs[-1][1] != code - 1:
            runs.append([code, code])
        runs[-1][1] = code
    return "\u200c\u200d" + "".join(f"{chr(first)}-{chr(last)}" for first, last in runs)


@cache
def _moses(language: str) -> Callable[..., list[str]]:
    try:
        from sacremoses import MosesTokenizer  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigError('tokenizer: moses needs sacremoses: pip install "seqloom[text]"') from None
    cut: Callable[..., list[str]] = MosesTokenizer(language).tokenize
    return cut


_TOKENIZERS: Mapping[str, Callable[[str], list[str]]] = {
    "words": _words,
    "plain": re.compile(r"\w+(?:['’]\w+)*|[^\w\s]").findall,
    "blanks": str.split,
    "characters": list,
}
_ESCAPING = {"moses": False, "moses-escaped": True}


def tokenize(text: str, how: Tokenizer = "words", language: str = "en") -> list[str]:
    """Cut text into tokens.

    `words`: words with their inner marks, and single symbols; `plain`: the same, but only an apostrophe is an inner
    mark; `blanks`: runs between blanks; or `characters`; `moses`: as the tokenizer of Moses cuts the `language`, by
    a code such as `de`, which only it goes by; `moses-escaped`: with its entities for what Moses itself would misread,
    such as `&apos;s`.

    Raises:
        ConfigError: Moses' tokenizer is asked for, and the extra `text` is not installed.
    """
    if how in _ESCAPING:
        return _moses(language)(text, escape=_ESCAPING[how])
    return _TOKENIZERS[how](text)


ViewKind = Literal["word", "characters", "ngrams", "hashes", "prefix", "suffix", "shape"]


@dataclass(frozen=True, slots=True)
class View:
    """How a token becomes what a vocabulary lists.

    Args:
        kind: the word itself, its characters, distinct n-grams or hashes of n-grams (a list), its first or last `size`
            characters, or its shape.
        size: the length of an affix, or of the longest n-grams.
        lower: whether letters are lower-cased first.
        zeros: whether every digit is read as 0.
        smallest: the length of the shortest n-grams.
        buckets: how many different hashes there are, all of them listed.
    """

    kind: ViewKind
    size: int = 0
    lower: bool = False
    zeros: bool = False
    smallest: int = 1
    buckets: int = 0

    @property
    def deep(self) -> bool:
        """Whether a token has several symbols, such as its characters, rather than one."""
        return self.kind in ("characters", "ngrams", "hashes")

    @property
    def given(self) -> list[str]:
        """The symbols that are listed whether training has them or not."""
        return [str(bucket) for bucket in range(self.buckets)]

    def symbols(self, token: str) -> list[str]:
        """The symbols of a token: one, or for characters and n-grams as many as it has."""
        token = token.lower() if self.lower else token
        token = _DIGIT.sub("0", token) if self.zeros else token
        if self.kind == "ngrams":
            return ngrams(token, self.smallest, self.size)
        if self.kind == "hashes":
            hashes = ngram_hashes(token.encode(errors="replace"), self.smallest, self.size)
            return [str(value % self.buckets) for value in hashes]
        return list(token) if self.deep else [self._symbol(token)]

    def _symbol(self, token: str) -> str:
        match self.kind:
            case "prefix":
                return token[: self.size]
            case "suffix":
                return token[-self.size :]
            case "shape":
                return shape(token)
        return token


_DIGIT = re.compile(r"\d")


def ngrams(token: str, smallest: int, largest: int) -> list[str]:
    """A token's distinct character n-grams, its ends marked, as `2gram-ab`: the names of Hashimoto et al. (2017)."""
    characters = ["#BEGIN#", *token, "#END#"]
    found = (
        f"{size}gram-{''.join(characters[start : start + size])}"
        for size in range(smallest, largest + 1)
        for start in range(len(characters) - size + 1)
    )
    return list(dict.fromkeys(found))


_OFFSET, _PRIME, _LOW = 2166136261, 16777619, (1 << 32) - 1
# The original widens bytes as signed numbers, so those over 127 change the upper bits too.
_WIDENED = [byte if byte < 128 else byte | 0xFFFFFF00 for byte in range(256)]


def ngram_hashes(word: bytes, smallest: int, largest: int) -> list[int]:
    """The 32-bit hashes of a word's character n-grams, its ends marked by < and > (Bojanowski et al. 2017).

    FNV-1a, but with bytes taken for signed numbers. A mark alone is no n-gram.
    """
    marked = b"<" + word + b">"
    starts = [place for place, byte in enumerate(marked) if byte & 0xC0 != 0x80] + [len(marked)]
    letters, found = len(starts) - 1, []
    for first in range(letters):
        value = _OFFSET
        for last in range(first, min(first + largest, letters)):
            for byte in marked[starts[last] : starts[last + 1]]:
                value = (value ^ _WIDENED[byte]) * _PRIME & _LOW
            alone = first == last and first in (0, letters - 1)
            if last - first + 1 >= smallest and not alone:
                found.append(value)
    return found


def shape(token: str) -> str:
    """A token's outline, runs of one class cut to two: `Twente` → `Xxx`, `F.C.` → `X.X.`, `1998` → `dd`."""
    outline = "".join(_class(character) for character in token)
    return re.sub(r"(.)\1{2,}", r"\1\1", outline)


def _class(character: str) -> str:
    if character.isupper():
        return "X"
    if character.isalpha():
        return "x"
    return "d" if character.isdigit() else character


@dataclass(frozen=True, slots=True)
class Index:
    """One way of reading a text: the vocabulary it is looked up in, and the view of a token that it lists.

    Args:
        vocabulary: the vocabulary's name, such as `words`.
        view: how a token becomes symbols.
        minimum: how often a symbol must occur in training to be listed.
        most: how many symbols may be listed; None for all.
        order: whether symbols are listed from frequent to rare, or as they appear.
    """

    vocabulary: str
    view: View
    minimum: Count = 1
    most: Count | None = None
    order: Order = "frequency"
