"""Images found by captions and captions by images: linear maps of both into one space, learnt by ranking."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from seqloom.evaluation.transfer.folds import SEED
from seqloom.evaluation.transfer.perceptrons import first_weights, with_ones
from seqloom.nn.ranking import ranks, recalls

SIZE, MARGIN, CONTRASTS, BATCH, PASSES, TENACITY, FOLD = 1000, 0.2, 30, 128, 20, 3, 1000
"""Numbers in the space, margin, wrong partners of each pair, pairs a step, passes after which one more follows,
failed checks that are borne, and images that are ranked together."""


def retrieval(
    parts: Mapping[str, np.ndarray],
    images: Mapping[str, np.ndarray],
    features: np.ndarray,
    seed: int = SEED,
    size: int = SIZE,
) -> dict[str, Any]:
    """Learn from the training captions, stop by the recalls on dev, and rank the test part both ways.

    The images of a part are ranked among at most a thousand of it, as in SentEval; recalls are means over such folds.

    Args:
        parts: (captions, size) vectors of captions by part.
        images: (captions,) the row of each caption's image.
        features: (images, size) vectors of the images.
        seed: of the first weights, the order and the wrong partners.
        size: numbers in the space.
    """
    told = torch.from_numpy(features)
    vectors = {name: torch.from_numpy(one.astype(np.float32)) for name, one in parts.items()}
    space = _Space(vectors["train"].shape[1], told.shape[1], size, seed)
    random, best, kept, failures = np.random.RandomState(seed), -1.0, space.copied(), 0
    dev: dict[str, float] = {}
    for _ in range(PASSES + 1):
        _pass(space, vectors["train"], torch.from_numpy(images["train"]), told, random)
        found = _recalled(space, vectors["dev"], images["dev"], told)
        total = sum(found[f"{way}_r{most}"] for way in ("caption", "image") for most in (1, 5, 10))
        if total > best:
            best, kept, dev = total, space.copied(), found
        else:
            failures += 1
            if failures > TENACITY:
                break
    space.weights = kept
    test = _recalled(space, vectors["test"], images["test"], told)
    rows = {name: len(one) for name, one in vectors.items()}
    return {"dev": dev | {"recalls": best}, "test": test, "rows": rows}


class _Space:
    def __init__(self, caption: int, image: int, size: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        both = [first_weights([inputs, size], random)[0].T.contiguous() for inputs in (image, caption)]
        self.weights = [one.requires_grad_() for one in both]
        self.optimizer = torch.optim.Adam(self.weights, fused=True)

    def copied(self) -> list[Tensor]:
        return [one.detach().clone() for one in self.weights]

    def of_images(self, vectors: Tensor) -> Tensor:
        return normalize(with_ones(vectors) @ self.weights[0])

    def of_captions(self, vectors: Tensor) -> Tensor:
        return normalize(with_ones(vectors) @ self.weights[1])


def _pass(
    space: _Space, captions: Tensor, images: Tensor, features: Tensor, random: np.random.RandomState
) -> None:
    """One pass over the captions; partners are projected once a step, however many pairs they contrast."""
    for rows in torch.from_numpy(random.permutation(len(captions))).split(BATCH):  # type: ignore[no-untyped-call]
        wrong = torch.from_numpy(random.randint(0, len(captions), (len(rows), CONTRASTS)))
        used, place = torch.cat([rows[:, None], wrong], 1).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        seen, image = images[used].unique(return_inverse=True)  # type: ignore[no-untyped-call]
        told, shown = space.of_captions(captions[used]), space.of_images(features[seen])
        caption, picture = told[place[:, 0]], shown[image[place[:, 0]]]
        right = (caption * picture).sum(1, keepdim=True)
        for_image = (caption @ shown.T).gather(1, image[place[:, 1:]])
        for_caption = (picture @ told.T).gather(1, place[:, 1:])
        loss = (MARGIN - right + for_image).clamp(min=0).sum() + (MARGIN - right + for_caption).clamp(
            min=0
        ).sum()
        space.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        space.optimizer.step()


@torch.no_grad()
def _recalled(space: _Space, captions: Tensor, images: np.ndarray, features: Tensor) -> dict[str, float]:
    listed = list(dict.fromkeys(images.tolist()))
    found = []
    for start in range(0, len(listed), FOLD):
        some = torch.tensor(listed[start : start + FOLD])
        mine = torch.from_numpy(np.flatnonzero(np.isin(images, some.numpy())))
        scores = space.of_captions(captions[mine]) @ space.of_images(features[some]).T
        right = torch.from_numpy(images)[mine][:, None] == some
        ways = {"image": ranks(scores, right), "caption": ranks(scores.T, right.T)}
        found.append({f"{way}_{name}": one for way in ways for name, one in recalls(ways[way]).items()})
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}
