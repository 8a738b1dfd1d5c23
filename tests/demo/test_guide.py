from pathlib import Path

import pytest

from seqloom.demo import guide
from seqloom.demo.language import EXAMPLES, TARGET
from seqloom.experiment import check, open_config
from seqloom.training.report import events


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A guided run of a few steps, and what it said."""
    out, lines = tmp_path_factory.mktemp("demo") / "demo", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide, "STEPS", {"alone": 2, "together": 4})
        guide.guide(out, 2, lines.append)
    return out, "\n".join(lines).splitlines()


def test_the_guide_tells_both_scores_and_the_gain(told):
    _, lines = told
    for words in guide.WORDS.values():
        assert any(
            words in line and "alone" in line and "together" in line and "gain" in line for line in lines
        )


def test_the_guide_tags_its_sentences_and_ends_with_three_commands(told):
    _, lines = told
    for sentence, gloss in EXAMPLES:
        assert any(line.strip().startswith(sentence.split()[0] + "/") for line in lines)
        assert any(gloss in line for line in lines)
    assert sum(line.strip().startswith("seqloom ") for line in lines[-5:]) == 3


def test_the_guide_leaves_configurations_runs_and_plots(told):
    out, _ = told
    for kind in guide.STEPS:
        assert check(open_config(out / f"{kind}.yaml")).tasks
        assert (out / kind / "seed-2" / "best" / "weights.safetensors").exists()
    assert list((out / "report").glob("*.png"))
    assert (out / "corpus" / f"{TARGET}-test.conll").exists()


def test_a_second_guide_goes_on_with_what_is_there(told):
    out, lines = told
    steps = [event for event in events(out / "alone" / "seed-1") if event["event"] == "train"]
    again: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide, "STEPS", {"alone": 2, "together": 4})
        guide.guide(out, 2, again.append)
    assert [event for event in events(out / "alone" / "seed-1") if event["event"] == "train"] == steps
    assert [line for line in "\n".join(again).splitlines() if "gain" in line] == [
        line for line in lines if "gain" in line
    ]


@pytest.mark.parametrize("name", ["d1, x", "d2 #1", "d3's: [x]", "ü 😀"])
def test_the_guide_s_folder_may_have_any_name(tmp_path, name):
    guide._begin(tmp_path / name, lambda text: None)
    assert check(open_config(tmp_path / name / "together.yaml")).tasks


def test_the_guide_s_questions_end_with_the_input(monkeypatch):
    def ended(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    assert guide._asked() == ""
