import pytest
import torch

from seqloom.api import Model
from seqloom.model.task import Batcher
from tests import tiny

BOOK = "a moth came\nit saw a lamp\nthe lamp was hot\nthe moth left\nno one knew why\n"


def config(folder, **head):
    for split in ("train", "dev"):
        (folder / f"{split}.txt").write_text(BOOK)
    files = {split: str(folder / f"{split}.txt") for split in ("train", "dev")}
    return {
        "embedders": {"words": {"type": "word", "size": 12}},
        "encoders": {"shared": {"type": "gru", "input": "words", "hidden": 12, "bidirectional": True}},
        "tasks": {
            "around": {
                "reader": {"type": "book", "tokenizer": "blanks", **files},
                "encoder": "shared",
                "head": {"type": "neighbours", "hidden": 24, "bridge": "copy", **head},
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


def test_a_sentence_tells_the_one_before_and_the_one_after(tmp_path):
    model = Model.load(tiny.trained(config(tmp_path), tmp_path / "run").folder)
    figures = model.figures["dev"]["around"]
    assert list(figures) == ["perplexity", "accuracy"]
    assert figures["accuracy"] == 100
    assert 1 < figures["perplexity"] < 1.3
    (found,) = model.predict("around", ["the lamp was hot"])
    assert found == {"previous": ["it", "saw", "a", "lamp"], "next": ["the", "moth", "left"]}


def test_the_loss_is_that_of_both_sides_and_a_side_alone_is_none(tmp_path):
    made = tiny.untrained(config(tmp_path))
    task, head = made.tasks["around"], made.network.eval().head("around")
    columns = task.read("train")
    batch = Batcher(task, columns, made.vocabularies).batch(columns.numbers)
    encoded = made.network.encode(batch, "text")
    output = head(batch, text=encoded)
    words = sum(int((batch.text(side).lengths - 1).sum()) for side in ("previous", "next"))
    assert output.count == words
    alone = [
        head._loss(side, batch, head._decoder(side).start(encoded.final))[0] for side in ("previous", "next")
    ]
    torch.testing.assert_close(output.loss, sum(alone))
    assert output.loss.item() != pytest.approx(2 * alone[0].item())
