"""What words choose is averaged over groups of words and drawn."""

import sys
from pathlib import Path

import pytest

from seqloom.errors import ConfigError
from tests import tiny

RECIPES = Path(__file__).parent.parent / "recipes"
SENTENCE = "1\tthe\tthe\tDET\n2\tcrow\tcrow\tNOUN\n3\tsees\tsee\tVERB\n\n"


@pytest.fixture
def choices(monkeypatch):
    monkeypatch.syspath_prepend(RECIPES)
    monkeypatch.delitem(sys.modules, "choices", raising=False)
    import choices

    return choices


def run(choices, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["choices.py", *map(str, words)])
    choices.main()


@pytest.fixture
def trained(tmp_path):
    def found(embedder):
        config = tiny.one(tiny.write_corpus(tmp_path), steps=1)
        config["embedders"] = {
            "left": {"type": "word", "size": 4},
            "right": {"type": "chars"},
            "words": embedder,
        }
        tiny.trained(config, tmp_path / "run")
        (tmp_path / "one.conllu").write_text(SENTENCE * 60)
        return tmp_path / "run", tmp_path / "one.conllu", tmp_path / "out.png"

    return found


def test_weights_are_averaged_by_tag_and_by_frequency_and_drawn(choices, monkeypatch, trained, capsys):
    words = trained({"type": "meta", "of": ["left", "right"]})
    run(choices, monkeypatch, *words)
    said = capsys.readouterr().out
    for group in ("DET", "NOUN", "VERB", "21 to 100"):
        (row,) = [line for line in said.splitlines() if line.startswith(f"| {group} |")]
        assert sum(map(float, row.split("|")[2:4])) == pytest.approx(1, abs=0.011)
    assert words[2].read_bytes().startswith(b"\x89PNG")


def test_means_are_over_the_words_that_a_set_has_and_groups_of_few_are_left_out(choices):
    rows = [("many", {"a": 1.0, "b": 0.0}), ("many", {"a": 0.5, "b": 0.5})] * 50 + [
        ("few", {"a": 1.0, "b": 0.5})
    ]
    assert choices.means(rows) == {"many": {"a": 0.75, "b": 0.5}}
    assert [choices.band(count) for count in (1, 2, 5, 6, 101)] == [
        "once",
        "2 to 5 times",
        "2 to 5 times",
        "6 to 20",
        "more often",
    ]


def test_a_model_that_mixes_nothing_is_refused(choices, monkeypatch, trained):
    words = trained({"type": "concat", "of": ["left", "right"]})
    with pytest.raises(ConfigError, match="task pos mixes no sets of vectors"):
        run(choices, monkeypatch, *words)
