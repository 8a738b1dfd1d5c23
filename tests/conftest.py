"""What every test gets: one thread, and the folder of real data sets where one is named."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by SEQLOOM_DATA; tests that need it are skipped without."""
    root = os.environ.get("SEQLOOM_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("SEQLOOM_DATA names no folder of real data sets")
    return Path(root)
