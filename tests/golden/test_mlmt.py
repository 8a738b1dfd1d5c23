"""Numbers of the original MLMT program."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqloom.nn import CharacterCNN, Highway

FOLDER = Path(__file__).parent / "mlmt"
CHARACTERS = load_file(FOLDER / "char.safetensors")


def part(name):
    """The tensors whose names begin so, under the rest of their names."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in CHARACTERS.items() if key.startswith(start)}


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
