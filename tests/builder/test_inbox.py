"""No hand-in, however it is named, linked or damaged, stops the others or the next run."""

import os
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from builder.inbox import ARRIVAL_SECONDS, IntakeReport, packages_in, take_in
from builder.ledger import Ledger
from builder.recap import Package
from builder.rows import load_rows
from tests.builder.elections import line, make_package, small_election

SMALL = small_election()
LATER = time.time() + 3_600  # when nothing can still be arriving


def package(station: str) -> Package:
    return make_package(SMALL, line(SMALL, "111", station, votes_1=10))


GOOD, OTHER = package("1"), package("2")


def folder(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir(parents=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def run(directory: Path, *paths: Path, now: float = LATER) -> IntakeReport:
    """Take in `paths`, or what lies in the inbox."""
    inbox, ledger = directory / "inbox", Ledger(directory / "ledger")
    rows = load_rows(ledger, SMALL, None)
    return take_in(paths or packages_in(inbox), inbox, ledger, rows, SMALL, lambda _: None, now)


def named(inbox: Path, name: bytes, files: dict[str, bytes]) -> None:
    os.rename(zipped(inbox / "x.zip", files), os.fsencode(inbox) + b"/" + name)


def link(inbox: Path, files: dict[str, bytes]) -> None:
    (inbox / "link").symlink_to(folder(inbox.parent / "elsewhere", files))


def with_pipe(inbox: Path) -> None:
    os.mkfifo(folder(inbox / "package", dict(GOOD.files)) / "pipe")


def damaged(inbox: Path) -> None:
    path = zipped(inbox / "package.zip", dict(GOOD.files))
    data = path.read_bytes()
    path.write_bytes(data[:40] + b"\xff" * 4 + data[44:])


def cover(text: bytes) -> Callable[[Path], object]:
    return lambda inbox: folder(inbox / "package", {"recap.toml": text})


FILES = dict(GOOD.files)
REFUSED: dict[str, Callable[[Path], object]] = {
    "link to a package": lambda inbox: link(inbox, FILES),
    "link to nothing": lambda inbox: (inbox / "package.zip").symlink_to(inbox / "nothing"),
    "link to itself": lambda inbox: (inbox / "package.zip").symlink_to(inbox / "package.zip"),
    "pipe called zip": lambda inbox: os.mkfifo(inbox / "package.zip"),
    "folder called zip": lambda inbox: folder(inbox / "package.zip", FILES),
    "pipe in a folder": with_pipe,
    "damaged deflate stream": damaged,
    "lists in lists": cover(b"a=" + b"[" * 30_000),
    "integer of 5,000 digits": cover(b"a=" + b"9" * 5_000 + b"\n"),
    "empty zip": lambda inbox: (inbox / "package.zip").write_bytes(b""),
    "name of 250 letters": lambda inbox: named(inbox, b"b" * 250 + b".zip", {"recap.toml": b"x"}),
    "name that is not UTF-8": lambda inbox: named(inbox, b"\xff.zip", {"recap.toml": b"x"}),
    "name with an escape sequence": lambda inbox: named(inbox, b"\x1b[2J.zip", {"recap.toml": b"x"}),
    "name of 62 emoji": lambda inbox: named(inbox, "\N{GRINNING FACE}".encode() * 62 + b".zip", {"recap.toml": b"x"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_gone(name: str, tmp_path: Path) -> None:
    """What strangers put into the inbox is set aside with a report, the good package beside it is taken, the next run finds nothing."""
    inbox = tmp_path / "inbox"
    folder(inbox / "z-good", dict(OTHER.files))
    REFUSED[name](inbox)
    report = run(tmp_path)
    assert list(report.accepted.values()) == [OTHER.name]
    ((path, lines),) = report.refused.items()
    assert (lines != (), report.stuck) == (True, {})
    msgspec.json.encode([path, *lines])
    assert os.path.lexists(report.aside[path])
    told = msgspec.json.decode(report.aside[path].with_name(f"{report.aside[path].name}.report.json").read_bytes())
    assert [one["what"] for one in told["refused"]] == list(lines)
    assert [entry.name for entry in inbox.iterdir()] == ["refused"]
    assert packages_in(inbox) == []


ACCEPTED: dict[str, Callable[[Path], object]] = {
    "name of 250 letters": lambda inbox: named(inbox, b"a" * 250 + b".zip", FILES),
    "name that is not UTF-8": lambda inbox: named(inbox, b"\xff.zip", FILES),
    "folder with a name of 255 letters": lambda inbox: folder(inbox / ("a" * 255), FILES),
    "name of a package taken": lambda inbox: folder(inbox / "taken-x", FILES),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_and_gone(name: str, tmp_path: Path) -> None:
    """A right package is taken and removed whatever its name is."""
    (tmp_path / "inbox").mkdir()
    ACCEPTED[name](tmp_path / "inbox")
    report = run(tmp_path)
    assert list(report.accepted.values()) == [GOOD.name]
    msgspec.json.encode(report.accepted)
    assert list((tmp_path / "inbox").iterdir()) == []


@pytest.mark.parametrize("name", ["refused", ".hidden", "upload.part", ".upload.zip", "kab.zip.part"])
def test_not_looked_at(name: str, tmp_path: Path) -> None:
    """The folder of the refused, hidden names and those that end in .part are never taken for packages."""
    if name.endswith((".zip", ".zip.part")):
        (tmp_path / "inbox").mkdir()
        zipped(tmp_path / "inbox" / name, FILES)
    else:
        folder(tmp_path / "inbox" / name, FILES)
    assert packages_in(tmp_path / "inbox") == []


def test_cover_in_the_inbox_itself(tmp_path: Path) -> None:
    """A recap.toml beside the packages does not turn the inbox into one package that is refused with all in it."""
    folder(tmp_path / "inbox", {"recap.toml": b"x"})
    folder(tmp_path / "inbox" / "good", FILES)
    assert list(run(tmp_path).accepted.values()) == [GOOD.name]


def test_inbox_given_as_a_package(tmp_path: Path) -> None:
    """A folder with the inbox in it is refused without being copied into itself."""
    folder(tmp_path / "inbox", {"recap.toml": b"x"})
    report = run(tmp_path, tmp_path / "inbox")
    assert list(report.refused) == list(report.stuck) == [str(tmp_path / "inbox")]
    assert list((tmp_path / "inbox" / "refused").iterdir()) == []


def test_pipe_in_a_given_package(tmp_path: Path) -> None:
    """A package from elsewhere that cannot be copied whole is refused where it lies."""
    (tmp_path / "inbox").mkdir()
    with_pipe(tmp_path / "given")
    report = run(tmp_path, tmp_path / "given" / "package")
    assert len(report.refused) == len(report.stuck) == 1


def no_rights(monkeypatch: pytest.MonkeyPatch, *functions: tuple[object, str]) -> None:
    """What another account's folder does to us, for an account that no right stops."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for place, name in functions:
        monkeypatch.setattr(place, name, refuse)


def test_folder_of_another_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that may be renamed but not removed is taken once, the operator is told, and later runs go on."""
    folder(tmp_path / "inbox" / "p", FILES)
    with monkeypatch.context() as patch:
        no_rights(patch, (shutil, "rmtree"))
        report = run(tmp_path)
        assert (list(report.accepted.values()), len(report.stuck)) == ([GOOD.name], 1)
        zipped(tmp_path / "inbox" / "q.zip", dict(OTHER.files))
        report = run(tmp_path)
        assert (list(report.accepted.values()), len(report.stuck)) == ([OTHER.name], 1)
    assert run(tmp_path).stuck == {}
    assert list((tmp_path / "inbox").iterdir()) == []


def test_inbox_of_another_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that may not even be moved are taken or refused all the same, and known or refused again by the next run."""
    folder(tmp_path / "inbox" / "good", FILES)
    folder(tmp_path / "inbox" / "bad", {"recap.toml": b"x"})
    no_rights(monkeypatch, (Path, "rename"))
    first, second = run(tmp_path), run(tmp_path)
    assert (len(first.accepted), len(first.refused), len(first.stuck)) == (1, 1, 2)
    assert (len(second.known), len(second.refused), len(second.stuck)) == (1, 1, 2)


def test_library_that_falls_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody thought of, in reading one package, refuses that one."""

    def fall(_: Path) -> Package:
        raise MemoryError("too much")

    folder(tmp_path / "inbox" / "p", FILES)
    monkeypatch.setattr("builder.inbox.read_package", fall)
    ((line_of_report,),) = run(tmp_path).refused.values()
    assert "MemoryError: too much" in line_of_report


UNFINISHED: dict[str, Callable[[Path], object]] = {
    "zip": lambda inbox: (inbox / "p.zip").write_bytes(zipped(inbox / ".p.zip", FILES).read_bytes()[:200]),
    "zip, nothing yet": lambda inbox: (inbox / "p.zip").write_bytes(b""),
    "folder without rows": lambda inbox: folder(inbox / "p", {"recap.toml": FILES["recap.toml"]}),
    "rows in part": lambda inbox: folder(inbox / "p", {**FILES, "rows.csv": FILES["rows.csv"][:10]}),
    "cover in part": lambda inbox: folder(inbox / "p", {**FILES, "recap.toml": FILES["recap.toml"][:100]}),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_upload_under_way(name: str, tmp_path: Path) -> None:
    """What is not whole and was just changed stays where it is; whole, it is taken; left unfinished, it is refused later."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    UNFINISHED[name](inbox)
    (path,) = packages_in(inbox)
    os.utime(path, (0, 0))  # an upload that keeps the file's own time
    now = path.lstat().st_ctime
    report = run(tmp_path, now=now + ARRIVAL_SECONDS - 1)
    assert (list(report.waiting), report.refused, packages_in(inbox)) == ([str(path)], {}, [path])
    kept = inbox.parent / "kept"
    shutil.copytree(inbox, kept / "inbox")
    assert len(run(kept, now=LATER).refused) == 1
    if path.is_dir():
        shutil.rmtree(path)
        folder(path, FILES)
    else:
        zipped(path, FILES)
    assert list(run(tmp_path, now=now).accepted.values()) == [GOOD.name]


def test_broken_rows_do_not_wait(tmp_path: Path) -> None:
    """A whole package that breaks a rule is refused at once: no upload makes it another one."""
    bad = make_package(SMALL, line(SMALL, "113", "1"))
    path = folder(tmp_path / "inbox" / "p", dict(bad.files))
    assert len(run(tmp_path, now=path.lstat().st_ctime).refused) == 1
