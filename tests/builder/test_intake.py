"""A package is accepted whole or refused whole, and a refused one changes nothing."""

import os
import time
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder import limits
from builder.election import Definition
from builder.errors import PackageError
from builder.inbox import find_packages, find_strays, take_in
from builder.intake import judge
from builder.ledger import Ledger, RefusedRecord
from builder.recap import Package, read_package
from builder.rows import KEY, Rows, load_rows
from builder.rules import REFUSE_RULES
from builder.tally import tally
from tests.builder.elections import accept, line, make_cuts, make_package, no_rows, small_election

SMALL = small_election()
LATER = time.time() + 3_600  # when nothing can still be arriving
VOTES = {"votes_1": 10, "votes_2": 20, "valid": 30, "invalid": 1, "voters": 31, "total": 31, "registered": 40}


def row(area: str, station: str, revision: int = 1, state: str = "", **figures: int | None) -> str:
    return line(SMALL, area, station, revision, state, **figures)


def known_rows() -> dict[str, Rows]:
    """Station 1 of 111 has votes, 2 is listed without, 1 of 121 was withdrawn; 11 handed in its recap."""
    count = row("111", "1", **VOTES) + row("111", "2", registered=40) + row("121", "1", **VOTES)
    first = make_package(SMALL, count)
    gone = make_package(SMALL, row("121", "1", 2, "withdrawn"), area="12", reason="withdrawal")
    recap = make_package(SMALL, row("11", "", votes_1=10, votes_2=20), series="recap", area="11")
    return accept(SMALL, first, gone, recap)


# id: (rows, what the cover says, the rule that refuses, the line that is blamed)
REFUSED: dict[str, tuple[str, dict[str, Any], str, int | None]] = {
    "another election": (row("112", "1"), {"election": "other"}, "election", None),
    "unknown contest": (row("112", "1"), {"contest": "pdpr"}, "unknown-contest", None),
    "cover of an unknown area": (row("112", "1"), {"area": "99", "tier": "negara"}, "unknown-area", None),
    "cover of another tier": (row("112", "1"), {"area": "11", "tier": "provinsi"}, "tier", None),
    "unknown area": (row("113", "1"), {}, "unknown-area", 2),
    "area with a slash": (row("11/1", "1"), {}, "unknown-area", 2),
    "no area": (row("", "1"), {}, "unknown-area", 2),
    "neighbour's area": (row("112", "1") + row("121", "2"), {"area": "11"}, "out-of-scope", 3),
    "outside the contest": ("121,1,1,,5,5\n", {"contest": "dprd-11", "area": "1"}, "contest-area", 2),
    "station of 17 characters": (row("112", "1" * 17), {}, "station", 2),
    "station with a slash": (row("112", "1/2"), {}, "station", 2),
    "station with a space": (row("112", " 1"), {}, "station", 2),
    "no station": (row("112", ""), {}, "station", 2),
    "recap with a station": (row("12", "1", votes_1=1), {"series": "recap"}, "station", 2),
    "station above the last level": (row("11", "1"), {}, "wrong-level", 2),
    "unknown state": (row("112", "1", 1, "deleted"), {}, "state", 2),
    "row twice": (row("112", "1", **VOTES) * 2, {}, "duplicate-row", 3),
    "row twice, two figures": (row("112", "1", votes_1=1) + row("112", "1", votes_1=2), {}, "duplicate-row", 3),
    "row twice, spelt otherwise": (row("112", "1", **VOTES) + row("112", "01", **VOTES), {}, "duplicate-row", 3),
    "row twice, other capitals": (row("112", "KSK-1", **VOTES) + row("112", "ksk-1", **VOTES), {}, "duplicate-row", 3),
    "row twice, zeros within": (row("112", "KSK-001", **VOTES) + row("112", "KSK-1", **VOTES), {}, "duplicate-row", 3),
    "known station, spelt otherwise": (row("111", "001", **VOTES), {}, "duplicate-row", 2),
    "revision 1 again": (row("111", "1", 1, **VOTES), {"reason": "source"}, "wrong-revision", 2),
    "revision that jumps": (row("111", "1", 3, **VOTES), {"reason": "source"}, "wrong-revision", 2),
    "revision of nothing": (row("112", "1", 2, **VOTES), {"reason": "source"}, "wrong-revision", 2),
    "revision 0": (row("112", "1", 0, **VOTES), {}, "wrong-revision", 2),
    "no revision": (row("112", "9").replace(",1,", ",,"), {}, "not-an-integer", 2),
    "revision 10000": (row("112", "1", 10_000), {}, "not-an-integer", 2),
    "change without a reason": (row("111", "1", 2, **VOTES | {"votes_1": 11}), {}, "reason-missing", 2),
    "withdrawal without a reason": (row("111", "1", 2, "withdrawn"), {}, "reason-missing", 2),
    "recap changed without a reason": (row("11", "", 2, votes_1=9), {"series": "recap"}, "reason-missing", 2),
    "withdrawn with figures": (row("111", "1", 2, "withdrawn", votes_1=0), {"reason": "court"}, "withdrawn-figures", 2),
    "withdrawal of nothing": (row("112", "1", 1, "withdrawn"), {"reason": "court"}, "withdrawn-unknown", 2),
}  # fmt: skip


def judged(package: Package, rows: dict[str, Rows]) -> set[tuple[str, int | None]]:
    """Judge one package that must be refused and change nothing; the rules that it breaks, with the line."""
    before = {name: (one.current, one.replaced) for name, one in rows.items()}
    (verdict,) = judge([package], rows, SMALL, 3)
    assert {name: (one.current, one.replaced) for name, one in rows.items()} == before
    return {(broken.rule, broken.line) for broken in verdict.broken}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """What a refuse rule forbids is refused under the rule's code with the line, and no row changes."""
    lines, cover, rule, blamed = REFUSED[name]
    assert (rule, blamed) in judged(make_package(SMALL, lines, **cover), known_rows())


def test_every_refuse_rule_has_a_case() -> None:
    """No refuse rule goes untested."""
    assert {rule.code for rule in REFUSE_RULES} <= {rule for _, _, rule, _ in REFUSED.values()}


def test_one_bad_row_refuses_the_whole_package() -> None:
    """A package with one bad row among good ones changes nothing at all."""
    rows = no_rows(SMALL)
    package = make_package(SMALL, row("111", "1", **VOTES) + row("113", "1", **VOTES))
    assert judged(package, rows) == {("unknown-area", 3)}
    assert rows["ppwp"].current.height == 0


def test_a_bad_package_does_not_stop_the_others() -> None:
    """Among packages judged together the good ones are accepted and numbered without a gap."""
    rows = no_rows(SMALL)
    good = [make_package(SMALL, row("111", str(number), **VOTES)) for number in (1, 2)]
    verdicts = judge([good[0], make_package(SMALL, row("113", "1")), good[1]], rows, SMALL, 7)
    assert [verdict.package.name for verdict in verdicts if not verdict.broken] == [package.name for package in good]
    assert sorted(rows["ppwp"].current["package"]) == [8, 9]


CELL = row("111", "9", votes_1=12345)
HOSTILE_CELLS = {
    "1e308": "1e308",
    "minus zero": "-0",
    "underscore and spaces": " 4_2 ",
    "2^63": "9223372036854775808",
    "2^31": "2147483648",
    "a thousand million": "1000000000",
    "leading zeros": "007",
    "plus": "+5",
    "Arabic digit": "٤",
    "fullwidth digit": "５",
    "formula": "=1+1",
    "decimal": "1.0",
    "hexadecimal": "0x10",
    "not a number": "NaN",
    "true": "true",
    "space": " ",
    "minus one": "-1",
    "4,300 digits": "9" * 4_300,
}


@pytest.mark.parametrize("name", HOSTILE_CELLS)
def test_hostile_figure(name: str) -> None:
    """A figure that is not written as a plain integer is refused, never read as some number."""
    package = make_package(SMALL, CELL.replace("12345", HOSTILE_CELLS[name]))
    assert judged(package, known_rows()) == {("not-an-integer", 2)}


def with_rows(change: Callable[[bytes], bytes]) -> Package:
    package = make_package(SMALL, row("111", "7", **VOTES) + row("111", "8", **VOTES))
    return Package(package.cover, {**package.files, "rows.csv": change(package.rows)}, "package")


HOSTILE_FILES: dict[str, tuple[Callable[[bytes], bytes], str, int]] = {
    "NUL": (lambda data: data.replace(b"10", b"1\0", 1), "character", 2),
    "byte-order mark": (lambda data: b"\xef\xbb\xbf" + data, "encoding", 1),
    "quotes": (lambda data: data.replace(b",10,", b',"10",', 1), "character", 2),
    "CRLF": (lambda data: data.replace(b"\n", b"\r\n"), "header", 1),
    "CR alone": (lambda data: data.replace(b",10,", b",1\r0,", 1), "character", 2),
    "not UTF-8": (lambda data: data.replace(b"111,8", b"11\xff,8"), "encoding", 3),
    "empty line": (lambda data: data.replace(b"111,8", b"\n111,8"), "ragged", 3),
    "empty line at the end": (lambda data: data + b"\n", "ragged", 4),
    "a cell too many": (lambda data: data[:-1] + b",1\n", "ragged", 3),
    "a cell too few": (lambda data: data.replace(b",31,30,1,31\n111,8", b",31,30,1\n111,8"), "ragged", 2),
    "one line long, one short": (lambda data: data.replace(b",31\n111", b"\n111")[:-1] + b",1\n", "ragged", 2),
    "a cell of 200,000 digits, and too few": (
        lambda data: data.replace(b"111,8", b"1" * 200_000 + b",2\n111,8"),
        "ragged",
        3,
    ),
    "last line cut off": (lambda data: data[:-2], "truncated", 3),
    "header twice": (lambda data: data[: data.index(b"\n") + 1] + data, "not-an-integer", 2),
    "columns swapped": (lambda data: data.replace(b"votes_1,votes_2", b"votes_2,votes_1"), "header", 1),
    "no header": (lambda data: data[data.index(b"\n") + 1 :], "header", 1),
    "nothing": (lambda _: b"", "header", 1),
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_hostile_rows_file(name: str) -> None:
    """A rows.csv that two programs could read differently is refused with the line."""
    change, rule, blamed = HOSTILE_FILES[name]
    package = with_rows(change)
    assert package.rows != with_rows(lambda data: data).rows
    assert (rule, blamed) in judged(package, known_rows())


def zipped(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


GOOD = make_package(SMALL, row("111", "7", **VOTES))
COVER_FILE = ("recap.toml", GOOD.files["recap.toml"])
ROWS_FILE = ("rows.csv", GOOD.files["rows.csv"])
HOSTILE_ZIPS: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "no cover": ([ROWS_FILE], "cover"),
    "no rows": ([COVER_FILE], "files"),
    "file that the cover does not name": ([COVER_FILE, ROWS_FILE, ("virus.exe", b"x")], "files"),
    "path that climbs": ([COVER_FILE, ROWS_FILE, ("../../etc/cron.d/x", b"x")], "files"),
    "path from the root": ([COVER_FILE, ("/rows.csv", ROWS_FILE[1])], "files"),
    "bomb in the rows": ([COVER_FILE, ("rows.csv", b"\0" * 50_000_000)], "size"),
    "bomb in the cover": ([("recap.toml", b"#" * 50_000_000), ROWS_FILE], "size"),
    "rows changed": ([COVER_FILE, ("rows.csv", ROWS_FILE[1].replace(b"10", b"11"))], "hash"),
    "rows cut": ([COVER_FILE, ("rows.csv", ROWS_FILE[1][:-1])], "hash"),
}


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_hostile_zip(name: str, tmp_path: Path) -> None:
    """A zip with other bytes, other names or more bytes than its cover says is refused and nothing is unpacked."""
    members, rule = HOSTILE_ZIPS[name]
    with pytest.raises(PackageError) as caught:
        read_package(zipped(tmp_path / "package.zip", members))
    assert caught.value.rule == rule
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["package.zip"]


def test_name_twice_in_zip(tmp_path: Path) -> None:
    """A zip with two files of one name is refused: programs differ on which one counts."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(tmp_path / "package.zip", [COVER_FILE, ROWS_FILE, ROWS_FILE])
    with pytest.raises(PackageError) as caught:
        read_package(path)
    assert caught.value.rule == "files"


def test_not_a_zip(tmp_path: Path) -> None:
    """A file that only ends with .zip is an error of ours, whatever the library raises."""
    (tmp_path / "package.zip").write_bytes(b"PK\x03\x04" + b"\0" * 40)
    with pytest.raises(PackageError, match="not a zip"):
        read_package(tmp_path / "package.zip")


def folder(path: Path, package: Package) -> Path:
    path.mkdir(parents=True)
    for name, data in package.files.items():
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["rows.csv", "recap.toml"])
def test_symlink_in_folder(name: str, tmp_path: Path) -> None:
    """A link in a hand-in is refused, so that no other file of this machine is ever read as a package."""
    package = folder(tmp_path / "package", GOOD)
    (tmp_path / "elsewhere").write_bytes(GOOD.files[name])
    (package / name).unlink()
    (package / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackageError, match="not a plain file"):
        read_package(package)


def test_named_pipe_in_folder(tmp_path: Path) -> None:
    """A named pipe in a hand-in is refused instead of waited for."""
    package = folder(tmp_path / "package", GOOD)
    (package / "rows.csv").unlink()
    os.mkfifo(package / "rows.csv")
    with pytest.raises(PackageError, match="not a plain file"):
        read_package(package)


def test_folder_and_zips_are_one_package(tmp_path: Path) -> None:
    """A folder, its zip, and a zip with the folder in it are the same package by name."""
    inside = [(f"kab/{name}", data) for name, data in (COVER_FILE, ROWS_FILE)]
    packages = [
        read_package(folder(tmp_path / "kab", GOOD)),
        read_package(zipped(tmp_path / "a.zip", [COVER_FILE, ROWS_FILE])),
        read_package(zipped(tmp_path / "b.zip", inside)),
    ]
    assert {package.name for package in packages} == {GOOD.name}


BROKEN_COVERS = {
    "unknown key": ('form = ""', 'form = ""\ncolour = "red"'),
    "path in a file name": ('file = "rows.csv"', 'file = "../rows.csv"'),
    "LF after a hash": (GOOD.cover.rows.sha256, GOOD.cover.rows.sha256 + "\\n"),
    "length as text": (f"length = {GOOD.cover.rows.length}", f'length = "{GOOD.cover.rows.length}"'),
    "another format": ("terbit-recap-1", "terbit-recap-2"),
    "another series": ('series = "count"', 'series = "exit-poll"'),
    "attested by nobody": ('by = "test"', 'by = ""'),
    "escape sequences in a text": ('by = "test"', 'by = "\\u001b[2J"'),
}


@pytest.mark.parametrize("name", BROKEN_COVERS)
def test_broken_cover(name: str, tmp_path: Path) -> None:
    """A cover that is not exactly of the format is refused by the rule `cover`."""
    before, after = BROKEN_COVERS[name]
    text = GOOD.files["recap.toml"].decode().replace('area = "0"\n', 'area = "0"\nform = ""\n')
    assert before in text
    broken = folder(tmp_path / "package", GOOD)
    (broken / "recap.toml").write_text(text.replace(before, after))
    with pytest.raises(PackageError) as caught:
        read_package(broken)
    assert caught.value.rule == "cover"


def test_broken_cover_names_the_line(tmp_path: Path) -> None:
    """A wrong key in recap.toml is told with its line."""
    broken = folder(tmp_path / "package", GOOD)
    text = (broken / "recap.toml").read_text()
    (broken / "recap.toml").write_text(text.replace("[rows]", 'colour = "red"\n[rows]'))
    with pytest.raises(PackageError) as caught:
        read_package(broken)
    assert (caught.value.line, caught.value.field) == (text[: text.index("[rows]")].count("\n") + 1, "colour")


def test_unknown_reason(tmp_path: Path) -> None:
    """A reason outside the published list is refused."""
    package = folder(tmp_path / "package", make_package(SMALL, row("111", "7"), reason="because"))
    with pytest.raises(PackageError) as caught:
        read_package(package)
    assert caught.value.rule == "reason"


def snapshot(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def hand_in(tmp_path: Path, package: Package, name: str = "package") -> tuple[Any, Ledger]:
    """Put a package into the inbox and take it in."""
    inbox, ledger = tmp_path / "inbox", Ledger(tmp_path / "ledger")
    folder(inbox / name, package)
    rows = load_rows(ledger, SMALL, None)
    return take_in(find_packages(inbox), inbox, ledger, rows, SMALL, lambda _: None, LATER), ledger


def test_delivered_twice(tmp_path: Path) -> None:
    """The same package again is a no-op: not one byte of the ledger changes."""
    report, ledger = hand_in(tmp_path, GOOD)
    assert (list(report.accepted.values()), report.rows) == ([GOOD.name], 1)
    before = snapshot(tmp_path / "ledger")
    report, ledger = hand_in(tmp_path, GOOD, "again")
    assert (list(report.known.values()), report.accepted, report.refused) == ([GOOD.name], {}, {})
    assert snapshot(tmp_path / "ledger") == before
    assert len(ledger.packages) == 1
    assert list((tmp_path / "inbox").iterdir()) == []


def test_refused_lies_aside_with_its_report(tmp_path: Path) -> None:
    """A refused package lies in inbox/refused with a report that names the rule; the ledger has no more of it than its hash and that rule."""
    hand_in(tmp_path, GOOD)
    before = snapshot(tmp_path / "ledger")
    bad = make_package(SMALL, row("113", "1", **VOTES))
    report, ledger = hand_in(tmp_path, bad, "bad")
    assert ledger.records[1:] == [RefusedRecord(bad.name, ("unknown-area",))]
    after = snapshot(tmp_path / "ledger")
    assert after.pop("records.jsonl").startswith(before.pop("records.jsonl"))
    assert after == before
    assert list(report.refused) == [str(tmp_path / "inbox" / "bad")]
    refused = tmp_path / "inbox" / "refused"
    assert read_package(refused / "bad").name == bad.name
    assert "unknown-area" in (refused / "bad.report.json").read_text()


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no cover in the zip": (
        lambda place: zipped(place, [("rows.csv", b"")]),
        "package: there is no recap.toml in it [cover]",
    ),
    "wrong key": (
        lambda place: zipped(
            place, [("recap.toml", b"\ncolour = 1\n" + GOOD.files["recap.toml"]), ("rows.csv", GOOD.rows)]
        ),
        "recap.toml, line 2, field colour: there is no key 'colour' here; is it misspelt, or does it belong to another table? [cover]",
    ),
    "other rows": (
        lambda place: zipped(place, [("recap.toml", GOOD.files["recap.toml"]), ("rows.csv", GOOD.rows[:-1] + b"8")]),
        "rows.csv: is not the file that recap.toml names",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_report_of_what_cannot_be_read(name: str, tmp_path: Path) -> None:
    """A package that cannot be read is told once: its file, line and field, the problem, the rule, and where it lies now."""
    make, said = UNREADABLE[name]
    inbox, ledger = tmp_path / "inbox", Ledger(tmp_path / "ledger")
    inbox.mkdir()
    make(inbox / "bad.zip")
    report = take_in(find_packages(inbox), inbox, ledger, load_rows(ledger, SMALL, None), SMALL, lambda _: None, LATER)
    place = str(inbox / "bad.zip")
    ((line,),) = report.refused.values()
    assert line.startswith(said)
    assert str(tmp_path) not in line
    assert report.aside == {place: inbox / "refused" / "bad.zip"}


def test_strays_in_the_inbox(tmp_path: Path) -> None:
    """What lies in the inbox and is no package is found, so that it can be told; refused ones and hidden files are not."""
    folder(tmp_path / "package", GOOD)
    for name in ("empty", "refused", ".import-x"):
        (tmp_path / name).mkdir()
    (tmp_path / "rows.csv").write_text("")
    assert find_strays(tmp_path) == [tmp_path / "empty", tmp_path / "rows.csv"]


def test_one_station_counts_once() -> None:
    """A station that is withdrawn may come again spelt otherwise; two spellings of one never count together, nor do they from two packages at once."""
    rows = known_rows()
    accept(SMALL, make_package(SMALL, row("111", "1", 2, "withdrawn"), reason="withdrawal"), rows=rows)
    accept(SMALL, make_package(SMALL, row("111", "001", **VOTES)), rows=rows)
    again = make_package(SMALL, row("111", "1", 3, **VOTES), reason="source")
    assert judged(again, rows) == {("duplicate-row", 2)}
    both = [make_package(SMALL, row("112", station, **VOTES)) for station in ("7", "07")]
    assert [bool(one.broken) for one in judge(both, rows, SMALL, 5)] == [False, True]


def test_revision_keeps_the_old_value() -> None:
    """A revision replaces the figures, and the ones before stay with the package that brought them."""
    rows = known_rows()
    accept(
        SMALL,
        make_package(SMALL, row("111", "1", 2, **VOTES | {"votes_1": 11}), reason="transcription"),
        rows=rows,
        known=3,
    )
    here = (pl.col("station") == "1") & (pl.col("area") == SMALL.areas.index["111"])
    assert rows["ppwp"].current.filter(here).select("revision", "votes_1", "package").rows() == [(2, 11, 4)]
    assert rows["ppwp"].replaced.filter(here).select("revision", "votes_1", "package").rows() == [(1, 10, 1)]
    history = tally(rows["ppwp"], SMALL, make_cuts(4)).history
    assert history.filter(here).select("old_votes_1", "votes_1").rows() == [(10, 11)]


@pytest.mark.parametrize("between", [row("111", "1", 2, "withdrawn"), row("111", "1", 2)], ids=["withdrawn", "emptied"])
def test_no_detour_spares_a_reason(between: str) -> None:
    """Figures that replace others need a reason, also where a package between took those away with one of its own: 10 votes were 77 without."""
    rows = known_rows()
    accept(SMALL, make_package(SMALL, between, reason="duplicate"), rows=rows, known=3)
    back = row("111", "1", 3, **VOTES | {"votes_1": 77})
    assert {broken.rule for broken in judge([make_package(SMALL, back)], rows, SMALL, 4)[0].broken} == {
        "reason-missing"
    }
    accept(SMALL, make_package(SMALL, back, reason="court"), rows=rows, known=4)


def test_late_figures_need_no_reason() -> None:
    """Figures for a row that had none are not a change of a published one."""
    rows = known_rows()
    here = (pl.col("station") == "2") & (pl.col("area") == SMALL.areas.index["111"])
    assert rows["ppwp"].current.filter(here).select("revision", "votes_1").rows() == [(1, None)]
    accept(SMALL, make_package(SMALL, row("111", "2", 2, **VOTES)), rows=rows, known=3)
    assert rows["ppwp"].current.filter(here).select("revision", "votes_1").rows() == [(2, VOTES["votes_1"])]


def test_withdrawn_stays_visible_and_out_of_the_sums() -> None:
    """A withdrawn row shows the figures that it had, and no sum has them."""
    rows = known_rows()
    withdrawn = rows["ppwp"].current.filter("withdrawn")
    assert withdrawn.select("station", "revision", "votes_1").rows() == [("1", 2, 10)]
    result = tally(rows["ppwp"], SMALL, make_cuts(3))
    assert result.areas.select("listed", "reported", "withdrawn", "votes_1").row(0) == (3, 1, 1, 10)
    shown = result.stations.filter(pl.col("state") == "withdrawn")
    assert shown.select("votes_1", "votes_2").rows() == [(10, 20)]


def test_withdrawn_row_comes_back() -> None:
    """A withdrawn row can be revised into the sums again, and its history has all three steps."""
    rows = known_rows()
    accept(
        SMALL, make_package(SMALL, row("121", "1", 3, **VOTES | {"votes_1": 12}), reason="court"), rows=rows, known=3
    )
    result = tally(rows["ppwp"], SMALL, make_cuts(4))
    assert result.areas.select("reported", "withdrawn", "votes_1").row(0) == (2, 0, 22)
    steps = result.history.filter(pl.col("area") == SMALL.areas.index["121"])
    assert steps.select("revision", "withdrawn", "old_votes_1", "votes_1").rows() == [
        (2, True, 10, 10),
        (3, False, 10, 12),
    ]


def test_too_large_a_cover(tmp_path: Path) -> None:
    """A cover is read no further than its cap."""
    package = folder(tmp_path / "package", GOOD)
    (package / "recap.toml").write_bytes(b"#" * (limits.COVER_FILE + 1))
    with pytest.raises(PackageError) as caught:
        read_package(package)
    assert caught.value.rule == "size"


PLACES = [("111", "1"), ("111", "2"), ("112", "1"), ("121", "1"), ("-911", "1")]
FIGURES = st.one_of(st.none(), st.integers(0, 500))


@st.composite
def deliveries(draw: st.DrawFn) -> list[Package]:
    """Packages over a few rows: most are right, some jump a revision, lack a reason or withdraw what is not there."""
    revisions: dict[tuple[str, str], int] = {}
    packages = []
    for number in range(draw(st.integers(1, 7))):
        lines = []
        for place in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=4, unique=True)):
            revision = revisions.get(place, 0) + draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2]))
            if draw(st.integers(0, 4)) == 0:
                lines.append(row(*place, revision, "withdrawn"))
            else:
                lines.append(row(*place, revision, votes_1=draw(FIGURES), votes_2=draw(FIGURES), valid=draw(FIGURES)))
            revisions[place] = max(revision, 1)
        reason = draw(st.sampled_from(["source", "source", "source", None]))
        packages.append(make_package(SMALL, "".join(lines), reason=reason, document=str(number)))
    return packages


def outcome(batches: list[list[Package]]) -> tuple[Any, ...]:
    """What matters after intake in batches: who was accepted, the rows and the tally, without the packages' numbers."""
    rows, accepted = no_rows(SMALL), []
    for batch in batches:
        verdicts = judge(batch, rows, SMALL, len(accepted))
        accepted += [verdict.package.name for verdict in verdicts if not verdict.broken]
    result = tally(rows["ppwp"], SMALL, make_cuts(len(accepted)))
    frames = (
        rows["ppwp"].current.drop("package").sort(KEY),
        rows["ppwp"].replaced.drop("package").sort(*KEY, "revision"),
        result.areas.drop("release", "sources", "recap_package"),
        result.stations,
        result.findings,
        result.history.drop("package"),
    )
    return sorted(accepted), *(frame.rows() for frame in frames)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deliveries(), st.data())
def test_batches_do_not_matter(packages: list[Package], data: st.DataObject) -> None:
    """Packages taken one at a time, all at once or in any split give the same rows and the same tally."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(packages)), max_size=3)) | {0, len(packages)})
    split = [packages[start:end] for start, end in pairwise(cuts)]
    alone = outcome([[package] for package in packages])
    assert outcome([packages]) == alone
    assert outcome(split) == alone


def test_ledger_gives_the_rows_back(tmp_path: Path, small: Definition) -> None:
    """Rows folded from the ledger are those that intake judged, with the packages' numbers."""
    ledger, rows = Ledger(tmp_path / "ledger"), no_rows(small)
    packages = [
        make_package(small, row("111", "1", **VOTES)),
        make_package(small, row("111", "1", 2, votes_1=1, votes_2=2), reason="recount"),
        make_package(small, row("111", "1", 3, "withdrawn") + row("112", "1", **VOTES), reason="court"),
    ]
    with ledger.lock():
        ledger.add_packages([(verdict.package, verdict.rows) for verdict in judge(packages, rows, small, 0)])
    again = load_rows(Ledger(tmp_path / "ledger"), small, None)
    assert again["ppwp"].current.sort(KEY).equals(rows["ppwp"].current.sort(KEY))
    assert again["ppwp"].replaced.sort(*KEY, "revision").equals(rows["ppwp"].replaced.sort(*KEY, "revision"))
