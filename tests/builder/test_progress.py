"""How a count came in: each release as it showed itself, whatever was corrected or withdrawn since."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import builder
from builder import limits
from builder.chart import HEIGHT, LABEL, LINES_SHOWN, POINTS_SHOWN, apart
from builder.election import Definition, load_definition
from builder.importers.csv import CsvMap
from builder.importers.delivery import import_results
from builder.importers.source import load_map
from builder.ledger import Cut, Ledger, PackageRecord
from builder.pages import Pages
from builder.progress import thinned
from builder.recap import Cover, Package, read_package
from builder.results import View, Views, encode_view
from builder.rows import Rows, load_rows, save_rows
from builder.tally import Tally, tally
from tests.builder.elections import accept, line, make_cuts, make_package, no_rows, small_election
from tests.builder.sample_results import contest, election, nation, progress, province, village
from tests.builder.test_pages import TEMPLATES, Page

SMALL = small_election()
Points = list[tuple[int, ...]]


def count(area: str, station: str, one: int, two: int, revision: int = 1) -> str:
    return line(SMALL, area, station, revision, votes_1=one, votes_2=two)


def changed(row: str, reason: str = "recount") -> Package:
    return make_package(SMALL, row, reason=reason)


def points(result: Tally, definition: Definition, code: str) -> Points:
    """An area's points, without the area."""
    return [row[1:] for row in result.progress.rows() if row[0] == definition.areas.index[code]]


def view(result: Tally, cuts: list[Cut], code: str, definition: Definition = SMALL) -> View:
    """An area's view, its packages all from one hand; release N came N minutes past midnight."""
    cover = make_package(definition, "").cover

    def covers(number: int) -> tuple[PackageRecord, Cover]:
        return PackageRecord(f"{number:064}", "ppwp", "count", 1), cover

    releases = [0, *[1] * cuts[-1].through]
    views = Views(definition, result, covers, releases, lambda one: f"2029-02-14T{one // 60:02}:{one % 60:02}:00Z")
    return next(iter(views.views([definition.areas.index[code]])))


NIGHT = (
    make_package(SMALL, count("111", "1", 10, 20) + count("112", "1", 100, 200)),
    make_package(SMALL, count("121", "1", 1000, 2000) + count("-911", "1", 5, 0)),
    make_package(SMALL, line(SMALL, "12", "", votes_1=1, votes_2=1), series="recap", area="12"),
    changed(count("111", "1", 11, 19, 2)),
    changed(line(SMALL, "-911", "1", 2, "withdrawn"), "court"),
    changed(line(SMALL, "-911", "1", 3, votes_1=6, votes_2=1), "court"),
    changed(line(SMALL, "111", "1", 3, registered=9, votes_1=11, votes_2=19)),
)


def test_each_release_as_it_was() -> None:
    """A point has what its release showed: a correction and a withdrawal change it from their release on, a recap and other fields never."""
    result = tally(accept(SMALL, *NIGHT)["ppwp"], SMALL, make_cuts(1, 2, 3, 4, 5, 6, 7))
    assert points(result, SMALL, "0") == [
        (1, 2, 110, 220),
        (2, 4, 1115, 2220),
        (4, 4, 1116, 2219),
        (5, 3, 1111, 2219),
        (6, 4, 1117, 2220),
    ]
    assert points(result, SMALL, "1") == [(1, 2, 110, 220), (2, 3, 1110, 2220), (4, 3, 1111, 2219)]
    assert points(result, SMALL, "-9") == [(2, 1, 5, 0), (5, 0, None, None), (6, 1, 6, 1)]
    assert set(result.progress["area"]) == {SMALL.areas.index[code] for code in ("0", "1", "-9")}


def test_one_release_of_many_packages() -> None:
    """What came and was corrected within one release is one point, with what that release showed."""
    result = tally(accept(SMALL, *NIGHT)["ppwp"], SMALL, make_cuts(4, 7))
    assert points(result, SMALL, "0") == [(1, 4, 1116, 2219), (2, 4, 1117, 2220)]
    assert points(result, SMALL, "1") == [(1, 3, 1111, 2219)]


PLACES = [("111", "1"), ("111", "2"), ("112", "1"), ("121", "1"), ("-911", "1")]
STEP = st.tuples(
    st.sampled_from(PLACES), st.one_of(st.none(), st.integers(0, 9)), st.one_of(st.none(), st.integers(0, 9))
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(STEP, min_size=1, max_size=4), min_size=1, max_size=5))
def test_every_point_is_the_tally_of_its_release(releases: list[list[tuple[Any, ...]]]) -> None:
    """For any counts, corrections and withdrawals in any releases, each release's own tally is the newest point up to it."""
    rows, revisions, through, earlier = no_rows(SMALL), dict[Any, int](), 0, dict[int, Any]()
    cuts: list[Cut] = []
    for steps in releases:
        for place, one, two in steps:
            revision = revisions[place] = revisions.get(place, 0) + 1
            gone = one is None and revision > 1
            text = line(
                SMALL,
                *place,
                revision,
                *(["withdrawn"] if gone else []),
                **{} if gone else {"votes_1": one, "votes_2": two},
            )
            accept(
                SMALL, make_package(SMALL, text, reason="recount" if revision > 1 else None), rows=rows, known=through
            )
            through += 1
        cuts = make_cuts(*(cut.through for cut in cuts), through)
        result = tally(rows["ppwp"], SMALL, cuts)
        earlier[len(cuts)] = result.areas.select("reported", "votes_1", "votes_2").rows()
    for code in ("0", "1", "-9"):
        found = {release: figures for release, *figures in points(result, SMALL, code)}
        shown: Any = [0, None, None]
        for release in range(1, len(cuts) + 1):
            assert (release in found) == (found.get(release, shown) != shown)
            shown = found.get(release, shown)
            assert tuple(shown) == earlier[release][SMALL.areas.index[code]]


def test_example_election(tmp_path: Path) -> None:
    """The example's count, its recap, its correction and a withdrawal: the count's points, figure by figure."""
    content = Path(builder.__file__).parent.parent / "content"
    example = load_definition(content)
    rows, through = no_rows(example), [0]
    for name, map_name, reason in (
        ("count", "count", None),
        ("recap", "recap", None),
        ("correction", "count", "transcription"),
    ):
        map_ = load_map(str(content / "example" / f"{map_name}.toml"), CsvMap)
        report = import_results(
            content / "example" / f"{name}.csv", map_, example, rows, reason=reason, out=tmp_path / name
        )
        accept(example, *map(read_package, report.packages), rows=rows, known=through[-1])
        through.append(through[-1] + len(report.packages))
    withdrawal = make_package(example, line(example, "11010101", "2", 3, "withdrawn"), reason="court")
    accept(example, withdrawal, rows=rows, known=through[-1])
    result = tally(rows["ppwp"], example, make_cuts(*through[1:], through[-1] + 1))
    assert {code: points(result, example, code) for code in ("0", "11")} == {
        "0": [(1, 136, 11974, 9176, 6241), (3, 136, 11849, 9201, 6181), (4, 135, 11731, 9139, 6135)],
        "11": [(1, 88, 8471, 5069, 3249), (3, 88, 8371, 5069, 3189), (4, 87, 8253, 5007, 3143)],
    }


def test_last_point_is_the_count() -> None:
    """The last point is what the file has as its count, under the release and time that showed it first; regencies and villages have no progress."""
    cuts = make_cuts(1, 2, 3, 4, 5, 6, 7)
    result = tally(accept(SMALL, *NIGHT)["ppwp"], SMALL, cuts)
    for code in ("0", "1", "-9"):
        one = view(result, cuts, code)
        release, released, reported, *votes = one["progress"]["rows"][-1]
        assert (reported, votes) == (one["stations"]["reported"], one["count"]["votes"])
        assert (release, released) == ((4, "2029-02-14T00:04:00Z") if code == "1" else (6, "2029-02-14T00:06:00Z"))
        assert one["progress"]["columns"] == ("release", "released", "reported", "votes_1", "votes_2")
    assert all("progress" not in view(result, cuts, code) for code in ("11", "111", "-91", "-911"))


def test_one_point_is_no_progress() -> None:
    """After a single release of counts there is no progress to show."""
    for given_so_far in (0, 1):
        cuts = make_cuts(given_so_far)
        assert "progress" not in view(tally(accept(SMALL, *NIGHT[:given_so_far])["ppwp"], SMALL, cuts), cuts, "0")


def test_unchanged_areas_stay_as_they_are() -> None:
    """Releases that change nothing in an area leave its results file the same, byte for byte."""
    rows, files = accept(SMALL, *NIGHT[:4]), []
    for extra in range(4, 7):
        cuts = make_cuts(1, 2, 3, 4, *range(5, extra + 1))
        files.append(encode_view(view(tally(rows["ppwp"], SMALL, cuts), cuts, "1")))
        accept(SMALL, NIGHT[extra], rows=rows, known=extra)
    assert len(set(files)) == 1


def test_incremental_fold_is_the_whole_one(tmp_path: Path) -> None:
    """Folded release by release from the cache, or at once from the packages, the points are the same."""
    ledger, cache = Ledger(tmp_path / "ledger"), tmp_path / "cache"
    for number, package in enumerate(NIGHT, 1):
        with ledger.lock():
            ledger.add_packages([(package, 1)])
        cuts = make_cuts(*range(1, number + 1))
        kept = load_rows(ledger, SMALL, cache)
        save_rows(ledger, SMALL, kept, cache)
        whole = load_rows(ledger, SMALL, None)
        assert tally(kept["ppwp"], SMALL, cuts).progress.equals(tally(whole["ppwp"], SMALL, cuts).progress)


@pytest.mark.parametrize("name", ["dprd-11", "ppwp"])
def test_nothing_in(name: str) -> None:
    """Before the first package no area has a point."""
    assert (
        tally(Rows(next(one for one in SMALL.election.contests if one.id == name)), SMALL, make_cuts(0)).progress.height
        == 0
    )


@given(st.integers(0, 1000), st.integers(2, 300))
def test_thinned(have: int, most: int) -> None:
    """As many points as may be, in order, evenly, the first and the last among them; few are all kept."""
    kept = thinned(range(have), most)
    assert len(kept) == min(have, most)
    assert kept == sorted(set(kept))
    assert {*kept[:1], *kept[-1:]} == {*range(have)[:1], *range(have)[-1:]}
    steps = {after - before for before, after in pairwise(kept)}
    assert max(steps, default=0) - min(steps, default=0) <= 1


def test_a_long_count_is_capped() -> None:
    """Of 450 releases the results file has 200 by the documented rule, and the page has fewer of these."""
    packages = [make_package(SMALL, count("111", "1", 1, 1))]
    packages += [changed(count("111", "1", number, 1, number)) for number in range(2, 451)]
    cuts = make_cuts(*range(1, 451))
    rows = no_rows(SMALL)
    for number, package in enumerate(packages):
        accept(SMALL, package, rows=rows, known=number)
    found = view(tally(rows["ppwp"], SMALL, cuts), cuts, "1")
    assert limits.PROGRESS_POINTS == 200
    assert [row[0] for row in found["progress"]["rows"]] == [1 + step * 449 // 199 for step in range(200)]
    page = Page(Pages(TEMPLATES, SMALL.election).area_page(found))
    assert [len(one["points"].split()) for one in drawn(page)] == [POINTS_SHOWN] * 2


def drawn(page: Page) -> list[dict[str, Any]]:
    return [attributes for tag, attributes in page.elements if tag == "polyline"]


@pytest.mark.parametrize("language", ["id", "en"])
def test_chart_in_words_and_as_a_table(language: str) -> None:
    """The chart says in words where the count began and where it stands, and every point of it stands in a table."""
    page = Pages(TEMPLATES, election(), language).area_page(nation()).decode()
    (drawing,) = re.findall(r'<svg class="narrow"[^>]*>', page)
    first, last = ("268.861", "806.583") if language == "id" else ("268,861", "806,583")
    assert 'role="img"' in drawing
    assert re.search(rf"{first} (menjadi|to) {last}", drawing)
    (table,) = re.findall(r"<table>.*?</table>", page[page.index(drawing) :], re.DOTALL)[:1]
    rows = re.findall(r'<tr><th scope="row">(\d+)((?:<td>[^<]*)+)', table)
    assert [int(release) for release, _ in rows] == [1, 2, 3]
    shown = [[int(re.sub(r"\D", "", cell)) for cell in cells.split("<td>")[1:4]] for _, cells in rows]
    assert shown == [row[2:] for row in nation()["progress"]["rows"]]
    assert "WIB" in rows[0][1]


def test_chart_only_where_there_is_progress() -> None:
    """Without progress, as in villages and after one release, a page has no chart and not a byte of it."""
    pages = Pages(TEMPLATES, election())
    calm = {key: value for key, value in nation().items() if key != "progress"}
    for page in (pages.area_page(calm), pages.area_page(village())):
        assert "Perkembangan" not in page.decode()
        assert drawn(Page(page)) == []
    whole = pages.area_page(nation()).decode()
    begin = whole.index("<section>\n<h2>Perkembangan")
    end = whole.index("</section>\n\n", begin) + len("</section>\n\n")
    assert whole[:begin] + whole[end:] == pages.area_page(calm).decode()


def test_lines_keep_the_bars_colours() -> None:
    """Of many candidates those with most votes have lines, each in the colour of its bar, with its number beside its end."""
    many = contest(*(f"Calon {number}" for number in range(1, 12)))
    votes = [number * 10 for number in range(1, 12)]
    told = {
        "candidates": [{"number": one.number, "name": one.name, "party": None} for one in many.candidates],
        "count": {"status": "unofficial-partial", "votes": votes, "fields": [None] * 4},
        "progress": {
            "columns": [],
            "rows": [[1, "2026-02-11T10:00:00Z", 1, *([1] * 11)], [2, "2026-02-11T11:00:00Z", 2, *votes]],
        },
        "children": {"columns": [], "rows": []},
        "below": None,
    }
    page = Pages(TEMPLATES, election(contests=(many,))).area_page(nation(**told)).decode()
    assert [one["class"] for one in drawn(Page(page.encode()))] == ["c4", "c5", "c6", "c7", "c8", "c1", "c2", "c3"]
    assert re.findall(r'<text [^>]*dx="3"[^>]*>(\d+)<', page) == [str(number) for number in range(4, 12)]
    assert f"Tampak {LINES_SHOWN} calon dengan suara terbanyak." in page


@given(st.lists(st.integers(0, HEIGHT), min_size=1, max_size=LINES_SHOWN))
def test_numbers_beside_lines_do_not_cover_each_other(ends: list[int]) -> None:
    """Numbers stand in the order of their lines' ends, apart, within the chart."""
    found = apart(ends)
    ordered = sorted(found)
    assert all(after - before >= LABEL for before, after in pairwise(ordered))
    assert ordered[0] >= 0
    assert ordered[-1] <= HEIGHT
    assert [end for _, end in sorted(zip(found, ends, strict=True))] == sorted(ends)


@pytest.mark.parametrize(
    "figures", [[(0, None, None)] * 2, [(3, 5, 5), (0, None, None)]], ids=["never any", "all withdrawn"]
)
def test_nothing_left(figures: list[tuple[Any, ...]]) -> None:
    """Where nothing is left to draw the lines lie on the ground, and the table shows dashes."""
    rows = [[number, f"2026-02-11T1{number}:00:00Z", *one] for number, one in enumerate(figures, 1)]
    page = Pages(TEMPLATES, election()).area_page(province(progress=progress((1, 1, 1)) | {"rows": rows})).decode()
    assert all(one["points"].endswith(f"1000,{HEIGHT}") for one in drawn(Page(page.encode())))
    assert re.search('<th scope="row">2<td>0<td>-<td>-<td>', page)
