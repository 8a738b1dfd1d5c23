"""The columns of CoVe's context vectors, at the sizes of the published file: which come, and in which order."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqloom.data.batch import Text
from seqloom.deploy.legacy import import_cove
from tests.letters import TAGGER, assembled

SIZE, LAYER = 300, 600
"""Numbers in a word's vector, and in the states of one layer: 300 in each direction."""
LENGTHS = torch.tensor([3, 5, 1])
IDS = torch.arange(15).view(3, 5)
LAST, BOTH, EVERYTHING = {}, {"layers": [0, 1]}, {"layers": [0, 1], "input": True}
"""The three variants that the original's example compares."""


@pytest.fixture(scope="module")
def original() -> nn.LSTM:
    """A network of the layout that was published, with weights at random."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.LSTM(SIZE, SIZE, num_layers=2, bidirectional=True, batch_first=True)


@pytest.fixture(scope="module")
def vectors() -> Tensor:
    """A vector for each place of the batch."""
    return torch.randn(IDS.numel(), SIZE, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def columns(original, vectors, tmp_path_factory):
    """What the imported encoder makes of the batch, by the keys of its embedder."""
    folder = tmp_path_factory.mktemp("cove")
    torch.save(original.state_dict(), folder / "wmtlstm.pth")
    import_cove(folder / "wmtlstm.pth", folder / "model")

    @torch.no_grad()
    def made(keys) -> Tensor:
        embedder = {"type": "context", "of": str(folder / "model"), **keys}
        encoder = {"type": "lstm", "input": "cove", "hidden": 1}
        model = assembled({"cove": embedder}, {"shared": encoder}, {"one": TAGGER})
        context = model.network.embedders["cove"].eval()
        context.inside.embedders["words"].table = nn.Embedding.from_pretrained(vectors)
        found = context(Text({"cove+words": IDS}, LENGTHS))
        assert found.shape[-1] == context.size
        return found

    return made


def test_the_last_600_columns_of_the_three_variants_agree(columns):
    found = [columns(keys) for keys in (LAST, BOTH, EVERYTHING)]
    assert [one.shape[-1] for one in found] == [LAYER, 2 * LAYER, SIZE + 2 * LAYER]
    for one in found[1:]:
        assert torch.equal(one[..., -LAYER:], found[0])


def test_columns_are_the_input_then_the_lower_layer_then_the_upper(columns, original, vectors):
    inputs = nn.functional.embedding(IDS, vectors)
    packed = pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    lower = nn.LSTM(SIZE, SIZE, bidirectional=True, batch_first=True)
    lower.load_state_dict({name: original.state_dict()[name] for name in lower.state_dict()})
    with torch.no_grad():
        layers = [pad_packed_sequence(one(packed)[0], True)[0] for one in (lower, original)]
    parts = columns(EVERYTHING).split([SIZE, LAYER, LAYER], -1)
    for part, expected in zip(parts, [inputs, *layers], strict=True):
        for row, length in enumerate(LENGTHS.tolist()):
            torch.testing.assert_close(part[row, :length], expected[row, :length], atol=1e-5, rtol=0)


def test_a_layer_is_left_out_without_moving_the_others(columns):
    everything = columns(EVERYTHING)
    assert torch.equal(columns({"layers": [0]}), everything[..., SIZE:-LAYER])
    assert torch.equal(columns({"layers": [0], "input": True}), everything[..., :-LAYER])
    kept = torch.cat([everything[..., :SIZE], everything[..., -LAYER:]], -1)
    assert torch.equal(columns({"layers": [1], "input": True}), kept)


def test_padding_gives_the_layers_zeros(columns):
    found = columns(BOTH)
    for row, length in enumerate(LENGTHS.tolist()):
        assert not found[row, length:].any()
        assert found[row, :length].all()
