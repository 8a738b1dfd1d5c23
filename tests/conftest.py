"""What every test gets: one thread, a cache of its own, made-up data, and real data sets where they are named."""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from seqloom.cli import main
from tests import tiny

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by SEQLOOM_DATA; tests that need it are skipped without."""
    root = os.environ.get("SEQLOOM_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("SEQLOOM_DATA names no folder of real data sets")
    return Path(root)


@pytest.fixture(scope="session", autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep stored columns out of the user's cache, and do not wait for the disk: no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        patch.setenv("SEQLOOM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up corpus; tests must not change it."""
    return tiny.write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two tasks; tests must not change it."""
    out = tmp_path_factory.mktemp("finished") / "run"
    tiny.trained(tiny.fitted(corpus), out)
    return out


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """A disk with room for so many bytes a file, as a context."""

    @contextmanager
    def room_for(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return room_for


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    error: str


@pytest.fixture
def seqloom(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The command line: called with words, it tells the exit code and what was said."""

    def command(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["seqloom", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Said(int(left.value.code or 0), said.out, said.err)

    return command
