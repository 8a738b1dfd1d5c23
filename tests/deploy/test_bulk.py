"""Files of texts into vectors: streamed, resumed, shared out."""

import json
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloom import progress
from seqloom.api import Model, load
from seqloom.deploy import bulk
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.files import alone_writing
from tests import tiny

TEXTS = ["the moth sees", "river", "a grey unheard-of word finds lamp"]
LINES = [TEXTS[0], "", TEXTS[1], "  ", "", TEXTS[2]]


@pytest.fixture(scope="module")
def model(finished: Path) -> Model:
    return load(finished)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A file of six lines, read two at a time."""
    monkeypatch.setattr(bulk, "CHUNK", 2)
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    return tmp_path / "in.txt"


class Heard(progress.Silent):
    def __init__(self):
        self.told = []

    def notice(self, text):
        self.told.append(text)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_is_encoded_line_by_line(model, given, tmp_path, workers):
    heard, out = Heard(), tmp_path / "out" / "one.npy"
    with progress.showing(heard):
        assert model.encode_file(given, out, pool="max", workers=workers) == (6, 12)
    found = np.load(out)
    np.testing.assert_allclose(found[[0, 2, 5]], model.encode(TEXTS, pool="max"), atol=1e-6)
    assert not found[[1, 3, 4]].any()
    assert heard.told == [f"{given}: 3 of 6 lines are blank; their vectors are zeros"]
    assert [path.name for path in out.parent.iterdir()] == ["one.npy"]


def test_processes_compute_in_the_precision_of_their_caller(model, given, tmp_path):
    with torch.autocast("cpu", torch.bfloat16):
        for workers in (1, 2):
            model.encode_file(given, tmp_path / f"{workers}.npy", workers=workers)
    model.encode_file(given, tmp_path / "exact.npy")
    alone, shared, exact = (np.load(tmp_path / f"{name}.npy") for name in (1, 2, "exact"))
    np.testing.assert_array_equal(shared, alone)
    assert not np.array_equal(alone, exact)


def test_a_token_has_a_row_and_a_line_its_rows(model, given, tmp_path):
    assert model.encode_file(given, tmp_path / "one.npy", tokens=True) == (10, 12)
    offsets = np.load(tmp_path / "one.offsets.npy")
    assert offsets.tolist() == [0, 3, 3, 4, 4, 4, 10]
    states = model.encode(TEXTS, tokens=True)
    np.testing.assert_allclose(np.load(tmp_path / "one.npy"), np.concatenate(states), atol=1e-6)


@pytest.mark.parametrize("tokens", [False, True])
def test_a_table_has_texts_and_vectors(model, given, tmp_path, tokens):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    model.encode_file(given, tmp_path / "one.parquet", tokens=tokens)
    table = parquet.read_table(tmp_path / "one.parquet")
    assert table["text"].to_pylist() == LINES
    vectors = table["vector"].to_pylist()
    expected = model.encode(TEXTS, tokens=tokens)
    for place, one in zip([0, 2, 5], expected, strict=True):
        np.testing.assert_allclose(vectors[place], one, atol=1e-6)
    assert vectors[1] == ([] if tokens else [0.0] * 12)


class Ended(BaseException):
    """What ends a call in the middle of its work."""


@pytest.mark.parametrize("tokens", [False, True])
def test_the_same_call_goes_on_where_it_was_ended(model, given, tmp_path, monkeypatch, tokens):
    out, plain, calls = tmp_path / "one.npy", bulk.encode_lines, []

    def ending(encoder, chunk, *how):
        calls.append(chunk.texts)
        if len(calls) == 3:
            # Half of a piece may have been written before the end.
            with (tmp_path / ".one.npy.partial.npy").open("ab") as file:
                file.write(b"torn")
            raise Ended
        return plain(encoder, chunk, *how)

    monkeypatch.setattr(bulk, "encode_lines", ending)
    with pytest.raises(Ended):
        model.encode_file(given, out, tokens=tokens)
    assert not out.exists()
    heard = Heard()
    with progress.showing(heard):
        model.encode_file(given, out, tokens=tokens)
    assert calls[3:] == [LINES[4:]]
    assert heard.told[0] == f"{out}: going on after line 4"
    model.encode_file(given, tmp_path / "other.npy", tokens=tokens)
    assert out.read_bytes() == (tmp_path / "other.npy").read_bytes()


def test_other_texts_or_another_way_begin_anew(model, given, tmp_path, monkeypatch):
    plain = bulk.encode_lines

    def ending(*_):
        raise Ended

    for change in ({"pool": "max"}, {}):
        monkeypatch.setattr(bulk, "encode_lines", ending)
        with pytest.raises(Ended):
            model.encode_file(given, tmp_path / "one.npy", **change)
        monkeypatch.setattr(bulk, "encode_lines", plain)
        given.write_text("a new line\n")
        assert model.encode_file(given, tmp_path / "one.npy") == (1, 12)


def ended(model, monkeypatch, pieces, *arguments, **how):
    """A call that is ended after so many pieces."""
    plain, calls = bulk.encode_lines, []

    def ending(*given):
        calls.append(given)
        if len(calls) > pieces:
            raise Ended
        return plain(*given)

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "encode_lines", ending)
        with pytest.raises(Ended):
            model.encode_file(*arguments, **how)


def test_another_way_that_was_ended_at_its_start_leaves_nothing_to_trust(model, given, tmp_path, monkeypatch):
    out = tmp_path / "one.npy"
    model.encode_file(given, tmp_path / "other.npy")
    ended(model, monkeypatch, 2, given, out)
    ended(model, monkeypatch, 0, given, out, pool="max")
    model.encode_file(given, out)
    assert out.read_bytes() == (tmp_path / "other.npy").read_bytes()


def test_two_calls_do_not_write_one_file(model, given, tmp_path):
    with (
        alone_writing(tmp_path / ".one.npy.partial.npy", tmp_path / "one.npy"),
        pytest.raises(ConfigError, match=r"another process is writing .*one\.npy; wait for it"),
    ):
        model.encode_file(given, tmp_path / "one.npy")
    assert model.encode_file(given, tmp_path / "one.npy")[1] == 12


def test_a_process_that_was_killed_is_told_and_nothing_is_lost(model, given, tmp_path, monkeypatch):
    plain = bulk._shared

    def killed(*arguments):
        yield next(plain(*arguments))
        raise BrokenProcessPool

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_shared", killed)
        with pytest.raises(ModelError, match="take fewer workers"):
            model.encode_file(given, tmp_path / "one.npy")
    assert json.loads((tmp_path / ".one.npy.partial.json").read_text())["lines"] > 0
    model.encode_file(given, tmp_path / "one.npy")
    model.encode_file(given, tmp_path / "other.npy")
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "other.npy").read_bytes()


@pytest.mark.parametrize("tokens", [False, True])
def test_a_call_that_was_ended_at_its_very_end_can_be_made_again(model, given, tmp_path, monkeypatch, tokens):
    out = tmp_path / "one.npy"

    def ending(*_):
        raise Ended

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_tell", ending)
        with pytest.raises(Ended):
            model.encode_file(given, out, tokens=tokens)
    written = out.read_bytes()
    model.encode_file(given, out, tokens=tokens)
    assert out.read_bytes() == written
    assert not list(tmp_path.glob(".*"))


def test_what_cannot_take_its_name_is_kept_for_the_next_call(model, given, tmp_path, monkeypatch):
    out = tmp_path / "one.npy"

    def failing(whole, path):
        raise OSError("no such luck")

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "take_name", failing)
        with pytest.raises(OSError, match="no such luck"):
            model.encode_file(given, out)
    monkeypatch.setattr(bulk, "encode_lines", None)
    assert model.encode_file(given, out) == (6, 12)


@pytest.mark.parametrize("name", ["one.npy", "one.offsets.npy"])
def test_a_folder_in_the_place_of_a_file_is_told_at_once(model, given, tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match=rf"{name}: is a folder; remove it, or give OUT another name"):
        model.encode_file(given, tmp_path / "one.npy", tokens=True)
    assert not list(tmp_path.glob(".*"))


def test_lines_without_a_known_word_are_told(model, tmp_path):
    (tmp_path / "in.txt").write_text("zzz yyy\nthe moth\n")
    heard = Heard()
    with progress.showing(heard):
        model.encode_file(tmp_path / "in.txt", tmp_path / "out.npy")
        model.encode(["the moth", "zzz"])
    assert len(heard.told) == 2
    assert heard.told[0].startswith(f"{tmp_path / 'in.txt'}: 1 of 2 lines have no word that the model knows; ")
    assert heard.told[1].startswith("1 of 2 texts have no word that the model knows (the first is text 2); ")


def test_an_empty_file_gives_an_empty_array(model, tmp_path):
    (tmp_path / "in.txt").write_text("")
    assert model.encode_file(tmp_path / "in.txt", tmp_path / "out.npy") == (0, 12)
    assert np.load(tmp_path / "out.npy").shape == (0, 12)


def test_a_file_that_breaks_leaves_the_old_array(model, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"fine\n\xff\n")
    (tmp_path / "out.npy").write_text("old")
    with pytest.raises(DataError, match=r"in.txt:2: byte 0xff"):
        model.encode_file(tmp_path / "in.txt", tmp_path / "out.npy")
    assert (tmp_path / "out.npy").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ConfigError, match=r"the name should end in .npy or .parquet"):
        model.encode_file(tmp_path / "in.txt", tmp_path / "out.txt")


def test_a_line_is_one_text_also_for_a_task_that_reads_two(corpus, tmp_path):
    config = tiny.one(corpus)
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("premise\thypothesis\tlabel\nthe moth\tsees\tx\nriver\tthe lamp\ty\n")
    reader = {"type": "table", "train": str(pairs)}
    config["tasks"] = {"pair": {"reader": reader, "encoder": "shared", "head": {"type": "pair"}}}
    model = Model(tiny.untrained(config))
    (tmp_path / "in.txt").write_text("the moth sees.\nriver\tlamp\n")
    assert model.encode_file(tmp_path / "in.txt", tmp_path / "out.npy") == (2, 6)
    expected = model.encode([["the", "moth", "sees", "."], ["river", "lamp"]])
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)
    np.testing.assert_allclose(model.encode(["the moth sees.", "river lamp"]), expected, atol=1e-6)
