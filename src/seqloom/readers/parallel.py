"""Parallel text: line n of one file is the translation of line n of another, or both stand in one line."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seqloom.data.bitext import Form, form_of, side_texts
from seqloom.data.cleaning import Cleaning
from seqloom.data.subwords import Cutter, Subwords, learn_pieces, require_tokenizers
from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.data.vocabulary import Vocabularies
from seqloom.errors import DataError
from seqloom.files import lines, locate
from seqloom.progress import notice
from seqloom.readers import SPLITS, Example, Reader, ReaderTable


class Parallel(Reader):
    """Pairs of a source and a target text; a pair with a blank side is left out, and both files stay in step."""

    class Config(ReaderTable):
        """`languages`: the part of the file name that tells source from target.

        With [en, de], the file train.en.gz (named in `train`) holds the sources and train.de.gz beside it the
        targets. Without, a line holds both, a tab between; what stands behind a further tab is left out.
        `format`: whether a side is plain `lines`, lines among `tags` of metadata (IWSLT's train.tags.de-en.de), or the
        `segments` of XML or SGML; unset, the file's name decides. `clean`: which training pairs are left out as hardly
        translations. `lower`: whether letters are lower-cased. `subwords`: into how many learnt pieces words are cut.
        """

        type: Literal["parallel"] = "parallel"
        languages: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
        format: Form | None = None
        clean: Cleaning | None = None
        tokenizer: Tokenizer = "words"
        lower: bool = False
        subwords: Subwords | None = None

        @model_validator(mode="after")
        def _named(self) -> "Parallel.Config":
            if self.languages and self.languages[0] == self.languages[1]:
                what = f"a file of {self.languages[0]} would be its own translation"
                raise ValueError(f"languages: {what}; name two parts that differ, such as [en, de]")
            for path in (path for split in SPLITS for path in self.files(split)):
                if self.languages and self.languages[0] not in Path(path).name.split("."):
                    what = f'the file name {Path(path).name} has no part "{self.languages[0]}" between dots'
                    raise ValueError(
                        f"{what}; languages: [en, de] goes with a source file such as train.en or train.en.gz"
                    )
                if not self.languages and (self.format or form_of(path)) != "lines":
                    what = f"{Path(path).name} holds one side of the pairs"
                    raise ValueError(f"{what}; name the other with languages, such as [de, en]")
            return self

        def content(self) -> dict[str, Any]:
            """All but `subwords`: rows are stored as words too, and in pieces by what was learnt."""
            found = {key: one for key, one in super().content().items() if key != "subwords"}
            # Moses once cut every language as English.
            return found | ({"cut": "by language"} if self.tokenizer.startswith("moses") else {})

    _cutters: Mapping[str, Cutter] = MappingProxyType({})

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """`source` and `target`."""
        return frozenset({"source", "target"})

    def files(self, path: str) -> list[str]:
        """The file of the sources, and that of the targets."""
        if self.config.languages is None:
            return [path]
        source, target = self.config.languages
        place = Path(path)
        parts = place.name.split(".")
        if source not in parts:
            what = f'the file name {place.name} has no part "{source}" between dots'
            raise DataError(
                f"{what}; name the file of the sources, beside which that of the targets stands", path
            )
        parts[len(parts) - 1 - parts[::-1].index(source)] = target
        name = ".".join(parts)
        names = (one for each in (name, _referring(name)) for one in (each, _repacked(each)))
        beside = [place.with_name(one) for one in names]
        return [path, str(next((one for one in beside if locate(str(one)).is_file()), beside[0]))]

    def read(self, path: str) -> Iterator[Example]:
        """The pairs of a file or of two; files with different numbers of lines or segments are refused."""
        left_out: Counter[str] = Counter()
        clean = self.config.clean if self.variant(path) else None
        for number, source, target in self._pairs(path):
            if source is None or target is None:
                left_out["lines of metadata"] += 1
                continue
            if clean is not None:
                source, target = clean.repaired(source), clean.repaired(target)
            if not (source.strip() and target.strip()):
                left_out["pairs with a blank side"] += 1
                continue
            pair = self._cut(source, 0), self._cut(target, 1)
            if clean is not None and (why := clean.refusal(*pair)):
                left_out[why] += 1
            else:
                yield {"source": pair[0], "target": pair[1], "line": number}
        if left_out:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
            notice(f"{locate(path)}: {reasons} are left out")

    def variant(self, path: str) -> str:
        """Training pairs are cleaned, those of other files are not."""
        return "cleaned" if self.config.clean is not None and path in self.config.files("train") else ""

    def parse(self, text: str) -> Example:
        """A line of source text."""
        return {"source": self._cut(text, 0)}

    @classmethod
    def require(cls, config: Any) -> None:
        """Pieces are learnt by the extra `text`."""
        if config.subwords is not None:
            require_tokenizers()

    def learns(self) -> tuple[str, ...]:
        """The pieces of both sides, or those of each."""
        table = self.config.subwords
        return () if table is None else ("pieces",) if table.joint else ("source-pieces", "target-pieces")

    def learn(self, words: Mapping[str, Mapping[str, int]], place: str) -> Vocabularies:
        """The pieces of both sides' words, or of each side's; a ConfigError where `size` is below their characters."""
        table = self.config.subwords
        if table is None:
            return {}
        counts: dict[str, Counter[str]] = {}
        for side, one in words.items():
            counts.setdefault("pieces" if table.joint else f"{side}-pieces", Counter()).update(one)
        return {
            name: learn_pieces(one, table.size, minimum=table.minimum, what=f"{place}.subwords, {name}")
            for name, one in counts.items()
        }

    def recall(self, learned: Vocabularies) -> None:
        """Cut by these pieces from now on."""
        if (table := self.config.subwords) is not None:
            names = {side: "pieces" if table.joint else f"{side}-pieces" for side in ("source", "target")}
            self._cutters = {side: Cutter(learned[name]) for side, name in names.items()}
            self.learned = " ".join(one.digest for one in self._cutters.values())

    def cut(self, example: Example) -> Example:
        """Both sides in pieces, once they are learnt."""
        return example | {side: cut(example[side]) for side, cut in self._cutters.items() if side in example}

    def _cut(self, text: str, side: int) -> list[str]:
        language = self.config.languages[side] if self.config.languages else "en"
        tokens = tokenize(text, self.config.tokenizer, language)
        # Moses goes by capital letters.
        return [token.lower() for token in tokens] if self.config.lower else tokens

    def _pairs(self, path: str) -> Iterator[tuple[int, str | None, str | None]]:
        if self.config.languages is None:
            yield from self._cells(path)
            return
        first, second = self.files(path)
        forms = [self.config.format or form_of(one) for one in (first, second)]
        both = zip_longest(side_texts(first, forms[0]), side_texts(second, forms[1]))
        for count, (source, target) in enumerate(both):
            if source is None or target is None:
                longer, shorter = (first, second) if target is None else (second, first)
                unit = "segments" if "segments" in forms else "lines"
                most = count + 1 + sum(1 for _ in both)
                what = f"has {most:,} {unit}, but {locate(shorter)} has {count:,}"
                raise DataError(f"{what}; one by one they should be translations", locate(longer))
            yield (*source, target[1])

    def _cells(self, path: str) -> Iterator[tuple[int, str, str]]:
        for number, line in lines(path):
            cells = line.split("\t")
            if len(cells) < 2 and line.strip():
                what = "no tab: a line should hold source and target, a tab between"
                raise DataError(f"{what}; for two files, set languages, such as [en, de]", locate(path), number)
            yield number, *(cells[:2] if len(cells) > 1 else ("", ""))


def _referring(name: str) -> str:
    """The name of the translations of WMT's newstest2016-deen-src.de.sgm: those end in -ref."""
    swapped = {"-src.": "-ref.", "-ref.": "-src."}
    return re.sub("-(?:src|ref)[.]", lambda found: swapped[found[0]], name)


def _repacked(name: str) -> str:
    """The name of the same file compressed, or no longer so."""
    return name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
