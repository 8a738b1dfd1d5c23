"""Files in and out: text that may be gzipped, read with line numbers; writing that a kill cannot tear."""

import gzip
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from seqloom.errors import ConfigError, DataError

fcntl: Any
try:
    import fcntl
except ImportError:  # where there is no such module, nothing is locked
    fcntl = None

DATA_VARIABLE = "SEQLOOM_DATA"


def data_root() -> str:
    """The folder that `${data}` stands for: the variable SEQLOOM_DATA, else `data`."""
    return os.environ.get(DATA_VARIABLE) or "data"


def locate(path: str | Path) -> Path:
    """The path with `${data}` and `~` filled in; other `${...}` raise a ConfigError."""
    filled = str(path).replace("${data}", data_root())
    if unknown := re.search(r"\$\{[^}]*\}", filled):
        raise ConfigError(f'{path}: only ${{data}} is filled in, found "{unknown[0]}"')
    try:
        return Path(filled).expanduser()
    except RuntimeError:
        raise ConfigError(f"{path}: there is no user of that name; ./~ stands for a folder called ~") from None


def open_bytes(path: str | Path) -> IO[bytes]:
    """Open a file for reading, unpacked if it is gzipped (told by its first bytes, not by its name)."""
    path = locate(path)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise DataError(f"no such file{_under_data_root()}", path) from None
    except (OSError, ValueError) as fault:
        raise DataError(f"cannot be read: {getattr(fault, 'strerror', None) or fault}", path) from None
    # Pipes cannot be read from their beginning again.
    packed = file.peek(2)[:2] == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file


def _under_data_root() -> str:
    root = Path(data_root())
    return f' ("${{data}}" is {root}; set it with --data or {DATA_VARIABLE})' if not root.is_dir() else ""


def lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a UTF-8 text file, plain or gzipped, without their ends.

    Raises:
        DataError: the file is missing or torn, or a line is not UTF-8; it names file and line.
    """
    number = 0
    with open_bytes(path) as file:
        try:
            for number, line in numbered(file, locate(path)):
                yield number, line
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            raise DataError(
                f"the gzip data is damaged or cut short ({fault})", locate(path), number + 1
            ) from None


def numbered(file: Iterable[bytes], path: str | Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of an open UTF-8 file, without their ends; a DataError names `path` and line."""
    for number, raw in enumerate(file, 1):
        yield number, _decode(raw, path, number)


def _decode(raw: bytes, path: str | Path, number: int) -> str:
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as fault:
        what = f"byte 0x{raw[fault.start]:02x} at position {fault.start + 1} is not UTF-8"
        raise DataError(f"{what}; convert the file, for instance with iconv", path, number) from None
    return text.rstrip("\r\n")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Hand out a temporary path beside `path`; on a clean exit it is synced and takes the name at once.

    A link stays one: the file that it leads to is replaced.

    Raises:
        ConfigError: a folder, a device or a pipe has the name.
        OSError: as the system tells it, such as a full disk; it names the file.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is {'a folder' if path.is_dir() else 'no plain file'}; name a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        take_name(partial, path)
    except OSError as fault:
        # What was written through an open file does not say where to.
        fault.filename = fault.filename or str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def take_name(whole: Path, path: Path) -> None:
    """Sync a file that is whole and give it a name in its own folder at once, in place of a file there."""
    _sync(whole)
    whole.replace(path)
    _sync(path.parent)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Hand out an empty folder that takes the name `path` at a clean exit, in place of the one there.

    A kill at any moment leaves the old folder or the new one whole, if need be under the name that
    `recover_folder` looks for.

    Raises:
        ConfigError: the path is the working folder or one around it, and may hold anything.
    """
    path = Path(path).resolve()
    if Path.cwd().is_relative_to(path):
        raise ConfigError(f"{path}: holds the folder that you are in; give another name")
    partial, previous = _partial(path), _previous(path)
    recover_folder(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for file in (partial, *partial.rglob("*")):
        _sync(file)
    if path.exists():
        path.rename(previous)
    partial.rename(path)
    _sync(path.parent)
    shutil.rmtree(previous, ignore_errors=True)


def recover_folder(path: str | Path) -> None:
    """Mend what a kill in the middle of `replacing_folder` left: the whole older folder gets its name back."""
    path = Path(path).resolve()
    previous = _previous(path)
    if not path.exists() and previous.exists():
        previous.rename(path)
    shutil.rmtree(previous, ignore_errors=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The value in a JSON file; a DataError names the line where it is broken."""
    try:
        return json.loads("\n".join(line for _, line in lines(path)))
    except json.JSONDecodeError as fault:
        raise DataError(f"not JSON: {fault.msg}", locate(path), fault.lineno) from None


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with locate(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder, made if need be, where the system knows locks.

    Raises:
        ConfigError: another process is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder, os.O_RDONLY, f"another process is at work in {folder}"):
        yield


@contextmanager
def alone_writing(path: Path, out: Path) -> Iterator[None]:
    """The same for a file that becomes `out`, made empty if need be.

    Raises:
        ConfigError: another process writes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path, os.O_RDWR | os.O_CREAT, f"another process is writing {out}"):
        yield


@contextmanager
def _held(path: Path, how: int, taken: str) -> Iterator[None]:
    handle = os.open(path, how, 0o666)
    try:
        # Some shared disks know no locks.
        with suppress(OSError):
            _lock(handle, taken)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, taken: str) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"{taken}; wait for it, or give another name") from None
