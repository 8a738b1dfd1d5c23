import os
import shutil

import numpy as np

from seqloom.data.kept import DIGEST, KeptVectors

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)
ONE, TWO = b"1" * DIGEST, b"2" * DIGEST


def test_what_was_kept_is_there_for_the_next(tmp_path):
    KeptVectors(tmp_path / "kept", 2).add(ONE, VECTORS)
    found = KeptVectors(tmp_path / "kept", 2)
    np.testing.assert_array_equal(found.get(ONE, 3), VECTORS)
    assert found.get(TWO, 3) is None


def test_a_folder_that_is_removed_meanwhile_is_made_anew(tmp_path):
    kept = KeptVectors(tmp_path / "kept", 2)
    kept.add(ONE, VECTORS)
    shutil.rmtree(tmp_path / "kept")
    assert kept.get(ONE, 3) is None
    kept.add(ONE, VECTORS)
    np.testing.assert_array_equal(kept.get(ONE, 3), VECTORS)
    assert len(KeptVectors(tmp_path / "kept", 2)) == 1


def test_a_file_that_was_cut_gives_nothing(tmp_path):
    kept = KeptVectors(tmp_path, 2)
    kept.add(ONE, VECTORS)
    (path,) = tmp_path.glob("*.float32")
    os.truncate(path, 8)
    assert kept.get(ONE, 3) is None


def test_files_may_be_read_by_who_may_read_the_folder(tmp_path):
    before = os.umask(0o022)
    try:
        KeptVectors(tmp_path, 2).add(ONE, VECTORS)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}
