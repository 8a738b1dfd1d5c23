import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError

from seqloom.errors import DataError
from seqloom.progress import showing
from seqloom.readers.parallel import Parallel


def reader(**keys):
    return Parallel(Parallel.Config(tokenizer="blanks", **keys), ("source",), ("target",))


def pair(folder: Path, source: str, target: str, ending: str = "") -> str:
    for language, text in (("en", source), ("de", target)):
        (folder / f"train.{language}{ending}").write_bytes(
            gzip.compress(text.encode()) if ending else text.encode()
        )
    return str(folder / f"train.en{ending}")


class Told:
    def __init__(self):
        self.notices = []

    def notice(self, text):
        self.notices.append(text)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_lines_of_two_files_are_pairs(tmp_path, ending):
    one = reader(languages=["en", "de"])
    path = pair(tmp_path, "A dog\nsleeps\n", "Ein Hund\nschläft\n", ending)
    assert one.files(path) == [path, str(tmp_path / f"train.de{ending}")]
    assert list(one.read(path)) == [
        {"source": ["A", "dog"], "target": ["Ein", "Hund"], "line": 1},
        {"source": ["sleeps"], "target": ["schläft"], "line": 2},
    ]


def test_one_side_may_be_compressed(tmp_path):
    pair(tmp_path, "A dog\n", "Ein Hund\n", ".gz")
    (tmp_path / "train.en").write_text("A dog\n", encoding="utf-8")
    one = reader(languages=["en", "de"])
    path = str(tmp_path / "train.en")
    assert one.files(path) == [path, str(tmp_path / "train.de.gz")]
    assert [found["target"] for found in one.read(path)] == [["Ein", "Hund"]]


def test_the_language_is_the_last_such_part_of_the_name(tmp_path):
    path = tmp_path / "de-en" / "train.en.lc.en"
    assert reader(languages=["en", "de"]).files(str(path))[1] == str(tmp_path / "de-en" / "train.en.lc.de")


def test_cells_of_one_line_are_a_pair_and_further_cells_are_left_out(tmp_path):
    (tmp_path / "one.tsv").write_text("A dog\tEin Hund\tCC BY\n")
    (found,) = reader(lower=True).read(str(tmp_path / "one.tsv"))
    assert found == {"source": ["a", "dog"], "target": ["ein", "hund"], "line": 1}


def test_a_blank_side_leaves_the_files_in_step(tmp_path):
    told = Told()
    with showing(told):
        found = list(reader(languages=["en", "de"]).read(pair(tmp_path, "a\n\nc\nd\n", "A\nB\n \nD\n")))
    assert [(one["source"], one["target"], one["line"]) for one in found] == [
        (["a"], ["A"], 1),
        (["d"], ["D"], 4),
    ]
    assert told.notices == [f"{tmp_path / 'train.en'}: 2 pairs with a blank side are left out"]


@pytest.mark.parametrize(("source", "target"), [("a\nb\nc\n", "A\n"), ("a\n", "A\nB\nC\n")])
def test_sides_of_unequal_length_are_refused_with_both_counts(tmp_path, source, target):
    path = pair(tmp_path, source, target)
    longer, shorter = ("en", "de") if len(source) > len(target) else ("de", "en")
    expected = f"train.{longer}: has 3 lines, but {tmp_path}/train.{shorter} has 1; line by line they should be"
    with pytest.raises(DataError, match=expected):
        list(reader(languages=["en", "de"]).read(path))


def test_a_line_without_a_tab_is_refused(tmp_path):
    (tmp_path / "one.tsv").write_text("a\tA\nb\n")
    with pytest.raises(DataError, match=r"one\.tsv:2: no tab"):
        list(reader().read(str(tmp_path / "one.tsv")))


def test_a_file_name_without_the_language_is_refused_at_once():
    with pytest.raises(ValidationError, match=r'the file name train\.txt has no part "en" between dots'):
        Parallel.Config(languages=["en", "de"], train="train.txt")
