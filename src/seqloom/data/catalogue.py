"""Named public data sets: what they are, under which licence, where they lie, and how they come whole to disk."""

import codecs
import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from pydantic import AfterValidator, Field, ValidationError, model_validator

from seqloom.config import Count, Table, nearest
from seqloom.data.download import REMEDY, Absent, base_name, discard, download
from seqloom.data.unpack import UTF8, digest, extract, is_utf8, place
from seqloom.errors import DataError
from seqloom.files import sha256
from seqloom.progress import notice

SHIPPED = Path(__file__).with_name("catalogue.toml")
DOWNLOADS = ".downloads"


def _relative(path: str) -> str:
    parts = path.split("/")
    if "\\" in path or ":" in path or any(part in ("", ".", "..") for part in parts) or parts[0] == DOWNLOADS:
        raise ValueError(f'"{path}" is no plain path under the data root')
    return path


def _known(encoding: str) -> str:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f'"{encoding}" is no encoding that Python knows') from None
    return encoding


Line = Annotated[str, Field(min_length=1, pattern=r"^[^\n]*$")]
Relative = Annotated[str, AfterValidator(_relative)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Task = Literal["tag", "classify", "pair", "span", "translate", "language", "retrieve", "vectors"]


class Source(Table):
    """One thing to fetch: a file, placed at `path`, or an archive, out of which `members` are placed.

    `sha256` (bytes that were seen) and `published` (what others say) are of what `url` serves, for a file
    without its gzip layer; `size` is in bytes, `encoding` that of the text served, which is placed as UTF-8.
    """

    path: Relative | None = None
    members: dict[Relative, Line] = Field(default_factory=dict)
    url: Line | None = None
    size: Count | None = None
    sha256: Digest | None = None
    published: Digest | None = None
    encoding: Annotated[str, AfterValidator(_known)] = UTF8

    @property
    def paths(self) -> list[str]:
        """Where it goes, relative to the data root."""
        return list(self.members) if self.path is None else [self.path]

    @property
    def expected(self) -> str | None:
        """The SHA-256 to check for, where one is known."""
        return self.sha256 or self.published

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.path is None) != bool(self.members):
            raise ValueError("a source has either a path or members")
        return self


class Entry(Table):
    """One data set: `obtain` says how to come by what has no public place."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    task: Task
    what: Line
    licence: Line
    licence_page: Line
    base: str = ""
    obtain: str = ""
    sources: Annotated[list[Source], Field(min_length=1)]

    @property
    def verified(self) -> bool:
        """Whether the bytes of every source were seen, so that their SHA-256 is known at first hand."""
        return all(source.sha256 for source in self.sources)

    @model_validator(mode="after")
    def _obtainable(self) -> Self:
        if not self.obtain and any(source.url is None for source in self.sources):
            raise ValueError("a source without a url needs the entry's obtain")
        return self


class Row(NamedTuple):
    """One line of the table of data sets; `size` is for people, such as `1.2 MB`, `> 3.4 GB` or `?`."""

    name: str
    task: str
    size: str
    licence: str
    verified: bool


def catalogue(file: str | Path = SHIPPED) -> Mapping[str, Entry]:
    """The data sets by name: those that come with seqloom, or those of a TOML file of the same form.

    Raises:
        DataError: the file is not TOML, or an entry is not of the form.
    """
    try:
        tables = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise DataError(f"no catalogue: {fault}", file) from None
    return {name: _entry(name, table, file) for name, table in tables.items()}


def rows(entries: Mapping[str, Entry] | None = None) -> list[Row]:
    """The data sets as the lines of a table."""
    known = catalogue() if entries is None else entries
    return [Row(e.name, e.task, _size(e.sources), e.licence, e.verified) for e in known.values()]


def get(
    name: str,
    root: Path,
    *,
    mirror: str | Path | None = None,
    accept_licence: Callable[[Entry], bool],
    entries: Mapping[str, Entry] | None = None,
) -> list[Path]:
    """Bring a data set under the data root and return its files; what is there already is checked and kept.

    `accept_licence` is asked once, before anything is fetched. `mirror` is a folder or a base address that is
    asked instead of the public sources; it is laid out like a data root, or holds the public files by their names.
    Every file comes whole or not at all, and what came of a broken download is gone on with by the next call.

    Raises:
        DataError: no such data set, the licence is refused, a file cannot be fetched, is not what the catalogue
            says, or is there already with another content.
    """
    entry = named(name, catalogue() if entries is None else entries)
    missing = [source for source in entry.sources if not _present(source, root)]
    if missing:
        _permit(entry, missing, mirror, accept_licence)
    try:
        for source in missing:
            _bring(source, entry.base, root, None if mirror is None else str(mirror))
    except OSError as fault:
        raise DataError(f"cannot be written: {fault.strerror}", fault.filename) from None
    with suppress(OSError):
        (root / DOWNLOADS).rmdir()
    return [root / path for source in entry.sources for path in source.paths]


def _entry(name: str, table: object, file: str | Path) -> Entry:
    try:
        return Entry.model_validate({"name": name, **table} if isinstance(table, dict) else table)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise DataError(f"{'.'.join(map(str, (name, *first['loc'])))}: {first['msg']}", file) from None


def named(name: str, entries: Mapping[str, Entry]) -> Entry:
    """The data set of that name; a DataError tells the nearest one."""
    if name in entries:
        return entries[name]
    near = nearest(name, entries)
    raise DataError(f'no data set is called "{name}"' + (f'; did you mean "{near}"?' if near else ""))


def _size(sources: list[Source]) -> str:
    total = sum(source.size or 0 for source in sources)
    if not total:
        return "?"
    power = min((len(str(total)) - 1) // 3, 3)
    shown = f"{total / 1000**power:.1f} {('B', 'kB', 'MB', 'GB')[power]}"
    return shown if all(source.size for source in sources) else f"> {shown}"


def _present(source: Source, root: Path) -> bool:
    if not all((root / path).is_file() for path in source.paths):
        return False
    if source.path is not None and source.expected not in (None, digest(root / source.path, source.encoding)):
        what = f"is there already, but its SHA-256 is not {source.expected}"
        raise DataError(f"{what}; move it away and get the data set again", root / source.path)
    return True


def _permit(
    entry: Entry, missing: list[Source], mirror: str | Path | None, accept: Callable[[Entry], bool]
) -> None:
    if mirror is None and any(source.url is None for source in missing):
        raise DataError(f"{entry.name} has no public place: {entry.obtain}; {REMEDY}")
    if not accept(entry):
        raise DataError(f"{entry.name} was not fetched: its licence ({entry.licence}) was not accepted")
    if unseen := [path for source in missing if not source.sha256 for path in source.paths]:
        why = "not seen when the catalogue was made; a SHA-256 that others published is checked where there is one"
        notice(f"{entry.name} has unverified files ({why}): {', '.join(unseen)}")


def _bring(source: Source, base: str, root: Path, mirror: str | None) -> None:
    try:
        with _fetched(source, base, root, mirror) as (file, where):
            _put(source, file, where, root)
    except Absent as absent:
        if mirror is None or source.path is not None:
            raise
        _bring_members(source, root, mirror, absent)


def _bring_members(source: Source, root: Path, mirror: str, absent: Absent) -> None:
    """Take the members of an archive that a mirror lacks as files of their own."""
    try:
        for path in source.members:
            _bring(Source(path=path), "", root, mirror)
    except Absent as fault:
        raise Absent(f"{absent}\n{fault}") from None


def _put(source: Source, file: Path, where: str, root: Path) -> None:
    if source.path is None:
        _compare(source, where, sha256(file) if source.expected else None)
        extract(file, source.members, root, source.encoding)
        return
    # A mirror may hold the file as a data root does, in UTF-8 already.
    placed = source.encoding == UTF8 or is_utf8(file)
    _compare(source, where, digest(file, source.encoding if placed else UTF8) if source.expected else None)
    place(file, root / source.path, UTF8 if placed else source.encoding)


def _compare(source: Source, where: str, found: str | None) -> None:
    if found != source.expected:
        what = f"the SHA-256 is {found}, expected {source.expected}: the file is not the one that is meant"
        raise DataError(
            f"{what}, or was damaged on the way. Nothing of it was kept; try again, or {REMEDY}", where
        )


@contextmanager
def _fetched(source: Source, base: str, root: Path, mirror: str | None) -> Iterator[tuple[Path, str]]:
    """The fetched file, and where it comes from; a download is removed unless the block is broken off."""
    if mirror is not None and urlsplit(mirror).scheme not in ("http", "https"):
        file = _in_folder(mirror, _names(source))
        yield file, str(file)
        return
    addresses = [urljoin(base, source.url or "")] if mirror is None else _below(mirror, _names(source))
    partial, address = _first(addresses, root / DOWNLOADS, certain=source.expected is not None)
    try:
        yield partial, address
    except DataError:
        discard(partial)
        raise
    discard(partial)


def _names(source: Source) -> list[str]:
    """What a source may be called in a mirror, likeliest first."""
    served = [base_name(source.url)] if source.url else []
    if source.path is None:
        return served
    plain = source.path.removesuffix(".gz")
    packed = [source.path, plain, plain + ".gz"]
    return list(dict.fromkeys([*packed, *served, *(base_name(name) for name in packed)]))


def _in_folder(mirror: str, names: list[str]) -> Path:
    folder = Path(url2pathname(urlsplit(mirror).path) if mirror.startswith("file:") else mirror)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise Absent(f"holds none of {', '.join(names)}", folder)


def _below(mirror: str, names: list[str]) -> list[str]:
    return [f"{mirror.rstrip('/')}/{name}" for name in names]


def _first(addresses: list[str], folder: Path, *, certain: bool) -> tuple[Path, str]:
    """Download the first address that is there."""
    absent = []
    for address in addresses:
        partial = folder / f"{hashlib.sha256(address.encode()).hexdigest()[:12]}-{base_name(address)}"
        try:
            download(address, partial, certain=certain)
        except Absent as fault:
            absent.append(fault)
        else:
            return partial, address
    raise Absent("\n".join(map(str, absent)))
