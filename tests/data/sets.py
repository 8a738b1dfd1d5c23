"""Data sets made up for the tests, and a web server on this machine that can break off."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from seqloom.data.catalogue import Entry, Source, get

TEXT = "".join(f"{number} näıve café\n" for number in range(30_000)).encode()


class Site(SimpleNamespace):
    """What the server holds and how it behaves; `asked` is every (path, Range) it was asked for."""

    files: dict[str, bytes]
    ranges: bool
    cuts: int
    tag: str
    asked: list[tuple[str, str]]


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            site.asked.append((self.path, asked))
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved"))
                self.end_headers()
            elif self.path not in site.files:
                self.send_error(404)
            else:
                self.serve(site.files[self.path], asked)

        def serve(self, whole: bytes, asked: str) -> None:
            same = self.headers.get("If-Range", site.tag) == site.tag
            start = int(asked[len("bytes=") : -1]) if asked and site.ranges and same else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
            if site.tag:
                self.send_header("ETag", site.tag)
            self.send_header("Content-Length", str(len(whole) - start))
            self.end_headers()
            site.cuts -= 1
            middle = start + (len(whole) - start) // 2
            self.wfile.write(whole[start : middle if site.cuts >= 0 else None])

    return Handler


def sha(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def entry(*sources: dict[str, Any], base: str = "", obtain: str = "") -> Entry:
    words = {"task": "language", "what": "A text", "licence": "CC0", "licence_page": "https://example.org/"}
    return Entry(
        name="text", base=base, obtain=obtain, sources=[Source(**source) for source in sources], **words
    )


def bring(
    data: Entry, root: Path, mirror: str | Path | None = None, accept: Callable[[Entry], bool] = bool
) -> list[Path]:
    return get("text", root, mirror=mirror, accept_licence=accept, entries={"text": data})


def left_over(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and path.name != "a.txt"]


def plain(site: Site, **words: Any) -> Entry:
    return entry({"url": "a.txt", "path": "text/a.txt", "sha256": sha(TEXT)} | words, base=site.address)


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return file.getvalue()


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for member, text in members:
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text))
    return file.getvalue()
