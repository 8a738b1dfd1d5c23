import gzip
import json

import numpy as np
import pytest
from pydantic import ValidationError

from seqloom.errors import DataError
from seqloom.readers.captions import Captions


def reader(**keys):
    return Captions(Captions.Config(**keys), ("source",))


@pytest.fixture
def listed(tmp_path):
    """Lists of images with a file of captions and an array of features; what stands in them can be changed."""
    texts = {
        "train.txt": "b.jpg\na.jpg\n",
        "captions.txt": "a.jpg#0\tOne dog\na.jpg#1\tA dog\nb.jpg#0\tTwo cats\nc.jpg#0\tOther\n",
        "names.txt": "a.jpg\nb.jpg\n",
    }
    np.save(tmp_path / "features.npy", np.array([[1, 2], [3, 4]], dtype=np.float32))

    def found(**changed):
        for name, text in {**texts, **changed}.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        paths = {"captions": "captions.txt", "names": "names.txt", "features": "features.npy"}
        one = reader(lower=True, **{key: str(tmp_path / name) for key, name in paths.items()})
        return list(one.read(str(tmp_path / "train.txt")))

    return found


def test_every_caption_goes_with_the_features_of_its_image(listed):
    rows = [(one["source"], one["target"].numbers().tolist(), one["group"], one["line"]) for one in listed()]
    assert rows == [
        (["two", "cats"], [3, 4], "b.jpg", 1),
        (["one", "dog"], [1, 2], "a.jpg", 2),
        (["a", "dog"], [1, 2], "a.jpg", 2),
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"captions_txt": "a.jpg#0\tOne\n"}, r'train.txt:1.*"b.jpg" has no captions'),
        ({"captions_txt": "a.jpg One\n"}, "captions.txt:1.*should be IMAGE#NUMBER"),
        ({"train_txt": "c.jpg\n"}, r'train.txt:1.*no features of the image "c.jpg".*2 rows'),
        ({"names_txt": "a.jpg\n"}, "2 rows for 1 names"),
        ({"names_txt": "a.jpg\n\na.jpg\n"}, r'names.txt:3: the image "a.jpg" is there twice'),
    ],
)
def test_images_and_captions_that_lack_each_other_are_told(listed, changed, message):
    with pytest.raises(DataError, match=message):
        listed(**changed)


def test_features_that_are_no_array_are_told(listed, tmp_path):
    (tmp_path / "features.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"features.npy.*is no numpy array"):
        listed()
    np.save(tmp_path / "features.npy", np.array([["1", "2"], ["3", "4"]]))
    with pytest.raises(DataError, match=r"features.npy.*should hold numbers, found an array of <U1"):
        listed()


IMAGES = [
    {"filename": "a.jpg", "split": "train", "sentences": [{"tokens": ["one", "dog"]}, {"raw": "A dog"}]},
    {"filename": "b.jpg", "split": "val", "sentences": [{"tokens": ["two", "cats"]}]},
]


def test_a_json_file_has_its_splits_behind_its_name(tmp_path):
    (tmp_path / "all.json").write_text(json.dumps({"images": IMAGES}))
    np.save(tmp_path / "features.npy", np.eye(2))
    one = reader(features=str(tmp_path / "features.npy"), train=f"{tmp_path}/all.json#train")
    path = str(tmp_path / "all.json")
    assert one.files(f"{path}#val")[0] == path
    assert [(row["source"], row["target"].numbers().tolist()) for row in one.read(f"{path}#val")] == [
        (["two", "cats"], [0, 1])
    ]
    assert [row["source"] for row in one.read(f"{path}#train")] == [["one", "dog"], ["A", "dog"]]
    with pytest.raises(DataError, match=r'no image is of the split "test" \(train, val\)'):
        list(one.read(f"{path}#test"))


def test_tokens_of_a_json_file_are_lower_cased_like_raw_text(tmp_path):
    images = [{"split": "train", "sentences": [{"tokens": ["One", "Dog"]}, {"raw": "A Dog"}]}]
    (tmp_path / "all.json").write_text(json.dumps({"images": images}))
    np.save(tmp_path / "features.npy", np.eye(1))
    rows = reader(features=str(tmp_path / "features.npy"), lower=True).read(f"{tmp_path}/all.json#train")
    assert [row["source"] for row in rows] == [["one", "dog"], ["a", "dog"]]


@pytest.mark.parametrize("rows", [1, 3])
def test_an_array_without_names_has_a_row_for_each_image_of_the_json_file(tmp_path, rows):
    (tmp_path / "all.json").write_text(json.dumps({"images": IMAGES}))
    np.save(tmp_path / "features.npy", np.eye(rows))
    with pytest.raises(DataError, match=rf"features.npy: has {rows} rows for 2 images"):
        list(reader(features=str(tmp_path / "features.npy")).read(f"{tmp_path}/all.json#train"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', "is not JSON"),
        ("[]", 'an object with a list "images"'),
        ('{"images": [{"split": "train"}]}', "has no sentences"),
        ('{"images": [{"split": "train", "sentences": [1]}]}', "neither tokens nor raw"),
    ],
)
def test_a_json_file_in_another_form_is_refused(tmp_path, text, message):
    (tmp_path / "all.json").write_text(text)
    np.save(tmp_path / "features.npy", np.eye(1))
    with pytest.raises(DataError, match=message):
        list(reader(features=str(tmp_path / "features.npy")).read(f"{tmp_path}/all.json#train"))


def test_captions_of_two_languages_go_together_by_number(tmp_path):
    (tmp_path / "train.images.txt").write_text("a\nb\n")
    for number in (1, 2):
        (tmp_path / f"train.{number}.en").write_text(f"a{number}\nb{number}\n")
        (tmp_path / f"train.{number}.de.gz").write_bytes(gzip.compress(f"A{number}\nB{number}\n".encode()))
    one = reader(languages=["en", "de"])
    path = str(tmp_path / "train.images.txt")
    rows = [(row["source"][0], row["target"][0], row["group"], row["line"]) for row in one.read(path)]
    assert rows == [("a1", "A1", "a", 1), ("a2", "A2", "a", 1), ("b1", "B1", "b", 2), ("b2", "B2", "b", 2)]
    assert len(one.files(path)) == 5
    (tmp_path / "train.3.en").write_text("a3\nb3\n")
    with pytest.raises(DataError, match="3 of en and 2 of de"):
        list(one.read(path))
    (tmp_path / "train.3.de").write_text("A3\n")
    with pytest.raises(DataError, match=r"train.3.de.*1 captions, but .*train.images.txt lists 2 images"):
        list(one.read(path))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"features": "f.npy", "languages": ["en", "de"]},
        {"features": "f.npy", "train": "train.txt"},
        {"languages": ["en", "de"], "train": "data.json#train"},
    ],
)
def test_both_sides_must_be_said(keys):
    with pytest.raises(ValidationError, match=r"one of the two|captions and names say|vectors as features"):
        Captions.Config(**keys)


def test_captions_of_one_language_go_each_with_the_next_of_its_image(tmp_path):
    (tmp_path / "train.images.txt").write_text("a\nb\n")
    for number in (1, 2, 3):
        (tmp_path / f"train.{number}.en").write_text(f"a{number}\nb{number}\n")
    one = reader(languages=["en", "en"])
    found = [(*row["source"], *row["target"]) for row in one.read(str(tmp_path / "train.images.txt"))]
    assert found == [("a1", "a2"), ("a2", "a3"), ("a3", "a1"), ("b1", "b2"), ("b2", "b3"), ("b3", "b1")]
    for number in (2, 3):
        (tmp_path / f"train.{number}.en").unlink()
    with pytest.raises(DataError, match="none that it goes with"):
        list(one.read(str(tmp_path / "train.images.txt")))
