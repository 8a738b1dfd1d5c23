"""How well an answer agrees with those of reference, by the rules of SQuAD's evaluation script and of MLQA's."""

import re
from collections import Counter
from collections.abc import Iterable
from string import punctuation
from typing import Literal
from unicodedata import category

Language = Literal["ar", "de", "en", "es", "hi", "vi", "zh"]
"""Those that MLQA's script knows (Lewis et al., "MLQA", 2020)."""

_NOTHING: dict[Language, str] = {
    # The script's own pattern: its first half never matches, and the second stands for an article anywhere.
    "ar": r"\sال^|ال",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
}
"""By language, what says nothing in an answer: articles."""
_IDEOGRAPH = r"([\u4e00-\u9fa5])"


def normalised(answer: str, language: Language | None = None) -> str:
    """The answer in small letters, without punctuation, articles and blanks that say nothing.

    Without a language it is SQuAD's rule (Rajpurkar et al. 2016): ASCII punctuation, English articles. With one it is
    MLQA's: Unicode's punctuation too, the articles of that language; each Chinese character is a word.
    """
    small = answer.lower()
    kept = "".join(one for one in small if one not in punctuation and not (language and _mark(one)))
    if nothing := _NOTHING.get(language or "en"):
        kept = re.sub(nothing, " ", kept)
    if language == "zh":
        kept = re.sub(_IDEOGRAPH, r" \1 ", kept)
    return " ".join(kept.split())


def _mark(character: str) -> bool:
    return category(character).startswith("P")


def exact(answer: str, references: Iterable[str], language: Language | None = None) -> bool:
    """Whether the normalised answer is one of the normalised references."""
    return normalised(answer, language) in {normalised(one, language) for one in references}


def overlap(answer: str, references: Iterable[str], language: Language | None = None) -> float:
    """The F1 of the normalised answer's words, as a share of 1, by the reference that gives most; 0 without any.

    Against an empty reference, which says that there is no answer, it is 1 for an answer without words, as in version 2
    of SQuAD's script. Against any other that normalisation leaves without words it is 0, as in version 1.1.
    """
    words = normalised(answer, language).split()
    return max((_f1(words, one, language) for one in references), default=0.0)


def _f1(words: list[str], reference: str, language: Language | None) -> float:
    wanted = normalised(reference, language).split()
    shared = (Counter(words) & Counter(wanted)).total()
    return 2 * shared / (len(words) + len(wanted)) if shared else float(not (words or reference))
