"""Numbers of the original MLMT program."""

import json
from itertools import chain
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqloom.metrics import Scores, accuracy, span_scores
from seqloom.nn import CharacterCNN, Highway
from seqloom.nn.crf import LinearChainCRF, allowed_transitions

FOLDER = Path(__file__).parent / "mlmt"
CHARACTERS = load_file(FOLDER / "char.safetensors")
CHAINS = load_file(FOLDER / "crf.safetensors")
CONSTRAINED = load_file(FOLDER / "crf_constrained.safetensors")
CONSTRAINED_FACTS = json.loads((FOLDER / "crf.json").read_text())["constrained"]
SCORED = json.loads((FOLDER / "conlleval.json").read_text())


def part(name, tensors=CHARACTERS):
    """The tensors whose names begin so, under the rest of their names."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}


@pytest.mark.parametrize(("over", "expected"), [(False, "cnn.out_word_alone"), (True, "cnn.out")])
def test_a_words_vector_is_the_original_without_or_with_windows_over_padding(over, expected):
    weights = part("cnn.weight")
    network = CharacterCNN({2: 3, 3: 4, 4: 2}, 15, 5, windows_over_padding=over)
    ours = {"embedding.weight": weights["embedding.weight"]}
    for i in range(3):
        ours[f"weights.{i}"] = weights[f"convs.{i}.weight"].squeeze(1).transpose(1, 2)
        ours[f"biases.{i}"] = weights[f"convs.{i}.bias"]
    network.load_state_dict(ours)
    torch.testing.assert_close(network(CHARACTERS["chars"]), CHARACTERS[expected], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "layers", "activation"),
    [("hw1_relu", 1, "relu"), ("hw2_selu", 2, "selu"), ("hw2_tanh", 2, "tanh")],
)
def test_a_highway_is_the_original(name, layers, activation):
    highway = Highway(9, layers, activation)
    weights = {
        key.replace("non_linear", "transforms").replace("gate", "gates"): value
        for key, value in part(f"{name}.weight").items()
    }
    highway.load_state_dict(weights)
    torch.testing.assert_close(highway(CHARACTERS["cnn.out"]), CHARACTERS[f"{name}.out"], atol=1e-5, rtol=0)


def crf_over(transitions, allowed=None, constrain_training=False):
    """A CRF with these transitions."""
    crf = LinearChainCRF(len(transitions) - 2, allowed, constrain_training)
    crf.load_state_dict({"transitions": transitions})
    return crf


@pytest.mark.parametrize("case", range(4))
def test_likelihood_and_gradients_are_the_originals(case):
    golden = part(f"case{case}", CHAINS)
    crf, lengths = crf_over(golden["transition"]), golden["lengths"]
    emissions = golden["emissions"].requires_grad_()
    labels = golden["labels"]
    loss = crf(emissions, labels, lengths).mean()
    loss.backward()
    found = {
        "log_norm": crf.log_partition(emissions, lengths),
        "gold_score": crf.score(emissions, labels, lengths),
        "loss": loss,
        "grad.emissions": emissions.grad,
        "grad.transition": crf.transitions.grad,
    }
    expected = {name: golden[name] for name in found}
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("case", range(4))
def test_best_paths_are_those_of_enumeration(case):
    golden = part(f"case{case}", CHAINS)
    found = crf_over(golden["transition"]).decode(golden["emissions"], golden["lengths"])
    for (labels, score), path, best in zip(found, golden["viterbi_path"], golden["viterbi_score"], strict=True):
        assert labels == path[path >= 0].tolist()
        assert score == pytest.approx(best.item(), abs=1e-5)


@pytest.mark.parametrize("facts", CONSTRAINED_FACTS, ids=lambda facts: facts["scheme"])
def test_constrained_chains_are_those_of_enumeration(facts):
    names, sentences = facts["labels"], facts["sentences"]
    golden = part(facts["scheme"], CONSTRAINED)
    emissions, lengths = golden["emissions"], golden["lengths"]
    allowed = allowed_transitions(names, facts["scheme"])
    for prefix, norm, crf in (
        ("best_", "log_norm", crf_over(golden["transition"], allowed, constrain_training=True)),
        ("unconstrained_", "unconstrained_log_norm", crf_over(golden["transition"])),
    ):
        path, score = f"{prefix}path", "best_score" if prefix == "best_" else f"{prefix}best"
        decoded = crf.decode(emissions, lengths)
        assert [[names[label] for label in labels] for labels, _ in decoded] == [
            each[path] for each in sentences
        ]
        assert [best for _, best in decoded] == pytest.approx([each[score] for each in sentences], abs=1e-5)
        totals = crf.log_partition(emissions, lengths).tolist()
        assert totals == pytest.approx([each[norm] for each in sentences], abs=1e-5)


@pytest.mark.parametrize("facts", CONSTRAINED_FACTS, ids=lambda facts: facts["scheme"])
def test_the_allowed_paths_are_as_many_as_by_enumeration(facts):
    golden = part(facts["scheme"], CONSTRAINED)
    crf = crf_over(golden["transition"], allowed_transitions(facts["labels"], facts["scheme"]))
    found = crf.n_best(golden["emissions"], golden["lengths"], 600)
    assert [len(paths) for paths in found] == [sentence["valid_paths"] for sentence in facts["sentences"]]


def counted(figures):
    """Counts as our scores hold them."""
    return Scores(figures["tp"], figures["fp"], figures["fn"])


@pytest.mark.parametrize("case", SCORED, ids=range(len(SCORED)))
def test_spans_are_scored_as_by_the_original(case):
    scores = span_scores(case["predicted"], case["gold"])
    expected = case["overall"]
    assert Scores(scores.tp, scores.fp, scores.fn) == counted(expected)
    assert scores.by_type == {kind: counted(figures) for kind, figures in case["by_type"].items()}
    rates = [expected[name] for name in ("precision", "recall", "f1")]
    assert [scores.precision, scores.recall, scores.f1] == pytest.approx(rates)
    assert accuracy([*chain(*case["predicted"])], [*chain(*case["gold"])]) == pytest.approx(case["accuracy"])
