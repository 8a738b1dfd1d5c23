"""Which pairs of parallel text are hardly translations: text of another script, copies, sides of unlike length."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated
from unicodedata import name

from pydantic import AfterValidator, Field

from seqloom.config import Table

_CODES = range(0x30000)


def _script(word: str) -> str:
    if word.upper() not in _scripts():
        known = "latin, greek, cyrillic, arabic, hebrew, devanagari, cjk, hiragana, katakana, hangul"
        raise ValueError(f'no letter has "{word}" in its Unicode name; scripts are such as {known}')
    return word


Script = Annotated[str, AfterValidator(_script)]


class Cleaning(Table):
    """Leave training pairs out that have equal sides, letters of another script, or one side much longer.

    `source`, `target`: the scripts of each side, by the words in their letters' Unicode names (`latin`, `cjk`; Japanese
    takes three); unset, any. `foreign`: the largest share of a side's letters that may be of others. `ratio`: how many
    times the tokens of one side the other may have; unset, any number. `repair`: whether text that was UTF-8 and is
    written as Latin-1 (`Ã¼` for `ü`) is put right first.
    """

    source: Annotated[list[Script], Field(min_length=1)] | None = None
    target: Annotated[list[Script], Field(min_length=1)] | None = None
    foreign: Annotated[float, Field(ge=0, lt=1)] = 0.25
    ratio: Annotated[float, Field(ge=1)] | None = None
    repair: bool = False

    def repaired(self, text: str) -> str:
        """A side as it was meant, where that is to be put right."""
        if not self.repair or text.isascii():
            return text
        try:
            return text.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return text

    def refusal(self, source: Sequence[str], target: Sequence[str]) -> str | None:
        """Why a pair of token lists, neither empty, is left out, or None."""
        if source == target:
            return "pairs with equal sides"
        if self.ratio is not None:
            shorter, longer = sorted((len(source), len(target)))
            if longer > self.ratio * shorter:
                return f"pairs beyond ratio {self.ratio:g}"
        for tokens, scripts in ((source, self.source), (target, self.target)):
            if scripts is not None and _foreign(tokens, scripts) > self.foreign:
                return "pairs in another script"
        return None


def _foreign(tokens: Iterable[str], scripts: Sequence[str]) -> float:
    """The share of letters that are of none of the scripts."""
    allowed = frozenset(script.upper() for script in scripts)
    letters = [letter for token in tokens for letter in token if letter.isalpha()]
    return sum(allowed.isdisjoint(_words(letter)) for letter in letters) / max(len(letters), 1)


@cache
def _words(letter: str) -> frozenset[str]:
    """The words of a letter's name; those of ideographs end in their code, as in CJK UNIFIED IDEOGRAPH-4E00."""
    return frozenset(name(letter, "").split())


@cache
def _scripts() -> frozenset[str]:
    return frozenset(
        word.split()[0] for code in _CODES if chr(code).isalpha() and (word := name(chr(code), ""))
    )
