"""Fetching one address whole: what a broken connection left is gone on with, what fails is told with a way out."""

import re
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from seqloom.errors import DataError
from seqloom.progress import bar

REMEDY = "if you have it elsewhere, name that folder or address with --from"
CHUNK = 1 << 18
TIMEOUT = 60


class Absent(DataError):
    """What is asked for is not there: a server says so, or a folder lacks it."""


def base_name(address: str) -> str:
    """The last part of an address's path."""
    return unquote(urlsplit(address).path).rsplit("/", 1)[-1]


def download(address: str, partial: Path, *, certain: bool) -> None:
    """Fetch an http or https address into `partial`, which may hold the beginning from an earlier attempt.

    A connection that breaks is taken up again as long as that brings bytes; what has come stays in `partial`
    for the next call. The rest alone is asked for where the server can tell that the file is still the same
    (RFC 9110, If-Range), or where the caller is `certain` to find a mixture out by a checksum.

    Raises:
        Absent: the server answers 404 or 410.
        DataError: it answers another error, cannot be reached, or stops sending.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise DataError("only http, https and local folders are fetched from", address)
    partial.parent.mkdir(parents=True, exist_ok=True)
    while True:
        before = _size(partial)
        try:
            return _transfer(address, partial, certain)
        except HTTPError as fault:
            if fault.code != 416 or not before:
                raise _answered(address, fault) from None
            discard(partial)
        except (OSError, HTTPException) as fault:
            if _size(partial) <= before:
                raise _broken(address, fault, _size(partial)) from None


def discard(partial: Path) -> None:
    """Remove what `download` wrote."""
    partial.unlink(missing_ok=True)
    _note(partial).unlink(missing_ok=True)


def _transfer(address: str, partial: Path, certain: bool) -> None:
    asked, headers = _beginning(partial, certain)
    with _open(address, headers) as answer:
        start = _start(answer, asked)
        if not start:
            _note(partial).write_text(_validator(answer), encoding="utf-8")
        total = None if answer.length is None else start + answer.length
        _append(answer, partial, start, total, base_name(address))
    if total is not None and _size(partial) < total:
        raise ConnectionError(f"the connection broke after {_size(partial):,} of {total:,} bytes")


def _beginning(partial: Path, certain: bool) -> tuple[int, dict[str, str]]:
    """From which byte to ask, and the headers that ask for it."""
    validator = _note(partial).read_text(encoding="utf-8") if _note(partial).exists() else ""
    if not _size(partial) or not (certain or validator):
        return 0, {}
    # The last byte is fetched again: past the end of a file that is complete, a server would answer 416.
    start = _size(partial) - 1
    return start, {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {})


def _open(address: str, headers: dict[str, str]) -> HTTPResponse:
    # A director of our own: the usual one would follow redirections to ftp too.
    director = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.UnknownHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
    ):
        director.add_handler(handler())
    asked = request.Request(address, headers={"User-Agent": "seqloom", **headers})
    return cast("HTTPResponse", director.open(asked, timeout=TIMEOUT))


def _start(answer: HTTPResponse, asked: int) -> int:
    if answer.status != 206:
        return 0
    extent = answer.headers.get("Content-Range", "")
    if not re.match(rf"bytes {asked}-", extent):
        raise HTTPException(f'asked for the bytes from {asked}, the server sends "{extent}"')
    return asked


def _append(answer: HTTPResponse, partial: Path, start: int, total: int | None, name: str) -> None:
    with partial.open("r+b" if start else "wb") as file, bar(name, total) as running:
        file.seek(start)
        file.truncate()
        running.advance(start)
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            running.advance(len(chunk))


def _validator(answer: HTTPResponse) -> str:
    tag = answer.headers.get("ETag", "")
    return str(answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag)


def _note(partial: Path) -> Path:
    return partial.with_name(partial.name + ".validator")


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0


def _answered(address: str, fault: HTTPError) -> DataError:
    fault.close()
    kind = Absent if fault.code in (404, 410) else DataError
    return kind(f"the server answers {fault.code} {fault.reason}; {REMEDY}", address)


def _broken(address: str, fault: Exception, kept: int) -> DataError:
    reason = fault.reason if isinstance(fault, URLError) else fault
    after = f"; {kept:,} bytes are kept, and the same command goes on from there" if kept else ""
    return DataError(f"cannot be fetched: {reason or type(fault).__name__}{after}; {REMEDY}", address)
