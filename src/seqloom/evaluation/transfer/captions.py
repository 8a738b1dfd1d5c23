"""Captions with the vectors of their images: the data of the suite's retrieval task."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqloom.errors import DataError
from seqloom.evaluation.transfer.corpora import Absent, Corpus, Examples
from seqloom.files import lines, sha256


@dataclass(frozen=True)
class Captions:
    """Where captions, the images' vectors and the lists of the parts are; all below one folder of the data root.

    `captions` has lines IMAGE#NUMBER, a tab, a caption; `names` lists the images in the order of the rows of
    `features`; each list of `parts` names its images.
    """

    folder: str
    captions: str
    features: str
    names: str
    parts: Mapping[str, str]
    remedy: str

    def read(self, root: Path) -> Corpus:
        """Captions, image by image, with the row of their image's vector as gold."""
        needed = [self.captions, self.features, self.names, *self.parts.values()]
        missing = [f"{self.folder}/{name}" for name in needed if not (root / self.folder / name).is_file()]
        if missing:
            raise Absent(missing, root, self.remedy, partly=len(missing) < len(needed))
        folder = root / self.folder
        rows = {name: place for place, name in enumerate(self._listed(folder / self.names))}
        captions: dict[str, list[str]] = {}
        for _, line in lines(folder / self.captions):
            name, _, caption = line.partition("\t")
            captions.setdefault(name.rpartition("#")[0], []).append(caption)
        parts = {
            part: _examples(folder / path, self._listed(folder / path), rows, captions)
            for part, path in self.parts.items()
        }
        files = {f"{self.folder}/{name}": sha256(folder / name) for name in needed}
        return Corpus(parts, files, features=self._features(folder / self.features, len(rows)))

    @staticmethod
    def _listed(path: Path) -> list[str]:
        return [line for _, line in lines(path) if line]

    @staticmethod
    def _features(path: Path, images: int) -> np.ndarray:
        try:
            found: np.ndarray = np.load(path, allow_pickle=False).astype(np.float32)
        except (ValueError, EOFError) as fault:
            raise DataError(f"is no numpy array: {fault}", path) from None
        if found.ndim != 2 or len(found) != images:
            raise DataError(f"has the shape {found.shape}; (images, size) for {images} images is needed", path)
        # Probabilities say more by their logarithms.
        if found.min() >= 0 and np.allclose(found.sum(1), 1, atol=1e-3):
            found = np.log(found + 1e-8)
        return found


def _examples(
    path: Path, names: list[str], rows: Mapping[str, int], captions: Mapping[str, list[str]]
) -> Examples:
    for number, name in enumerate(names, 1):
        if name not in rows or name not in captions:
            raise DataError(f'the image "{name}" has no vector or no captions', path, number)
    told = [(caption, rows[name]) for name in names for caption in captions[name]]
    return Examples(([caption for caption, _ in told],), np.array([row for _, row in told]))
