"""What the suite runs, and what is left of a run that ends early."""

import json
from dataclasses import replace

import numpy as np
import pytest

from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.evaluation.transfer import SETTINGS, Settings, markdown, transfer
from seqloom.evaluation.transfer.perceptrons import Perceptron
from seqloom.files import write_text

QUICK = Settings(folds=2, perceptron=Perceptron(tenacity=1, epoch_size=2, epochs=2))


def lengths(texts):
    return np.array([[len(text), text.count("o"), 1.0] for text in texts])


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    monkeypatch.setenv("SEQLOOM_DATA", str(folder))
    write_text(folder / "mr/rt-polarity.all", "0 no\n1 yes indeed\n" * 12)
    write_text(folder / "trec/TREC.train", "HUM:ind who ?\nLOC:other where is it ?\n" * 8)
    write_text(folder / "trec/TREC.test", "HUM:gr who sleeps ?\nLOC:city where ?\n")
    write_text(folder / "sts/2013/FNWN.test.tsv", "5\tone\tone\n0\tone\tother\n3\tone\tnone\n")
    return folder


def test_tasks_of_a_group_may_lack_their_data(root, tmp_path, seqloom):
    found = transfer(lengths, tasks=["STS", "trec"], data=root, setting=QUICK)["tasks"]
    assert {name: one.get("not_run") for name, one in found.items()} == {
        "TREC": None,
        "STS12": "no data",
        "STS13": None,
        "STS14": "no data",
        "STS15": "no data",
        "STS16": "no data",
    }
    with pytest.raises(DataError, match=r"lacks sts/2016/answer-answer.test.tsv"):
        transfer(lengths, tasks=["sts", "STS16"], data=root, setting=QUICK)
    write_text(tmp_path / "vectors.txt", "one 1 0\nother 0 1\n")
    words = ("--baseline", "bag", "--vectors", tmp_path / "vectors.txt", "--data", root, "--tasks", "sts")
    said = seqloom("transfer", *words, "-o", tmp_path / "out")
    assert said.code == 0, said.error
    assert "| STS16 | not run: no data |" in said.out


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Perceptron(optimizer="sgd"), r'no optimizer "sgd" \(adadelta, adagrad, adam'),
        (lambda: Perceptron(loss="some"), r'no loss "some" \(mean, sum\)'),
        (lambda: Settings(kind="svm"), r'no kind "svm" \(logistic, perceptron\)'),
        (lambda: Settings(folds=1), "folds is 1, and at least 2 are needed"),
        (lambda: Settings(first=0), "first is 0, and at least 2 are needed"),
        (lambda: transfer({}), "functions from texts to vectors, found none"),
    ],
)
def test_settings_that_cannot_be_are_told(made, message):
    with pytest.raises(ConfigError, match=message):
        made()


def test_settings_may_be_of_few_examples(root):
    setting = replace(QUICK, first=8)
    found = transfer(lengths, tasks=["trec", "sts13"], data=root, setting=setting, first=[12])
    assert found["settings"]["first"] == 8
    assert found["tasks"]["TREC"]["rows"]["train"] == 8
    assert found["curve"]["12"]["TREC"]["rows"]["train"] == 12


@pytest.mark.parametrize("setting", [QUICK, SETTINGS["logistic"]], ids=["perceptron", "logistic"])
def test_too_few_examples_are_told_with_their_task(root, setting):
    pytest.importorskip("sklearn")
    write_text(root / "trec/TREC.train", "HUM:ind who ?\n" + "LOC:other where is it ?\n" * 9)
    message = r"TREC: 10 examples cannot make 20 folds, .* learn from more examples \(--first\)"
    with pytest.raises(ConfigError, match=message):
        transfer(lengths, tasks=["trec"], data=root, setting=replace(setting, folds=20))


def test_a_regression_needs_two_classes(root):
    pytest.importorskip("sklearn")
    write_text(root / "trec/TREC.train", "LOC:other where is it ?\n" * 9)
    setting = replace(SETTINGS["logistic"], folds=2)
    with pytest.raises(ConfigError, match="TREC: the 4 examples to learn from are of one class"):
        transfer(lengths, tasks=["trec"], data=root, setting=setting)


def test_what_was_found_is_told_although_a_later_task_fails(root):
    def encode(texts):
        if any("where" in text for text in texts):
            raise ModelError("knows no questions")
        return lengths(texts)

    told = []
    how = {"tasks": ["mr", "trec", "sts13"], "data": root, "setting": QUICK, "first": [4, 6]}
    with pytest.raises(ModelError, match="knows no questions"):
        transfer(encode, each=told.append, **how)
    assert told[0]["tasks"]["MR"]["test"]
    assert told[0]["curve"] == {"4": {}, "6": {}}
    assert {name: one["MR"]["rows"] for name, one in told[-1]["curve"].items()} == {
        "4": {"all": 24},
        "6": {"all": 24},
    }
    assert told[-1]["tasks"]["TREC"] == {"not_run": "not finished"}
    assert "| TREC | not run: not finished |" in markdown([told[-1]])


def test_the_last_report_that_is_told_is_the_one_returned(root):
    told = []
    report = transfer(lengths, data=root, setting=QUICK, each=told.append, tasks=["mr", "sts13"], first=[8])
    assert len(told) == 3
    assert told[-1] == report


def test_figures_of_a_command_that_fails_stay(root, tmp_path, seqloom):
    out = tmp_path / "out"
    write_text(tmp_path / "vectors.txt", "no 1 0\nyes 0 1\nwho 1 1\n")
    words = ("--baseline", "bag", "--vectors", tmp_path / "vectors.txt", "--data", root, "-o", out)
    how = (*words, "--tasks", "mr,trec", "--setting", "prototyping")
    said = seqloom("transfer", *how, "--first", "12")
    assert said.code == 0, said.error
    whole = (out / "bag-of-vectors.txt.json").read_bytes()
    said = seqloom("transfer", *how, "--first", "5")
    assert said.code == 1
    assert "MR: 5 examples cannot make 5 folds" in said.error
    kept = out / "bag-of-vectors.txt.partial.json"
    assert f"{kept}: the figures of what was finished" in said.error
    assert "test" in json.loads(kept.read_text())["tasks"]["MR"]
    assert (out / "bag-of-vectors.txt.json").read_bytes() == whole
    assert seqloom("transfer", *how, "--beside", kept).code == 0
    assert not kept.exists()


def test_settings_that_differ_are_told_of_each_report(root):
    one, other, third = (
        transfer(lengths, tasks=["sts13"], data=root, setting=setting, name=name)
        for name, setting in (("one", "default"), ("other", "prototyping"), ("third", "default"))
    )
    told = markdown([one, other, third])
    assert (
        "Classifiers of one, third: linear, adam, batch 64, tenacity 5, epoch size 4, 10 folds, seed 1111."
        in told
    )
    assert "Classifiers of other: linear, rmsprop, batch 128, tenacity 3, epoch size 2, 5 folds" in told
    assert "of captions. Classifiers: linear, adam," in markdown([one, third])
