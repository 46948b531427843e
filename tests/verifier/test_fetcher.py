import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import serving
from tests.verifier.site_simulator import SiteServer
from verifier import limits
from verifier.errors import FetchError, VerificationError
from verifier.fetcher import DirectoryFetcher, MissingError, OverlayFetcher, StalledError, check_path
from verifier.http_fetcher import HttpFetcher
from verifier.receiver import Receiver, receive

TRICKS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "a/./b",
    "./a",
    "a\\b",
    "a\0",
    "a\nb",
    "a?b",
    "a#b",
    "a\ud800b",
]
PLAIN = ["a", "a/b", "a.b", "..a", "a..", "...", ".well-known/x", "a b", "metadata/1.%2Fx.json", "a/.b/c", "é"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "file").write_bytes(b"12345")
    (tmp_path / "secret").write_bytes(b"secret")
    return root


@pytest.fixture
def server() -> Iterator[SiteServer]:
    with serving(SiteServer({"a/file": b"12345", "with%20space": b"6"})) as running:
        yield running


@pytest.mark.parametrize("path", TRICKS)
def test_tricky_paths_are_refused_everywhere(path: str, folder: Path) -> None:
    """A path that could mean another file is refused before any source is asked."""
    for fetcher in (DirectoryFetcher(folder), HttpFetcher("http://127.0.0.1:9")):
        with pytest.raises(VerificationError, match="not a plain path"):
            fetcher.fetch(path, 10)


@pytest.mark.parametrize("path", PLAIN)
def test_plain_paths_are_taken(path: str) -> None:
    """Dots inside names, spaces and letters of any language are plain."""
    assert check_path(path) == path


@pytest.mark.parametrize("size", [5, 6, 10_000])
def test_a_file_up_to_its_cap_is_read(size: int, folder: Path, server: SiteServer) -> None:
    """A file as long as its cap, or shorter, comes whole."""
    for fetcher in (DirectoryFetcher(folder), HttpFetcher(server.url), OverlayFetcher({"a/file": b"12345"}, None)):
        assert fetcher.fetch("a/file", size) == b"12345"


def test_a_longer_file_is_refused(folder: Path, server: SiteServer) -> None:
    """One byte beyond the cap is too long."""
    for fetcher in (DirectoryFetcher(folder), HttpFetcher(server.url), OverlayFetcher({"a/file": b"12345"}, None)):
        with pytest.raises(VerificationError, match="longer than the 4 bytes"):
            fetcher.fetch("a/file", 4)


def test_missing_files_are_missing(folder: Path, server: SiteServer) -> None:
    """A source that answers and has no such file says so, also below a file."""
    for fetcher in (DirectoryFetcher(folder), HttpFetcher(server.url), OverlayFetcher({}, DirectoryFetcher(folder))):
        for path in ("a/none", "none/none", "a/file/none"):
            with pytest.raises(MissingError):
                fetcher.fetch(path, 10)


def test_links_do_not_lead_out(folder: Path) -> None:
    """Neither a linked file nor a linked folder brings in what lies outside; a folder linked inside is fine."""
    (folder / "link").symlink_to("../secret")
    (folder / "out").symlink_to("..")
    (folder / "in").symlink_to("a")
    fetcher = DirectoryFetcher(folder)
    for path in ("link", "out/secret"):
        with pytest.raises((FetchError, VerificationError)):
            fetcher.fetch(path, 10)
    assert fetcher.fetch("in/file", 10) == b"12345"


def test_pipes_and_folders_are_not_read(folder: Path) -> None:
    """A pipe that would block forever, and a folder, are refused at once."""
    os.mkfifo(folder / "pipe")
    for path in ("pipe", "a"):
        with pytest.raises(FetchError, match="not a regular file"):
            DirectoryFetcher(folder).fetch(path, 10)


def test_the_same_file_is_known_by_its_inode(folder: Path) -> None:
    """Hard links are one file; copies, links and missing names are not; an overlaid name never is."""
    os.link(folder / "a" / "file", folder / "hard")
    (folder / "copy").write_bytes(b"12345")
    (folder / "soft").symlink_to("a/file")
    fetcher = DirectoryFetcher(folder)
    assert fetcher.fetch_linked("a/file", "hard", 10) == (b"12345", True)
    for name in ("copy", "soft", "none"):
        assert fetcher.fetch_linked("a/file", name, 10) == (b"12345", False)
    assert OverlayFetcher({}, fetcher).fetch_linked("a/file", "hard", 10) == (b"12345", True)
    assert OverlayFetcher({"a/file": b"new"}, fetcher).fetch_linked("a/file", "hard", 10) == (b"new", False)
    assert OverlayFetcher({"hard": b"new"}, fetcher).fetch_linked("a/file", "hard", 10) == (b"12345", False)


def test_an_overlay_comes_first(folder: Path) -> None:
    """An overlaid file hides the one beneath it."""
    assert OverlayFetcher({"a/file": b"new"}, DirectoryFetcher(folder)).fetch("a/file", 10) == b"new"


def test_spaces_are_quoted(server: SiteServer) -> None:
    """Names are quoted for the URL once."""
    assert HttpFetcher(server.url).fetch("with space", 10) == b"6"


def test_an_unreachable_server_says_nothing() -> None:
    """A refused connection is no proof of a change."""
    with pytest.raises(FetchError, match="could not be fetched"):
        HttpFetcher("http://127.0.0.1:9", timeout=1).fetch("a", 10)


def test_a_long_file_has_long(server: SiteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for an answer follows from the bytes that may come, at the least rate, and is never shorter than for any file."""
    monkeypatch.setattr(limits, "FETCH_TOTAL_SECONDS", 0.125)
    monkeypatch.setattr(limits, "FETCH_LEAST_RATE", 1_000)
    server.dripped.add("a/file")
    for length, seconds in ((5, "0.125"), (375, "0.375")):
        with pytest.raises(StalledError, match=f"no whole answer within {seconds} seconds"):
            HttpFetcher(server.url).fetch("a/file", length)
        with pytest.raises(StalledError, match=f"no whole answer within {seconds} seconds"):
            HttpFetcher(server.url).receive("a/file", length, Receiver())
    with pytest.raises(StalledError, match=r"within 0\.25 seconds"):
        HttpFetcher(server.url, total=0.25).fetch("a/file", 375)


@pytest.mark.parametrize("size", [5, 6, 10_000])
def test_a_file_is_handed_on(size: int, folder: Path, server: SiteServer) -> None:
    """A file that is received has the length and hash that it has when it is fetched."""
    for fetcher in (DirectoryFetcher(folder), HttpFetcher(server.url), OverlayFetcher({"a/file": b"12345"}, None)):
        receiver = Receiver()
        receive(fetcher, "a/file", size, receiver)
        assert (receiver.length, receiver.sha256) == (5, hashlib.sha256(b"12345").hexdigest())
        with pytest.raises(VerificationError, match="longer than the 4 bytes"):
            receive(fetcher, "a/file", 4, Receiver())


def test_a_cut_answer_is_not_taken(server: SiteServer) -> None:
    """An answer shorter than its header said is refused, not taken for the whole file."""
    server.stalled.add("a/file")
    with pytest.raises(FetchError):
        HttpFetcher(server.url, timeout=0.2).fetch("a/file", 2_000)
