"""Numbers of the original MLMT program."""

import json
from collections import Counter
from itertools import chain

import pytest
import torch
from safetensors.torch import load_file

from seqloom.data.sampling import Related, Share
from seqloom.data.vectors import Vectors
from seqloom.metrics import Scores, accuracy, span_scores
from seqloom.nn import CharacterCNN, Highway
from seqloom.nn.crf import LinearChainCRF, allowed_transitions
from tests.golden.mlmt_models import FACTS, FOLDER, MULTI_TASK, batch, part, parts, seven_models

CHARACTERS = load_file(FOLDER / "char.safetensors")
CHAINS = load_file(FOLDER / "crf.safetensors")
CONSTRAINED = load_file(FOLDER / "crf_constrained.safetensors")
CONSTRAINED_FACTS = json.loads((FOLDER / "crf.json").read_text())["constrained"]
SCORED = json.loads((FOLDER / "conlleval.json").read_text())
MIXED = json.loads((FOLDER / "task_mixing.json").read_text())["settings"]


@pytest.mark.parametrize(("over", "expected"), [(False, "cnn.out_word_alone"), (True, "cnn.out")])
def test_a_words_vector_is_the_original_without_or_with_windows_over_padding(over, expected):
    weights = part("cnn.weight", CHARACTERS)
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
        for key, value in part(f"{name}.weight", CHARACTERS).items()
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


@pytest.fixture(scope="module")
def network():
    """The seven models."""
    return seven_models()


@pytest.mark.parametrize("model", FACTS["models"])
def test_a_whole_model_is_the_original(network, model):
    golden, head = part(model), network.head(model)
    labels, lengths = golden["labels"], golden["lengths"]
    with torch.inference_mode():
        output = network(batch(model))
        loglik = -head.universal.crf(output.scores, labels, lengths)
    found = {"scores": output.scores, "loglik": loglik, "loss": output.loss / len(lengths)}
    torch.testing.assert_close(found, {name: golden[name] for name in found}, atol=1e-5, rtol=0)
    paths = head.universal.crf.decode(output.scores, lengths)
    assert [path.labels for path in paths] == [one[one >= 0].tolist() for one in golden["viterbi_path"]]
    assert [path.score for path in paths] == pytest.approx(golden["viterbi_score"].tolist(), abs=1e-5)


def test_models_share_what_the_originals_share(network):
    modules = {model: parts(network, model) for model in MULTI_TASK}
    for name, models in FACTS["sharing"].items():
        kind, sharers = name.split("_")[0], [model for model in MULTI_TASK if model in models]
        one = modules[sharers[0]][kind]
        assert [model for model in MULTI_TASK if modules[model][kind] is one] == sharers, name
    assert len({network.head(model).specific.weight.data_ptr() for model in MULTI_TASK}) == 4
    assert len({network.head(model).gate.weight.data_ptr() for model in MULTI_TASK}) == 4


@pytest.mark.parametrize("facts", MIXED, ids=range(len(MIXED)))
def test_tasks_are_mixed_as_in_the_original(facts):
    shares = {name: Share(rows, facts["batch_size"]) for name, rows in facts["train_sentences"].items()}
    related = {"cross_lingual": ["cl", "clct"], "cross_task": ["ct", "clct"]}
    sampling = Related(Related.Config(target="tgt", mix="epoch", **related), shares, seed=1)
    weights = {name: sampling.weight(name, share) for name, share in shares.items()}
    assert weights == pytest.approx(facts["weights"], rel=1e-12)
    # The original does not train at all on a target smaller than a batch; we take it for one batch.
    mended = {name: int(weight / weights["tgt"]) for name, weight in weights.items()}
    expected = facts["batches"] if facts["batches"]["tgt"] else mended
    assert sampling.cycle() == expected
    assert Counter(map(sampling.task, range(sum(expected.values())))) == Counter(expected)


def test_words_find_their_vectors_as_in_the_original():
    facts = json.loads((FOLDER / "embedding_match.json").read_text())
    found = Vectors.open(FOLDER / "embed.txt", header="skip").match(facts["vocab"]).filled("zero")
    assert found.tolist() == facts["matrix"]
