"""The catalogue's entries are well formed, and a folder can stand in for the public sources."""

import gzip
import re
from pathlib import Path

import pytest

from seqloom.data.catalogue import Entry, catalogue, get, rows
from seqloom.errors import DataError
from tests.data.sets import TEXT, bring, entry, sha, zipped


@pytest.mark.parametrize("data", catalogue().values(), ids=list(catalogue()))
def test_shipped_entry_is_well_formed(data: Entry) -> None:
    assert data.licence.strip()
    assert data.licence_page.startswith("https://")
    for source in data.sources:
        address = data.base + source.url if source.url and "://" not in source.url else source.url
        # Without TLS a checksum has to vouch for the bytes.
        assert (
            address is None
            or address.startswith("https://")
            or (address.startswith("http:") and source.expected)
        )
        assert source.sha256 is None or source.published is None
        assert not source.sha256 or source.size
        pinned = address and "githubusercontent.com" in address and source.sha256
        assert not pinned or re.search(r"/[0-9a-f]{40}/", address)


def test_shipped_files_do_not_collide() -> None:
    paths = [path for data in catalogue().values() for source in data.sources for path in source.paths]
    assert len(paths) == len(set(paths)) > 200


def test_rows_tell_size_licence_and_whether_verified() -> None:
    known = {row.name: row for row in rows()}
    assert known["cr"] == ("cr", "classify", "374.1 kB", "Not stated for the data (repository MIT)", True)
    assert known["glove_840b"].size == "2.2 GB"
    assert not known["glove_840b"].verified
    assert known["wikitext2"].size.startswith("> ")
    assert known["conll2003"].size == "?"


def test_guide_names_every_set() -> None:
    guide = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z0-9_-]+)` \|", guide, re.MULTILINE) == list(catalogue())


def test_real_sets_are_what_the_catalogue_says(real_data: Path) -> None:
    for name in ("sst", "trec", "mpqa", "xquad"):
        for source in catalogue()[name].sources:
            assert all((real_data / path).is_file() for path in source.paths)
        assert get(name, real_data, accept_licence=lambda data: False)


def test_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no data set is called "squadd"; did you mean "squad"'):
        get("squadd", tmp_path, accept_licence=bool)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('path = "../evil", url = "a"', "no plain path under the data root"),
        ('path = "/etc/evil", url = "a"', "no plain path under the data root"),
        ('members = { "a/../../evil" = "x" }, url = "a"', "no plain path under the data root"),
        ('path = "a", sha256 = "123", url = "a"', "sources.0.sha256"),
        ('path = "a", sha265 = "123", url = "a"', "sources.0.sha265"),
        ('path = "a", url = "a", encoding = "utf-9"', "no encoding"),
        ('url = "a"', "either a path or members"),
        ('path = "a"', "needs the entry's obtain"),
    ],
)
def test_malformed_catalogue_is_refused(tmp_path: Path, line: str, complaint: str) -> None:
    words = 'task = "tag"\nwhat = "x"\nlicence = "x"\nlicence_page = "x"\n'
    (tmp_path / "own.toml").write_text(f"[own]\n{words}sources = [{{ {line} }}]\n")
    with pytest.raises(DataError, match=re.escape(complaint)):
        catalogue(tmp_path / "own.toml")


@pytest.mark.parametrize("name", ["text/a.txt", "text/a.txt.gz", "a.txt", "served.txt"])
def test_folder_stands_in_for_the_source(tmp_path: Path, name: str) -> None:
    file = tmp_path / "mirror" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(TEXT) if name.endswith(".gz") else TEXT)
    data = entry({"url": "http://127.0.0.1:9/served.txt", "path": "text/a.txt", "sha256": sha(TEXT)})
    for root, mirror in (("one", tmp_path / "mirror"), ("two", (tmp_path / "mirror").as_uri())):
        [path] = bring(data, tmp_path / root, mirror=mirror)
        assert path.read_bytes() == TEXT
    assert file.exists()


def test_archive_or_its_members_may_lie_in_a_folder(tmp_path: Path) -> None:
    data = entry({"url": "http://127.0.0.1:9/x.zip", "members": {"text/a.txt": "in/a"}})
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/x.zip").write_bytes(zipped(**{"in/a": TEXT}))
    [path] = bring(data, tmp_path / "one", mirror=tmp_path / "packed")
    assert bring(data, tmp_path / "two", mirror=tmp_path / "one")[0].read_bytes() == path.read_bytes() == TEXT


def test_folder_that_lacks_the_file_is_told(tmp_path: Path) -> None:
    data = entry({"url": "http://127.0.0.1:9/x.zip", "members": {"text/a.txt": "in/a"}})
    with pytest.raises(
        DataError, match=r"holds none of x\.zip\n.*holds none of text/a\.txt, text/a\.txt\.gz, a\.txt"
    ):
        bring(data, tmp_path / "root", mirror=tmp_path)


def test_set_without_a_public_place_tells_how_to_come_by_it(tmp_path: Path) -> None:
    data = entry({"path": "text/a.txt", "sha256": sha(TEXT)}, obtain="ask its makers")
    with pytest.raises(DataError, match=r"no public place: ask its makers; .*--from"):
        bring(data, tmp_path)
    (tmp_path / "a.txt").write_bytes(TEXT)
    assert bring(data, tmp_path / "root", mirror=tmp_path) == [tmp_path / "root/text/a.txt"]
