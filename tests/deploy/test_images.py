"""Features of images, by a stand-in for torchvision: its networks are large, and it is seldom installed."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from seqloom.deploy.images import image_features
from seqloom.errors import ConfigError, DataError

COLOURS = {"red.png": (255, 0, 0), "blue.png": (0, 0, 255), "grey.png": 128}


class Colours(nn.Module):
    """A network that sees the mean of each channel, and shifts what it sees while it trains."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x.mean((2, 3)) + self.training)


def cut(image, side):
    return image.crop((0, 0, side, side))


@pytest.fixture
def torchvision(monkeypatch):
    made = ModuleType("torchvision")
    made.models = SimpleNamespace(
        list_models=lambda: ["resnet18", "vgg11"], get_model=lambda name, weights: Colours()
    )
    made.transforms = SimpleNamespace(v2=ModuleType("torchvision.transforms.v2"))
    steps = {
        "Compose": lambda steps: lambda image: [image := step(image) for step in steps][-1],
        "Resize": lambda side: lambda image: image.resize((side, side)),
        "CenterCrop": lambda side: lambda image: cut(image, side),
        "RandomResizedCrop": lambda side: lambda image: cut(image, side),
        "RandomHorizontalFlip": lambda: lambda image: image,
        "ToImage": lambda: lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1),
        "ToDtype": lambda dtype, scale: lambda x: x.to(dtype) / 255 + torch.rand(1) / 100,
        "Normalize": lambda mean, spread: lambda x: x,
    }
    vars(made.transforms.v2).update(steps)
    for name, module in {
        "": made,
        ".transforms": made.transforms,
        ".transforms.v2": made.transforms.v2,
    }.items():
        monkeypatch.setitem(sys.modules, f"torchvision{name}", module)


@pytest.fixture
def names(tmp_path):
    for name, colour in COLOURS.items():
        Image.new("L" if isinstance(colour, int) else "RGB", (300, 280), colour).save(tmp_path / name)
    (tmp_path / "names.txt").write_text("red.png\n\ngrey.png\nblue.png\n")
    return tmp_path / "names.txt"


def features(names, **keys):
    out = names.parent / "features.npy"
    shape = image_features(names, names.parent, out, network="resnet18", batch=2, **keys)
    found = np.load(out)
    assert found.shape == shape
    return found


@pytest.mark.usefixtures("torchvision")
def test_each_image_has_a_row_of_length_1_in_the_order_of_the_list(names):
    found = features(names)
    expected = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0, 0, 1]])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert found == pytest.approx(expected, abs=0.02)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)


@pytest.mark.usefixtures("torchvision")
def test_crops_stand_behind_the_middle_and_are_the_same_again(names):
    found = features(names, crops=2)
    assert found.shape == (3, 3, 3)
    assert not np.array_equal(found[:, 1], found[:, 2])
    assert np.array_equal(features(names, crops=2), found)


@pytest.mark.usefixtures("torchvision")
def test_what_cannot_be_read_is_told(names):
    with pytest.raises(ConfigError, match=r'torchvision has no ResNet "resnet5"; it has resnet18$'):
        image_features(names, names.parent, names, network="resnet5")
    torch.save(nn.Linear(2, 2).state_dict(), names.with_name("other.pth"))
    with pytest.raises(ConfigError, match=r"other.pth holds no weights of resnet18: Error"):
        features(names, weights=names.with_name("other.pth"))
    names.write_text("red.png\nnone.png\n")
    with pytest.raises(DataError, match=r"names.txt:2: the image .*none.png cannot be read"):
        features(names)
    (names.parent / "none.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    with pytest.raises(DataError, match=r"names.txt:2: the image .*none.png cannot be read"):
        features(names)
    names.write_text("\n")
    with pytest.raises(DataError, match="names no images"):
        features(names)


def test_torchvision_is_asked_for_by_its_extra(names, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ConfigError, match=r'need torchvision: pip install "seqloom\[images\]"'):
        features(names)
