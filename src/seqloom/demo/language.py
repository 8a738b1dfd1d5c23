"""Sentences in two invented, related languages, with parts of speech and names: the corpus of the demo.

Tamric has many labelled sentences, its relative Velnish a few dozen. No text of any real language is in it.
`python -m seqloom.demo.language` writes the shipped files anew, byte for byte.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqloom.demo.lexicon import CLASSES, Dice, Stock, inflected, spoken, stems
from seqloom.files import write_text

FOLDER = Path(__file__).parent / "corpus"
"""Where the shipped files are, each named `LANGUAGE-SPLIT.conll`."""

RELATIVE, TARGET = "tamric", "velnish"

SPLITS: Mapping[str, Mapping[str, int]] = {
    RELATIVE: {"train": 1300, "dev": 100},
    TARGET: {"train": 60, "dev": 100, "test": 300},
}
"""How many sentences each file has, by language and split."""

EXAMPLES: Sequence[tuple[str, str]] = (
    ("Kapten Rädmir Solowar wondowe tre Belgartun .", "Captain Radmir Solovar travelled through Belgart."),
    (
        "Ierne Gilde di Hardol fondowe on mesiom ne Lage Selmerun .",
        "Yesterday the Guild of Hardol founded a market at Lake Selmer.",
    ),
    ("Tomeks Ko komprile on sele skomom osse Nörvigon .", "Tomeks & Co. bought an old ship from Norvik."),
)
"""Sentences of the target with what they mean; their names are in none of the files."""

_ENTITIES = ("PER", "LOC", "ORG")

# Weighted expansions; a word that is no head is a word class with its form, ^ before one that a name is made of.
# A line with # stands for two, one for each number, a line with @ for four, one for each case.
_GRAMMAR = """
Sentence = 46 Clause . | 9 Clause , cconj Clause . | 6 Clause sconj Clause . | 6 sconj Clause , Clause .
Sentence = 9 Setting Clause . | 5 “ Clause ” , say.past.s PER . | 5 “ Clause ” , say.past.s det.s title.s PER .
Sentence = 4 ask Clause ? | 5 Pair . | 4 LOC , num month digits : Clause .
Setting  = 4 when | 3 in Land.loc , | 2 in month | 2 in digits | 1 month.loc
Pair     = 1 PER and PER verb.past.p Object | 1 LOC and LOC be.p adj.p | 1 ORG and ORG deal.past.p Object

Clause   = 20 Plain.s | 12 Plain.p | 16 Person Doing | 12 ORG Dealing | 5 Placed
Plain.#  = 5 Noun.# Act.# Ends | 2 pron.# Act.# Ends | 2 Noun.# be.# Status.# | 1 Noun.# go.past.# Route
Act.#    = 5 verb.past.# Object | 3 verb.# Object | 2 aux.# verb.inf Object | 1 not verb.# Object | 2 verb.# Manner
Object   = 5 Noun.s.acc | 3 Noun.p.acc | 1 pron.acc | 1 PER.acc | 1 ORG.acc
Manner   = 2 adv.full | 1 adv.bare
Ends     = 6 | 2 with Noun.s | 2 in Land.loc | 1 Manner | 1 when
Status.# = 3 adj.# | 1 adv.bare adj.# | 1 not adj.#
Placed   = 1 LOC be.s Status.s | 1 LOC be.s near LOC | 1 ORG be.s in LOC.loc

Person   = 6 PER | 4 title.s PER | 1 PER , det.s noun.s Of ,
Of       = 1 of LOC | 1 of ORG | 1
Doing    = 5 say.past.s that Clause | 4 go.past.s Route | 4 Act.s Ends | 2 be.s det.s noun.s Of
Doing    = 2 verb.past.s PER.acc with Noun.s
Route    = 3 in LOC.loc | 1 in LOC.loc with PER | 1 in LOC in LOC.loc | 1 with Noun.s
Dealing  = 3 deal.past.s Object | 2 deal.past.s ORG.acc | 1 deal.s Object in LOC.loc | 1 say.past.s that Clause

Noun.s@  = 5 det.s Core.s@ | 3 Core.s@ | 2 det.s Core.s@ Genitive
Noun.p@  = 3 det.p Core.p@ | 2 num Core.p@ | 2 digits Core.p@ | 3 Core.p@ | 1 Core.p@ Genitive
Core.#@  = 5 noun.#@ | 3 adj.# noun.#@
Genitive = 3 of Noun.s | 2 of LOC | 1 of PER | 1 of ORG
Land@    = 6 LOC@ | 1 Noun.s@

PER@     = 5 given family@ | 2 family@ | 2 given@ | 1 initial family@
LOC@     = 7 place@ | 1 ^adj.s place@ | 1 ^feature.s place@
ORG@     = 3 firm@ mark | 3 firm@ | 2 acronym | 2 ^body.s@ of place | 1 ^body.s@ family | 2 ^place.adj ^body.s@
ORG@     = 1 ^adj.s ^noun.s@ | 1 place@
"""

# Where a language goes its own way: these take the place of the rules above.
_CUSTOMS: Mapping[str, str] = {
    RELATIVE: "",
    TARGET: """
Core.#@  = 5 noun.#@ | 2 adj.# noun.#@ | 1 noun.#@ adj.#
Genitive = 4 Noun.s.gen | 2 LOC.gen | 1 PER.gen | 1 of ORG
""",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word in its sentence, with its universal part of speech and its name's BIO tag."""

    form: str
    upos: str
    tag: str = "O"


Sentence = tuple[Token, ...]


class Speaker:
    """Makes up sentences of one language, the same ones for the same seed.

    Args:
        language: `RELATIVE` or `TARGET`.
        seed: which sentences; the corpus is that of 1.
        shortest, longest: tokens in a sentence.
    """

    def __init__(self, language: str, seed: int = 1, shortest: int = 4, longest: int = 20) -> None:
        self.language, self.shortest, self.longest = language, shortest, longest
        self.dice = Dice(f"{language} {seed}")
        self.rules = _rules(_GRAMMAR) | _rules(_CUSTOMS[language])
        self.stocks = {name: Stock(known, CLASSES[name].flat) for name, known in stems(language).items()}

    def sentence(self) -> Sentence:
        """One more sentence."""
        while not self.shortest <= len(tokens := self._grown("Sentence")) <= self.longest:
            pass
        first = next(place for place, token in enumerate(tokens) if token.upos != "PUNCT")
        tokens[first] = _capital(tokens[first])
        return tuple(tokens)

    def _grown(self, symbol: str) -> list[Token]:
        if symbol not in self.rules:
            return [self._token(symbol)]
        tokens = [token for part in self.dice.pick(self.rules[symbol]) for token in self._grown(part)]
        kind = symbol.partition(".")[0]
        return _named(tokens, kind) if kind in _ENTITIES else tokens

    def _token(self, symbol: str) -> Token:
        if symbol in _UNINFLECTED:
            return _UNINFLECTED[symbol](self.dice)
        return self._word(symbol) if symbol[-1].isalpha() else Token(symbol, "PUNCT")

    def _word(self, symbol: str) -> Token:
        plain = symbol.removeprefix("^")
        name, _, form = (plain, "", "") if plain in CLASSES else plain.partition(".")
        stem = self.stocks[name].draw(self.dice)
        token = Token(spoken(self.language, inflected(name, form, stem)), CLASSES[name].upos)
        naming = token.upos == "PROPN" or plain != symbol
        return replace(_capital(token), upos="PROPN") if naming else token


def _rules(text: str) -> dict[str, list[list[str]]]:
    """By head its expansions, each as many times as its weight says."""
    rules: dict[str, list[list[str]]] = {}
    for line in filter(None, text.splitlines()):
        for variant in _variants(line):
            head, bodies = variant.split(" = ")
            for body in bodies.split(" | "):
                weight, *symbols = body.split()
                rules.setdefault(head.strip(), []).extend([symbols] * int(weight))
    return rules


def _variants(line: str) -> Iterator[str]:
    for number in "sp" if "#" in line else "s":
        for case in ("", ".acc", ".gen", ".loc") if "@" in line else ("",):
            yield line.replace("#", number).replace("@", case)


def _named(tokens: Sequence[Token], kind: str) -> list[Token]:
    return [replace(token, tag=f"{'I' if place else 'B'}-{kind}") for place, token in enumerate(tokens)]


def _capital(token: Token) -> Token:
    return replace(token, form=token.form[0].upper() + token.form[1:])


def _digits(dice: Dice) -> Token:
    return Token(str(dice.pick((10, 100, 1000, 2000)) + dice.below(1000)), "NUM")


def _initial(dice: Dice) -> Token:
    return Token(dice.pick("ABDEGHKLMNOPRSTV") + ".", "PROPN")


def _acronym(dice: Dice) -> Token:
    return Token("".join(dice.pick("BDFGKLMNPRSTV") for _ in range(2 + dice.below(3))), "PROPN")


def _mark(dice: Dice) -> Token:
    return Token(dice.pick(("Ko", "Ko", "Sn", "Gild")), "PROPN")


_UNINFLECTED: Mapping[str, Callable[[Dice], Token]] = {
    "digits": _digits,
    "initial": _initial,
    "acronym": _acronym,
    "mark": _mark,
}


def corpus() -> dict[str, str]:
    """The contents of the corpus by file name: token, UPOS and BIO tag a line, an empty line after a sentence.

    No sentence occurs twice in a language.
    """
    files = {}
    for language, splits in SPLITS.items():
        sentences = _distinct(Speaker(language))
        for split, size in splits.items():
            text = "".join(_written(next(sentences)) for _ in range(size))
            files[f"{language}-{split}.conll"] = _HEADER.format(language.capitalize()) + text
    return files


_HEADER = "# {}, an invented language. Columns: token, part of speech, name. Made by seqloom.demo.language.\n"


def _distinct(speaker: Speaker) -> Iterator[Sentence]:
    seen: set[Sentence] = set()
    while True:
        sentence = speaker.sentence()
        if sentence not in seen:
            seen.add(sentence)
            yield sentence


def _written(sentence: Sentence) -> str:
    return "".join(f"{token.form}\t{token.upos}\t{token.tag}\n" for token in sentence) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Write every file of the corpus into a folder."""
    for name, text in corpus().items():
        write_text(folder / name, text)


if __name__ == "__main__":
    write()
