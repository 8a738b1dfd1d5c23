"""Numbers of the original GenSen programs."""

import pytest
import torch
from torch import nn

from seqloom.data.batch import Batch, Encoded, Text
from seqloom.nn.conditional import ConditionalState
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
