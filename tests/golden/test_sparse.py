"""Numbers of the original SparseSeq program."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqloom.errors import ConfigError
from seqloom.nn import SparseEmbedding, SparseLSTM
from seqloom.nn.blocks import dense_parameters, solved
from seqloom.nn.heights import heights

FOLDER = Path(__file__).parent / "sparse"


def listed(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


LAYERS, LAYER_WEIGHTS = listed("lstm_forward"), load_file(FOLDER / "lstm_forward.safetensors")
TABLES, TABLE_WEIGHTS = listed("embedding_forward"), load_file(FOLDER / "embedding_forward.safetensors")


def known(args):
    """Arguments as we name them."""
    names = {"input_size": "size", "hidden_size": "hidden"}
    return {names.get(key, key): value for key, value in args.items()}


@pytest.mark.parametrize("expected", listed("lstm_geometry"), ids=lambda one: str(list(one["args"].values())))
def test_the_blocks_of_a_layer_are_the_originals(expected):
    if not expected["ok"]:
        with pytest.raises(ConfigError, match="a sparse LSTM"):
            solved(**known(expected["args"]))
        return
    blocks = solved(**known(expected["args"]))
    assert len(blocks.inputs) == expected["k"]
    assert blocks.density == pytest.approx(expected["delta"], abs=1e-12)
    assert [list(one) for one in blocks.inputs] == expected["input_segments"]
    assert [list(one) for one in blocks.outputs] == expected["output_segments"]
    assert blocks.parameters == expected["parameters"]
    assert dense_parameters(blocks.size, blocks.hidden) == expected["dense_parameters"]
    assert blocks.share == pytest.approx(expected["density_of_parameters"])
    assert (blocks.wanted is not None) == (expected["form"] == "given_reduction")
    if blocks.wanted is not None:
        dense = expected["equivalent_dense"]
        assert blocks.equivalent == (dense["inp"], dense["hid"])
        assert blocks.missed == pytest.approx(expected["parameters"] / dense["parameters"] - 1)


def layer(name):
    """The layer of that name with the original's weights."""
    ours = SparseLSTM(**known(LAYERS[name]["args"]))
    theirs = {
        key.replace(f"{name}.weight.LSTMs.", "block").removesuffix("_l0"): value
        for key, value in LAYER_WEIGHTS.items()
        if key.startswith(f"{name}.weight.")
    }
    ours.load_state_dict(theirs)
    return ours


@torch.no_grad()
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dense", [False, True])
def test_the_states_of_a_layer_are_the_originals(name, dense):
    run = layer(name)
    run = run.dense() if dense else run
    x, h0, c0, y, h1, c1, zero = (
        LAYER_WEIGHTS[f"{name}.{one}"] for one in ("x", "h0", "c0", "y", "h1", "c1", "y_zero_state")
    )
    lengths = torch.full((x.shape[1],), len(x))
    states, last = run(x.transpose(0, 1), lengths, (h0, c0))
    torch.testing.assert_close(states.transpose(0, 1), y, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(last, (h1, c1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(run(x.transpose(0, 1), lengths)[0].transpose(0, 1), zero, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "expected",
    listed("embedding_geometry"),
    ids=lambda one: "-".join(str(one[key]) for key in ("vocabulary", "dim", "blocks", "density")),
)
def test_the_blocks_of_an_embedding_are_the_originals(expected):
    words, size = expected["vocabulary"], expected["dim"]
    found = heights(words, size, expected["blocks"], expected["density"], "published")
    assert [begin for begin, _ in found.rows(first=False, pinned=0)] == expected["starts"]
    assert list(found.widths) == expected["widths"]
    assert found.parameters == expected["parameters"]
    assert found.density == pytest.approx(expected["resulting_density"])
    taller = len(found.heights) > 1 and found.heights[-1] > found.heights[-2]
    assert taller == expected["last_block_taller"]


def table(name):
    """The embedding of that name with the original's numbers, and everything else that there is for it."""
    made = TABLES["settings"][name]
    geometry = (made["vocabulary"], made["dim"], made["blocks"], made["density"])
    ours = SparseEmbedding(*geometry, shape="published", drop_words=0.3)
    there = {
        key.removeprefix(f"{name}."): value
        for key, value in TABLE_WEIGHTS.items()
        if key.startswith(f"{name}.")
    }
    ours.load_state_dict({f"block{i}": there[f"weight.embedders.{i}.weight"] for i in range(len(ours.blocks))})
    return ours, there


@pytest.mark.parametrize("name", TABLES["settings"])
def test_vectors_and_scores_of_an_embedding_are_the_originals(name):
    ours, there = table(name)
    expected = TABLES["settings"][name]
    assert [first for first, _ in ours.rows] == expected["starts"]
    assert sum(block.numel() for block in ours.blocks) == expected["parameters"]
    with torch.no_grad():
        assert torch.equal(ours.eval()(there["ids"]), there["embedded"])
        scored = ours.scores(there["hidden"]) + there["weight.decoder_bias"]
        torch.testing.assert_close(scored, there["decoded"], atol=1e-5, rtol=1e-5)
        assert torch.equal(ours.dense(), there["full_table"])


@pytest.mark.parametrize("name", TABLES["settings"])
def test_one_mask_drops_words_from_all_blocks(name):
    ours, there = table(name)
    dropped = ours.train()(torch.arange(ours.words).unsqueeze(0)).squeeze(0)
    mask = (dropped / there["full_table"])[:, 0]
    assert (((mask - 1 / 0.7).abs() < 1e-5) | (mask == 0)).all()
    torch.testing.assert_close(dropped, mask.unsqueeze(1) * there["full_table"])
    theirs = there["word_dropout_mask"].unsqueeze(1) * there["full_table"]
    torch.testing.assert_close(there["word_dropout_table"], theirs)


@pytest.mark.parametrize("expected", TABLES["refusals"], ids=lambda one: str(list(one.values())))
def test_embeddings_are_refused_as_the_original_does(expected):
    geometry = [expected[key] for key in ("vocabulary", "dim", "blocks", "density")]
    if expected["ok"]:
        assert heights(*geometry).density <= expected["density"]
        return
    with pytest.raises(ConfigError, match="a sparse embedding"):
        heights(*geometry)
