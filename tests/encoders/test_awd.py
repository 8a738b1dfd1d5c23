import pytest

from seqloom.encoders.awd import AWDEncoder


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"mode": "sparse_hidden"},
            "mode sparse_hidden, fraction 1: a sparse mode and a fraction below 1 go together",
        ),
        ({"fraction": 0.5}, "mode direct, fraction 0.5: a sparse mode"),
        ({"cell": "gru", "fraction": 0.5}, "set both or neither"),
        ({"cell": "gru", "fraction": 0.5, "mode": "sparse_all"}, "sparse layers are an LSTM's; with gru"),
    ],
)
def test_half_a_sparse_setting_is_refused(keys, told):
    with pytest.raises(ValueError, match=told):
        AWDEncoder.Config(hidden=20, **keys)
    AWDEncoder.Config(hidden=20, mode="sparse_hidden", fraction=0.5)
