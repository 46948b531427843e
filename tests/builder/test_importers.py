"""Importers: any CSV, raw Sirekap JSON and area trees, from real data where there is some."""

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from builder import limits
from builder.areas import parse_areas
from builder.election import Definition
from builder.errors import ImporterError
from builder.importers.areas import AreasMap, import_areas
from builder.importers.csv import CsvMap
from builder.importers.delivery import ImportReport, import_results
from builder.importers.sirekap import SirekapMap
from builder.importers.source import load_map
from builder.recap import read_package
from builder.rows import KEY, Rows
from builder.tally import tally
from tests.builder.elections import (
    SMALL_AREAS,
    SMALL_TOML,
    accept,
    define,
    make_cuts,
    no_rows,
    shared_data,
    small_election,
)

SMALL = small_election()
MAP = msgspec.convert(
    {
        "contest": "ppwp",
        "series": "count",
        "form": "C",
        "by": "test",
        "absent": ["-1"],
        "columns": {
            "area": {"column": "code", "first": 0, "length": 3},
            "station": {"column": "code", "first": 3},
            "votes_1": "a",
            "votes_2": "b",
            "registered": ["men", "women"],
            "valid": "valid",
        },
    },
    CsvMap,
)
HEADER = "code,a,b,men,women,valid,unused\n"
ROWS = "111001,10,20,5,6,30,x\n111002,1,2,-1,6,3,x\n112001,7,,,,,\n121001,4,4,1,1,8,x\n"


def source(tmp_path: Path, text: str | bytes, name: str = "data.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def imported(
    tmp_path: Path, text: str | bytes, map_: CsvMap = MAP, rows: dict[str, Rows] | None = None, **options: Any
) -> ImportReport:
    return import_results(source(tmp_path, text), map_, SMALL, rows or {}, out=tmp_path / "inbox", **options)


def taken(
    report: ImportReport, definition: Definition = SMALL, rows: dict[str, Rows] | None = None, known: int = 0
) -> dict[str, Rows]:
    """Rows after intake of what an import wrote; nothing of it may be refused."""
    return accept(definition, *(read_package(path) for path in report.packages), rows=rows, known=known)


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def cells(rows: dict[str, Rows], *names: str) -> list[tuple[Any, ...]]:
    current = rows["ppwp"].current.sort("area", "station")
    codes = [SMALL.areas.codes[area] for area in current["area"]]
    return [(code, *row) for code, row in zip(codes, current.select(names).rows(), strict=True)]


def test_csv_to_packages(tmp_path: Path) -> None:
    """Rows are cut into one package a shard; codes are cut into area and station; sums are absent where a part is."""
    report = imported(tmp_path, HEADER + ROWS)
    assert [path.name.rsplit("-", 1)[0] for path in report.packages] == ["ppwp-count-11", "ppwp-count-12"]
    assert [read_package(path).name[:12] for path in report.packages] == [path.name[-12:] for path in report.packages]
    assert (report.rows, report.rejected, report.rejects) == (4, 0, None)
    assert cells(taken(report), "station", "votes_1", "votes_2", "registered", "valid", "invalid") == [
        ("111", "001", 10, 20, 11, 30, None),
        ("111", "002", 1, 2, None, 3, None),
        ("112", "001", 7, None, None, None, None),
        ("121", "001", 4, 4, 2, 8, None),
    ]


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "".join(reversed(ROWS.splitlines(keepends=True))),
        "\ufeff" + HEADER + ROWS,
        (HEADER + ROWS).replace("\n", "\r\n"),
        HEADER + ROWS.replace("10,20", '"10","20"').replace(",x\n", ',"x, y"\n'),
        HEADER.replace("code", '"code"') + ROWS,
    ],
    ids=["other order", "byte-order mark", "CRLF", "quotes", "quotes in the header"],
)
def test_same_figures_same_packages(text: str, tmp_path: Path) -> None:
    """However a spreadsheet wrote the figures, the packages are the same, byte for byte."""
    imported(tmp_path, HEADER + ROWS)
    before = files(tmp_path / "inbox")
    imported(tmp_path, text)
    assert files(tmp_path / "inbox") == before


def test_packed_source(tmp_path: Path) -> None:
    """A .csv.gz is the same as what it holds."""
    imported(tmp_path, HEADER + ROWS)
    packed = source(tmp_path, gzip.compress((HEADER + ROWS).encode()), "data.csv.gz")
    import_results(packed, MAP, SMALL, {}, out=tmp_path / "other")
    assert files(tmp_path / "other") == files(tmp_path / "inbox")


REJECTED = {
    "unknown area": ("113001,1,1,,,,", "unknown-area"),
    "no station": ("111,1,1,,,,", "station"),
    "station with a slash": ("1110/1,1,1,,,,", "station"),
    "negative": ("111003,-2,1,,,,", "not-an-integer"),
    "1e308": ("111003,1e308,1,,,,", "not-an-integer"),
    "underscore and spaces": ("111003, 4_2 ,1,,,,", "not-an-integer"),
    "2^63": ("111003,9223372036854775808,1,,,,", "not-an-integer"),
    "leading zeros": ("111003,007,1,,,,", "not-an-integer"),
    "Arabic digit": ("111003,٤,1,,,,", "not-an-integer"),
    "formula": ("111003,=1+1,1,,,,", "not-an-integer"),
    "part of a sum": ("111003,1,1,5,six,,", "not-an-integer"),
    "sum too large": ("111003,1,1,999999999,1,,", "not-an-integer"),
    "fraction": ("111003,1.0,1,,,,", "not-an-integer"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected_row(name: str, tmp_path: Path) -> None:
    """A row that intake would refuse goes into the rejects with line and reason, and the rest is imported."""
    bad, reason = REJECTED[name]
    report = imported(tmp_path, HEADER + ROWS + bad + "\n")
    assert (report.rows, report.rejected, len(report.packages)) == (5, 1, 2)
    assert report.rejects is not None
    assert pl.read_csv(report.rejects, infer_schema=False).select("source", "reject").rows() == [("6", reason)]
    assert len(cells(taken(report), "station")) == 4


def test_rejects_speak_of_the_source(tmp_path: Path) -> None:
    """A reject names the source's own column, the cell, and what it must be: in the file and in the report."""
    bad = "111003,9999999999,1,,,,\n111004,1,1,5,six,,\n119001,1,1,,,,\n"
    report = imported(tmp_path, HEADER + ROWS + bad)
    integer = "is not an integer from 0 to 999999999, written plainly"
    assert report.problems == (
        f"line 6, field a: '9999999999' {integer} [not-an-integer]",
        f"line 7, field men+women: '5+six' {integer} [not-an-integer]",
        "line 8, field code: '119' no such area in areas.csv [unknown-area]",
    )
    assert report.rejects is not None
    assert pl.read_csv(report.rejects, infer_schema=False).select("reject", "field", "problem").rows()[2] == (
        "unknown-area",
        "code",
        "'119' no such area in areas.csv",
    )


FORMULAS = {
    "equals": ("=1+1", "'=1+1"),
    "plus": ("+1", "'+1"),
    "minus": ("-1+1", "'-1+1"),
    "at": ("@SUM(1)", "'@SUM(1)"),
    "tab": ("\t=1", "'\t=1"),
    "link": ('"=HYPERLINK(""http://x"")"', '\'=HYPERLINK("http://x")'),
    "negative number": ("-2", "-2"),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_rejects_hold_no_formula(name: str, tmp_path: Path) -> None:
    """A cell that a spreadsheet would compute stands in the rejects as text; a negative number stays one."""
    given, shown = FORMULAS[name]
    report = imported(tmp_path, HEADER + ROWS + f"111003,{given},1,,,,\n")
    assert report.rejects is not None
    assert pl.read_csv(report.rejects, infer_schema=False)["votes_1"].to_list() == [shown]


def test_row_twice_is_rejected_twice(tmp_path: Path) -> None:
    """Of two rows for one station neither is taken: which one is right is not ours to say."""
    report = imported(tmp_path, HEADER + ROWS + "111001,11,20,,,,\n")
    assert report.rejects is not None
    assert pl.read_csv(report.rejects, infer_schema=False).select("source", "reject").rows() == [
        ("2", "duplicate-row"),
        ("6", "duplicate-row"),
    ]


def test_rejects_go_when_mended(tmp_path: Path) -> None:
    """When the source is mended no rejects of it stay behind."""
    rejects = imported(tmp_path, HEADER + ROWS + "113001,1,1,,,,\n").rejects
    imported(tmp_path, HEADER + ROWS)
    assert rejects is not None
    assert not rejects.exists()


BROKEN_SOURCES: dict[str, tuple[bytes, str]] = {
    "NUL": ((HEADER + ROWS.replace("10", "1\0")).encode(), "character"),
    "not UTF-8": ((HEADER + ROWS).encode().replace(b",x", b",\xff"), "encoding"),
    "lone CR": ((HEADER + ROWS.replace("10", "1\r0")).encode(), "character"),
    "a cell too many": ((HEADER + ROWS + "111003,1,1,,,,,\n").encode(), "ragged"),
    "a cell too few": ((HEADER + ROWS + "111003,1,1,,,\n").encode(), "ragged"),
    "empty line": ((HEADER + "\n" + ROWS).encode(), "ragged"),
    "cell over two lines": ((HEADER + ROWS.replace("x", '"x\ny"', 1)).encode(), "ragged"),
    "cut off": ((HEADER + ROWS)[:-3].encode(), "truncated"),
    "column missing": ((HEADER.replace(",a,", ",c,") + ROWS).encode(), "header"),
    "column twice": ((HEADER.replace(",b,", ",a,") + ROWS).encode(), "header"),
    "nothing": (b"", "header"),
    "CR in the header": ((HEADER.replace("code", "co\rde") + ROWS).encode(), "header"),
    "column of 200,000 characters": ((f'"{"a" * 200_000}",' + HEADER + ROWS).encode(), "header"),
    "cell of 200,000 characters, and too few": ((HEADER + "1" * 200_000 + ",1\n" + ROWS).encode(), "ragged"),
}


@pytest.mark.parametrize("name", BROKEN_SOURCES)
def test_broken_source(name: str, tmp_path: Path) -> None:
    """A file that is not one table in one reading is refused as a whole, and nothing is written."""
    data, rule = BROKEN_SOURCES[name]
    with pytest.raises(ImporterError) as caught:
        imported(tmp_path, data)
    assert caught.value.rule == rule
    assert not (tmp_path / "inbox").exists()


MISTAKEN_SOURCES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "data.csv: the file is empty"),
    "semicolons": ((HEADER + ROWS).replace(",", ";").encode(), "separated by semicolons; save it with commas"),
    "tabs": ((HEADER + ROWS).replace(",", "\t").encode(), "separated by tabs; save it with commas"),
    "UTF-16": ((HEADER + ROWS).encode("utf-16"), "UTF-16; save it as CSV UTF-8"),
    "another table": (b"x,y\n1,2\n", "no column 'a'; the file has 'x, y'"),
    "old Mac": ((HEADER + ROWS).replace("\n", "\r").encode(), "as on old Macs; save the file with Unix line ends (LF)"),
    "a header alone": (HEADER.encode(), "data.csv: there is no row below the header"),
    "a header without LF": (HEADER[:-1].encode(), "the header is 'code,a,b,men,women,valid,unused'; it must be"),
}


@pytest.mark.parametrize("name", MISTAKEN_SOURCES)
def test_mistaken_source(name: str, tmp_path: Path) -> None:
    """What a spreadsheet saves by default is called by its name, with the remedy."""
    data, said = MISTAKEN_SOURCES[name]
    with pytest.raises(ImporterError, match=re.escape(said)):
        imported(tmp_path, data)


def test_lost_zeros_are_told(tmp_path: Path) -> None:
    """A code that a spreadsheet took for a number is refused with the one in areas.csv that it may have been; any other unknown one without."""
    zeros = define(SMALL_TOML, SMALL_AREAS.replace("111,11,", "0111,11,").encode())
    data = source(tmp_path, HEADER + "111001,1,2,,,,\n999001,1,2,,,,\n")
    report = import_results(data, MAP, zeros, {}, out=tmp_path / "inbox")
    assert [one.partition("'")[2] for one in report.problems] == [
        "111' no such area in areas.csv, but 0111; a spreadsheet that takes codes for numbers drops the zeros before them [unknown-area]",
        "999' no such area in areas.csv [unknown-area]",
    ]


def test_gzip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gzip is unpacked no further than the cap."""
    monkeypatch.setattr(limits, "IMPORT_FILE", 1_000_000)
    with pytest.raises(ImporterError, match="longer than"):
        import_results(
            source(tmp_path, gzip.compress(b"\0" * 2_000_000), "bomb.csv.gz"), MAP, SMALL, {}, out=tmp_path / "inbox"
        )


def test_cut_gzip(tmp_path: Path) -> None:
    """A gzip that is cut off is refused, not imported in part."""
    packed = gzip.compress((HEADER + ROWS).encode())[:-12]
    with pytest.raises(ImporterError, match="cut off"):
        import_results(source(tmp_path, packed, "data.csv.gz"), MAP, SMALL, {}, out=tmp_path / "inbox")


def first_rows(tmp_path: Path) -> dict[str, Rows]:
    return taken(imported(tmp_path, HEADER + ROWS))


def test_known_rows_are_left_out(tmp_path: Path) -> None:
    """A file that says nothing new writes no package."""
    report = imported(tmp_path, HEADER + ROWS, rows=first_rows(tmp_path), withdraw_missing=True)
    assert report == ImportReport((), rows=4, unchanged=4, revised=0, withdrawn=0, rejected=0, rejects=None)


def test_changed_votes_need_a_reason(tmp_path: Path) -> None:
    """A changed vote is not imported without a reason, and nothing is written."""
    rows = first_rows(tmp_path)
    before = files(tmp_path / "inbox")
    with pytest.raises(ImporterError) as caught:
        imported(tmp_path, HEADER + ROWS.replace("10,20", "11,20"), rows=rows)
    assert caught.value.rule == "reason-missing"
    assert files(tmp_path / "inbox") == before


def test_changed_votes_with_a_reason(tmp_path: Path) -> None:
    """A changed vote becomes the next revision, with the reason and the remark, and only what changed is handed in."""
    rows = first_rows(tmp_path)
    changed = HEADER + ROWS.replace("10,20", "11,20")
    report = imported(tmp_path, changed, rows=rows, reason="transcription", note="misread 0")
    assert (report.unchanged, report.revised, len(report.packages)) == (3, 1, 1)
    package = read_package(report.packages[0])
    assert package.cover.revision is not None
    assert (package.cover.revision.reason, package.cover.revision.note) == ("transcription", "misread 0")
    assert package.rows.decode().splitlines()[1:] == ["111,001,2,,11,20,11,,30,,"]
    taken(report, rows=rows, known=2)
    assert imported(tmp_path, changed, rows=rows).packages == ()


def test_import_before_the_last_one_was_taken_in(tmp_path: Path) -> None:
    """An import whose rows wait in the inbox already is refused with the package's name, until that is taken in or removed."""
    first = imported(tmp_path, HEADER + ROWS)
    other = HEADER + ROWS.replace("10,20", "11,20")
    before = files(tmp_path / "inbox")
    with pytest.raises(ImporterError, match=re.escape(f"{first.packages[0]}: waits with 3 of the same rows")):
        imported(tmp_path, other)
    assert files(tmp_path / "inbox") == before
    more = HEADER + "111009,1,2,,,3,\n"
    assert len(imported(tmp_path, more).packages) == 1
    assert imported(tmp_path, other, rows=taken(first), reason="source").revised == 1
    for package in first.packages:
        (package / "rows.csv").write_text("broken")
    assert imported(tmp_path, other).revised == 0


def test_late_figures(tmp_path: Path) -> None:
    """Figures for a row that had no votes, or none of that kind, come as `late` without being asked."""
    rows = first_rows(tmp_path)
    later = HEADER + ROWS.replace("112001,7,,,,,", "112001,7,8,,,15,").replace("1,2,-1,6", "1,2,5,6")
    report = imported(tmp_path, later, rows=rows)
    reasons = [read_package(path).cover.revision for path in report.packages]
    assert [reason.reason for reason in reasons if reason] == ["late"]
    assert report.revised == 2
    taken(report, rows=rows, known=2)


def test_missing_rows(tmp_path: Path) -> None:
    """A row that the source no longer has stays, unless withdrawals were asked for; other shards are never touched."""
    rows = first_rows(tmp_path)
    fewer = HEADER + ROWS.splitlines(keepends=True)[0]
    assert imported(tmp_path, fewer, rows=rows).packages == ()
    report = imported(tmp_path, fewer, rows=rows, withdraw_missing=True)
    assert report.withdrawn == 2
    taken(report, rows=rows, known=2)
    gone = rows["ppwp"].current.filter("withdrawn").select("area", "station").sort("area", "station").rows()
    assert gone == [(SMALL.areas.index["111"], "002"), (SMALL.areas.index["112"], "001")]


def test_many_withdrawals_are_asked_for(tmp_path: Path) -> None:
    """More withdrawals than were allowed are refused with their number and the areas, and nothing is written."""
    rows = first_rows(tmp_path)
    before = files(tmp_path / "inbox")
    with pytest.raises(ImporterError, match="2 of 3 known rows are not in it any more, in Sebelas; give --yes"):
        imported(tmp_path, HEADER + ROWS.splitlines(keepends=True)[0], rows=rows, withdraw_missing=0.6)
    assert files(tmp_path / "inbox") == before
    assert (
        imported(tmp_path, HEADER + ROWS.replace("121001,", "129001,"), rows=rows, withdraw_missing=0.05).rejected == 1
    )


def test_rejected_row_is_not_missing(tmp_path: Path) -> None:
    """A row that cannot be read is there all the same: it is not withdrawn."""
    broken = HEADER + ROWS.replace("10,20", "1O,20")
    report = imported(tmp_path, broken, rows=first_rows(tmp_path), withdraw_missing=True)
    assert (report.rejected, report.withdrawn, report.packages) == (1, 0, ())


def test_votes_are_never_blanked(tmp_path: Path) -> None:
    """Votes that vanish from the source stay, or are withdrawn; they never become empty."""
    rows = first_rows(tmp_path)
    blank = HEADER + ROWS.replace("10,20", ",")
    assert imported(tmp_path, blank, rows=rows, reason="source").packages == ()
    report = imported(tmp_path, blank, rows=rows, withdraw_missing=True)
    assert (report.withdrawn, report.revised) == (1, 0)


def test_the_reason_of_a_withdrawal_is_of_withdrawn_rows_alone(tmp_path: Path) -> None:
    """One import withdraws and corrects: the withdrawn row has its own reason, the corrected one that which was given, and `withdrawal` is none for it."""
    rows = first_rows(tmp_path)
    kept = ROWS.splitlines(keepends=True)
    text = HEADER + "".join([kept[0].replace(",10,", ",11,"), *kept[2:]])
    with pytest.raises(ImporterError, match=r"withdrawn rows have their own.*: court") as refused:
        imported(tmp_path, text, rows=rows, withdraw_missing=True, reason="withdrawal")
    assert refused.value.rule == "reason-missing"
    assert "withdrawal" not in str(refused.value)
    report = imported(tmp_path, text, rows=rows, withdraw_missing=True, reason="recount")
    covers = [read_package(path).cover for path in report.packages]
    assert (report.revised, report.withdrawn) == (1, 1)
    assert {cover.revision.reason for cover in covers if cover.revision} == {"recount", "withdrawal"}


def test_withdrawn_row_comes_back_with_a_reason(tmp_path: Path) -> None:
    """A withdrawn row that is in the source again becomes a revision, and needs a reason."""
    rows = first_rows(tmp_path)
    blank = HEADER + ROWS.replace("10,20", ",")
    taken(imported(tmp_path, blank, rows=rows, withdraw_missing=True), rows=rows, known=2)
    with pytest.raises(
        ImporterError,
        match=r"^[^:]*: 1 row changes figures that are known already; give --reason: court, duplicate, .*transcription",
    ):
        imported(tmp_path, HEADER + ROWS, rows=rows)
    taken(imported(tmp_path, HEADER + ROWS, rows=rows, reason="source"), rows=rows, known=3)
    assert cells(rows, "revision", "withdrawn", "votes_1")[0] == ("111", 3, False, 10)


def test_bad_reason_and_remark(tmp_path: Path) -> None:
    """An unknown reason, or a remark that intake would refuse, is told before anything is written."""
    rows = first_rows(tmp_path)
    changed = HEADER + ROWS.replace("10,20", "11,20")
    with pytest.raises(ImporterError, match="unknown reason"):
        imported(tmp_path, changed, rows=rows, reason="because")
    with pytest.raises(ImporterError, match="intake would refuse"):
        imported(tmp_path, changed, rows=rows, reason="source", note="two\nlines")


def test_no_space_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails midway not one package is in the inbox."""
    write, calls = Path.write_bytes, []

    def fail(path: Path, data: bytes) -> int:
        calls.append(path)
        if len(calls) == 4:
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    path = source(tmp_path, HEADER + ROWS)
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ImporterError, match="No space left"):
        import_results(path, MAP, SMALL, {}, out=tmp_path / "inbox")
    assert len(calls) == 4
    assert list((tmp_path / "inbox").iterdir()) == []


def test_recap_tiers(tmp_path: Path) -> None:
    """Recaps above the shard level go into the root's package, others into their shard's; none is empty."""
    columns = {"area": "id", "votes_1": "x", "votes_2": "y"}
    map_ = msgspec.structs.replace(MAP, series="recap", columns=columns, present="x")
    report = imported(tmp_path, "id,x,y\n0,9,9\n1,8,8\n11,7,7\n111,1,1\n112,,\n121,6,6\n", map_)
    covers = [read_package(path).cover for path in report.packages]
    assert [(cover.area, cover.tier) for cover in covers] == [("0", "negara"), ("11", "kabupaten"), ("12", "kabupaten")]
    assert report.rows == 5
    assert report.packages[0].name.startswith("ppwp-recap-root-")
    taken(report)


def test_another_tier(tmp_path: Path) -> None:
    """A map may cut packages at another level."""
    report = imported(tmp_path, HEADER + ROWS, msgspec.structs.replace(MAP, tier="provinsi"))
    assert [read_package(path).cover.area for path in report.packages] == ["1"]
    with pytest.raises(ImporterError, match="not a level"):
        imported(tmp_path, HEADER + ROWS, msgspec.structs.replace(MAP, tier="kota"))


BROKEN_MAPS: dict[str, tuple[dict[str, Any], str]] = {
    "contest that is not there": ({"contest": "pdpr"}, "unknown-contest"),
    "candidate that is not there": ({"columns": {**MAP.columns, "votes_3": "c"}}, "map"),
    "figure that no form has": ({"columns": {**MAP.columns, "spoilt": "c"}}, "map"),
    "candidate without a column": ({"columns": {k: v for k, v in MAP.columns.items() if k != "votes_2"}}, "map"),
    "no station": ({"columns": {k: v for k, v in MAP.columns.items() if k != "station"}}, "map"),
}


@pytest.mark.parametrize("name", BROKEN_MAPS)
def test_map_that_does_not_fit(name: str, tmp_path: Path) -> None:
    """A map that does not fit the contest is refused by the rule that it breaks."""
    changes, rule = BROKEN_MAPS[name]
    with pytest.raises(ImporterError) as caught:
        imported(tmp_path, HEADER + ROWS, msgspec.structs.replace(MAP, **changes))
    assert caught.value.rule == rule


def test_misspelt_vote_column(tmp_path: Path) -> None:
    """Of a misspelt vote column both are told: the key that is wrong and the one that is lacking."""
    columns = {**{key: value for key, value in MAP.columns.items() if key != "votes_1"}, "vote_1": "a"}
    said = "field columns.vote_1: is neither a vote column of contest 'ppwp' nor a ballot count; the map's [columns] lack votes_1"
    with pytest.raises(ImporterError, match=re.escape(said)):
        imported(tmp_path, HEADER + ROWS, msgspec.structs.replace(MAP, columns=columns))


@pytest.mark.parametrize(
    ("text", "line", "field", "rule"),
    [
        ('contest = "ppwp"\nseries = "count"\nby = "x"\ncolour = 1\n[columns]\n', 4, "colour", "unknown-key"),
        ('contest = "ppwp"\nseries = "poll"\nby = "x"\n[columns]\n', 2, "series", "type"),
        (
            'contest = "ppwp"\nseries = "count"\nby = "x"\n[columns]\narea = { column = "x", begin = 1 }\n',
            5,
            "columns[...].begin",
            "unknown-key",
        ),
        ('contest = "ppwp"\nby = "x"\n', None, "series", "type"),
        ('contest = "ppwp"\nseries = count\n', 2, None, "syntax"),
        ('contest = "\udcff"', 1, None, "encoding"),
    ],
    ids=["unknown key", "unknown series", "unknown key of a slice", "key missing", "not TOML", "not UTF-8"],
)
def test_broken_map(text: str, line: int | None, field: str | None, rule: str, tmp_path: Path) -> None:
    """A map with an unknown key or a wrong value is refused with its file, the line, the key and the rule."""
    path = source(tmp_path, text.encode(errors="surrogateescape"), "map.toml")
    with pytest.raises(ImporterError) as caught:
        load_map(str(path), CsvMap)
    error = caught.value
    assert (str(error.file), error.line, error.field, error.rule) == (str(path), line, field, rule)


def test_maps_by_name() -> None:
    """The maps that come with Terbit are found by their bare names; another name is told what there is."""
    for name in ("kpu-2019-ppwp", "kpu-2019-recap", "sirekap-2024-final"):
        assert load_map(name, CsvMap).contest == "ppwp"
    for name in ("../maps/kpu-2019-ppwp", "kpu-2019", "/etc/passwd"):
        with pytest.raises(ImporterError, match="kpu-2019-ppwp"):
            load_map(name, CsvMap)


# ---- raw Sirekap JSON

SIREKAP = load_map("sirekap-2024-ppwp", SirekapMap)
FORM = {"suara_sah": 30, "suara_total": 31, "suara_tidak_sah": 1, "pemilih_dpt_j": 40, "pengguna_total_j": 31}
STATION = {
    "chart": {"null": None, "100025": 10, "100026": 20},
    "administrasi": FORM,
    "psu": None,
    "ts": "2029-02-15 06:30:00",
}
VILLAGE = b"""\
code,parent,level,name,kind,stations
0,,negara,Negeri,domestic,
11,0,provinsi,Satu,domestic,
1101,11,kabupaten,Dua,domestic,
1101011001,1101,desa,Tiga,domestic,3
"""
CODES = define(SMALL_TOML.replace('area = "11"\n', ""), VILLAGE)


def station_files(folder: Path, **stations: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in stations.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / f"1101011001{name[1:]}.json").write_bytes(data)
    return folder


def import_json(path: Path, **options: Any) -> ImportReport:
    map_ = msgspec.structs.replace(SIREKAP, candidates={"100025": 1, "100026": 2})
    return import_results(path, map_, CODES, {}, out=path.parent / "inbox", **options)


def test_raw_json(tmp_path: Path) -> None:
    """Votes by candidate id, administration, null charts and null administration become rows; `ts` is Jakarta's."""
    pending = {"chart": None, "administrasi": None, "psu": None, "ts": "2029-02-15 07:00:44"}
    partly = {**STATION, "chart": None}
    folder = station_files(tmp_path / "tps", s001=STATION, s002=pending, s003=partly)
    (folder / "LICENSE").write_text("not a station")
    report = import_json(folder)
    assert (report.rows, report.rejected, len(report.packages)) == (3, 0, 1)
    package = read_package(report.packages[0])
    assert package.cover.document == "2029-02-15T00:00:44Z"
    assert package.rows.decode().splitlines() == [
        "area,station,revision,state,votes_1,votes_2,registered,voters,valid,invalid,total",
        "1101011001,001,1,,10,20,40,31,30,1,31",
        "1101011001,002,1,,,,,,,,",
        "1101011001,003,1,,,,40,31,30,1,31",
    ]
    taken(report, CODES)


def test_zip_of_json(tmp_path: Path) -> None:
    """A zip, with or without a folder in it, gives the packages that the folder gives."""
    report = import_json(station_files(tmp_path / "tps", s001=STATION))
    with zipfile.ZipFile(tmp_path / "tps.zip", "w") as archive:
        archive.writestr("some//folder/1101011001001.json", json.dumps(STATION))
    assert [path.name for path in import_json(tmp_path / "tps.zip").packages] == [path.name for path in report.packages]


REJECTED_JSON: dict[str, Any] = {
    "key twice": b'{"chart": {"100025": 1, "100025": 2}, "administrasi": null}',
    "float": b'{"chart": {"100025": 1.0}, "administrasi": null}',
    "1e308": b'{"chart": {"100025": 1e308}, "administrasi": null}',
    "NaN": b'{"chart": {"100025": NaN}, "administrasi": null}',
    "number as text": b'{"chart": {"100025": "1"}, "administrasi": null}',
    "true": b'{"chart": {"100025": true}, "administrasi": null}',
    "chart is a list": b'{"chart": [1], "administrasi": null}',
    "no chart": b'{"administrasi": null}',
    "cut off": json.dumps(STATION).encode()[:-5],
    "not UTF-8": b'{"chart": null, "administrasi": null, "ts": "\xff"}',
    "deeply nested": b"[" * 100_000,
    "5,000 digits": b'{"chart": {"100025": ' + b"9" * 5_000 + b'}, "administrasi": null}',
    "ts of the year 1": {**STATION, "ts": "0001-01-01 00:00:00"},
    "ts of another kind": {**STATION, "ts": "15/02/2029"},
    "negative": {**STATION, "chart": {"100025": -1, "100026": 1}},
    "2^63": {**STATION, "chart": {"100025": 2**63, "100026": 1}},
    "empty": b"",
}


@pytest.mark.parametrize("name", REJECTED_JSON)
def test_rejected_json(name: str, tmp_path: Path) -> None:
    """A station's file that is not plain JSON of integers is rejected alone."""
    report = import_json(station_files(tmp_path / "tps", s001=STATION, s002=REJECTED_JSON[name]))
    assert (report.rows, report.rejected) == (2, 1)
    assert report.rejects is not None
    (row,) = pl.read_csv(report.rejects, infer_schema=False).rows(named=True)
    assert row["source"] == "1101011001002.json"
    assert row["reject"] in ("unreadable", "not-an-integer")
    assert len(taken(report, CODES)["ppwp"].current) == 1


@pytest.mark.parametrize(
    "chart", [{"100025": 1, "100099": 2}, {"null": 3}, {"": 1}], ids=["id", "votes for null", "empty id"]
)
def test_unknown_candidate(chart: dict[str, int], tmp_path: Path) -> None:
    """Votes for an id that the map does not know stop the import with file and key: they are never dropped."""
    with pytest.raises(ImporterError) as caught:
        import_json(station_files(tmp_path / "tps", s001=STATION, s002={**STATION, "chart": chart}))
    assert (caught.value.file, caught.value.rule) == ("1101011001002.json", "candidate")
    assert caught.value.field == f"chart.{list(chart)[-1]}"
    assert not (tmp_path / "inbox").exists()


def _zip(*names: str, size: int = 2) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "tps.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, b" " * size)
        return folder / "tps.zip"

    return write


def _packed(method: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "tps.zip", "w", method) as archive:
            archive.writestr("1101011001001.json", json.dumps(STATION))
        return folder / "tps.zip"

    return write


def _damaged(folder: Path) -> Path:
    path = _packed(zipfile.ZIP_DEFLATED)(folder)
    data = path.read_bytes()
    at = 30 + len("1101011001001.json")
    path.write_bytes(data[:at] + b"\xff" * 4 + data[at + 4 :])
    return path


def _link(folder: Path) -> Path:
    (folder / "secret").write_text("{}")
    station_files(folder / "tps")
    (folder / "tps" / "1101011001001.json").symlink_to(folder / "secret")
    return folder / "tps"


HOSTILE_JSON: dict[str, tuple[Callable[[Path], Path], str]] = {
    "path that climbs": (_zip("../1101011001001.json"), "files"),
    "path from the root": (_zip("/1101011001001.json"), "files"),
    "backslashes": (_zip("..\\1101011001001.json"), "files"),
    "station in two folders": (_zip("a/1101011001001.json", "b/1101011001001.json"), "files"),
    "bomb": (_zip("1101011001001.json", size=limits.SIREKAP_FILE + 1), "size"),
    "no stations": (_zip("README.md"), "files"),
    "damaged deflate stream": (_damaged, "zip"),
    "bzip2": (_packed(zipfile.ZIP_BZIP2), "zip"),
    "LZMA": (_packed(zipfile.ZIP_LZMA), "zip"),
    "link in a folder": (_link, "files"),
    "not a zip": (lambda folder: source(folder, b"PK\3\4", "tps.zip"), "zip"),
    "not there": (lambda folder: folder / "nowhere", "readable"),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_source(name: str, tmp_path: Path) -> None:
    """A zip or folder that plays tricks is refused and nothing is written."""
    make, rule = HOSTILE_JSON[name]
    path = make(tmp_path)
    with pytest.raises(ImporterError) as caught:
        import_json(path)
    assert caught.value.rule == rule
    assert not (tmp_path / "inbox").exists()


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members and the sum of their sizes have caps."""
    monkeypatch.setattr(limits, "IMPORT_MEMBERS_COUNT", 1)
    path = _zip("1101011001001.json", "1101011001002.json")(tmp_path)
    with pytest.raises(ImporterError, match="more than 1 files"):
        import_json(path)
    monkeypatch.undo()
    monkeypatch.setattr(limits, "IMPORT_FILE", 3)
    with pytest.raises(ImporterError, match="unpacks to more"):
        import_json(path)


# ---- area trees


@pytest.mark.parametrize(
    ("data", "field", "rule"),
    [
        ("kode,nama,max_tps,ext_begin,ext_end\n11,A,,,\n110,B,,,\n", "level", "unknown-level"),
        ("kode,nama,max_tps,ext_begin,ext_end\n11,A,,,\n1101011001,B,many,,\n", "stations", "not-an-integer"),
        ("kode,nama,max_tps,ext_begin,ext_end\n11,A,,,\n1101011001,B,1,x,y\n", "extra_first", "not-an-integer"),
    ],
    ids=["unknown level", "stations", "range"],
)
def test_broken_areas(data: str, field: str, rule: str, tmp_path: Path) -> None:
    """An area that the map cannot place, or a number that is none, is refused with its line and field."""
    with pytest.raises(ImporterError) as caught:
        import_areas(source(tmp_path, data), load_map("kpu-2024-areas", AreasMap))
    assert (caught.value.line, caught.value.field, caught.value.rule) == (3, field, rule)


def test_areas_map(tmp_path: Path) -> None:
    """Parents and kinds come from prefixes, levels from lengths; special stations count; names are quoted at need."""
    data = (
        'kode,nama,max_tps,ext_begin,ext_end\n99,LN,,,\n11,"A, B",,,\n1101,"C ""D""",,,\n110101,E,,,\n'
        "1101011001,F,3,901,902\n1101011002,G,-2,,\n"
    )
    made = import_areas(source(tmp_path, data), load_map("kpu-2024-areas", AreasMap))
    assert made.decode().splitlines() == [
        "code,parent,level,name,kind,stations",
        "0,,negara,Indonesia,domestic,",
        '11,0,provinsi,"A, B",domestic,',
        '1101,11,kabupaten,"C ""D""",domestic,',
        "110101,1101,kecamatan,E,domestic,",
        "1101011001,110101,kelurahan,F,domestic,5",
        "1101011002,110101,kelurahan,G,domestic,0",
        "99,0,provinsi,LN,overseas,",
    ]


def test_areas_read_back(tmp_path: Path) -> None:
    """What the areas importer writes is what areas.csv is read as."""
    map_ = msgspec.convert(
        {
            "columns": {"code": "id", "parent": "up", "level": "depth", "name": "name", "stations": "n"},
            "levels": {"0": "negara", "1": "provinsi", "2": "kabupaten", "3": "desa"},
            "kind": "domestic",
            "kinds": [{"begins": "-", "kind": "overseas"}],
            "names": {"0": "Negeri"},
        },
        AreasMap,
    )
    made = import_areas(source(tmp_path, "id,depth,up,name,n\n-9,1,0,LN,\n0,0,,IDN,5\n1,1,0,Satu,5\n"), map_)
    assert parse_areas(made, SMALL.election, "areas.csv").names == ["Negeri", "Satu", "LN"]


# ---- real data


def test_recap_of_2019(nation_2019: Definition, tmp_path: Path) -> None:
    """The official recap of 2019 adds up to the known national result, and differs from nothing when it comes again."""
    path, map_ = shared_data("pemilu2019/agregat_2019.csv.gz"), load_map("kpu-2019-recap", CsvMap)
    report = import_results(path, map_, nation_2019, {}, out=tmp_path)
    assert (report.rows, report.rejected, len(report.packages)) == (35 + 514 + 6_504 + 71_980, 0, 515)
    rows = taken(report, nation_2019)
    top = tally(rows["ppwp"], nation_2019, make_cuts(515)).areas.row(0, named=True)
    assert (top["below_votes_1"], top["below_votes_2"], top["handed_in"]) == (85_607_362, 68_650_239, 35)
    again = import_results(path, map_, nation_2019, rows, withdraw_missing=True, out=tmp_path)
    assert (again.packages, again.unchanged) == ((), 79_033)


def test_overseas_2024(nation_2024: Definition, tmp_path: Path) -> None:
    """Of overseas 2024 the 31 units of areas that the tree lacks are set aside, the others imported."""
    path = shared_data("pemilu2024/99_luar_negeri_final.csv.gz")
    report = import_results(path, load_map("sirekap-2024-final", CsvMap), nation_2024, {}, out=tmp_path)
    assert (report.rows, report.rejected) == (2_446, 31)
    assert report.rejects is not None
    assert set(pl.read_csv(report.rejects, infer_schema=False)["reject"]) == {"unknown-area"}
    assert taken(report, nation_2024)["ppwp"].current.height == 2_446 - 31


def test_sample_of_raw_json(nation_2024: Definition, tmp_path: Path) -> None:
    """The raw sample gives the figures that the compiled file has for the same stations, where taken at one time."""
    report = import_results(
        shared_data("pemilu2024/sample_tingkat6_tps.zip"), SIREKAP, nation_2024, {}, out=tmp_path / "json"
    )
    assert (report.rows, report.rejected) == (53, 0)
    raw = taken(report, nation_2024)["ppwp"].current
    compiled_source = shared_data("pemilu2024/31_dki_jakarta_final.csv.gz")
    compiled = taken(
        import_results(compiled_source, load_map("sirekap-2024-final", CsvMap), nation_2024, {}, out=tmp_path / "csv"),
        nation_2024,
    )["ppwp"].current
    both = raw.join(compiled, on=KEY, suffix="_compiled")
    assert both.height == 53
    votes = both.filter(pl.col("votes_1").is_not_null())
    same = votes.filter(pl.all_horizontal(pl.col(f"votes_{n}") == pl.col(f"votes_{n}_compiled") for n in (1, 2, 3)))
    assert same.height > votes.height * 0.8 > 10


SNAPSHOTS = ("2024-02-20", "2024-03-13", "2024-03-15", "2024-03-17")  # the votes of 12 March are to be ignored
SNAPSHOT_MAP = msgspec.structs.replace(
    load_map("sirekap-2024-final", CsvMap),
    columns={
        key: value
        for key, value in load_map("sirekap-2024-final", CsvMap).columns.items()
        if not key.endswith("male") and not key.startswith("voters_")
    },
)


def test_snapshots_of_2024(nation_2024: Definition, tmp_path: Path) -> None:
    """Of Jakarta, 30 stations with votes are withdrawn: visible, and out of the sums, which are the last snapshot's."""
    text = gzip.decompress(shared_data("pemilu2024/31_dki_jakarta_snapshots.csv.gz").read_bytes()).decode()
    header, *lines = text.splitlines(keepends=True)
    rows, known, reports = no_rows(nation_2024), 0, []
    for day in SNAPSHOTS:
        path = source(tmp_path, header + "".join(one for one in lines if one.startswith(day)), f"{day}.csv")
        report = import_results(
            path, SNAPSHOT_MAP, nation_2024, rows, reason="source", note=day, withdraw_missing=True, out=tmp_path / day
        )
        assert report.rejected == 0
        rows = taken(report, nation_2024, rows, known)
        known += len(report.packages)
        reports.append(report)
    assert [len(report.packages) for report in reports][2] == 0
    result = tally(rows["ppwp"], nation_2024, make_cuts(known))
    withdrawn = result.stations.filter((pl.col("state") == "withdrawn") & pl.col("votes_1").is_not_null())
    assert withdrawn.height == 30
    last = [one.rstrip().split(",") for one in lines if one.startswith(SNAPSHOTS[-1])]
    reported = [[int(cell) for cell in cells[3:6]] for cells in last if all(cells[3:6])]
    top = result.areas.row(0, named=True)
    assert top["reported"] == len(reported)
    assert [top[f"votes_{number}"] for number in (1, 2, 3)] == [sum(column) for column in zip(*reported, strict=True)]
