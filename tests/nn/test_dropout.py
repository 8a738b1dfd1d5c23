import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.nn.awd import WeightDropLayer
from seqloom.nn.dropout import EmbeddingDropout, LockedDropout, WordDropout
from seqloom.nn.qrnn import QRNNLayer
from seqloom.nn.sparse import SparseLSTM


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_locked_dropout_keeps_one_mask_for_a_sentence():
    dropped = LockedDropout(0.5)(torch.ones(4, 3, 50))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(dropped[0], dropped[1])


def test_locked_dropout_keeps_the_mean():
    assert LockedDropout(0.3)(torch.ones(200, 1, 200)).mean().item() == pytest.approx(1, abs=0.02)


def test_word_dropout_puts_the_unknown_word_for_words_and_never_for_padding():
    ids = torch.tensor([[5, 6, 7, 0, 0]]).repeat(1000, 1)
    dropped = WordDropout(0.2, unknown=1)(ids)
    replaced = dropped != ids
    assert (dropped[replaced] == 1).all()
    assert not replaced[:, 3:].any()
    assert replaced[:, :3].float().mean().item() == pytest.approx(0.2, abs=0.03)


def test_embedding_dropout_drops_a_word_everywhere_as_a_row_of_the_table():
    table = torch.nn.Embedding(40, 3)
    ids = torch.randint(0, 40, (10, 20))
    torch.manual_seed(1)
    dropped = EmbeddingDropout(0.5, 40)(table(ids), ids)
    torch.manual_seed(1)
    rows = table.weight * torch.empty(40).bernoulli_(0.5).mul_(2).unsqueeze(1)
    assert torch.equal(dropped, rows[ids])
    assert 0 < (dropped == 0).float().mean() < 1


def test_dropout_rests_in_evaluation_and_at_rate_zero():
    x, ids = torch.randn(2, 3, 4), torch.randint(2, 9, (2, 3))
    for rate, training in ((0.5, False), (0.0, True)):
        assert LockedDropout(rate).train(training)(x) is x
        assert WordDropout(rate).train(training)(ids) is ids
        assert EmbeddingDropout(rate, 9).train(training)(x, ids) is x


MAKERS = {
    "locked": LockedDropout,
    "lstm": lambda rate: WeightDropLayer("lstm", 3, 4, rate),
    "qrnn": lambda rate: QRNNLayer(3, 4, drop=rate),
    "sparse": lambda rate: SparseLSTM(3, 4, blocks=2, density=0.5, weight_drop=rate),
}


@pytest.mark.parametrize("rate", [-0.1, 1.0])
@pytest.mark.parametrize("made", MAKERS.values(), ids=MAKERS)
def test_a_rate_out_of_range_is_refused(rate, made):
    with pytest.raises(ConfigError, match="dropout rate"):
        made(rate)
