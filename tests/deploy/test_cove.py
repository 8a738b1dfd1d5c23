"""The published encoder of CoVe as a model folder, and what is no such encoder."""

from pathlib import Path

import pytest
import torch

from seqloom.api import load as load_model
from seqloom.deploy.legacy import import_cove
from seqloom.errors import DataError, ModelError
from seqloom.model.folder import load

FOLDER = Path(__file__).parents[1] / "golden" / "cove"
PUBLISHED = FOLDER / "wmtlstm-a.pth"


def encoder(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder).network.encoders["mtlstm"].state_dict()


@pytest.mark.parametrize("name", ["nmt.pt", "nmt_full_checkpoint.pt"])
def test_the_encoder_is_taken_out_of_a_checkpoint_of_its_training(name, tmp_path):
    import_cove(FOLDER / name, tmp_path)
    held = torch.load(FOLDER / "nmt.pt", weights_only=True)["model"]
    found = encoder(tmp_path)
    assert len(found) == 16
    assert torch.equal(found["layer1.weight_hh_reverse"], held["encoder.rnn.weight_hh_l1_reverse"])
    assert torch.equal(found["layer0.bias_ih"], held["encoder.rnn.bias_ih_l0"])


def test_a_folder_with_words_encodes_and_translates_into_none(tmp_path, seqloom):
    (tmp_path / "vectors.txt").write_text(f"a {'1 ' * 9}1\nb {'1 ' * 9}2\n")
    told = seqloom("import", "cove", PUBLISHED, tmp_path / "model", "--vectors", tmp_path / "vectors.txt")
    model = load_model(tmp_path / "model")
    first, second, unknown = model.encode(["A", "b", "c"])
    assert first.shape == (14,)
    assert not torch.equal(torch.from_numpy(first), torch.from_numpy(second))
    assert not torch.equal(torch.from_numpy(first), torch.from_numpy(unknown))
    assert model.predict("translation", ["a b"]) == [[]]
    assert "imported" in str(told)


def test_a_word_without_a_vector_is_zero(tmp_path):
    import_cove(PUBLISHED, tmp_path)
    assert not load(tmp_path).network.embedders["words"].table.weight.any()


class Runs:
    """What writes a file when an ordinary unpickler meets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w')",)


def test_nothing_that_a_file_holds_is_run(tmp_path):
    held = {"model": torch.load(FOLDER / "nmt.pt", weights_only=True)["model"], "odd": Runs(tmp_path / "ran")}
    torch.save(held, tmp_path / "odd.pt")
    import_cove(tmp_path / "odd.pt", tmp_path / "model")
    assert len(encoder(tmp_path / "model")) == 16
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda held: held.pop("bias_hh_l1"), "bias_hh_l1 is missing"),
        (lambda held: held.update(weight_ih_l2=torch.zeros(1)), "weight_ih_l2 is unknown"),
        (
            lambda held: held.update(bias_ih_l0=torch.zeros(3)),
            r"bias_ih_l0 should have shape \(28,\), has \(3,\)",
        ),
        (lambda held: held.update(weight_hh_l0=torch.zeros(3)), r"should have 2 dimensions, has shape \(3,\)"),
        (dict.clear, "weight_ih_l0 is missing"),
        (lambda held: held["bias_hh_l1"].fill_(torch.nan), "bias_hh_l1 holds a number that is infinite or NaN"),
    ],
)
def test_weights_that_do_not_fit_are_named_with_their_shapes(change, told, tmp_path):
    held = dict(torch.load(PUBLISHED, weights_only=True))
    change(held)
    torch.save(held, tmp_path / "changed.pth")
    with pytest.raises(ModelError, match=told):
        import_cove(tmp_path / "changed.pth", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_is_no_such_file_or_would_be_written_over_is_told(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        import_cove(tmp_path / "none.pth", tmp_path / "model")
    (tmp_path / "text.pth").write_text("no tensors")
    with pytest.raises(ModelError, match="is not a whole file"):
        import_cove(tmp_path / "text.pth", tmp_path / "model")
    with pytest.raises(ModelError, match="is there already"):
        import_cove(PUBLISHED, tmp_path)
    (tmp_path / "vectors.txt").write_text("a 1 2\nb 1 2\n")
    with pytest.raises(DataError, match=r"^\S*vectors\.txt: has vectors of 2 numbers, the encoder reads 10$"):
        import_cove(PUBLISHED, tmp_path / "model", tmp_path / "vectors.txt")
