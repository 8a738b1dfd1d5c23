"""How well an answer agrees with those of reference, by the rules of SQuAD's evaluation script and of MLQA's."""

import re
from collections import Counter
from collections.abc import Iterable
from string import punctuation
from unicodedata import category

ARTICLES = {
    "en": "a|an|the",
    "de": "ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des",
    "es": "un|una|unos|unas|el|la|los|las",
    "vi": "của|là|cái|chiếc|những",
}
"""By language, the words that MLQA's script leaves out (Lewis et al., "MLQA", 2020)."""


def normalised(answer: str, language: str | None = None) -> str:
    """The answer in small letters, without punctuation, articles and blanks that say nothing.

    Without a language it is SQuAD's rule (Rajpurkar et al. 2016): ASCII punctuation, English articles. With one it is
    MLQA's: Unicode's punctuation too, the articles of that language; one that is not in `ARTICLES` loses none.
    """
    small = answer.lower()
    kept = "".join(one for one in small if one not in punctuation and not (language and _mark(one)))
    if articles := ARTICLES.get(language or "en"):
        kept = re.sub(rf"\b({articles})\b", " ", kept)
    return " ".join(kept.split())


def _mark(character: str) -> bool:
    return category(character).startswith("P")


def exact(answer: str, references: Iterable[str], language: str | None = None) -> bool:
    """Whether the normalised answer is one of the normalised references."""
    return normalised(answer, language) in {normalised(one, language) for one in references}


def overlap(answer: str, references: Iterable[str], language: str | None = None) -> float:
    """The F1 of the normalised answer's words, as a share of 1, by the reference that gives most; 0 without any.

    Against an empty reference, which says that there is no answer, it is 1 for an answer without words, as in version 2
    of SQuAD's script. Against any other that normalisation leaves without words it is 0, as in version 1.1.
    """
    words = normalised(answer, language).split()
    return max((_f1(words, one, language) for one in references), default=0.0)


def _f1(words: list[str], reference: str, language: str | None) -> float:
    wanted = normalised(reference, language).split()
    shared = (Counter(words) & Counter(wanted)).total()
    return 2 * shared / (len(words) + len(wanted)) if shared else float(not (words or reference))
