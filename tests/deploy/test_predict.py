import io
import json
import sys
from pathlib import Path

import pytest

from seqloom.deploy import predict as module
from seqloom.deploy.predict import predicted, written
from seqloom.errors import DataError
from seqloom.model.folder import Assembly, load
from tests import tiny

TEXT = "the moth sees\n\na grey river finds the lamp\r\nmoth lifts stone"


@pytest.fixture(scope="module")
def model(finished: Path) -> Assembly:
    return load(finished)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text(TEXT)
    return path


def said(model: Assembly, task: str, source: Path | None, **how: bool) -> str:
    return "".join(written(model, model.tasks[task], source, **how))


def test_examples_are_predicted_in_their_order(model: Assembly) -> None:
    task = model.tasks["pos"]
    examples = [task.reader.parse(line) for line in TEXT.splitlines() if line]
    together = predicted(model, task, examples)
    assert together == [predicted(model, task, [example])[0] for example in examples]
    assert together[2] == ["NOUN", "VERB", "NOUN"]
    assert predicted(model, task, []) == []


def test_a_tagger_writes_a_token_a_line(model: Assembly, text: Path) -> None:
    assert said(model, "pos", text).endswith("\nmoth\tNOUN\nlifts\tVERB\nstone\tNOUN\n\n")


def test_a_classifier_writes_a_label_a_line_and_stays_in_step_with_its_input(
    model: Assembly, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    assert said(model, "kind", text) == "DET\n\nDET\nNOUN\n"


def test_json_lines(model: Assembly, text: Path) -> None:
    rows = [json.loads(line) for line in said(model, "kind", text, as_json=True).splitlines()]
    assert rows[0] == {"text": ["the", "moth", "sees"], "prediction": "DET"}
    assert rows[1] == {"text": [], "prediction": None}
    assert len(rows) == 4


def test_standard_input(model: Assembly, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode()), encoding="ascii"))
    assert said(model, "kind", None) == said(model, "kind", text)


def test_standard_input_that_is_not_utf8(model: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"fine\nna\xefve\n")))
    with pytest.raises(DataError, match="standard input:2: byte 0xef at position 3 is not UTF-8"):
        said(model, "kind", None)


def test_a_file_in_the_form_of_the_training_data(model: Assembly, corpus: Path, tmp_path: Path) -> None:
    gold = [line.split() for line in (corpus / "pos-test.txt").read_text().splitlines()]
    told = said(model, "pos", corpus / "pos-test.txt", as_data=True).splitlines()
    rows = [line.split("\t") for line in told if line]
    assert [row[0] for row in rows] == [row[0] for row in gold if row]
    (tmp_path / "strange.txt").write_text("moth STRANGE\nsees VERB\n")
    assert said(model, "pos", tmp_path / "strange.txt", as_data=True).split()[::2] == ["moth", "sees"]


def test_an_empty_file_gives_nothing(model: Assembly, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    assert said(model, "pos", tmp_path / "empty.txt") == ""
    assert said(model, "pos", tmp_path / "empty.txt", as_data=True) == ""


@pytest.fixture
def pairs(corpus: Path, tmp_path: Path) -> Assembly:
    """A model that reads two texts."""
    (tmp_path / "pairs.tsv").write_text("premise\thypothesis\tlabel\na b\tc\tyes\n")
    config = tiny.one(corpus)
    config["encoders"]["shared"]["bidirectional"] = True
    head = {"type": "pair", "bcn": {"hidden": 3, "reduction": 2, "pieces": 2}}
    reader = {"type": "table", "train": str(tmp_path / "pairs.tsv")}
    config["tasks"] = {"pair": {"reader": reader, "encoder": "shared", "head": head}}
    return tiny.untrained(config)


@pytest.mark.parametrize(
    ("line", "message"),
    [("b c no tab", "1 texts in a line, 2 are needed"), ("a\t ", "hypothesis: the text has no tokens")],
)
def test_a_line_that_cannot_be_predicted_is_told_by_file_and_line(
    pairs: Assembly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    (tmp_path / "in.txt").write_text(f"a\tb\n\n{line}\n")
    with pytest.raises(DataError, match=f"^{tmp_path / 'in.txt'}:3: {message}"):
        said(pairs, "pair", tmp_path / "in.txt")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{line}\n".encode())))
    with pytest.raises(DataError, match=f"^standard input:1: {message}"):
        said(pairs, "pair", None)
