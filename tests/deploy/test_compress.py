import pytest
import torch

from seqloom.deploy.compress import compress
from seqloom.errors import ConfigError, ModelError
from seqloom.files import replacing_folder
from seqloom.model.folder import load, save
from tests import tiny


@pytest.fixture
def model(corpus):
    return tiny.untrained(tiny.two(corpus))


def vectors(model):
    """Those of every word of a model's vocabulary."""
    embedder = model.network.embedders["words"]
    table = embedder.table
    if getattr(embedder, "rotation", None) is None:
        return table.weight.detach()
    return (table.dense() @ embedder.rotation).detach()


def test_a_table_that_is_kept_whole_gives_the_same_vectors(model):
    found = compress(model, 1.0, 3)
    torch.testing.assert_close(vectors(found.model), vectors(model), atol=1e-5, rtol=1e-5)
    assert found.kept == pytest.approx(100)
    same = found.model.network.state_dict()
    assert all(
        torch.equal(same[name], one)
        for name, one in model.network.state_dict().items()
        if "embedders.words" not in name
    )


def test_a_frozen_table_stays_frozen(corpus):
    config = tiny.one(corpus)
    config["embedders"]["words"]["trainable"] = False
    for model, learns in ((tiny.untrained(config), False), (tiny.untrained(tiny.one(corpus)), True)):
        small = compress(model, 0.6, 3).model.network.embedders["words"]
        assert {one.requires_grad for one in small.parameters()} == {learns}


def test_a_compressed_model_keeps_frequent_words_and_stands_alone(model, tmp_path):
    found = compress(model, 0.6, 3)
    whole = vectors(model)
    lost = (vectors(found.model) - whole).square().sum(1) / whole.square().sum(1).clamp(min=1e-9)
    assert lost[2] < 1e-9  # the most frequent word
    assert lost[-3:].mean() > 0.05
    assert found.after < found.before
    assert 100 * 0.6 < found.kept < 100
    with replacing_folder(tmp_path / "smaller") as folder:
        save(folder, found.model)
    torch.testing.assert_close(vectors(load(tmp_path / "smaller")), vectors(found.model))


def test_what_cannot_be_compressed_is_told(model, corpus):
    with pytest.raises(ModelError, match=r"no word embedder is called \"wrds\".*did you mean words"):
        compress(model, 0.5, embedder="wrds")
    with pytest.raises(ConfigError, match="density"):
        compress(model, 0.01, 3)
    empty = tiny.untrained(tiny.two(corpus))
    empty.network.embedders["words"].table.weight.data.zero_()
    with pytest.raises(ModelError, match="nothing to keep"):
        compress(empty, 0.6, 3)
    again = compress(model, 0.6, 3).model
    with pytest.raises(ModelError, match="the model's table is sparse already"):
        compress(again, 0.6, 3)
