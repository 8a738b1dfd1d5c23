import gzip
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import pytest

from seqloom.errors import ConfigError, DataError
from seqloom.files import (
    lines,
    locate,
    read_json,
    recover_folder,
    replacing_folder,
    sha256,
    write_json,
    write_text,
)

Disk = Callable[[int], AbstractContextManager[None]]


def test_lines_are_numbered_and_lose_their_ends_only(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone \r\n\n\xe2\x80\xa8two\x85".replace(b"\x85", b"\xc2\x85"))
    assert list(lines(tmp_path / "a.txt")) == [(1, "one "), (2, ""), (3, "\u2028two\x85")]


def test_gzip_is_told_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "packed.txt").write_bytes(gzip.compress("één\nzwei\n".encode()))
    (tmp_path / "plain.gz").write_text("plain\n")
    assert [line for _, line in lines(tmp_path / "packed.txt")] == ["één", "zwei"]
    assert [line for _, line in lines(tmp_path / "plain.gz")] == ["plain"]


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fine\nna\xefve\n")
    with pytest.raises(DataError, match=r"latin.txt:2: byte 0xef at position 3 is not UTF-8; convert"):
        list(lines(path))


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:30] + b"\0\0\0" + data[33:]])
def test_damaged_gzip_is_named_with_its_line(damage: object, tmp_path: Path) -> None:
    path = tmp_path / "torn.gz"
    assert callable(damage)
    path.write_bytes(damage(gzip.compress(os.urandom(200).hex().encode())))
    with pytest.raises(DataError, match=r"torn.gz:\d+: the gzip data is damaged or cut short"):
        list(lines(path))


def test_missing_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLOOM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r'a.txt: no such file \("\$\{data\}" is .*nowhere; set it with --data'):
        list(lines("${data}/a.txt"))
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        list(lines(tmp_path))


def test_only_the_data_root_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQLOOM_DATA", raising=False)
    assert locate("${data}/x.txt") == Path("data/x.txt")
    with pytest.raises(ConfigError, match=r'only \$\{data\} is filled in, found "\$\{home\}"'):
        locate("${home}/x.txt")


def test_a_home_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="there is no user of that name"):
        locate("~nosuchuser/x.txt")


@pytest.mark.parametrize("text", [b"one\ntwo\n", gzip.compress(b"one\ntwo\n")], ids=["plain", "gzip"])
def test_a_pipe_is_read_as_a_file(tmp_path: Path, text: bytes) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[text])
    writer.start()
    assert [line for _, line in lines(tmp_path / "pipe")] == ["one", "two"]
    writer.join()


def test_replacing_keeps_the_old_file_until_the_new_one_is_whole(tmp_path: Path, full_disk: Disk) -> None:
    path = tmp_path / "inner" / "file.txt"
    write_text(path, "old")
    with pytest.raises(OSError, match="File too large") as full, full_disk(5):
        write_text(path, "half of it")
    assert full.value.filename == str(path)
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_replacing_follows_a_link_and_refuses_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link").symlink_to("real.txt")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe is no plain file; name a file to write"):
        write_text(tmp_path / "pipe", "new")
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(ConfigError, match="is a folder; name a file"):
        write_text(tmp_path, "new")


def test_what_is_written_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, synced = tmp_path / "model", []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((os.fstat(handle).st_ino, model.exists())))
    with replacing_folder(model) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "a.txt").write_text("a")
    first = {(one.stat().st_ino, False) for one in (model, model / "inner", model / "inner" / "a.txt")}
    assert set(synced) == first | {(tmp_path.stat().st_ino, True)}


def write_folder(path: Path, text: str) -> None:
    with replacing_folder(path) as partial:
        for name in ("a.txt", "b.txt"):
            (partial / name).write_text(text)


def test_an_error_leaves_the_old_folder(tmp_path: Path, full_disk: Disk) -> None:
    path = tmp_path / "model"
    write_folder(path, "old")
    with pytest.raises(OSError, match="File too large"), full_disk(100):
        write_folder(path, "new" * 100)
    assert (path / "a.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def killed_at_every_operation(folder: Path) -> None:
    """Replace `folder/1/model`, dying at the first operation on the file system, `folder/2/model` at the second, ..."""
    for number in count(1):
        path = folder / str(number) / "model"
        write_folder(path, "old")
        child = os.fork()
        if not child:
            sys.addaudithook(die_at(number))
            write_folder(path, "new")
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return


def die_at(number: int) -> Callable[[str, object], None]:
    left = count(number - 1, -1)

    def heard(event: str, _: object) -> None:
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir") and not next(left):
            os.kill(os.getpid(), signal.SIGKILL)

    return heard


def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one_whole(tmp_path: Path) -> None:
    # A process of its own forks, because this one may have threads.
    process = multiprocessing.get_context("spawn").Process(target=killed_at_every_operation, args=[tmp_path])
    process.start()
    process.join()
    assert process.exitcode == 0
    kept = [_recovered(tmp_path / str(number)) for number in range(1, len(list(tmp_path.iterdir())) + 1)]
    assert kept == sorted(kept, reverse=True)
    assert set(kept) == {"old", "new"}


def _recovered(folder: Path) -> str:
    """What the model in a folder holds after a kill; the next model must find its place clean."""
    recover_folder(folder / "model")
    first, second = sorted((folder / "model").iterdir())
    assert first.read_text() == second.read_text()
    text = first.read_text()
    write_folder(folder / "model", "next")
    assert [one.name for one in folder.iterdir()] == ["model"]
    return text


def test_the_folder_that_one_is_in_can_be_recovered_but_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    write_folder(tmp_path / ".model.previous", "old")
    monkeypatch.chdir(tmp_path / "model")
    recover_folder(".")
    assert not (tmp_path / ".model.previous").exists()
    for place in (".", "..", tmp_path):
        with pytest.raises(ConfigError, match="holds the folder that you are in; give another name"):
            write_folder(Path(place), "new")
    write_folder(Path("../other"), "new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model", "other"]


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"ë": [1, None]})
    assert read_json(path) == {"ë": [1, None]}
    path.write_text('{\n"a": 1,\n}')
    with pytest.raises(DataError, match=r"a.json:3: not JSON"):
        read_json(path)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
