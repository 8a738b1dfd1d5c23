"""Language models in use: how they go on with a text, what evaluation may add, and the ways to score words."""

import json
import math
from random import Random

import pytest
import torch

from seqloom.api import Model
from seqloom.data.columns import build
from seqloom.data.fields import UNLISTED
from seqloom.data.running import RunningText, characters
from seqloom.data.vocabulary import SPECIALS, Vocabulary
from seqloom.errors import ConfigError
from seqloom.heads.language import Language
from seqloom.nn.awd import AWD, WeightDropLayer
from seqloom.nn.mixture import MixtureOfSoftmaxes, mixed, mixture_loss
from seqloom.nn.split import SplitSoftmax
from tests.tiny import trained

SENTENCES = ["the cat sat on a mat", "the dog ran to a barn", "each moth sees one lamp"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that knows three sentences by heart, which come in no order."""
    folder = tmp_path_factory.mktemp("lm")
    random = Random(1)
    (folder / "text").write_text("".join(f"{random.choice(SENTENCES)}\n" for _ in range(60)))
    reader = {"type": "lines", "train": str(folder / "text"), "test": str(folder / "text")}
    config = {
        "embedders": {"words": {"type": "concat", "of": [{"type": "word", "size": 8}, {"type": "chars"}]}},
        "encoders": {"stack": {"type": "awd", "input": "words", "hidden": 24, "layers": 2, "last": 16}},
        "tasks": {"lm": {"reader": reader, "encoder": "stack", "head": {"type": "language", "streams": 1}}},
        "training": {
            "device": "cpu",
            "steps": 150,
            "batch": 4,
            "stream": {"window": 20},
            "optimizer": {"type": "adam", "rate": 0.02},
        },
    }
    trained(config, folder / "run")
    return folder / "run"


def test_a_text_is_continued_to_its_end(folder):
    model = Model.load(folder)
    model.adjust("lm", ["sampling.temperature=0"])
    assert model.predict("lm", ["the cat", "each moth sees"]) == [["sat", "on", "a", "mat"], ["one", "lamp"]]
    model.adjust("lm", ["sampling.limit=1"])
    assert model.predict("lm", ["each moth"]) == [["sees"]]


def test_a_wrong_setting_is_told_as_in_a_configuration(folder):
    model = Model.load(folder)
    for setting, told in (
        (
            "sampling.limi=7",
            r'--set sampling.limi=7: sampling.limi no key "limi"; did you mean "limit"',
        ),
        ("streams=0", r"--set streams=0: streams should be greater than or equal to 1, found 0"),
    ):
        with pytest.raises(ConfigError, match=told):
            model.adjust("lm", [setting])


def test_the_end_is_known_as_the_embedder_reads_it(tmp_path):
    (tmp_path / "text").write_text("".join(f"{one}\n" for one in SENTENCES * 9))
    reader = {"type": "lines", "train": str(tmp_path / "text")}
    config = {
        "embedders": {"words": {"type": "word", "size": 16, "lower": True}},
        "encoders": {"stack": {"type": "awd", "input": "words", "hidden": 24, "layers": 1}},
        "tasks": {"lm": {"reader": reader, "encoder": "stack", "head": {"type": "language", "end": "<EOS>"}}},
        "training": {"device": "cpu", "steps": 60, "batch": 4, "optimizer": {"type": "adam", "rate": 0.03}},
    }
    config["training"]["stream"] = {"window": 20}
    model = Model.load(trained(config, tmp_path / "run").folder)
    model.adjust("lm", ["sampling.temperature=0"])
    assert model.predict("lm", ["the cat"]) == [["sat", "on", "a", "mat"]]


def test_a_text_may_go_on_past_its_end_or_begin_from_nothing(folder, tmp_path):
    model = Model.load(folder)
    model.adjust("lm", ["sampling.stop=false", "sampling.limit=30"])
    (text,) = model.predict("lm", ["the cat"])
    assert len(text) == 30
    assert text[:5] == ["sat", "on", "a", "mat", "<eos>"]
    (tmp_path / "prompts").write_text("\nthe cat\n")
    begun, _ = model.predict_file("lm", tmp_path / "prompts")
    assert begun.split() == model.predict("lm", [""])[0]


def test_a_sparse_table_is_cut_like_the_whole_one_it_stands_for(tmp_path):
    lines = "".join(f"{one}\n" for one in SENTENCES * 4)
    (tmp_path / "text").write_text(lines)
    reader = {"type": "lines", "train": str(tmp_path / "text"), "test": str(tmp_path / "text")}
    words = {"type": "sparse", "size": 8, "blocks": 4, "order": "rand", "rotated": True}
    head = {"type": "language", "streams": 1, "tied": True, "cuts": [3]}
    config = {
        "embedders": {"words": words},
        "encoders": {"stack": {"type": "awd", "input": "words", "hidden": 12, "layers": 2}},
        "tasks": {"lm": {"reader": reader, "encoder": "stack", "head": head}},
        "training": {"device": "cpu", "steps": 3, "batch": 2, "stream": {"window": 10}},
    }
    head = Model.load(trained(config, tmp_path / "run").folder)._assembly.network.head("lm")
    states, gold = torch.randn(1, 7, 8), torch.tensor([[0, 1, 2, 3, 5, 9, 6]])
    found = head.log_probabilities(states)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(1, 7))
    torch.testing.assert_close(head.loss(states, gold), -found.gather(-1, gold.unsqueeze(-1)).sum())
    table = head.route.embedder
    torch.testing.assert_close(table.scores(states), states @ table.whole().t())


@pytest.mark.parametrize("cuts", [[], [150]])
def test_words_that_are_foretold_are_counted_but_for_padding(cuts):
    names = [f"w{number}" for number in range(300)]
    words = {"words": Vocabulary([*SPECIALS, *names])}
    head = Language(Language.Config(streams=1, tied=False, cuts=cuts), size=8, vocabularies=words)
    torch.nn.init.normal_(head.weight)
    states = torch.randn(2, 600, 8)
    likely = head.log_probabilities(states)
    gold = torch.where(torch.rand(2, 600) < 0.3, likely.argmax(-1), torch.randint(0, 300, (2, 600)))
    expected, right = likely.gather(-1, gold.unsqueeze(-1)).squeeze(-1), likely.argmax(-1) == gold
    padding = torch.arange(600) >= torch.tensor([[600], [520]])
    found, count = head.foretold(states, gold.masked_fill(padding, UNLISTED))
    torch.testing.assert_close(found, expected.masked_fill(padding, 0))
    assert count == int((right & ~padding).sum())
    found, count = head.foretold(states, torch.full_like(gold, UNLISTED))
    assert count == 0
    assert not found.any()


def test_what_is_drawn_depends_on_the_seed_alone(folder):
    model = Model.load(folder)
    model.adjust("lm", ["sampling.temperature=3.0"])
    drawn = model.predict("lm", ["the", "the", "a"])
    assert model.predict("lm", ["the"]) == drawn[:1] == drawn[1:2]
    model.adjust("lm", ["sampling.seed=5"])
    assert model.predict("lm", ["the"]) != drawn[:1]


def test_evaluation_counts_every_token_but_the_first_and_leaves_the_weights_alone(folder, caplog):
    model = Model.load(folder)
    before = {name: one.clone() for name, one in model._assembly.network.state_dict().items()}
    plain = model.evaluate("lm")["figures"]
    assert 1.1 < plain["perplexity"] < 1.5
    lines = (folder.parent / "text").read_text().splitlines()
    characters = sum(len(one) + 1 for one in lines) - len("the ")
    tokens = sum(len(one.split()) + 1 for one in lines) - 1
    bits = tokens * math.log2(plain["perplexity"]) / characters
    assert plain["bits_per_character"] == pytest.approx(bits, rel=0.005)
    model.adjust("lm", ["dynamic={rate: 0.5}", "window=5"])
    assert model.evaluate("lm")["figures"]["perplexity"] != plain["perplexity"]
    model.adjust("lm", [f"dynamic={{rate: 0.002, decay: 0.02, statistics: [{folder.parent / 'text'}]}}"])
    assert model.evaluate("lm")["figures"]["perplexity"] != plain["perplexity"]
    model.adjust("lm", ["dynamic=null", "cache={window: 30, share: 0.5, flatness: 5.0}"])
    assert model.evaluate("lm")["figures"]["perplexity"] != plain["perplexity"]
    assert not caplog.messages
    model.adjust("lm", ["cache={window: 3000, share: 0.5, flatness: 5.0}"])
    assert model.evaluate("lm")["figures"]["perplexity"] == pytest.approx(plain["perplexity"])
    assert "full of 3,000 in each of 1 streams, acts on 0% of the tokens" in caplog.text
    (folder.parent / "odd").write_text("the zyx sat on qqq\n" * 9)
    model.evaluate("lm", folder.parent / "odd")
    assert "odd: 34% of the tokens are unknown words, which count as one" in caplog.text
    for name, one in model._assembly.network.state_dict().items():
        assert torch.equal(one, before[name])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("tied=true", "of a trained head language, cache, dynamic, sampling, streams, window can be changed"),
        ("samplin.seed=1", "sampling"),
        ("window=none", 'window should be a whole number, found "none"'),
    ],
)
def test_what_cannot_be_changed_is_told(folder, setting, told):
    with pytest.raises(ConfigError, match=told):
        Model.load(folder).adjust("lm", [setting])


def test_dropped_weights_come_back():
    torch.manual_seed(1)
    layer, x, lengths = WeightDropLayer("lstm", 3, 8, 0.5), torch.randn(2, 4, 3), torch.tensor([4, 4])
    whole = layer.eval()(x, lengths)[0]
    for _ in range(2):
        dropped = layer.train()(x, lengths)[0]
        assert not torch.allclose(dropped, whole)
        assert torch.equal(layer.eval()(x, lengths)[0], whole)
    assert [*dict(layer.named_parameters())] == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]


def test_a_stack_has_as_many_parameters_sparse_as_the_dense_one_it_equals():
    counts = [
        sum(one.numel() for one in AWD("lstm", 40, hidden, 3, mode=mode, fraction=fraction).parameters())
        for hidden, mode, fraction in ((115, "direct", 1.0), (172, "sparse_hidden", 0.66666))
    ]
    assert counts[1] == pytest.approx(counts[0], rel=0.03)
    with pytest.raises(ConfigError, match="sparse layers are an LSTM's"):
        AWD("gru", 4, 4, mode="sparse_hidden", fraction=0.5)


def test_losses_are_what_their_probabilities_say():
    torch.manual_seed(1)
    states, gold = torch.randn(2, 300, 6, dtype=torch.float64), torch.randint(0, 9, (2, 300))
    table = torch.randn(9, 5, dtype=torch.float64)
    mixture = MixtureOfSoftmaxes(6, 5, 3).double()
    vectors, priors = mixture(states)
    likely = mixed(vectors, priors, lambda one: one @ table.t())
    torch.testing.assert_close(likely.exp().sum(-1), torch.ones(2, 300).to(likely))
    flat = [one.flatten(0, 1) for one in (vectors, priors)]
    loss = mixture_loss(*flat, gold.flatten(), lambda one: one @ table.t())
    torch.testing.assert_close(loss, -likely.gather(-1, gold.unsqueeze(-1)).sum().float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("cuts", [[], [0], [4, 4], [9]])
def test_cuts_lie_within_the_vocabulary(cuts):
    with pytest.raises(ConfigError, match="cuts should rise from 1 to below the number of words, 9"):
        SplitSoftmax(3, cuts, 9)


def test_characters_are_those_of_the_text():
    for texts, expected in (([["a", "bee"], ["sea"]], 6 + 4), ([["a", "b"], ["c"]], 5)):
        column = build([{"text": one} for one in texts], {"text": RunningText()})["text"]
        assert int(characters(column, "<eos>")[column.values].sum()) == expected


def test_a_model_that_reads_backward_foretells_the_word_before(tmp_path):
    random = Random(2)
    text = "".join(f"{random.choice(SENTENCES)}\n" for _ in range(60))
    (tmp_path / "text").write_text(text)
    reader = {"type": "lines", "train": str(tmp_path / "text"), "test": str(tmp_path / "text")}
    stack = {"type": "awd", "input": "words", "hidden": 24, "layers": 1, "backward": True}
    config = {
        "embedders": {"words": {"type": "word", "size": 16}},
        "encoders": {"stack": stack},
        "tasks": {"lm": {"reader": reader, "encoder": "stack", "head": {"type": "language", "streams": 2}}},
        "training": {"device": "cpu", "steps": 60, "batch": 4, "optimizer": {"type": "adam", "rate": 0.03}},
    }
    config["training"]["stream"] = {"window": 20}
    assert trained(config, tmp_path / "run").test["lm"]["perplexity"] < 1.6
    model = Model.load(tmp_path / "run")
    model.adjust("lm", ["sampling.temperature=0"])
    assert model.predict("lm", ["on a mat", "one lamp"]) == [["the", "cat", "sat"], ["each", "moth", "sees"]]
    (tmp_path / "ends").write_text("on a mat\n")
    assert [*model.predict_file("lm", tmp_path / "ends")] == ["the cat sat on a mat\n"]
    (told,) = model.predict_file("lm", tmp_path / "ends", as_json=True)
    assert json.loads(told) == {"text": ["on", "a", "mat"], "prediction": ["the", "cat", "sat"]}
    found = set()
    for window in (1, 20, 50):
        model.adjust("lm", [f"window={window}", "cache={window: 30, share: 0.5, flatness: 5.0}"])
        found.add(round(model.evaluate("lm")["figures"]["perplexity"], 4))
    assert len(found) == 1
