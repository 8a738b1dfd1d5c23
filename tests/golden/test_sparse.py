"""Numbers of the original SparseSeq program."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqloom.errors import ConfigError
from seqloom.nn import SparseLSTM
from seqloom.nn.blocks import dense_parameters, solved

FOLDER = Path(__file__).parent / "sparse"


def listed(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


LAYERS, LAYER_WEIGHTS = listed("lstm_forward"), load_file(FOLDER / "lstm_forward.safetensors")


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
