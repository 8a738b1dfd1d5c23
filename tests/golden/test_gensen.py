"""Numbers of the original GenSen programs."""

import shutil

import pytest
import torch
from torch import nn

from seqloom import Vectors, concat, expand, load
from seqloom.data.batch import Batch, Encoded, Text
from seqloom.deploy.legacy import import_gensen
from seqloom.deploy.linear import LinearMap
from seqloom.nn.conditional import ConditionalState
from seqloom.nn.pooling import pool
from tests.golden.gensen_encoders import (
    ENCODER,
    FILES,
    FOLDER,
    SENTENCES,
    TOLD,
    imported,
    originals_order,
    unbounded,
)
from tests.golden.gensen_models import (
    MULTITASK,
    OURS,
    PADDING,
    conditional,
    inference,
    paired,
    sentence_vectors,
)

SEQUENCES = [
    ("task0.logits", "task0.loss", 0, "trg"),
    ("task1.logits", "task1.loss", 1, "trg"),
    ("task2.logits_paired", "task2.loss_paired", 2, "trg2"),
]


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def encoded(vectors):
    """Texts of which nothing is known but their vectors."""
    return Encoded(vectors, [vectors], vectors, vectors, torch.ones(len(vectors), dtype=torch.long))


@torch.no_grad()
def test_a_decoders_steps_are_those_of_the_conditional_gru():
    golden, one = MULTITASK, conditional(0)
    one.words = nn.Embedding.from_pretrained(golden["cell.x"].flatten(0, 1))
    ids = torch.arange(one.words.num_embeddings).view(golden["cell.x"].shape[:2])
    condition, _ = one.start(golden["cell.ctx"])
    states = one(ids, condition, ConditionalState(((golden["cell.h0"],),)))
    close(states, golden["cell.outputs"])
    close(states[:, -1], golden["cell.h_final"])


@torch.no_grad()
def test_sentence_vectors_are_the_originals():
    close(sentence_vectors(MULTITASK["src"], MULTITASK["src_lengths"]), MULTITASK["h_x"])
    for side, vectors in (("sent1", "nli.u"), ("sent2", "nli.v")):
        found = sentence_vectors(MULTITASK[f"nli.{side}"], MULTITASK[f"nli.{side}_lengths"])
        close(found, MULTITASK[vectors])


@torch.no_grad()
@pytest.mark.parametrize(("logits", "loss", "task", "target"), SEQUENCES)
def test_words_have_the_originals_scores_and_loss(logits, loss, task, target):
    golden, one = MULTITASK, conditional(task)
    words, gold = OURS[golden[f"{target}_in"]], golden[f"{target}_out"]
    real = gold != PADDING
    states = one(words, *one.start(golden["h_x"]), (words != 0).sum(1))
    scores = one.scores(states[real])
    close(scores[:, OURS], golden[logits][real])
    close(one.loss(states[real], OURS[gold[real]]) / real.sum(), golden[loss])
    # Padding positions of the original hold what it makes of padding, which we do not compute.
    whole = one(OURS[golden[f"{target}_in"]], *one.start(golden["h_x"]))
    close(one.scores(whole)[..., OURS], golden[logits])


@torch.no_grad()
def test_paired_skip_thought_is_one_encoding_with_two_losses():
    golden = MULTITASK
    columns, sums = {}, []
    for side, target, loss in (("previous", "trg2", "task2.loss_paired"), ("next", "trg", "task0.loss")):
        ids = OURS[torch.cat([golden[f"{target}_in"][:, :1], golden[f"{target}_out"]], 1)]
        columns[side] = Text({"target": ids}, (ids != 0).sum(1))
        sums.append(golden[loss] * (golden[f"{target}_out"] != PADDING).sum())
    output = paired()(Batch("around", columns, range(len(ids))), text=encoded(golden["h_x"]))
    assert output.count == int((golden["trg_out"] != PADDING).sum() + (golden["trg2_out"] != PADDING).sum())
    close(output.loss, sum(sums))


@torch.no_grad()
def test_inference_is_scored_as_in_the_original():
    golden = MULTITASK
    batch = Batch("nli", {"label": golden["nli.labels"]}, range(len(golden["nli.labels"])))
    output = inference()(batch, premise=encoded(golden["nli.u"]), hypothesis=encoded(golden["nli.v"]))
    close(output.scores, golden["nli.logits"])
    close(output.loss / output.count, golden["nli.loss"])


PARTS = {"first": [10], "second": [8], "concat": [10, 8]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Both published models by name, and both side by side."""
    folder = tmp_path_factory.mktemp("gensen")
    both = {name: imported(name, folder) for name in FILES}
    return {**both, "concat": concat(*both.values())}


def vectors_are_the_originals(model, when, name, texts=SENTENCES):
    """Every pooling, and each token's states."""
    golden = {key: ENCODER[f"{when}.{name}.{key}"] for key in ("pool_last", "pool_max_masked", "pool_mean")}
    found = {pool: torch.from_numpy(model.encode(texts, pool=pool)) for pool in ("last", "max", "mean")}
    atol = 1e-4 if when == "after" else 1e-5
    torch.testing.assert_close(
        originals_order(found["last"], PARTS[name]), golden["pool_last"], atol=atol, rtol=0
    )
    torch.testing.assert_close(found["max"], golden["pool_max_masked"], atol=atol, rtol=0)
    torch.testing.assert_close(found["mean"], golden["pool_mean"], atol=atol, rtol=0)
    states = [torch.from_numpy(one) for one in model.encode(texts, tokens=True)]
    padded = nn.utils.rnn.pad_sequence(states, batch_first=True)
    torch.testing.assert_close(padded, ENCODER[f"{when}.{name}.states"], atol=atol, rtol=0)
    lengths = torch.tensor(list(map(len, states)))
    # The original lets the zeros of padding compete; only `nn` can be asked for that.
    torch.testing.assert_close(
        pool(padded, lengths, "max", padding=True), ENCODER[f"{when}.{name}.pool_max"], atol=atol, rtol=0
    )


@pytest.mark.parametrize("name", PARTS)
def test_published_encoders_give_the_originals_vectors_in_every_pooling(models, name):
    vectors_are_the_originals(models[name], "before", name)


@pytest.mark.parametrize("name", ["first", "second"])
def test_texts_without_bounds_are_the_originals_too(models, name):
    plain = unbounded(models[name])
    states = [torch.from_numpy(one) for one in plain.encode(SENTENCES, tokens=True)]
    close(nn.utils.rnn.pad_sequence(states, batch_first=True), ENCODER[f"before.{name}.no_boundary.states"])
    found = torch.from_numpy(plain.encode(SENTENCES))
    close(originals_order(found, PARTS[name]), ENCODER[f"before.{name}.no_boundary.pool_last"])


@pytest.mark.parametrize("name", ["first", "second"])
def test_files_whose_names_python_2_pickled_are_read_alike(models, name, tmp_path):
    for file in (FOLDER / "py2_keys" / f"{FILES[name].name}.model", FOLDER / f"{FILES[name].name}_vocab.pkl"):
        shutil.copy(file, tmp_path)
    import_gensen(tmp_path / FILES[name].name, tmp_path / "model", lower=False)
    again = load(tmp_path / "model")
    assert again.encode(SENTENCES).tolist() == models[name].encode(SENTENCES).tolist()


@pytest.fixture(scope="module")
def expanded(models):
    """Both models with the original's words in place of their own, and both side by side."""
    vectors = Vectors.open(FOLDER / "vectors.h5")
    both = {name: expand(models[name], vectors, TOLD["expansion_words"], replace=True)[0] for name in FILES}
    return {**both, "concat": concat(*both.values())}


def rows(model, words):
    """The vectors of words, that of the unknown word for those that the model lacks."""
    held = model._assembly
    ids = [held.vocabularies["words"].id(word) for word in words]
    return held.network.embedders["words"].table.weight.detach()[ids]


@pytest.mark.parametrize("name", PARTS)
def test_expanded_encoders_give_the_originals_vectors(expanded, name):
    vectors_are_the_originals(expanded[name], "after", name)


@pytest.mark.parametrize("name", FILES)
def test_words_get_the_originals_vectors(models, expanded, name):
    words = TOLD[f"expansion_vocab_{name}"]
    torch.testing.assert_close(
        rows(expanded[name], words), ENCODER[f"after.{name}.embedding"], atol=1e-4, rtol=0
    )
    vectors = Vectors.open(FOLDER / "vectors.h5")
    wider, report = expand(models[name], vectors, TOLD["expansion_words"])
    sources = dict(zip(words, TOLD[f"expansion_source_{name}"], strict=True))
    told = report.added, report.missing, report.fits[0].shared
    counts = [list(sources.values()).count(kind) for kind in ("predicted", "unk")]
    assert told == (*counts, TOLD[f"regression_pairs_{name}"])
    # What is added is the same where words are added to the model's own, which then stay.
    torch.testing.assert_close(rows(wider, words), rows(expanded[name], words))
    known = models[name]._assembly.vocabularies["words"]
    assert torch.equal(rows(wider, known), rows(models[name], known))


def test_a_later_expansion_starts_from_the_models_own_words_again(models):
    vectors = Vectors.open(FOLDER / "vectors.h5")
    again, _ = expand(models["first"], vectors, TOLD["again_words"], replace=True)
    words = ["<s>", "<pad>", "</s>", "<unk>", *TOLD["again_words"]]
    torch.testing.assert_close(rows(again, words), ENCODER["again.first.embedding"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", FILES)
def test_the_map_is_the_originals_regression(models, name):
    vectors = Vectors.open(FOLDER / "vectors.h5")
    words = [word for word in models[name]._assembly.vocabularies["words"] if word in vectors]
    source, target = vectors.rows(words).astype("float64"), rows(models[name], words).double().numpy()
    found = LinearMap.least_squares(source, target)
    golden = ENCODER[f"regression.{name}.coef"].T, ENCODER[f"regression.{name}.intercept"]
    for one, expected in zip((found.weight, found.bias), golden, strict=True):
        torch.testing.assert_close(torch.from_numpy(one).float(), expected.float(), atol=1e-4, rtol=0)
