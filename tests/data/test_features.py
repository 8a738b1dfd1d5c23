import numpy as np
import pytest

from seqloom.data import columns
from seqloom.data.features import ArrayRow, VectorField


def test_rows_of_an_array_are_stored_by_place_and_like_ones_once(tmp_path):
    np.save(tmp_path / "a b.npy", np.arange(12, dtype=np.float32).reshape(3, 2, 2))
    rows = [ArrayRow(str(tmp_path / "a b.npy"), row) for row in (2, 0, 2)]
    field = VectorField(4)
    built = columns.build([{"x": row} for row in [*rows, [0.1, 1, 2, 3e-8]]], {"x": field})
    assert len(built["x"].forms) == 3
    assert len(built["x"].values) == 4
    found = field.collate(built["x"], field.tables(built["x"], {}), np.array([0, 1, 2, 3])).numpy()
    literal = np.array([0.1, 1, 2, 3e-8], dtype=np.float32)
    assert np.array_equal(found, [[8, 9, 10, 11], [0, 1, 2, 3], [8, 9, 10, 11], literal])


def test_an_array_that_has_changed_is_read_anew(tmp_path):
    place = tmp_path / "a.npy"
    for value in (1.0, 2.0):
        np.save(tmp_path / "new.npy", np.full((1, 2), value))
        (tmp_path / "new.npy").replace(place)
        assert ArrayRow(str(place), 0).numbers().tolist() == [value, value]


def test_a_row_of_an_array_is_checked_like_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1, np.nan]]))
    row = ArrayRow(str(tmp_path / "a.npy"), 0)
    with pytest.raises(ValueError, match="infinite or NaN"):
        VectorField(2).store(row)
    with pytest.raises(ValueError, match=r"3 numbers is expected, found shape \(2,\)"):
        VectorField(3).store(row)
