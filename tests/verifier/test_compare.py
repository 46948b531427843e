"""Own tallies against a published election: every difference is told with its story, and nothing else."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publish.cli.keys import create_keys
from publish.workspace import Workspace
from tests.election import AREAS, NIGHT, VILLAGES, correction, first_packages, minutes, package, row, write_definition
from tests.publish.workspace import deliver, publish
from tests.servers import serving
from tests.verifier.site_simulator import SiteServer
from verifier.cli.main import main
from verifier.compare.run import _numbers_first

OK, DIFFERENT, NOT_COMPARED, FAILED, STALE = 0, 1, 2, 4, 5
LATER = NIGHT + minutes(5)
NOW = f"{LATER:%Y-%m-%dT%H:%M:%SZ}"
FIGURES = ("votes_1", "votes_2", "registered", "voters", "valid", "invalid")
HEADER = ",".join(("area", "station", *FIGURES))
HOSTILE = """=cmd|'/c calc'!A1<script>alert(1)</script>"""
Rows = dict[tuple[str, str], list[int | None]]


def published_rows() -> Rows:
    """Every station's figures and the recaps as they stand after the correction and the withdrawal."""
    rows: Rows = {}
    for number, villages in enumerate(VILLAGES.values()):
        for village in villages:
            for station in (1, 2, 3):
                first, second = 100 + number, 90 + station
                rows[village, str(station)] = [first, second, 300, first + second + 2, first + second, 2]
    rows["110101", "2"] = [80, 110, 300, 192, 190, 2]
    rows["11", ""] = [606, 552, None, None, 1158, None]
    rows["1101", ""] = [600, 552, None, None, 1152, None]
    return rows


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: one station corrected, one withdrawn, one that breaks a rule, a village with a hostile name."""
    workspace = tmp_path_factory.mktemp("compare") / "workspace"
    write_definition(workspace / "content", areas=AREAS.replace("Fajar", HOSTILE))
    (workspace / "terbit.toml").write_text("workers = 1\n")
    create_keys(Workspace(workspace), NIGHT)
    packages = first_packages() | {
        "count1201": package("1201", [row(v, s, 102, 90 + s) for v in VILLAGES["1201"] for s in (1, 2, 3)])
    }
    deliver(workspace, packages)
    publish(workspace)
    deliver(workspace, {"one": correction()})
    gone = package("1201", [row("120103", 3, 0, 0, revision=2, state="withdrawn")], reason="withdrawal")
    deliver(workspace, {"gone": gone})
    publish(workspace, LATER)
    return workspace


def write(file: Path, rows: Rows, header: str = HEADER) -> Path:
    lines = [
        ",".join([*key, *("" if figure is None else str(figure) for figure in figures)])
        for key, figures in rows.items()
    ]
    file.write_text("\n".join([header, *lines, ""]))
    return file


def compare(site: Path, file: Path, *options: object, place: object = None) -> Result:
    root = site / "keys" / "metadata" / "1.root.json"
    words = ["compare", file, place or site / "public", "--root", root, "--state", file.parent / "state", "--now", NOW]
    return CliRunner().invoke(main, [str(word) for word in [*words, *options]])


def report(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_same(site: Path, tmp_path: Path) -> None:
    """Tallies that are what was published differ in nothing, stations and recaps alike, over HTTP as from a folder."""
    file = write(tmp_path / "mine.csv", published_rows())
    public = site / "public" / "uji"
    tree = {path.relative_to(public).as_posix(): path.read_bytes() for path in public.rglob("*") if path.is_file()}
    with serving(SiteServer(tree)) as server:
        for place in (None, server.url):
            result = compare(site, file, "--all", "--json", place=place)
            assert result.exit_code == OK, result.output
            told = report(result)
            assert (told["rows"], told["compared"], told["differences"], told["release"]) == (26, 26, [], 2)
        # A whole comparison asks for the lists and the files of its own areas, and for no page.
        assert not any(path.endswith(".html") for path in server.asked)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_exactly_what_was_changed_is_told(site: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever figures are changed or emptied, rows left out or invented: each is told, with both figures, and nothing else."""
    rows, expected = published_rows(), {}
    for key in data.draw(st.lists(st.sampled_from(sorted(rows)), unique=True), label="rows"):
        change = data.draw(st.sampled_from(["figure", "empty", "drop"]), label="change")
        if change == "drop":
            del rows[key]
            if key[1]:
                expected[key] = ("missing", {})
            continue
        place = data.draw(st.integers(0, len(FIGURES) - 1), label="place")
        old = rows[key][place]
        rows[key][place] = None if change == "empty" else (old or 0) + data.draw(st.integers(1, 9), label="more")
        if change == "figure":
            expected[key] = ("differs", {FIGURES[place]: (rows[key][place], old)})
    for key in data.draw(st.sets(st.sampled_from([("120101", "9"), ("9", "1"), ("1201", ""), ("0", "1")]), max_size=4)):
        rows[key] = [1] * len(FIGURES)
        expected[key] = ("unlisted", {})
    # Stations are missing only from areas that the tallies name at all.
    named = {area for area, _ in rows}
    expected = {key: what for key, what in expected.items() if what[0] != "missing" or key[0] in named}
    result = compare(site, write(tmp_path / "mine.csv", rows), "--all", "--json")
    found = {
        (one["area"], one["station"]): (
            one["kind"],
            {figure["figure"]: (figure["yours"], figure["published"]) for figure in one["figures"]},
        )
        for one in report(result)["differences"]
    }
    assert found == expected
    assert result.exit_code == (DIFFERENT if expected else OK)


def test_a_difference_tells_its_story(site: Path, tmp_path: Path) -> None:
    """A station's difference comes with its revisions, its reason, its findings and the link to its page, in each form of the report."""
    rows = {
        ("110101", "2"): [100, 92, None, None, None, None],
        ("120103", "3"): [103, None, None, None, None, None],
        ("11", ""): [607, None, None, None, None, None],
    }
    file = write(tmp_path / "mine.csv", rows)
    html, table = tmp_path / "report.html", tmp_path / "differences.csv"
    result = compare(site, file, "--html", html, "--csv", table)
    assert result.exit_code == DIFFERENT
    assert "2                votes_1                    100          80         +20" in result.stdout
    assert "revision 2, release 2: votes_1 100 → 80, votes_2 92 → 110" in result.stdout
    assert "transcription" in result.stdout
    assert "state: withdrawn" in result.stdout
    page = f"{(site / 'public' / 'uji').as_uri()}/ppwp/1101/110101.html"
    assert page in result.stdout
    assert f'href="{page}"' in html.read_text()
    lines = list(csv.DictReader(io.StringIO(table.read_text())))
    told = [(one["area"], one["station"], one["figure"], one["difference"], one["state"]) for one in lines]
    assert told == [
        ("11", "", "votes_1", "1", ""),
        ("110101", "2", "votes_1", "20", ""),
        ("110101", "2", "votes_2", "-18", ""),
        ("120103", "3", "votes_1", "1", "withdrawn"),
    ]
    first = report(compare(site, file, "--json"))["differences"]
    assert [one["revision"] for one in first] == [1, 2, 2]
    assert first[1]["history"][0]["by"] == "Penguji"
    assert first[1]["page"] == page


def test_strangers_names_do_nothing(site: Path, tmp_path: Path) -> None:
    """An area's name that is a formula and markup stays text in the spreadsheet, on the page and on the terminal."""
    file = write(tmp_path / "mine.csv", {("120102", "1"): [1, None, None, None, None, None]})
    html, table = tmp_path / "report.html", tmp_path / "differences.csv"
    compare(site, file, "--html", html, "--csv", table)
    assert next(csv.DictReader(io.StringIO(table.read_text())))["name"] == f"'{HOSTILE}"
    assert "<script" not in html.read_text()
    assert "&lt;script&gt;" in html.read_text()
    assert "default-src 'none'" in html.read_text()


def spreadsheet(text: str) -> str:
    """As a spreadsheet of another country writes it."""
    return "\ufeff" + text.replace(",", ";").replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (spreadsheet(f"{HEADER}\n110101,1,100,91,300,193,191,2\n"), ()),
        ("TPS,KODE,Satu,catatan\n1,110101,100,x\n\n", ("--columns", "area=KODE,station=TPS,votes_1=Satu")),
        ("area\tstation\tvalid\n110101\t1\t191\n", ("--contest", "ppwp")),
        ("area,station,revision,state,votes_2\n110101,1,1,,91\n", ()),
    ],
    ids=["semicolons-bom-crlf", "other-names", "tabs", "as-rows.csv"],
)
def test_files_as_people_have_them(site: Path, tmp_path: Path, text: str, options: tuple[str, ...]) -> None:
    """Other separators, names and columns are fine; what is not compared is named on stderr."""
    (tmp_path / "mine.csv").write_text(text, newline="")
    result = compare(site, tmp_path / "mine.csv", "--json", *options)
    assert result.exit_code == OK, result.output
    assert report(result)["compared"] == 1
    for name in {"catatan", "revision", "state"} & set(text.replace("\n", ",").split(",")):
        assert f"not compared: the column {name} of " in result.stderr


BROKEN = {
    "empty": ("", "line 0, area: the header has this column 0 times"),
    "no-station": ("area,votes_1\n1,2\n", "line 1, station: the header has this column 0 times"),
    "twice": ("area,station,votes_1,votes_1\n", "line 1, votes_1: the header has this column 2 times"),
    "no-figures": ("area,station,votes_7\n", "line 1, header: has none of votes_1, votes_2"),
    "short-row": (f"{HEADER}\n110101,1\n", "line 2, row: has 2 cells, the header 8"),
    "area": ("area,station,valid\nKota!,1,1\n", "line 2, area: 'Kota!' is no area's code"),
    "station": ("area,station,valid\n11,TPS 1,1\n", "line 2, station: 'TPS 1' is no station's number"),
    "negative": ("area,station,valid\n11,1,-1\n", "line 2, valid: '-1' is no whole number"),
    "thousands": ("area,station,valid\n11,1,1.000\n", "line 2, valid: '1.000' is no whole number"),
    "digits": ("area,station,valid\n11,1,٣\n", "line 2, valid: '٣' is no whole number"),
    "row-twice": ("area,station,valid\n11,1,1\n11,1,1\n", "line 3, station: area 11 has a row for “1” above"),
    "open-quote": ('area,station,valid\n11,1,"1\n', "row: is no CSV"),
    "latin-1": (b"area,station,valid\n11,1,\xff\n", "is not UTF-8 text"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_where(site: Path, tmp_path: Path, text: str | bytes, message: str) -> None:
    """What is no table of tallies is refused with its line, field and rule, status 2, and no report is written."""
    file = tmp_path / "mine.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = compare(site, file, "--html", tmp_path / "report.html")
    assert result.exit_code == NOT_COMPARED
    assert message in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "report.html").exists()


def test_wrong_usage(site: Path, tmp_path: Path) -> None:
    """A contest or a column that there is not, and a mapping that is none, are wrong usage."""
    file = write(tmp_path / "mine.csv", {})
    for options in (["--contest", "dpr"], ["--columns", "votes_9=x"], ["--columns", "area"], ["--root-sha256", "00"]):
        assert compare(site, file, *options).exit_code == NOT_COMPARED


def wrong_bytes(folder: Path) -> None:
    for file in folder.glob("targets/ppwp/1101/*.110101.json"):
        data = file.read_bytes().replace(b"80,110", b"81,109").replace(b'"Aman"', b'"Amin"')
        file.unlink()  # what it is linked to stays
        file.write_bytes(data)


def missing_file(folder: Path) -> None:
    for file in folder.glob("targets/ppwp/1101/*.110101.json"):
        file.unlink()


def wrong_role(folder: Path) -> None:
    role = next(folder.glob("metadata/2.ppwp-1101.json"))
    role.write_bytes(role.read_bytes().replace(b"110101", b"110109"))


def no_timestamp(folder: Path) -> None:
    (folder / "metadata" / "timestamp.json").write_bytes(b"{}")


@pytest.mark.parametrize(
    ("attack", "code"),
    [(wrong_bytes, FAILED), (missing_file, NOT_COMPARED), (wrong_role, FAILED), (no_timestamp, FAILED)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_only_verified_files_are_compared(
    site: Path, tmp_path: Path, attack: Callable[[Path], None], code: int
) -> None:
    """A figure from a file that does not verify is never told as published; the other areas still are, where their lists hold."""
    copied = tmp_path / "site"
    shutil.copytree(site, copied)
    attack(copied / "public" / "uji")
    rows = {("110101", "2"): [80, *[None] * 5], ("120101", "1"): [7, *[None] * 5]}
    result = compare(copied, write(tmp_path / "mine.csv", rows), "--json")
    assert result.exit_code == code, result.output
    told = report(result)
    assert told["verified"] is False
    if attack in {wrong_bytes, missing_file}:
        assert [one["area"] for one in told["differences"]] == ["120101"]
        assert len(told["failures"]) == 1


def test_an_expired_site_is_stale(site: Path, tmp_path: Path) -> None:
    """Figures of a release that is no longer signed as current are not compared: status 5."""
    file = write(tmp_path / "mine.csv", published_rows())
    assert compare(site, file, "--now", "2031-01-01T00:00:00Z").exit_code == STALE


def test_stations_are_told_in_the_order_of_their_numbers() -> None:
    """The area's own row first, then numbers, however long one that a site shows is, then whatever else."""
    stations = ["", "2", "10", "9" * 5_000, "A1"]
    assert sorted(stations, key=_numbers_first) == stations
