"""Training of language models: what is carried, when averaging begins, and runs that are killed and go on."""

import json
from itertools import pairwise

import pytest
import torch

from seqloom.api import Model
from seqloom.errors import ConfigError, DataError, TrainingError
from seqloom.training.averaging import Triggered
from tests.tiny import KillAt, Killed, told, trained, weights

SENTENCES = ["the cat sat", "a dog ran far", "each moth sees the lamp", "the old crow finds a stone"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    for split, count in (("train", 60), ("dev", 20)):
        (folder / split).write_text("".join(f"{SENTENCES[one * one % 7 % 4]}\n" for one in range(count)))
    return folder


def config(corpus, head=(), encoder=(), **training):
    reader = {"type": "lines", "train": str(corpus / "train"), "dev": str(corpus / "dev")}
    stack = {"type": "awd", "input": "words", "hidden": 6, "layers": 2, "weight_drop": 0.2, "dropout": 0.1}
    return {
        "embedders": {"words": {"type": "word", "size": 5, "drop_words": 0.1}},
        "encoders": {"stack": stack | dict(encoder)},
        "tasks": {
            "lm": {
                "reader": reader,
                "encoder": "stack",
                "head": {"type": "language", "tied": True, "streams": 2, "activity": 1.0, **dict(head)},
            }
        },
        "training": {
            "device": "cpu",
            "epochs": 8,
            "batch": 3,
            "stream": {"window": 9, "vary": True},
            "optimizer": {"type": "sgd", "rate": 4.0, "weight_decay": 1e-6},
            "clip": 0.25,
            **training,
        },
    }


NONMONOTONE = {
    "optimizer": {"type": "sgd", "rate": 40.0},
    "averaging": {"type": "triggered", "nonmonotone": 1},
    "evaluate_every": 3,
    "epochs": 5,
    "save_every": 3,
}


@pytest.mark.parametrize("keys", [{}, {"faithful": True}], ids=["corrected", "faithful"])
def test_a_run_killed_after_averaging_began_goes_on_as_if_nothing_had_happened(corpus, tmp_path, keys):
    table = config(corpus, **(NONMONOTONE | {"averaging": NONMONOTONE["averaging"] | keys}))
    trained(table, tmp_path / "whole")
    counters = json.loads((tmp_path / "whole" / "last" / "training.json").read_text())
    first = counters["at"]["step"] - counters["averaged"]
    assert 0 < first < counters["at"]["step"] - 6
    with pytest.raises(Killed):
        trained(table, tmp_path / "killed", writers=[KillAt(first // 3 + 2)])
    trained(table, tmp_path / "killed", resume=True)
    for model in ("last", "best"):
        assert weights(tmp_path / "whole", model) == weights(tmp_path / "killed", model)
    assert told(tmp_path / "whole") == told(tmp_path / "killed")


def test_parts_of_a_window_carry_states_of_their_own_and_make_the_same_steps(corpus, tmp_path):
    plain = {"encoder": {"weight_drop": 0.0, "dropout": 0.0}}
    whole = config(corpus, **plain, batch=4, steps=12, epochs=None)
    parts = config(corpus, **plain, batch=2, accumulate=2, steps=12, epochs=None)
    for table, name in ((whole, "whole"), (parts, "parts")):
        table["embedders"]["words"]["drop_words"] = 0.0
        trained(table, tmp_path / name)
    one, other = (Model.load(tmp_path / name)._assembly.network.state_dict() for name in ("whole", "parts"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], atol=1e-5, rtol=1e-4)


def test_the_rate_follows_the_length_of_windows(corpus, tmp_path):
    trained(config(corpus, epochs=2, evaluate_every=1), tmp_path / "run")
    rates = {one["rate"] for one in told(tmp_path / "run", "train")}
    assert len(rates) > 2
    assert all(rate * 9 / 4.0 == pytest.approx(round(rate * 9 / 4.0)) for rate in rates)


def test_penalties_are_learnt_from_and_not_reported(corpus, tmp_path):
    for activity in (0.0, 200.0):
        head = {"activity": activity}
        trained(config(corpus, head=head, steps=1, epochs=None), tmp_path / str(activity))
    without, under = (told(tmp_path / run, "train") for run in ("0.0", "200.0"))
    assert without == under
    assert weights(tmp_path / "0.0") != weights(tmp_path / "200.0")


def test_layers_begin_to_learn_at_their_steps(corpus, tmp_path):
    unfreeze = {"encoders.stack.layer0.*": 4, "encoders.*": 2}
    trained(config(corpus, unfreeze=unfreeze, steps=1, epochs=None), tmp_path / "1")
    learnt = []
    for steps in (2, 3, 5):
        trained(config(corpus, unfreeze=unfreeze, steps=steps, epochs=None), tmp_path / str(steps))
    names = ["encoders.stack.layer0.weight_hh", "encoders.stack.layer1.weight_hh", "heads.lm.bias"]
    models = [Model.load(tmp_path / str(one) / "last")._assembly.network.state_dict() for one in (1, 2, 3, 5)]
    for before, after in pairwise(models):
        learnt.append([not torch.equal(before[name], after[name]) for name in names])
    assert learnt == [[False, False, True], [False, True, True], [True, True, True]]


def test_a_run_begins_with_the_weights_of_another(corpus, tmp_path, caplog):
    trained(config(corpus, steps=3, epochs=None), tmp_path / "first")
    begin = {"path": str(tmp_path / "first"), "parts": ["embedders.*", "encoders.*"]}
    slow = {"optimizer": {"type": "sgd", "rate": 1e-9}, "steps": 1, "epochs": None}
    trained(config(corpus, **slow, begin=begin), tmp_path / "second")
    first, second = (Model.load(tmp_path / run)._assembly.network.state_dict() for run in ("first", "second"))
    name = "encoders.stack.layer0.weight_hh"
    torch.testing.assert_close(first[name], second[name], atol=1e-6, rtol=0)
    assert not torch.allclose(first["heads.lm.bias"], second["heads.lm.bias"], atol=1e-3)
    assert not caplog.messages
    untied = trained(config(corpus, head={"tied": False}, **slow), tmp_path / "untied").folder
    trained(config(corpus, **slow, begin={"path": str(untied)}), tmp_path / "fewer")
    assert caplog.messages == [
        f"training.begin: nothing here is named heads.lm.weight; these weights of {untied} are left"
    ]
    wrong = config(corpus, encoder={"hidden": 7}, begin=begin)
    with pytest.raises(
        ConfigError, match=r"training\.begin: encoders\.stack\.layer0\.\w+ has shape \(24, 5\) there"
    ):
        trained(wrong, tmp_path / "third")
    with pytest.raises(ConfigError, match=r'training\.begin\.parts: "encodes\.\*" fits none'):
        trained(config(corpus, begin=begin | {"parts": ["encodes.*"]}), tmp_path / "fourth")


def test_a_run_that_begins_with_some_parts_has_words_of_its_own_for_the_others(corpus, tmp_path):
    trained(config(corpus, steps=3, epochs=None), tmp_path / "first")
    (tmp_path / "new").mkdir()
    for split in ("train", "dev"):
        (tmp_path / "new" / split).write_text("quite other words\n" * 30)
    short = {"optimizer": {"type": "sgd", "rate": 1e-9}, "steps": 1, "epochs": None}
    begin = {"path": str(tmp_path / "first"), "parts": ["encoders.*"]}
    trained(config(tmp_path / "new", **short, begin=begin), tmp_path / "second")
    assert "quite" in Model.load(tmp_path / "second")._assembly.vocabularies["words"]
    begin["parts"] = ["embedders.*"]
    with pytest.raises(DataError, match="no word is known to the model"):
        trained(config(tmp_path / "new", **short, begin=begin), tmp_path / "third")


@pytest.mark.parametrize(("goal", "steps"), [(1000, 2), (1, 6)])
def test_a_run_ends_when_its_only_figure_is_as_good_as_wanted(corpus, tmp_path, goal, steps):
    table = config(corpus, steps=6, epochs=None, evaluate_every=2, goal=goal)
    assert trained(table, tmp_path / "run").step == steps


def test_dynamic_evaluation_while_training_is_that_of_the_model_trained(corpus, tmp_path):
    table = config(corpus, head={"tied": False, "dynamic": {"rate": 0.5, "clip": 5.0}}, steps=2, epochs=None)
    table["training"] |= {"optimizer": {"type": "sgd", "rate": 1.0}, "freeze": ["encoders.*"], "clip": None}
    result = trained(table, tmp_path / "run")
    figures = Model.load(tmp_path / "run").evaluate("lm", split="dev")["figures"]
    assert figures["perplexity"] == pytest.approx(result.dev["lm"]["perplexity"], rel=1e-5)


def test_too_short_a_text_to_be_evaluated_names_the_key_that_would_do(corpus, tmp_path):
    with pytest.raises(DataError, match=r"fewer streams \(tasks\.lm\.head\.streams\)"):
        trained(config(corpus, head={"streams": 500}), tmp_path / "run")


def test_falls_are_counted_once_weights_are_averaged_and_the_trigger_is_told(caplog):
    table = Triggered.Config(nonmonotone=1, start=10, worse=2)
    averaging, weights = Triggered(table), {"w": torch.zeros(1)}
    for figure in (3.0, 2.0, 1.0, 0.9, 0.8):
        averaging.evaluated(figure)
    assert averaging.started
    assert not averaging.over
    assert [one.message for one in caplog.records] == [
        "the watched figure no longer rises: weights are averaged from now on, but not before step 10"
    ]
    averaging.update(10, weights)
    for figure in (0.7, 0.6):
        assert not averaging.over
        averaging.evaluated(figure)
    assert averaging.over


def test_a_run_that_makes_nothing_better_of_a_model_keeps_it_as_the_best(corpus, tmp_path):
    trained(config(corpus, epochs=2), tmp_path / "first")
    table = config(corpus, begin={"path": str(tmp_path / "first")}, **NONMONOTONE)
    table["training"] |= {"epochs": None, "steps": 6, "clip": None}
    table["training"]["averaging"] = {"type": "triggered", "at_once": True}
    result = trained(table, tmp_path / "second")
    assert (result.step, result.best_step) == (6, 0)
    assert weights(tmp_path / "second", "best") == weights(tmp_path / "first", "best")
    steps = [(one["step"], one["best"]) for one in told(tmp_path / "second", "evaluate")]
    assert steps == [(0, True), (3, False), (6, False)]
    counters = json.loads((tmp_path / "second" / "last" / "training.json").read_text())
    assert len(counters["averaging"]["figures"]) == 2


VOCABULARY = r'the vocabulary "words" goes by \w+ in .*first, here'


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"order": "up"}, {"order": "none"}, VOCABULARY),
        ({"order": "none"}, {"order": "up"}, VOCABULARY),
        ({"order": "up"}, {"order": "down"}, "order: up in .*first, here order: down"),
        ({"rotated": True}, {}, "rotated: True in .*first, here rotated: False"),
    ],
)
def test_a_run_begins_with_no_table_that_is_arranged_in_another_way(corpus, tmp_path, before, after, told):
    short = {"steps": 1, "epochs": None}
    table = config(corpus, **short)
    sparse = {"type": "sparse", "size": 5, "blocks": 5}
    table["embedders"]["words"] = sparse | before
    trained(table, tmp_path / "first")
    table["training"]["begin"] = {"path": str(tmp_path / "first")}
    trained(table, tmp_path / "second")
    table["embedders"]["words"] = sparse | after
    with pytest.raises(ConfigError, match=r"training\.begin: .*" + told):
        trained(table, tmp_path / "third")


def test_layers_that_miss_their_parameters_are_told_when_training_begins(corpus, tmp_path, caplog):
    encoder = {"mode": "sparse_hidden", "fraction": 0.66666, "hidden": 20}
    trained(config(corpus, encoder=encoder, steps=1, epochs=None), tmp_path)
    assert "encoders.stack.layer1: sparse LSTM layer 20 -> 5" in caplog.text
    caplog.clear()
    Model.load(tmp_path)
    assert "sparse LSTM layer" not in caplog.text


def test_training_ends_at_its_goal(corpus, tmp_path):
    table = config(
        corpus, watch="lm.perplexity", goal=12.0, optimizer={"type": "adam", "rate": 0.05}, epochs=60
    )
    assert trained(table, tmp_path / "run").dev["lm"]["perplexity"] <= 12
    assert told(tmp_path / "run", "end")[0]["reason"] == "goal"


def test_a_part_that_cannot_be_made_is_told_with_its_line(corpus, tmp_path):
    table = config(corpus, encoder={"mode": "sparse_hidden", "fraction": 0.01})
    with pytest.raises(
        ConfigError, match=r"config:\d+  encoders\.stack  a sparse LSTM 5 -> 6 reduced by 1.0 and 0.01"
    ):
        trained(table, tmp_path / "run")


def test_a_corpus_shorter_than_its_streams_is_told(corpus, tmp_path):
    with pytest.raises(
        DataError, match="too few for 400 streams of at least two; give task lm more text or fewer"
    ):
        trained(config(corpus, batch=400), tmp_path / "run")


def test_a_text_of_unknown_words_alone_is_told(corpus, tmp_path):
    (tmp_path / "other").write_text("zonk blarg\n" * 20)
    table = config(corpus)
    table["tasks"]["lm"]["reader"]["dev"] = str(tmp_path / "other")
    with pytest.raises(DataError, match="no word is known to the model"):
        trained(table, tmp_path / "run")


def test_words_cannot_be_scored_by_vectors_of_another_size(corpus, tmp_path):
    with pytest.raises(
        ConfigError, match="the states have 6 numbers, the embedder's vectors 5; let them agree"
    ):
        trained(config(corpus, encoder={"last": 6}), tmp_path / "run")
    trained(config(corpus, encoder={"last": 6}, head={"experts": 2}, epochs=1), tmp_path / "mixed")


def test_a_model_that_reads_both_ways_cannot_foretell(corpus, tmp_path):
    table = config(corpus)
    table["encoders"]["stack"] = {"type": "lstm", "input": "words", "hidden": 3, "bidirectional": True}
    with pytest.raises(ConfigError, match='reads left to right, but encoder "stack" sees what follows'):
        trained(table, tmp_path / "run")


def test_a_loss_that_is_no_number_leaves_the_last_good_state(corpus, tmp_path):
    table = config(corpus, optimizer={"type": "sgd", "rate": 1e38}, clip=None, save_every=1)
    with pytest.raises(TrainingError, match=r"(is nan|is inf|not finite).*(last good state|no state)"):
        trained(table, tmp_path / "run")


def test_words_of_the_dev_text_that_frozen_vectors_know_are_read(corpus, tmp_path):
    (tmp_path / "vectors.txt").write_text("the 1 0\nmoth 0 1\nowl 1 1\n")
    (tmp_path / "dev").write_text("the owl sat\nan owl\n")
    table = config(corpus, head={"tied": False}, epochs=1)
    table["vectors"] = {"store": {"path": str(tmp_path / "vectors.txt")}}
    table["embedders"] = {"words": {"type": "word", "vectors": "store"}}
    table["tasks"]["lm"]["reader"]["dev"] = str(tmp_path / "dev")
    trained(table, tmp_path / "run")
    assert "owl" in (tmp_path / "run/best/vocabulary/words.txt").read_text().split()
