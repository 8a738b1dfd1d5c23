"""Numbers of the original AWD-LSTM and mixture-of-softmaxes programs."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from seqloom.evaluation.evaluate import evaluate
from seqloom.model.streaming import Streamer
from seqloom.nn.split import SplitSoftmax
from seqloom.training.averaging import Mean, Triggered
from seqloom.training.optim import SGD, groups, set_rate
from seqloom.training.updates import _clip
from tests.golden.awd_models import FOLDER, batch, model, renamed, state, under

RNN = load_file(FOLDER / "rnn_model.safetensors")
MIXED = load_file(FOLDER / "mos_model.safetensors")
SPLIT = load_file(FOLDER / "split_softmax.safetensors")
ASGD = load_file(FOLDER / "asgd.safetensors")
STREAM = json.loads((FOLDER / "stream.json").read_text())
SCHEDULES = json.loads((FOLDER / "schedules.json").read_text())
RATES = json.loads((FOLDER / "asgd.json").read_text())["settings"]


def close(ours, theirs, within=1e-5):
    torch.testing.assert_close(ours, theirs, atol=within, rtol=0)


def encoded(network, tensors, before):
    return network.encode(batch(tensors["x"], tensors["y"]), "text", before)


@torch.no_grad()
def test_states_and_loss_of_the_language_model_are_the_originals():
    network, _ = model(under("weight.", RNN))
    network.eval()
    found = encoded(network, RNN, state(RNN))
    golden = under("eval.", RNN)
    for layer in range(3):
        close(found.layers[layer].transpose(0, 1), golden[f"raw_output.{layer}"])
        for ours, part in zip(found.state[layer], "hc", strict=True):
            close(ours, golden[f"{part}1.{layer}"])
    close(found.states.transpose(0, 1), golden["output"])
    logits = network.head("lm").log_probabilities(found.states).transpose(0, 1)
    close(logits, golden["logits"].log_softmax(-1))
    fresh = network.head("lm").log_probabilities(encoded(network, RNN, None).states).transpose(0, 1)
    close(fresh, golden["logits_zero_state"].log_softmax(-1))
    output = network(batch(RNN["x"], RNN["y"]), state(RNN))
    close(output.loss / output.count, golden["loss"])


def test_penalties_gradients_and_clipping_are_the_originals():
    network, _ = model(under("weight.", RNN), activity=2.0, slowness=1.0)
    # The original looks words up with a padding index of -1, so that the last word's vector learns nothing there.
    network.embedders["words"].table.padding_idx = 16
    golden = under("train.", RNN)
    output = network.train()(batch(RNN["x"], RNN["y"]), state(RNN))
    loss = (output.loss + output.penalty) / output.count
    close(loss, golden["loss"])
    loss.backward()
    weights = dict(network.named_parameters())
    norm = torch.nn.utils.get_total_norm([one.grad for one in weights.values()])
    close(norm, golden["grad_norm_before_clip"])
    _clip(weights.values(), 0.25)
    for name, theirs in renamed(under("grad_clipped.", golden), 3).items():
        close(weights[name].grad, theirs)


@pytest.mark.parametrize(("key", "term"), [({"activity": 2.0}, "ar_term"), ({"slowness": 1.0}, "tar_term")])
def test_each_penalty_is_the_originals_and_stands_beside_the_loss(key, term):
    network, _ = model(under("weight.", RNN), **key)
    output = network.train()(batch(RNN["x"], RNN["y"]), state(RNN))
    close(output.loss / output.count, RNN["train.nll"])
    close(output.penalty / output.count, RNN[f"train.{term}"])


@torch.no_grad()
def test_weights_that_were_saved_while_dropped_are_the_same():
    saved = torch.load(FOLDER / "state_dict_weight_drop.pt", weights_only=True)
    assert {name: list(one.shape) for name, one in saved.items()} == json.loads(
        (FOLDER / "names.json").read_text()
    )["with_weight_drop"]
    plain = {name.replace(".module.", ".").replace("_l0_raw", "_l0"): one for name, one in saved.items()}
    network, _ = model(plain)
    close(encoded(network.eval(), RNN, state(RNN)).states.transpose(0, 1), RNN["eval.output"])


@torch.no_grad()
def test_a_mixture_of_softmaxes_is_the_originals_without_its_floor():
    network, _ = model(under("weight.", MIXED), layers=2, last=7, experts=3)
    network.eval()
    found = encoded(network, MIXED, state(MIXED, 2))
    for layer in range(2):
        close(found.layers[layer].transpose(0, 1), MIXED[f"raw_output.{layer}"])
    head = network.head("lm")
    vectors, priors = head.mixture(found.states)
    close(priors.exp().transpose(0, 1), MIXED["prior"])
    close(head._scores(vectors).log_softmax(-1).transpose(0, 1), MIXED["expert_log_prob"])
    likely = head.log_probabilities(found.states).transpose(0, 1)
    close(likely, MIXED["log_prob"])
    close(likely.exp(), MIXED["prob"])
    for mode in (True, False):
        output = network.train(mode)(batch(MIXED["x"], MIXED["y"]), state(MIXED, 2))
        close(output.loss / output.count, MIXED["nll"])


def streamed(streams, window, **head):
    """What the stream comes to: figures."""
    head |= {"streams": streams, "window": window}
    network, task = model(under("weight.", load_file(FOLDER / "stream_model.safetensors")), **head)
    words = [task_word(one) for one in STREAM["stream"]]
    # Our rows end with a symbol of their own; here that is the last of the stream.
    assert words[-1] == "w2"
    columns = task.from_examples([{"text": words[:-1]}])
    vocabularies = {"words": network.head("lm").words}
    return network, Streamer(task, columns, vocabularies, streams=streams, window=window)


def task_word(number):
    return ["<pad>", "<unk>"][number] if number < 2 else f"w{number}"


@pytest.mark.parametrize("run", STREAM["runs"], ids=lambda run: f"{run['batch_size']}-{run['bptt']}")
def test_perplexity_of_a_stream_is_the_originals_divided_by_what_is_foretold(run):
    network, streamer = streamed(run["batch_size"], run["bptt"])
    assert evaluate(network, streamer)["perplexity"] == pytest.approx(run["ppl"], rel=1e-4)
    assert streamer.stream.time == run["rows"]
    before, windows = None, streamer.windows()
    assert len(windows) == len(run["segments"])
    for number, segment in enumerate(run["segments"]):
        with torch.no_grad():
            output = network.eval()(streamer.batch(windows.rows(number)), before)
        before = output.state
        assert output.count == segment["length"] * run["batch_size"]
        assert float(output.loss / output.count) == pytest.approx(segment["loss"], abs=1e-5)


@pytest.mark.parametrize("run", STREAM["pointer"], ids=lambda run: f"{run['window']}-{run['theta']}")
def test_the_cache_is_the_originals_without_its_gaps(run):
    cache = {"window": run["window"], "flatness": run["theta"], "share": run["lambdasm"]}
    network, streamer = streamed(1, run["bptt"], cache=cache)
    expected = run["without_segment_gaps"]
    assert evaluate(network, streamer)["perplexity"] == pytest.approx(expected["ppl"], rel=1e-4)


@pytest.mark.parametrize(("name", "cuts"), [("two", [8]), ("three", [4, 9])])
def test_a_split_softmax_is_the_originals(name, cuts):
    golden = under(f"{name}.", SPLIT)
    ours = SplitSoftmax(6, cuts, 17)
    # The original has the groups' rows in the reverse order of their groups.
    ours.load_state_dict({"groups": golden["tail_vectors"].flip(0), "bias": golden["tail_bias"].flip(0)})
    table = SPLIT["weight"], SPLIT["bias"]
    likely = ours.log_probabilities(SPLIT["hidden"], *table)
    close(likely, golden["log_prob"])
    close(likely.exp().sum(-1), torch.ones(20))
    close(ours.loss(SPLIT["hidden"], SPLIT["targets"], *table) / 20, golden["loss"])


def descended(setting, averaging):
    """Weights and their averages after each of 20 steps of a regression."""
    how = RATES[setting]
    weights = {"w": ASGD[f"{setting}.w0"].clone().requires_grad_(), "b": torch.zeros(1, requires_grad=True)}
    table = SGD.Config(rate=how["lr"], weight_decay=how["weight_decay"])
    optimizer = SGD.make(table, groups(weights.items(), {}, how["lr"]))
    for step, rate in enumerate(how["step_lr"]):
        rows = slice(6 * (step % 5), 6 * (step % 5) + 6)
        optimizer.zero_grad()
        error = ASGD["X"][rows] @ weights["w"] + weights["b"] - ASGD["Y"][rows]
        error.square().mean().backward()
        set_rate(optimizer, averaging.pace(rate / how["lr"]))
        optimizer.step()
        averaging.update(step + 1, weights)
        yield step, weights, averaging.average


@pytest.mark.parametrize("setting", sorted(RATES))
def test_averaging_is_torchs_where_it_should_be(setting):
    averaging = Triggered(Triggered.Config(at_once=True, faithful=True))
    for step, weights, average in descended(setting, averaging):
        for key, golden in (("w", weights), ("b", weights), ("ax_w", average), ("ax_b", average)):
            close(golden[key[-1]].detach().flatten(), ASGD[f"{setting}.{key}"][step])


@pytest.mark.parametrize("kind", [Mean, Triggered])
def test_averaging_covers_every_step_from_the_first_on(kind):
    averaging = kind(kind.Config() if kind is Mean else kind.Config(at_once=True))
    # At a constant rate the steps are the original's; only their mean differs.
    *_, (_, _, average) = descended("constant_lr", averaging)
    close(average["w"].flatten(), ASGD["constant_lr.mean_of_all_iterates"])


@pytest.mark.parametrize("case", SCHEDULES["nt_asgd"])
def test_averaging_begins_when_the_originals_does(case):
    averaging = Triggered(Triggered.Config(nonmonotone=case["nonmono"]))
    begun = [epoch for epoch, loss in enumerate(case["validation_losses"], 1) if heard(averaging, loss).started]
    assert begun[:1] == ([case["switch_after_epoch"]] if case["switch_after_epoch"] else [])


def heard(averaging, loss):
    """The averaging after an evaluation; figures rise where losses fall."""
    averaging.evaluated(-math.exp(loss))
    return averaging


@pytest.mark.parametrize("case", SCHEDULES["asgd_overfit_stop"]["cases"])
def test_training_ends_after_so_many_worse_evaluations_in_a_row(case):
    averaging = Triggered(Triggered.Config(worse=SCHEDULES["asgd_overfit_stop"]["limit"]))
    averaging.state["begun"] = True
    ended = [epoch for epoch, loss in enumerate(case["validation_losses"], 1) if heard(averaging, loss).over]
    assert ended[:1] == ([case["stop_after_epoch"]] if case["stop_after_epoch"] else [])


@pytest.mark.parametrize("case", SCHEDULES["finetune_stop"])
def test_fine_tuning_ends_when_the_originals_does(case):
    keys = {"nonmonotone": case["nonmono"], "minimum": case["minimum"], "at_once": True}
    averaging = Triggered(Triggered.Config(**keys))
    ended = [epoch for epoch, loss in enumerate(case["validation_losses"], 1) if heard(averaging, loss).over]
    assert ended[:1] == ([case["stop_after_epoch"]] if case["stop_after_epoch"] else [])
