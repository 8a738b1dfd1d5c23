"""A data set comes whole from a server, through every break, or nothing of it is put in place."""

import gzip
import random
import tarfile
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from seqloom import progress
from seqloom.errors import DataError
from tests.data.sets import TEXT, Site, bring, entry, handler, left_over, plain, sha, tarred, zipped


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(files={"/a.txt": TEXT}, ranges=True, cuts=0, tag='"one"', asked=[])
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(site)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        site.address = f"http://127.0.0.1:{server.server_port}/"
        yield site
        server.shutdown()


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(progress.Silent, "notice", lambda self, text: told.append(text))
    return told


def test_plain_download_is_checked_placed_and_then_left_alone(
    site: Site, tmp_path: Path, notices: list[str]
) -> None:
    [path] = bring(plain(site), tmp_path)
    assert path.read_bytes() == TEXT
    assert bring(plain(site), tmp_path, accept=lambda data: False) == [path]
    assert len(site.asked) == 1
    assert not notices
    assert not left_over(tmp_path)


def test_redirection_is_followed(site: Site, tmp_path: Path) -> None:
    [path] = bring(plain(site, url="moved/a.txt"), tmp_path)
    assert path.read_bytes() == TEXT


def test_unverified_file_is_told(site: Site, tmp_path: Path, notices: list[str]) -> None:
    bring(plain(site, sha256=None), tmp_path)
    assert "unverified" in notices[0]
    assert "text/a.txt" in notices[0]


def test_cut_connection_is_taken_up_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.cuts = 2
    [path] = bring(plain(site, sha256=None), tmp_path)
    assert path.read_bytes() == TEXT
    half = len(TEXT) // 2
    assert [asked for _, asked in site.asked][:2] == ["", f"bytes={half - 1}-"]
    assert len(site.asked) == 3


def test_download_goes_on_in_the_next_call(site: Site, tmp_path: Path) -> None:
    site.cuts = 9999
    site.ranges = False
    with pytest.raises(DataError, match=r"broke after .* bytes are kept"):
        bring(plain(site), tmp_path)
    assert not (tmp_path / "text/a.txt").exists()
    site.cuts, site.ranges, site.asked = 0, True, []
    [path] = bring(plain(site), tmp_path)
    assert path.read_bytes() == TEXT
    assert site.asked == [("/a.txt", f"bytes={len(TEXT) // 2 - 1}-")]
    assert not left_over(tmp_path)


def test_server_without_ranges_is_asked_from_the_beginning(site: Site, tmp_path: Path) -> None:
    site.cuts, site.ranges = 1, False
    [path] = bring(plain(site), tmp_path)
    assert path.read_bytes() == TEXT


@pytest.mark.parametrize("tag", ['"two"', ""])
def test_file_that_may_have_changed_is_not_patched_up(site: Site, tmp_path: Path, tag: str) -> None:
    site.cuts, site.ranges = 9999, False
    site.tag = tag and '"one"'
    with pytest.raises(DataError, match="broke"):
        bring(plain(site, sha256=None), tmp_path)
    site.cuts, site.ranges, site.tag = 0, True, tag
    site.files["/a.txt"] = TEXT[::-1]
    [path] = bring(plain(site, sha256=None), tmp_path)
    assert path.read_bytes() == TEXT[::-1]


def test_wrong_hash_puts_nothing_in_place(site: Site, tmp_path: Path) -> None:
    site.files["/a.txt"] = b"<html>moved</html>"
    with pytest.raises(DataError) as told:
        bring(plain(site), tmp_path)
    assert all(
        word in str(told.value) for word in (site.address + "a.txt", sha(TEXT), sha(site.files["/a.txt"]))
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_missing_file_is_told_with_a_way_out(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/b\.txt: the server answers 404 .* --from"):
        bring(plain(site, url="b.txt"), tmp_path)


def test_server_that_cannot_be_reached_is_told_with_a_way_out(tmp_path: Path) -> None:
    gone = entry({"url": "http://127.0.0.1:9/a.txt", "path": "text/a.txt"})
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/a\.txt: cannot be fetched: .+; .*--from"):
        bring(gone, tmp_path)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only http, https and local folders"):
        bring(entry({"url": "ftp://127.0.0.1/a.txt", "path": "a.txt"}), tmp_path)


def test_refused_licence_fetches_nothing(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"licence \(CC0\) was not accepted"):
        bring(plain(site), tmp_path, accept=lambda data: data.licence != "CC0")
    assert not site.asked


def test_other_content_in_place_is_told_and_kept(site: Site, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        bring(plain(site), tmp_path)
    assert (tmp_path / "text/a.txt").read_text() == "mine"


def test_text_is_stored_as_utf8_gzipped_by_the_name_and_found_again(site: Site, tmp_path: Path) -> None:
    site.files["/a.txt"] = served = "café … \r\n".encode("cp1252")
    data = plain(site, path="a.txt.gz", encoding="cp1252", sha256=sha(served))
    [path] = bring(data, tmp_path)
    assert gzip.decompress(path.read_bytes()) == "café … \r\n".encode()
    assert path.read_bytes()[4:8] == bytes(4), "the gzip header holds a date"
    assert bring(data, tmp_path, accept=lambda data: False) == [path]
    [copy] = bring(data, tmp_path / "other", mirror=tmp_path)
    assert copy.read_bytes() == path.read_bytes()


def test_served_gzip_is_unpacked_and_a_damaged_one_refused(site: Site, tmp_path: Path) -> None:
    site.files["/a.txt"] = gzip.compress(TEXT)
    [path] = bring(plain(site), tmp_path)
    assert path.read_bytes() == TEXT
    site.files["/a.txt"] = gzip.compress(TEXT)[:-9]
    with pytest.raises(DataError, match="damaged or cut short"):
        bring(plain(site, sha256=None), tmp_path / "other")
    assert not [path for path in (tmp_path / "other").rglob("*") if path.is_file()]


@pytest.mark.parametrize("pack", ["zip", "tar"])
def test_only_the_members_asked_for_leave_an_archive(site: Site, tmp_path: Path, pack: str) -> None:
    files = {"../../evil": b"evil", "/etc/evil": b"evil", "in/a": TEXT, "in/b": b"b"}
    members = [(tarfile.TarInfo(name), text) for name, text in files.items()]
    site.files["/x"] = zipped(**files) if pack == "zip" else tarred(*members)
    source = {
        "url": "x",
        "members": {"a.txt": "in/a", "safe.gz": "../../evil"},
        "sha256": sha(site.files["/x"]),
    }
    root = tmp_path / "deep/er/root"
    paths = bring(entry(source, base=site.address), root)
    assert paths == [root / "a.txt", root / "safe.gz"]
    assert paths[0].read_bytes() == TEXT
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == paths


@pytest.mark.parametrize("place", [30, 4000, -6])
def test_an_archive_whose_packing_is_damaged_puts_nothing_in_place(
    site: Site, tmp_path: Path, place: int
) -> None:
    text = random.Random(1).randbytes(5000)
    whole = tarred((tarfile.TarInfo("a"), text), (tarfile.TarInfo("b"), b"b"))
    damaged = bytearray(whole)
    damaged[place] ^= 1
    data = entry({"url": "x", "members": {"a.txt": "a", "b.txt": "b"}}, base=site.address)
    site.files["/x"] = bytes(damaged)
    with pytest.raises(DataError, match=r"damaged or cut short|neither a zip nor a tar"):
        bring(data, tmp_path)
    assert not [path for path in tmp_path.rglob("*.txt")]
    site.files["/x"] = whole
    assert bring(data, tmp_path / "whole")[0].read_bytes() == text


def test_links_and_missing_members_are_refused(site: Site, tmp_path: Path) -> None:
    link = tarfile.TarInfo("a")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    site.files["/x"] = tarred((link, b""))
    with pytest.raises(DataError, match="holds no plain file a"):
        bring(entry({"url": "x", "members": {"a.txt": "a"}}, base=site.address), tmp_path)
    site.files["/x"] = b"<html>gone</html>"
    with pytest.raises(DataError, match="neither a zip nor a tar"):
        bring(entry({"url": "x", "members": {"a.txt": "a"}}, base=site.address), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_mirror_address_stands_in_for_the_source(site: Site, tmp_path: Path) -> None:
    site.files["/copy/text/a.txt.gz"] = gzip.compress(TEXT)
    data = entry({"url": "http://127.0.0.1:9/a.txt", "path": "text/a.txt", "sha256": sha(TEXT)})
    [path] = bring(data, tmp_path, mirror=site.address + "copy/")
    assert path.read_bytes() == TEXT
