"""Captions with the features of their images, or with captions in another language."""

import json
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from seqloom.config import FilePath
from seqloom.data.features import ArrayRow
from seqloom.data.tokens import Tokenizer, tokenize
from seqloom.errors import DataError
from seqloom.files import lines, locate, open_bytes
from seqloom.readers import SPLITS, Example, Reader, ReaderTable


class Captions(Reader):
    """A caption a row, in `source`, with its image's features or another caption of it in `target`.

    A file is a list of image names, one a line, or a JSON file of splits as those of Karpathy and Fei-Fei (2015), with
    the split behind it: `dataset_flickr30k.json#train`. All captions of an image have its name in `group` and its line
    in `line`.
    """

    class Config(ReaderTable):
        """Where the two sides are; a JSON file has the captions itself.

        `captions`: a file of lines IMAGE#NUMBER, a tab, a caption. `languages`: instead, beside a list train.images.txt
        stand train.1.en, train.2.en, ... and train.1.de, ..., whose line n is a caption of image n; the first language
        is the source; with [en, en], each caption goes with the next one of its image. `features`: a numpy array (.npy)
        with a row for each image of the list `names`, or, without it, for each of the JSON file; a row may be the
        features of several crops. `lower`: whether letters are lower-cased, those of a JSON file's tokens too.
        """

        type: Literal["captions"] = "captions"
        captions: FilePath | None = None
        languages: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
        features: FilePath | None = None
        names: FilePath | None = None
        tokenizer: Tokenizer = "words"
        lower: bool = False

        @model_validator(mode="after")
        def _sides(self) -> "Captions.Config":
            if (self.features is None) == (self.languages is None):
                what = "needs features, the images' vectors, or languages, such as [en, de]: one of the two"
                raise ValueError(what)
            listed = [path for split in SPLITS for path in self.files(split) if not _split(path)[1]]
            if self.features is None and any(_split(path)[1] for one in SPLITS for path in self.files(one)):
                raise ValueError("of a JSON file the images are named: give their vectors as features")
            if self.features and listed and (self.captions is None or self.names is None):
                what = (
                    f"{Path(listed[0]).name} is a list of images: captions and names say what belongs to them"
                )
                raise ValueError(f"{what}; of a JSON file name the split, as in dataset.json#train")
            return self

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        """`source`, `target` and `group`."""
        return frozenset({"source", "target", "group"})

    def files(self, path: str) -> list[str]:
        """The list or JSON file, and the files of captions and features."""
        own = _split(path)[0]
        named = [one for one in (self.config.captions, self.config.features, self.config.names) if one]
        both = [file for language in self.config.languages or () for file in _numbered(own, language)]
        return [own, *named, *both]

    def read(self, path: str) -> Iterator[Example]:
        """The captions, image by image."""
        own, split = _split(path)
        if split:
            yield from self._of_json(own, split)
        elif self.config.languages:
            yield from self._of_languages(own)
        else:
            yield from self._of_list(own)

    def parse(self, text: str) -> Example:
        """A caption, or, where both sides are texts, two of them with a tab between."""
        cells = text.split("\t")
        if len(cells) != len(self.texts):
            what = f"{len(cells)} texts in a line, {len(self.texts)} are needed ({', '.join(self.texts)})"
            raise DataError(f"{what}, tabs between")
        return {name: self._cut(cell) for name, cell in zip(self.texts, cells, strict=True)}

    def _cut(self, text: str) -> list[str]:
        return tokenize(self._cased(text), self.config.tokenizer)

    def _cased(self, text: str) -> str:
        return text.lower() if self.config.lower else text

    def _of_list(self, path: str) -> Iterator[Example]:
        captions, features = self._captions(), self._features()
        for number, name in lines(path):
            if not name.strip():
                continue
            if name not in captions:
                what = f'the image "{name}" has no captions in {locate(self.config.captions)}'
                raise DataError(what, locate(path), number)
            target = features.of(name, path, number)
            for caption in captions[name]:
                yield {"source": self._cut(caption), "target": target, "group": name, "line": number}

    def _captions(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for number, line in lines(self.config.captions):
            name, tab, caption = line.partition("\t")
            image, mark, _ = name.rpartition("#")
            if line.strip() and not (tab and mark and caption.strip()):
                what = "should be IMAGE#NUMBER, a tab and a caption; found"
                raise DataError(f'{what} "{line:.60}"', locate(self.config.captions), number)
            if line.strip():
                found.setdefault(image, []).append(caption)
        return found

    def _features(self, images: int | None = None) -> "_Features":
        """The array, which has a row for each name of `names`, or without it for each of the images."""
        names = self.config.names
        return _Features(self.config.features, None if names is None else _rows_by_name(names), images)

    def _of_json(self, path: str, split: str) -> Iterator[Example]:
        images = _images(path)
        features = self._features(len(images))
        splits = dict.fromkeys(str(one.get("split")) for one in images)
        if split not in splits:
            raise DataError(f'no image is of the split "{split}" ({", ".join(splits)})', locate(path))
        for place, image in enumerate(images):
            if image.get("split") != split:
                continue
            name, sentences = str(image.get("filename", place)), image.get("sentences")
            if not sentences:
                raise DataError(f'the image "{name}" has no sentences; leave it out', locate(path))
            target = features.of(name, path, None, place)
            for one in sentences:
                yield {
                    "source": self._sentence(one, name, path),
                    "target": target,
                    "group": name,
                    "line": place + 1,
                }

    def _sentence(self, one: Any, name: str, path: str) -> list[str]:
        if isinstance(one, dict) and isinstance(one.get("tokens"), list):
            return [self._cased(str(token)) for token in one["tokens"]]
        if isinstance(one, dict) and isinstance(one.get("raw"), str):
            return self._cut(one["raw"])
        raise DataError(f'a sentence of the image "{name}" has neither tokens nor raw text', locate(path))

    def _of_languages(self, path: str) -> Iterator[Example]:
        names = [name for _, name in lines(path)]
        sides = [[_column(file, names, path) for file in _numbered(path, one)] for one in self.config.languages]
        if not all(sides) or len(sides[0]) != len(sides[1]):
            first, second = (
                f"{len(side)} of {one}" for side, one in zip(sides, self.config.languages, strict=True)
            )
            what = (
                f"beside it stand {first} and {second} (such as {_beside(path, 1, self.config.languages[0])})"
            )
            raise DataError(f"{what}; as many of both are needed", locate(path))
        if self.config.languages[0] == self.config.languages[1]:
            if len(sides[0]) < 2:
                raise DataError("an image has one caption, and none that it goes with", locate(path))
            sides[1] = [*sides[1][1:], sides[1][0]]
        for row, name in enumerate(names):
            for source, target in zip(*sides, strict=True):
                texts = {"source": self._cut(source[row]), "target": self._cut(target[row])}
                yield {**texts, "group": name, "line": row + 1}


class _Features:
    """The rows of an array, by the names of images or by number."""

    def __init__(self, path: str, places: Mapping[str, int] | None, images: int | None) -> None:
        self.named, self.path, self.places = path, locate(path), places
        try:
            self.rows = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as fault:
            raise DataError(
                f"is no numpy array of numbers ({fault}); numpy.save writes one", self.path
            ) from None
        if self.rows.dtype.kind not in "fiu":
            raise DataError(f"should hold numbers, found an array of {self.rows.dtype}", self.path)
        if self.rows.ndim not in (2, 3):
            raise DataError(f"should have a row for each image, found the shape {self.rows.shape}", self.path)
        expected, what = (images, "images") if places is None else (len(places), "names of images")
        if expected not in (None, len(self.rows)):
            raise DataError(f"has {len(self.rows):,} rows for {expected:,} {what}", self.path)

    def of(self, name: str, path: str, line: int | None, place: int = 0) -> ArrayRow:
        """Where the features of an image are."""
        found = place if self.places is None else self.places.get(name)
        if found is None or found >= len(self.rows):
            what = (
                f'there are no features of the image "{name}" in {self.path}, which has {len(self.rows):,} rows'
            )
            raise DataError(f"{what}; leave the image out, or add its row", locate(path), line)
        return ArrayRow(self.named, found)


def _rows_by_name(path: str) -> dict[str, int]:
    """The row of each image of a list of names, none of which may come twice."""
    found: dict[str, int] = {}
    for number, name in lines(path):
        if name in found:
            what = f'the image "{name}" is there twice, and a row of features with each; leave one out'
            raise DataError(what, locate(path), number)
        if name.strip():
            found[name] = len(found)
    return found


def _split(path: str) -> tuple[str, str]:
    """A path, and the name of the split behind it, if any."""
    own, mark, split = path.rpartition("#")
    return (own, split) if mark and own.endswith((".json", ".json.gz")) else (path, "")


def _images(path: str) -> list[dict[str, Any]]:
    with open_bytes(path) as file:
        try:
            found = json.loads(file.read().decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as fault:
            raise DataError(f"is not JSON: {fault}", locate(path)) from None
    images = found.get("images") if isinstance(found, dict) else None
    if not isinstance(images, list) or not all(isinstance(one, dict) for one in images):
        raise DataError('should be an object with a list "images" of objects', locate(path))
    return images


def _beside(path: str, number: int, language: str) -> str:
    """The file of the `number`-th captions in a language beside a list of images."""
    place = Path(path)
    return str(place.with_name(f"{place.name.partition('.')[0]}.{number}.{language}"))


def _numbered(path: str, language: str) -> list[str]:
    """The files of captions in a language beside a list of images, plain or compressed."""
    found: list[str] = []
    for number in count(1):
        plain = _beside(path, number, language)
        there = [one for one in (plain, f"{plain}.gz") if locate(one).is_file()]
        if not there:
            return found
        found.append(there[0])
    return found


def _column(file: str, names: list[str], path: str) -> list[str]:
    """A caption for each image."""
    found = [line for _, line in lines(file)]
    if len(found) != len(names):
        what = f"has {len(found):,} captions, but {locate(path)} lists {len(names):,} images"
        raise DataError(what, locate(file))
    return found
