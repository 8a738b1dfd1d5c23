"""What kind of word-vector file a file is, told from its first lines: GloVe, word2vec (text, binary) or fastText."""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from seqloom.data.vector_lines import is_number
from seqloom.errors import DataError
from seqloom.files import open_bytes

Header = Literal["check", "skip", "none"]

_MARK = b"\xef\xbb\xbf"  # UTF-8 with a byte order mark
_ENOUGH = 16  # lines that tell the size
_FIRST, _MOST = 1 << 16, 1 << 24  # bytes read at first, and before giving up on a line end
_COUNTS = re.compile(rb"[ \t]*([0-9]+)[ \t]+([0-9]+)[ \t\r]*")
_FOREIGN = {
    b"PK\x03\x04": "a zip archive; unpack it",
    b"BZh": "a bzip2 archive; unpack it",
    b"\xfd7zXZ\x00": "an xz archive; unpack it",
    b"\xba\x16\x4f\x2f": "a packed fastText model; unpack it",
    b"\x80": "a pickle, which is never loaded; save the vectors in word2vec format",
    b"\x93NUMPY": "a bare numpy array without words",
}


@dataclass(frozen=True, slots=True)
class Format:
    """How a file of word vectors is read.

    Attributes:
        kind: "text" or "binary" (word2vec's).
        size: how many numbers a vector has.
        count: how many vectors the header promises, if it is to be believed.
        skip: how many bytes stand before the first vector.
        header: how many lines these are.
    """

    kind: Literal["text", "binary"]
    size: int
    count: int | None
    skip: int
    header: int


def sniff(path: Path, header: Header = "check") -> Format:
    """Tell the format of a file from its first lines.

    Args:
        path: the file, plain or gzipped.
        header: "check" takes a first line of two whole numbers for a header that must be true; "skip" passes over
            the first line, whatever it says; "none" reads every line of a text as a vector.

    Raises:
        DataError: the file is empty, foreign, or its header does not fit its second line.
    """
    with unpacked(path) as file:
        head = _head(file)
    if not head.strip():
        raise DataError("the file is empty", path)
    for mark, what in _FOREIGN.items():
        if head.startswith(mark):
            raise DataError(f"this is {what}", path)
    skip = len(_MARK) if head.startswith(_MARK) else 0
    first, _, rest = head[skip:].partition(b"\n")
    counts = _COUNTS.fullmatch(first)
    promised = (int(counts[1]), int(counts[2])) if counts else (0, 0)
    size, behind = _size(rest), skip + len(first) + 1
    if counts and not size and _is_binary(rest, promised[1]):
        return Format("binary", promised[1], promised[0], behind, 1)
    if header == "skip":
        return Format("text", _known(size, path), None, behind, 1)
    if header == "check" and counts and (size != 1 or promised[1] == 1):
        return _believed(Format("text", promised[1], promised[0], behind, 1), size, path)
    return Format("text", _known(_size(head[skip:]), path), None, skip, 0)


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked if it is gzipped; a DataError tells of damage in the gzip data."""
    with open_bytes(path) as file:
        try:
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            raise DataError(f"the gzip data is damaged or cut short ({fault})", path) from None


def _head(file: IO[bytes]) -> bytes:
    """The first bytes of a file: enough lines to tell the size, whole ones unless the file ends before."""
    head, wanted = b"", _FIRST
    while (more := file.read(wanted)) and (head := head + more).count(b"\n") <= _ENOUGH and len(head) < _MOST:
        wanted = len(head)
    whole = head.rfind(b"\n") + 1
    return head[:whole] if more and whole else head


def _is_binary(rest: bytes, size: int) -> bool:
    """Whether bytes that no text has stand where the first vector's numbers would."""
    numbers = rest.partition(b" ")[2][: 4 * size]
    return re.search(rb"[^\t-\r -~]", numbers) is not None


def _size(lines: bytes) -> int | None:
    """How many numbers most of the first lines end with, at least one field being the word."""
    votes = Counter(_numbers(line.split()) for line in lines.split(b"\n")[:_ENOUGH] if line.strip())
    return votes.most_common(1)[0][0] if votes else None


def _numbers(fields: list[bytes]) -> int:
    count = 0
    while count < len(fields) - 1 and is_number(fields[-1 - count]):
        count += 1
    return count


def _known(size: int | None, path: Path) -> int:
    if not size:
        raise DataError("no word vectors: a line is a word and its numbers, with spaces between", path, 1)
    return size


def _believed(header: Format, size: int | None, path: Path) -> Format:
    if header.size == 0 or size not in (None, header.size):
        what = f"the header says {header.size} numbers a word, the lines below it have {size}"
        raise DataError(f'{what}; if the header is wrong, open the file with header="skip"', path, 1)
    return header
