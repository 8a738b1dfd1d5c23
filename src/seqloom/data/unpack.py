"""Putting fetched files in place: gzip layers, encodings, members of archives, checksums of what is inside."""

import codecs
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from seqloom.errors import DataError
from seqloom.files import replacing

CHUNK = 1 << 18
UTF8 = "utf-8"


def is_utf8(file: Path) -> bool:
    """Whether a file, without its gzip layer, is UTF-8 text throughout."""
    decoder = codecs.getincrementaldecoder(UTF8)()
    with file.open("rb") as stream, _readable(file):
        try:
            for chunk in _recoded(stream, UTF8, UTF8):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def digest(file: Path, encoding: str = UTF8) -> str:
    """The SHA-256 of a file without its gzip layer, its UTF-8 text turned into `encoding`."""
    found = hashlib.sha256()
    with file.open("rb") as stream, _readable(file):
        for chunk in _recoded(stream, UTF8, encoding):
            found.update(chunk)
    return found.hexdigest()


def place(file: Path, target: Path, encoding: str = UTF8) -> None:
    """Put a file's text at `target` in UTF-8, gzipped if and only if the target's name ends in .gz.

    Raises:
        DataError: the gzip data is damaged, or the text is not in `encoding`.
    """
    with file.open("rb") as stream, _readable(file):
        _write(stream, target, encoding)


def extract(archive: Path, members: Mapping[str, str], root: Path, encoding: str = UTF8) -> None:
    """Put members of a zip or tar archive under `root`: path there → name in the archive.

    Names in the archive decide nothing: only the members that are asked for are read, and they are written
    where the caller says.

    Raises:
        DataError: the file is no whole archive, or a member is missing or not a plain file.
    """
    wanted = {name: path for path, name in members.items()}
    with _readable(archive):
        for name, open_member in _contents(archive):
            if name in wanted:
                with open_member() as stream:
                    _write(stream, root / wanted.pop(name), encoding)
    if wanted:
        raise DataError(f"the archive holds no plain file {', '.join(wanted)}", archive)


def _contents(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """The plain files of an archive in their order, each to be opened before the next is taken."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if not entry.is_dir():
                    yield entry.filename, partial(packed.open, entry)
    elif tarfile.is_tarfile(archive):
        _check_whole(archive)
        with tarfile.open(archive) as tape:
            for member in tape:
                if member.isfile():
                    yield member.name.removeprefix("./"), partial(_stream, tape, member)
    else:
        raise DataError("is neither a zip nor a tar archive", archive)


def _check_whole(archive: Path) -> None:
    """Read a tar archive to its end, where its packing has a checksum: reading the members alone stops before it."""
    with tarfile.open(archive) as tape:
        stream = cast("IO[bytes]", tape.fileobj)
        try:
            while stream.read(CHUNK):
                pass
        except OSError as fault:
            raise DataError(f"the packed data is damaged or cut short ({fault})", archive) from None


def _stream(tape: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    return cast("IO[bytes]", tape.extractfile(member))


def _write(stream: IO[bytes], target: Path, encoding: str) -> None:
    with replacing(target) as whole, _writing(whole, target.suffix == ".gz") as out:
        for chunk in _recoded(stream, encoding, UTF8):
            out.write(chunk)


@contextmanager
def _writing(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if packed:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as out:
                yield cast("IO[bytes]", out)
        else:
            yield file


def _recoded(stream: IO[bytes], before: str, after: str) -> Iterator[bytes]:
    stream = _without_gzip(stream)
    if codecs.lookup(before) == codecs.lookup(after):
        yield from iter(lambda: stream.read(CHUNK), b"")
    else:
        text = io.TextIOWrapper(stream, encoding=before, newline="")
        for piece in iter(lambda: text.read(CHUNK), ""):
            yield piece.encode(after)


def _without_gzip(stream: IO[bytes]) -> IO[bytes]:
    packed = cast("io.BufferedReader", stream).peek(2)[:2] == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        tarfile.TarError,
    ) as fault:
        raise DataError(f"the packed data is damaged or cut short ({fault})", file) from None
    except RuntimeError as fault:
        # So zipfile tells of members that are encrypted or packed in a way that it does not know.
        raise DataError(f"the packed data cannot be read: {fault}", file) from None
    except UnicodeError as fault:
        raise DataError(f"the text is not in the encoding it should be in ({fault})", file) from None
