"""Features of images, by a network that was trained to classify them, for captions to be ranked against."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloom.deploy import foreign
from seqloom.errors import ConfigError, DataError
from seqloom.files import lines, replacing
from seqloom.progress import track

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the channels of ImageNet's images, to which those networks are used."""
CUT, WHOLE = 224, 256
"""The side of what the network sees, and the shorter side of an image that its middle is cut from."""
View = Callable[[Any], Tensor]


def image_features(
    names: Path,
    folder: Path,
    out: Path,
    *,
    network: str = "resnet152",
    weights: Path | None = None,
    crops: int = 0,
    batch: int = 16,
    seed: int = 1,
) -> tuple[int, ...]:
    """Write the features of the images of a list as a numpy array.

    A feature is what the network's last layer would classify by, of length 1 (Kiela et al. 2018, section 4.3).

    Args:
        names: file names of images, one a line.
        folder: where the images are.
        out: the file to write, (images, size), or with crops (images, 1 + crops, size), the middle first.
        network: a ResNet of torchvision.
        weights: a file of its weights; by default those that torchvision fetches, learnt on ImageNet.
        crops: how many parts of each image, cut and mirrored at random, have features beside its middle.
        batch: images that are looked at together.
        seed: what the cuts depend on.

    Returns:
        The shape of the array.

    Raises:
        ConfigError: torchvision is not installed, or knows no such network, or the weights are of another.
        DataError: the list is empty, or an image is absent or broken.
    """
    seer, views = _seer(network, weights), _views(crops)
    listed = [(number, name) for number, name in lines(names) if name.strip()]
    if not listed:
        raise DataError("names no images; a file name a line is expected", names)
    groups = [listed[start : start + batch] for start in range(0, len(listed), batch)]
    shape: tuple[int, ...] = ()
    with replacing(out) as partial, torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for place, group in enumerate(track(groups, f"images of {names}")):
            found = _features(seer, views, [_opened(names, number, folder / name) for number, name in group])
            shape = shape or (len(listed), *found.shape[1:])
            mode: Literal["w+", "r+"] = "r+" if place else "w+"
            array = np.lib.format.open_memmap(partial, mode, np.float32, shape)
            array[place * batch : place * batch + len(found)] = found
            array.flush()
    return shape


def _torchvision() -> Any:
    try:
        import torchvision
        import torchvision.transforms.v2
    except ImportError:
        raise ConfigError('features of images need torchvision: pip install "seqloom[images]"') from None
    return torchvision


def _seer(network: str, weights: Path | None) -> nn.Module:
    """The network without its last layer, never to be trained: batch statistics stay those that it learnt."""
    models = _torchvision().models
    known = [name for name in models.list_models() if name.startswith("resnet")]
    if network not in known:
        raise ConfigError(f'torchvision has no ResNet "{network}"; it has {", ".join(known)}')
    seer: nn.Module = models.get_model(network, weights="IMAGENET1K_V1" if weights is None else None)
    if weights is not None:
        try:
            seer.load_state_dict(cast("dict[str, Tensor]", foreign.read(weights)))
        except (RuntimeError, TypeError) as fault:
            what = " ".join(str(fault).split()[:20])
            raise ConfigError(f"{weights} holds no weights of {network}: {what}") from None
    seer.fc = nn.Identity()
    return seer.eval().requires_grad_(False)


def _views(crops: int) -> list[View]:
    """What is seen of an image: its middle, then cuts at random."""
    v2 = _torchvision().transforms.v2
    plain = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, SPREAD)]
    middle = v2.Compose([v2.Resize(WHOLE), v2.CenterCrop(CUT), *plain])
    return [middle, *[v2.Compose([v2.RandomResizedCrop(CUT), v2.RandomHorizontalFlip(), *plain])] * crops]


def _opened(names: Path, number: int, path: Path) -> Any:
    """The image that a line of the list names."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise DataError(f"the image {path} cannot be read ({fault})", names, number) from None


def _features(seer: nn.Module, views: Sequence[View], images: Sequence[Any]) -> np.ndarray:
    """(images, size), or (images, views, size) where there are several."""
    seen = torch.stack([torch.stack([view(image) for view in views]) for image in images])
    vectors = functional.normalize(seer(seen.flatten(0, 1)), dim=-1).view(*seen.shape[:2], -1)
    found: np.ndarray = (vectors if len(views) > 1 else vectors.squeeze(1)).numpy()
    return found
