"""Subwords: words cut into pieces learnt by byte-pair merging (Sennrich et al. 2016), and joined again."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import repeat

from seqloom.config import Count, Table
from seqloom.data.vocabulary import UNKNOWN, Vocabulary
from seqloom.errors import ConfigError
from seqloom.progress import notice

JOINER = "\u2040"
"""The mark at the end of a piece that another piece of its word follows: a character tie.

It is neither OpenNMT's mark nor subword-nmt's: text that those have cut already stays as it is.
"""
KEPT = 1_000_000
"""Cut words that are remembered."""


class Subwords(Table):
    """Cut words into `size` pieces, of both sides (`joint`) or of each; merged pairs were seen `minimum` times."""

    size: Count
    joint: bool = True
    minimum: Count = 2


def learn_pieces(counts: Mapping[str, int], size: int, *, minimum: int = 2, what: str = "") -> Vocabulary:
    """The pieces of words: every character, then merged ones in the order of merging.

    Args:
        counts: how often each word occurs.
        size: how many pieces.
        minimum: how often a pair of pieces must occur to be merged.
        what: whose words they are, for messages.

    Raises:
        ConfigError: there are more characters than `size`, or the extra `text` is not installed.
    """
    words = {word: count for word, count in sorted(counts.items()) if JOINER not in word}
    letters = len(set().union(*words)) if words else 0
    if letters > size:
        told = f"{what}: {size:,} pieces cannot hold the {letters:,} characters of the training words"
        raise ConfigError(f"{told}; raise size to at least {letters:,}")
    pieces = _merging(words, size, minimum)
    if len(pieces) < size:
        notice(f"{what}: {len(pieces):,} pieces were learnt, not {size:,}: no more pairs occur {minimum} times")
    return Vocabulary(pieces)


def require_tokenizers() -> None:
    """Raise a ConfigError where the extra `text` is not installed."""
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        raise ConfigError('subwords are learnt by tokenizers: pip install "seqloom[text]"') from None


def _merging(words: Mapping[str, int], size: int, minimum: int) -> list[str]:
    require_tokenizers()
    from tokenizers import Tokenizer, models, trainers

    model = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=minimum, show_progress=False)
    model.train_from_iterator(_repeated(words), trainer)
    numbers: dict[str, int] = model.get_vocab()
    return sorted(numbers, key=numbers.__getitem__)


def _repeated(words: Mapping[str, int]) -> Iterator[str]:
    for word, count in words.items():
        yield from repeat(word, count)


class Cutter:
    """Cuts words by learnt pieces: the adjacent two that make the earliest learnt piece are merged first."""

    def __init__(self, pieces: Vocabulary) -> None:
        self.digest = sha256(json.dumps(pieces.symbols).encode()).hexdigest()
        self._ranks = {piece: rank for rank, piece in enumerate(pieces)}
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, words: Iterable[str]) -> list[str]:
        """The pieces of words, each but a word's last with the joiner at its end."""
        return [piece for word in words for piece in self._cut(word)]

    def _cut(self, word: str) -> tuple[str, ...]:
        found = self._known.get(word)
        if found is None:
            pieces = self._merged(word)
            found = (*(piece + JOINER for piece in pieces[:-1]), *pieces[-1:])
            if len(self._known) < KEPT:
                self._known[word] = found
        return found

    def _merged(self, word: str) -> list[str]:
        # A joiner of the text itself is doubled, so that only a mark makes their number odd.
        pieces = [2 * JOINER if letter == JOINER else letter for letter in word]
        while len(pieces) > 1:
            ranked = [
                (self._ranks[pair], place)
                for place in range(len(pieces) - 1)
                if (pair := pieces[place] + pieces[place + 1]) in self._ranks
            ]
            if not ranked:
                break
            place = min(ranked)[1]
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        return pieces


def join_pieces(pieces: Sequence[str]) -> list[str]:
    """The words of pieces; those without any joiner stay as they are."""
    words: list[str] = []
    begun = ""
    for piece in pieces:
        if _goes_on(piece):
            begun += _unjoined(piece)
        else:
            words.append(_plain(begun + piece))
            begun = ""
    return [*words, _plain(begun)] if begun else words


def copied(written: Sequence[str], looked: Sequence[int], source: Sequence[str]) -> list[str]:
    """What was written, in words or pieces, with words of the source in place of unknown ones.

    One that stands by itself gives way to the whole word that the piece looked at is of; further ones that look at
    other pieces of that word are left out. One that ends a word gives way to the piece alone, which ends it too.

    Args:
        written: words or pieces.
        looked: the place in the source that each looked at.
        source: words or pieces.
    """
    found: list[str] = []
    whole, seen = _whole(source), None
    for word, place in zip(written, looked, strict=False):
        if word != UNKNOWN:
            found.append(word)
            seen = None
        elif found and _goes_on(found[-1]):
            found.append(_unjoined(source[place]))
        elif seen is None or seen == place or whole[seen][0] != whole[place][0]:
            found.append(whole[place][1])
            seen = place
    return found


def _whole(pieces: Sequence[str]) -> list[tuple[int, str]]:
    """For each piece where its word begins, and that word as one piece."""
    found: list[tuple[int, str]] = []
    for place, piece in enumerate(pieces, 1):
        if not _goes_on(piece) or place == len(pieces):
            start = len(found)
            word = "".join(map(_unjoined, pieces[start:place]))
            found += [(start, word)] * (place - start)
    return found


def _unjoined(piece: str) -> str:
    return piece[:-1] if _goes_on(piece) else piece


def _goes_on(piece: str) -> bool:
    return (len(piece) - len(piece.rstrip(JOINER))) % 2 == 1


def _plain(word: str) -> str:
    return word.replace(2 * JOINER, JOINER)
