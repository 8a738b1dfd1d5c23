"""The words of an invented language family: common stems, the endings, and the sounds that each language changed.

Both languages of the demo come from one invented ancestor. A word is the ancestor's stem with the ancestor's ending,
put through the language's sound changes in their order, as the words of real families were. So relatives spell and
end alike what is the same word, and seldom share a whole form.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

Item = TypeVar("Item")

_MASK = (1 << 64) - 1


class Dice:
    """Whole numbers drawn alike in every Python on every machine (splitmix64, Steele et al. 2014).

    Args:
        seed: any text; the same text gives the same draws.
    """

    def __init__(self, seed: str) -> None:
        self.state = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little")

    def below(self, bound: int) -> int:
        """A number from 0 up to but not including `bound`, which is at most 2 ** 64."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        mixed = (self.state ^ (self.state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
        return ((mixed ^ (mixed >> 31)) * bound) >> 64

    def chance(self, percent: int) -> bool:
        """True so many times in a hundred."""
        return self.below(100) < percent

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely as the next."""
        return items[self.below(len(items))]


class Stock:
    """Items drawn by Zipf's law: the weight of rank r is 1 / (r + `flat`)."""

    def __init__(self, items: Sequence[str], flat: int) -> None:
        self.items = items
        self.bounds = list(accumulate(10**9 // (rank + flat) for rank in range(len(items))))

    def draw(self, dice: Dice) -> str:
        """One item."""
        return self.items[bisect_right(self.bounds, dice.below(self.bounds[-1]))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class of words.

    Args:
        upos: its universal part of speech.
        paradigm: which endings it takes.
        core: its commonest stems, chosen by hand, with their meanings; both languages have them all.
        size: how many stems it has, where that is more than the core; the others are made up.
        syllables: what numbers of syllables stems are made up with.
        ends: what stems are made up with at their end, "" for nothing.
        flat: how evenly stems are used (see `Stock`).
        borrowed: how many further stems in a hundred are common ones of the class `source`, so that forms of two
            classes coincide.
        kept: how many made-up stems in a hundred a language has kept from the ancestor; the others are its own.
    """

    upos: str
    paradigm: str = "word"
    core: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    syllables: Sequence[int] = (1, 2, 2, 2, 3)
    ends: Sequence[str] = ("",)
    flat: int = 3
    borrowed: int = 0
    source: str = "noun"
    kept: int = 75


def _core(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


def _verbs(size: int, core: str) -> Class:
    ends = ("", "", "is", "ur")
    return Class(upos="VERB", paradigm="verb", core=_core(core), size=size, ends=ends, flat=5, borrowed=30)


def _nouns(size: int, core: str) -> Class:
    ends = ("", "", "a", "a", "a", "e", "o", "tar", "osti", "ina", "atu")
    return Class(upos="NOUN", paradigm="noun", core=_core(core), size=size, ends=ends, flat=6)


def _names(size: int, syllables: Sequence[int], ends: str, flat: int) -> Class:
    kinds = [*ends.split(), "", ""]
    return Class(
        upos="PROPN",
        paradigm="name",
        size=size,
        syllables=syllables,
        ends=kinds,
        flat=flat,
        borrowed=10,
        kept=25,
    )


_OPEN: Mapping[str, Class] = {
    "noun": _nouns(
        1300,
        "velda=bridge tarno=letter mesia=market horte=river skoma=ship akra=field dovin=winter lemar=song "
        "havdor=shepherd kirta=bread nomo=year bresta=house tolka=word sitar=merchant plara=fish",
    ),
    "title": _nouns(16, "dom=mister mada=mistress doktar=doctor kapten=captain regal=king"),
    "feature": _nouns(8, "laka=lake mont=mountain insa=island porta=harbour"),
    "body": _nouns(30, "gilda=guild banka=bank skola=school lega=league konsil=council"),
    "adj": Class(
        upos="ADJ",
        paradigm="adjective",
        core=_core("sel=old gran=great pik=small novi=new mark=red hasti=quick bel=good"),
        size=450,
        ends=("", "", "isk", "isk", "al", "lun"),
        flat=5,
    ),
    "adv": Class(
        upos="ADV",
        paradigm="adverb",
        core=_core("rask=quickly tard=late bel=well"),
        size=160,
        ends=("", "isk", "al"),
        flat=4,
        borrowed=60,
        source="adj",
    ),
    "verb": _verbs(480, "skrev=write plad=build vend=sell kap=see prom=find tors=bring skom=sail plar=fish"),
    "say": _verbs(40, "dik=say rov=tell skand=ask legis=announce"),
    "go": _verbs(60, "mar=go retor=return vand=travel lab=flee"),
    "deal": _verbs(80, "fond=found kompr=buy strid=sue klos=close"),
    "given": _names(500, (1, 1, 2), "mir dan ilda wena eska olf ira", 25),
    "family": _names(700, (1, 2, 2), "ovar sen idan kari esku", 40),
    "place": _names(600, (1, 1, 2), "garta vik dol tona mera vala", 20),
    "firm": _names(300, (1, 2), "eks kor tal on", 25),
    "month": Class(
        upos="PROPN",
        paradigm="name",
        core=_core("januk=January martek=March sulek=July noktek=November"),
        size=12,
        ends=("ek",),
    ),
}

_CLOSED = """
when     ADV   16 ierna=yesterday nunta=now semper=always orta=here dopi=then rado=seldom
det.s    DET    9 sa=the on=a tika=this vola=every mala=no
det.p    DET    8 sar=the tikar=these multa=many alor=some
pron.s   PRON   7 hu=he ja=she tet=it kalu=someone
pron.p   PRON   6 lor=they nosa=we vim=you
pron.acc PRON   4 hun=him jan=her lorun=them tet=it
in       ADP    8 na=in osta=from do=to tra=through
near     ADP    1 apud=near
with     ADP   16 kem=with pur=for do=to sina=without ante=before na=in subi=under
of       ADP    1 di=of
and      CCONJ  1 at=and
cconj    CCONJ  4 at=and mir=but oda=or
sconj    SCONJ  8 kvan=when sila=if parde=because dun=while
that     SCONJ  1 ke=that
aux.s    AUX    7 vela=will posta=can deva=must hava=has
aux.p    AUX    7 velan=will postan=can devan=must havan=have
be.s     AUX    2 esa=is vara=was
be.p     AUX    2 esan=are varan=were
not      PART   1 ni=not
ask      PART   1 ka=whether
num      NUM   12 duva=two tirem=three kator=four penka=five deko=ten senta=hundred
"""


def _closed() -> Iterator[tuple[str, Class]]:
    for line in _CLOSED.strip().splitlines():
        name, upos, size, core = line.split(maxsplit=3)
        yield name, Class(upos=upos, core=_core(core), size=int(size), syllables=(1, 1, 2))


CLASSES: Mapping[str, Class] = {**_OPEN, **dict(_closed())}
"""The word classes by name."""

PARADIGMS: Mapping[str, Mapping[str, str]] = {
    "word": {"": "-"},
    "noun": {
        "s": "-",
        "s.acc": "am om u",
        "s.gen": "es os is",
        "s.loc": "un on in",
        "p": "ai or ir",
        "p.acc": "aim orm irem",
    },
    "name": {"": "-", "acc": "am om u", "gen": "es os is", "loc": "un on in", "adj": "iska"},
    "verb": {
        "s": "a eta i",
        "p": "enta anu inta",
        "past.s": "ila ova tu",
        "past.p": "ilan ovan tun",
        "inf": "ena ari ir",
    },
    "adjective": {"s": "o a e", "p": "or ai er"},
    "adverb": {"full": "amen", "bare": "o a e"},
}
"""The ancestor's endings by paradigm and form: one for all stems, or one for each of the three declensions."""

CHANGES: Mapping[str, Sequence[tuple[str, str]]] = {
    "tamric": (
        ("k(?=[ei])", "ch"),
        ("w", "v"),
        ("ks", "x"),
        ("(?<=[aeiou])s(?=[aeiou])", "z"),
        ("nm|mn", "mm"),
    ),
    "velnish": (
        ("^p", "f"),
        ("(?<=[aeiou])t(?=[aeiou])", "d"),
        ("(?<=[aeiou])k(?=[aeiou])", "g"),
        ("st(?=[aeiou])", "ss"),
        ("v(?=[aou])", "w"),
        ("a(?=[^aeiou]{1,2}i)", "ä"),
        ("o(?=[^aeiou]{1,2}i)", "ö"),
        ("a(?=[mn]([^aeiou]|$))", "o"),
        ("(?<=[^aeiou])[ao]$", "e"),
    ),
}
"""What each language did to the ancestor's sounds, in order, as patterns and what took their place."""

_FIRST = (*"pttkkbdgmmnnllrrssvhj", "pr", "tr", "kr", "br", "dr", "gr", "st", "sk", "pl", "kl", "vl")
_INNER = (*"pttkkbdgmnnllrrsv", "nd", "rt", "lk", "st", "sk", "rn", "mb", "ll")
_LAST = (*"nrlsmktdvg", "rn", "nt", "lt", "sk")
_VOWELS = "aaaeeeiioou"


def inflected(name: str, form: str, stem: str) -> str:
    """The ancestor's form of a stem of the class `name`; the stem's last letter decides its declension."""
    endings = PARADIGMS[CLASSES[name].paradigm][form].split()
    declension = 0 if stem[-1] in "alrnm" else 1 if stem[-1] in "oekgtd" else 2
    return _joined(stem, endings[declension % len(endings)].strip("-"))


def spoken(language: str, form: str) -> str:
    """A form of the ancestor as the language says it today."""
    for sound, heir in CHANGES[language]:
        form = re.sub(sound, heir, form)
    return form


def stems(language: str) -> dict[str, list[str]]:
    """The stems of every class, the commonest first, before the language's sound changes."""
    dice = Dice(language)
    old, own = _vocabulary(Dice("ancestor")), _vocabulary(dice)
    return {
        name: [
            first if first in kind.core or dice.chance(kind.kept) else second
            for first, second in zip(old[name], own[name], strict=True)
        ]
        for name, kind in CLASSES.items()
    }


def _vocabulary(dice: Dice) -> dict[str, list[str]]:
    known: dict[str, list[str]] = {}
    for name, kind in CLASSES.items():
        found = dict.fromkeys(kind.core)
        while len(found) < kind.size:
            lent = dice.chance(kind.borrowed)
            found[_borrowed(dice, known[kind.source]) if lent else _made_up(dice, kind)] = None
        known[name] = list(found)
    return known


def _borrowed(dice: Dice, known: Sequence[str]) -> str:
    return dice.pick(known[:300]).rstrip("aeiou")


def _made_up(dice: Dice, kind: Class) -> str:
    stem = dice.pick(_FIRST) + dice.pick(_VOWELS)
    for _ in range(dice.pick(kind.syllables) - 1):
        stem += dice.pick(_INNER) + dice.pick(_VOWELS)
    return _joined(stem + dice.pick(_LAST), dice.pick(kind.ends))


def _joined(stem: str, ending: str) -> str:
    """Of two vowels that meet, the stem's is lost."""
    meeting = stem[-1] in "aeiou" and ending.startswith(tuple("aeiou"))
    return (stem[:-1] if meeting else stem) + ending
