import json
import math

import pytest
import torch

from seqloom import metrics
from seqloom.api import Model
from seqloom.errors import ConfigError
from tests import tiny

END = 3
"""The id of the end symbol."""

WORDS = {"the": "der", "a": "ein", "moth": "Falter", "lamp": "Leuchte", "sees": "sieht", "finds": "findet"}
TEXTS = ["the moth sees a lamp", "a lamp finds the moth", "the lamp", "a moth sees", "the moth finds a lamp"]


def config(corpus, **head):
    for split in ("train", "dev"):
        lines = [f"{text}\t{' '.join(WORDS[word] for word in text.split())}\n" for text in TEXTS]
        (corpus / f"{split}.tsv").write_text("".join(lines))
    files = {split: str(corpus / f"{split}.tsv") for split in ("train", "dev")}
    return {
        "embedders": {"words": {"type": "word", "size": 12}},
        "encoders": {"shared": {"type": "lstm", "input": "words", "hidden": 12, "bidirectional": True}},
        "tasks": {
            "de": {
                "reader": {"type": "parallel", "tokenizer": "blanks", **files},
                "encoder": "shared",
                "head": {"type": "translate", "hidden": 24, **head},
            }
        },
        "training": {
            "device": "cpu",
            "steps": 80,
            "batch": 5,
            "evaluate_every": 80,
            "optimizer": {"type": "adam", "rate": 0.02},
        },
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translate")
    return Model.load(tiny.trained(config(folder, replace_unknown=True), folder / "run").folder)


def test_a_translator_learns_and_its_figures_are_those_of_its_protocol(model):
    dev = model.figures["dev"]["de"]
    assert list(dev) == ["bleu", "perplexity", "accuracy"]
    assert dev["bleu"] == pytest.approx(100)
    assert dev["accuracy"] == 100
    assert 1 < dev["perplexity"] < 1.2
    assert "tok:none" in model.evaluate("de", split="dev")["protocol"]
    assert model.predict("de", ["the lamp"]) == [["der", "Leuchte"]]


def test_an_unknown_word_is_the_source_word_that_is_looked_at(model):
    head = model._assembly.network.head("de")
    hypothesis = type("Found", (), {"words": [4, 1], "attention": torch.tensor([[0.9, 0.1], [0.2, 0.8]])})()
    assert head._words(hypothesis, ["the", "Hannover"]) == [head.target[4], "Hannover"]


def test_what_was_searched_can_be_told(model):
    (told,) = model.explain("de", ["the lamp"])
    best = told["translations"][0]
    assert told["source"] == ["the", "lamp"]
    assert best["words"] == ["der", "Leuchte"]
    scores = [one["score"] for one in told["translations"]]
    assert scores == sorted(scores, reverse=True)
    assert [len(row) for row in best["attention"]] == [2, 2]
    assert json.dumps(told)


@pytest.mark.parametrize(
    ("setting", "words"), [("beam=5", 14), ("ratio=3.5", 17), ("ratio=null", 100), ("limit=3", 3)]
)
def test_a_text_without_an_end_has_as_many_words_as_are_allowed(setting, words, tmp_path, monkeypatch):
    model = Model.load(tiny.trained(config(tmp_path) | {"training": {"steps": 1}}, tmp_path / "run").folder)
    model.adjust("de", [setting, "coverage=0.2"])
    decoder = model._assembly.network.head("de").decoder
    scores = decoder.scores
    monkeypatch.setattr(
        decoder, "scores", lambda states: scores(states).index_fill(-1, torch.tensor(END), -1e9)
    )
    assert [len(one) for one in model.predict("de", ["the lamp"])] == [words]


def test_right_translations_are_scored_beside_what_was_found(model, tmp_path):
    (tmp_path / "some.tsv").write_text("the lamp\tder Leuchte\na moth sees\tder Falter\n")
    rows = [
        json.loads(one) for one in model.predict_file("de", tmp_path / "some.tsv", as_data=True, explain=True)
    ]
    assert [row["gold"]["words"] for row in rows] == [["der", "Leuchte"], ["der", "Falter"]]
    best = rows[0]["translations"][0]
    assert best["words"] == ["der", "Leuchte"]
    assert rows[0]["gold"]["score"] == pytest.approx(best["score"], abs=1e-3)
    assert rows[1]["gold"]["score"] < rows[1]["translations"][0]["score"]
    (tmp_path / "raw").write_text("the lamp\n")
    assert "gold" not in json.loads(next(model.predict_file("de", tmp_path / "raw", explain=True)))


@pytest.mark.parametrize(
    ("encoder", "head", "told"),
    [
        ({}, {"hidden": 10}, "the decoder has layers of 10 numbers, the encoder's last are of 24; let"),
        ({}, {"hidden": 24, "layers": 2}, "has layers of 24, 24 numbers, the encoder's last are of 24; let"),
        ({"type": "gru"}, {"hidden": 24}, "the encoder is no LSTM; let them agree, or take bridge: linear"),
        ({"type": "awd", "cell": "qrnn", "layers": 1}, {"hidden": 12}, "the encoder is no LSTM"),
        ({"type": "awd", "layers": 2, "last": 6}, {"hidden": 6, "layers": 2}, "encoder's last are of 12, 6"),
    ],
)
def test_a_copied_bridge_needs_an_encoder_with_such_cells(tmp_path, encoder, head, told):
    table = config(tmp_path, **head, bridge="copy")
    if encoder.get("type") == "awd":
        table["encoders"]["shared"] = {"input": "words", "hidden": 12}
    table["encoders"]["shared"] |= encoder
    with pytest.raises(ConfigError, match=rf"tasks\.de\.head  bridge: copy: .*{told}"):
        tiny.untrained(table)
    fitting = tiny.untrained(config(tmp_path, hidden=24, bridge="copy")).network
    assert all(part.training for part in fitting.modules())


def test_without_sacrebleu_training_does_not_begin(tmp_path, monkeypatch):
    def absent():
        raise ConfigError('BLEU is computed by sacrebleu: pip install "seqloom[eval]"')

    monkeypatch.setattr(metrics, "_bleu", absent)
    with pytest.raises(ConfigError, match=r"seqloom\[eval\]"):
        tiny.trained(config(tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_perplexity_falls_as_the_watched_figure_and_patience_heeds_it(tmp_path):
    asked = config(tmp_path)
    asked["training"] |= {"steps": 40, "evaluate_every": 10, "watch": "de.perplexity"}
    tiny.trained(asked, tmp_path / "run")
    dev = [event["figures"]["de"]["perplexity"] for event in tiny.told(tmp_path / "run", "evaluate")]
    best = [event["best"] for event in tiny.told(tmp_path / "run", "evaluate")]
    assert best == [figure < min([math.inf, *dev[:place]]) for place, figure in enumerate(dev)]


def test_rows_over_a_length_are_left_out_of_training_alone(tmp_path):
    asked = config(tmp_path)
    asked["tasks"]["de"]["reader"]["within"] = 3
    model = tiny.untrained(asked)
    assert len(model.tasks["de"].read("train")) == 2
    assert len(model.tasks["de"].read("dev")) == len(TEXTS)


def test_translations_may_be_drawn_and_are_the_same_each_time(model, tmp_path):
    sampled = tiny.untrained(config(tmp_path, beam=4, sampling={"temperature": 2.0, "top_k": 5}))
    drawn = [Model(sampled).explain("de", ["the lamp", "a moth sees"]) for _ in range(2)]
    assert drawn[0] == drawn[1]
    texts = [one["words"] for one in drawn[0][0]["translations"]]
    assert len(texts) == 4
    assert len({tuple(one) for one in texts}) > 1
    assert Model(sampled).predict("de", ["the lamp"]) == [texts[0]]


def test_all_weights_may_begin_as_in_the_published_program(tmp_path):
    settings = config(tmp_path, initial="uniform")
    settings["training"] |= {"steps": 1, "optimizer": {"type": "sgd", "rate": 1e-9}}
    head = Model.load(tiny.trained(settings, tmp_path / "run").folder)._assembly.network.head("de")
    for parameter in head.parameters():
        assert 0.05 < parameter.abs().max() < 0.1001


def test_target_words_begin_with_vectors_of_a_store(tmp_path):
    settings = config(tmp_path, vectors="german")
    (tmp_path / "german.txt").write_text("Leuchte 1 2 3\nFalter 4 5 6\nHaus 7 8 9\n")
    settings["vectors"] = {"german": {"path": str(tmp_path / "german.txt")}}
    settings["training"] |= {"steps": 1, "optimizer": {"type": "sgd", "rate": 1e-9}}
    run = tiny.trained(settings, tmp_path / "run")
    (tmp_path / "german.txt").unlink()
    head = Model.load(run.folder)._assembly.network.head("de")
    table = head.decoder.words.weight
    assert table.shape[1] == 3
    expected = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    torch.testing.assert_close(table[[head.target.id("Leuchte"), head.target.id("Falter")]], expected)
    assert table.requires_grad
    assert table[head.target.id("der")].any()


@pytest.mark.parametrize(
    ("keys", "word", "message"),
    [
        ({"size": 5}, "Leuchte", "its size is 5, that of the vectors german is 3"),
        ({}, "lamp", "no target word"),
    ],
)
def test_target_vectors_that_do_not_fit_are_refused(tmp_path, keys, word, message):
    settings = config(tmp_path, vectors="german", **keys)
    (tmp_path / "german.txt").write_text(f"{word} 1 2 3\n")
    settings["vectors"] = {"german": {"path": str(tmp_path / "german.txt")}}
    with pytest.raises(ConfigError, match=message):
        tiny.trained(settings, tmp_path / "run")


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_translator_without_attention_learns_searches_and_tells_what_it_found(tmp_path, cell):
    asked = config(tmp_path, context="final", cell=cell, bridge="copy", minimum=1)
    model = Model.load(tiny.trained(asked, tmp_path / "run").folder)
    assert model.figures["dev"]["de"]["bleu"] == pytest.approx(100)
    assert model.predict("de", ["the lamp"]) == [["der", "Leuchte"]]
    (told,) = model.explain("de", ["the lamp"])
    assert set(told["translations"][0]) == {"words", "score", "finished"}
    drawn = Model(tiny.untrained(asked | {"seed": 2}))
    assert drawn.predict("de", ["the lamp"]) == drawn.predict("de", ["the lamp", "a moth sees"])[:1]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cell": "gru"}, "cell: gru goes with context: final"),
        ({"context": "final", "coverage": 0.2}, "nothing is looked at, and nothing reads coverage"),
        ({"context": "final", "replace_unknown": True}, "nothing reads replace_unknown"),
        ({"context": "final", "bridge": "copy", "hidden": 10}, "states have 24 numbers, the decoder's 10"),
        ({"context": "final", "tied": True, "size": 5}, "words have 5 numbers, the decoder's states 24"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(tmp_path, keys, message):
    with pytest.raises(ConfigError, match=message):
        tiny.untrained(config(tmp_path, **keys))
