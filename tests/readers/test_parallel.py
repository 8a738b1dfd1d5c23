import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError

from seqloom.config import parse
from seqloom.errors import ConfigError, DataError
from seqloom.experiment import check
from seqloom.progress import showing
from seqloom.readers.parallel import Parallel


def reader(**keys):
    return Parallel(Parallel.Config(**{"tokenizer": "blanks", **keys}), ("source",), ("target",))


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
    expected = f"train.{longer}: has 3 lines, but {tmp_path}/train.{shorter} has 1; one by one they should be"
    with pytest.raises(DataError, match=expected):
        list(reader(languages=["en", "de"]).read(path))


def test_a_line_without_a_tab_is_refused(tmp_path):
    (tmp_path / "one.tsv").write_text("a\tA\nb\n")
    with pytest.raises(DataError, match=r"one\.tsv:2: no tab"):
        list(reader().read(str(tmp_path / "one.tsv")))


def test_a_file_name_without_the_language_is_refused_at_once():
    with pytest.raises(ValidationError, match=r'the file name train\.txt has no part "en" between dots'):
        Parallel.Config(languages=["en", "de"], train="train.txt")


def test_sides_of_segments_are_pairs_whatever_lines_they_take(tmp_path):
    (tmp_path / "newstest-deen-src.de.sgm").write_text(
        "<doc>\n<seg id=1>Ein Hund</seg>\n<seg id=2>&amp;</seg>\n"
    )
    (tmp_path / "newstest-deen-ref.en.sgm").write_text("<seg>A\ndog</seg><seg>and</seg>")
    one = reader(languages=["de", "en"])
    path = str(tmp_path / "newstest-deen-src.de.sgm")
    assert one.files(path)[1] == str(tmp_path / "newstest-deen-ref.en.sgm")
    assert list(one.read(path)) == [
        {"source": ["Ein", "Hund"], "target": ["A", "dog"], "line": 2},
        {"source": ["&"], "target": ["and"], "line": 3},
    ]


def test_unequal_segments_are_refused_with_both_counts(tmp_path):
    path = pair(tmp_path, "<seg>a</seg>\n\n\n", "<seg>a</seg><seg>b</seg>")
    expected = f"train.de: has 2 segments, but {tmp_path}/train.en has 1;"
    with pytest.raises(DataError, match=expected):
        list(reader(languages=["en", "de"], format="segments").read(path))


def test_lines_of_metadata_are_left_out_in_step_and_counted(tmp_path):
    (tmp_path / "train.tags.de-en.de").write_text("<url>x</url>\n Ein\n<title>Titel</title>\n\nZwei\n")
    (tmp_path / "train.tags.de-en.en").write_text("<url>x</url>\n One\n<title>Title</title>\nx\nTwo\n")
    told = Told()
    with showing(told):
        found = list(reader(languages=["de", "en"]).read(str(tmp_path / "train.tags.de-en.de")))
    assert [(one["source"], one["target"], one["line"]) for one in found] == [
        (["Ein"], ["One"], 2),
        (["Zwei"], ["Two"], 5),
    ]
    place = tmp_path / "train.tags.de-en.de"
    assert told.notices == [f"{place}: 2 lines of metadata, 1 pairs with a blank side are left out"]


def test_a_format_overrules_the_name(tmp_path):
    (tmp_path / "train.tags.de").write_text("<url>x</url>\n")
    (tmp_path / "train.tags.en").write_text("<url>x</url>\n")
    one = reader(languages=["de", "en"], format="lines")
    assert [found["source"] for found in one.read(str(tmp_path / "train.tags.de"))] == [["<url>x</url>"]]


def test_a_file_that_would_be_its_own_translation_is_refused_at_once():
    with pytest.raises(ValidationError, match="a file of en would be its own translation; name two parts"):
        reader(languages=["en", "en"], train="train.en")


def test_one_side_alone_is_refused_at_once():
    with pytest.raises(ValidationError, match=r"dev\.de\.xml holds one side of the pairs; name the other"):
        Parallel.Config(dev="dev.de.xml")


def test_training_pairs_are_cleaned_and_counted_by_reason_those_of_other_files_stay(tmp_path):
    path = pair(tmp_path, "a\nb\nc c c\nд\n\n", "A\nb\nC\nD\nE\n")
    keys = {"languages": ["en", "de"], "clean": {"source": ["latin"], "ratio": 2}}
    told = Told()
    with showing(told):
        found = list(reader(train=path, **keys).read(path))
    assert [one["line"] for one in found] == [1]
    reasons = "1 pairs beyond ratio 2, 1 pairs in another script, 1 pairs with a blank side"
    assert told.notices == [f"{path}: {reasons}, 1 pairs with equal sides are left out"]
    assert len(list(reader(dev=path, **keys).read(path))) == 4


def test_moses_sees_capital_letters_and_the_language_before_they_are_lowered(tmp_path):
    pytest.importorskip("sacremoses")
    path = pair(tmp_path, "He came home. Then he left.\n", "Am 3. Mai kam er.\n")
    (found,) = reader(languages=["en", "de"], tokenizer="moses", lower=True).read(path)
    assert found["source"] == ["he", "came", "home", ".", "then", "he", "left", "."]
    assert found["target"] == ["am", "3.", "mai", "kam", "er", "."]


def test_a_side_that_is_blank_once_it_is_put_right_is_left_out(tmp_path):
    path = pair(tmp_path, "a\nb\n", "\u00c2\u00a0\nB\n")
    found = list(reader(languages=["en", "de"], train=path, clean={"repair": True}).read(path))
    assert [one["source"] for one in found] == [["b"]]


def test_a_file_of_another_language_is_told(tmp_path):
    reader = Parallel(Parallel.Config(languages=["en", "de"]), ("source",), ("target",))
    with pytest.raises(
        DataError, match=r'the file name dev\.de has no part "en" between dots; name the file of'
    ):
        next(reader.read(str(tmp_path / "dev.de")))


def test_two_languages_are_two(tmp_path):
    source = parse(f"""
embedders: {{words: {{type: word, size: 4}}}}
encoders: {{shared: {{type: lstm, input: words, hidden: 4}}}}
tasks:
  de:
    reader: {{type: parallel, languages: [en], train: {tmp_path}/a.en}}
    encoder: shared
    head: {{type: translate, hidden: 4}}
training: {{steps: 1}}
""")
    with pytest.raises(
        ConfigError, match=r"tasks\.de\.reader\.languages  should have at least 2 entries, found"
    ):
        check(source)
