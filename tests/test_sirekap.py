"""A contest in Sirekap's shape: what is published is what an importer of Sirekap's files reads, signed and made again like everything else."""

import json
from pathlib import Path
from typing import Any

import pytest

from builder.election import load_definition, parse_election
from builder.errors import DefinitionError
from builder.importers.sirekap import SirekapMap
from builder.openapi import openapi
from publish.cli.keys import create_keys
from publish.release.check import role_of
from publish.workspace import Workspace
from tests.election import ELECTION as FOUR_LEVELS
from tests.election import NIGHT, minutes, package, row, write_definition
from tests.publish.test_audit import audit
from tests.publish.workspace import deliver, publish, tree
from tests.test_beside import described
from verifier.mirror.init import init
from verifier.mirror.sync import sync
from verifier.mirror.upstreams import Upstreams

PROJECT = Path(__file__).parents[1]
DISTRICT = '  { id = "kecamatan", title = { id = "Kecamatan", en = "District" } },\n'
ELECTION = FOUR_LEVELS.replace('  { id = "desa"', DISTRICT + '  { id = "desa"')
OPTION = "sirekap = { candidates = { 100025 = 2, 100026 = 1 }, stations = true }\n"
AREAS = """\
code,parent,level,name,kind,stations
0,,negara,Contoh,domestic,
11,0,provinsi,Utara,domestic,
12,0,provinsi,Selatan,domestic,
1101,11,kabupaten,Satu,domestic,
1201,12,kabupaten,Dua,domestic,
110101,1101,kecamatan,Tiga,domestic,
120101,1201,kecamatan,Empat,domestic,
1101011001,110101,desa,Aman,domestic,3
1101011002,110101,desa,Baru,domestic,2
1201011001,120101,desa,Cempaka,domestic,1
"""
AREA, OTHER = "1101011001", "1201011001"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: two of three stations of a village and one of another regency, then a correction of the first."""
    made = tmp_path_factory.mktemp("sirekap")
    write_definition(made / "content", ELECTION + OPTION, AREAS)
    (made / "terbit.toml").write_text("workers = 1\n")
    create_keys(Workspace(made), NIGHT)
    deliver(made, {"one": package("1101", [row(AREA, "001", 100, 50), row(AREA, "002", 10, 90)]), "two": package("1201", [row(OTHER, "001", 7, 8)])})  # fmt: skip
    publish(made)
    return made


def read(site: Path, path: str) -> Any:
    return json.loads((site / "sirekap" / path).read_bytes())


def test_has_sirekaps_shape(workspace: Path) -> None:
    """From the country to a station each file has the keys of Sirekap's, its candidates' ids, percentages, and times in Jakarta's."""
    site = workspace / "public" / "uji"
    nation = read(site, "pemilu/hhcw/ppwp.json")
    assert nation == {
        "ts": "2026-11-03 19:00:00",
        "psu": "Reguler",
        "mode": "hhcw",
        "chart": {"100025": 148, "100026": 117, "persen": 50},
        "table": {
            "11": {"100025": 140, "100026": 110, "psu": "Reguler", "persen": 40, "status_progress": True},
            "12": {"100025": 8, "100026": 7, "psu": "Reguler", "persen": 100, "status_progress": True},
        },
        "progres": {"total": 6, "progres": 3},
    }
    village = read(site, f"pemilu/hhcw/ppwp/11/1101/110101/{AREA}.json")
    assert village["chart"] == {"100025": 140, "100026": 110, "persen": 66.67}
    assert village["table"][f"{AREA}002"]["100026"] == 10
    empty = read(site, "pemilu/hhcw/ppwp/11/1101/110101/1101011002.json")
    assert empty["chart"] == {"100025": None, "100026": None, "persen": 0}
    station = read(site, f"pemilu/hhcw/ppwp/11/1101/110101/{AREA}/{AREA}001.json")
    assert station["chart"] == {"100025": 50, "100026": 100, "null": None}
    assert (station["administrasi"]["suara_sah"], station["administrasi"]["pengguna_dpt_j"]) == (150, None)
    assert station.keys() == {"chart", "images", "administrasi", "psu", "ts", "status_suara", "status_adm"}


def test_areas_lead_to_every_file(workspace: Path) -> None:
    """A scraper that begins with the list of provinces and follows the codes finds every area's results, and no other file is there."""
    site = workspace / "public" / "uji"
    found = {"pemilu/hhcw/ppwp.json", "wilayah/pemilu/ppwp/0.json"}
    waiting = [(one["kode"],) for one in read(site, "wilayah/pemilu/ppwp/0.json")]
    while waiting:
        way = waiting.pop()
        place = f"ppwp/{'/'.join(way)}.json"
        found.add(f"pemilu/hhcw/{place}")
        if len(way) < 5:
            found.add(f"wilayah/pemilu/{place}")
            listed = read(site, f"wilayah/pemilu/{place}")
            assert [one["tingkat"] for one in listed] == [len(way) + 1] * len(listed)
            assert [one["kode"] for one in listed] == list(read(site, f"pemilu/hhcw/{place}")["table"])
            waiting += [(*way, one["kode"]) for one in listed]
    assert found == tree(site / "sirekap").keys()


def test_any_file_can_be_made_alone(workspace: Path) -> None:
    """What the guard and an audit ask for by path is the file that was published."""
    site, public = Workspace(workspace).site(), workspace / "public" / "uji" / "sirekap"
    for path in (
        "pemilu/hhcw/ppwp.json",
        "wilayah/pemilu/ppwp/0.json",
        "pemilu/hhcw/ppwp/12/1201.json",
        f"wilayah/pemilu/ppwp/11/1101/110101/{AREA}.json",
    ):
        assert site.render(f"sirekap/{path}") == (public / path).read_bytes()
    assert site.render("sirekap/pemilu/hhcw/ppwp/99.json") is None


def test_is_described(workspace: Path) -> None:
    """openapi.json has one path for each of the files, and none of them where nobody asked for that shape."""
    site = workspace / "public" / "uji"
    told = json.loads((site / "openapi.json").read_bytes())
    names = [f"sirekap/{path}" for path in tree(site / "sirekap")]
    names += [path.relative_to(site).as_posix() for path in (site / "targets" / "sirekap").rglob("*.json")]
    assert [name for name in names if described(told, name) != {"application/json"}] == []
    assert not [path for path in openapi(load_definition(PROJECT / "content"))["paths"] if "sirekap" in path]


def test_importing_gives_the_same_figures(workspace: Path) -> None:
    """The importer of Sirekap's files reads from the published tree the rows that were handed in."""
    contest = load_definition(workspace / "content").election.contests[0]
    map_ = SirekapMap(contest="ppwp", form="C", by="Uji", candidates={"100025": 2, "100026": 1})
    read_back = map_.read(workspace / "public" / "uji" / "sirekap", contest)
    assert read_back["reject"].null_count() == 3
    figures = read_back.select("area", "station", *contest.figures).rows()
    assert figures == [
        (AREA, "001", "100", "50", "300", "152", "150", "2"),
        (AREA, "002", "10", "90", "300", "102", "100", "2"),
        (OTHER, "001", "7", "8", "300", "17", "15", "2"),
    ]


def test_is_signed_and_made_again(workspace: Path) -> None:
    """A correction makes the files anew of the areas that it touches, and no other; the audit makes the same; roles sign their own shard's."""
    site = workspace / "public" / "uji"
    before = tree(site / "sirekap")
    deliver(workspace, {"fix": package("1101", [row(AREA, "001", 101, 50, revision=2)], reason="transcription")})
    publish(workspace, NIGHT + minutes(5))
    after = tree(site / "sirekap")
    changed = {path for path in before if before[path] != after[path]}
    assert {path for path in changed if "/12" in path or "1101011002" in path} == set()
    assert len(changed) == 1 + 4 + 2  # the country, four areas, and the village's stations: all have its time
    assert audit(site.parent, workspace / "keys" / "metadata" / "1.root.json").exit_code == 0
    roles = {path.name.split(".")[1]: json.loads(path.read_bytes())["signed"] for path in (site / "metadata").glob("2.ppwp-*.json")}  # fmt: skip
    assert {path.split("/")[5] for path in roles["ppwp-1101-sirekap"]["targets"]} == {"1101"}
    assert (site / "metadata" / "1.ppwp-1201-sirekap.json").exists()
    assert "ppwp-1201-sirekap" not in roles
    for name, signed in roles.items():
        assert {role_of(path.rpartition("/")[0]) for path in signed["targets"]} <= {name}


def test_any_number_of_a_station_has_its_file(workspace: Path) -> None:
    """Numbers that are alike but for zeros, of which one counts, and those longer than a number in JSON may be, stop no release: each station is told apart."""
    village = "1101011002"
    for at, station in enumerate(("1", "01", "001")):
        deliver(workspace, {f"odd{station}": package("1101", [row(village, station, 5, at)])})
        publish(workspace, NIGHT + minutes(7))
        if station != "001":
            gone = row(village, station, 0, 0, revision=2, state="withdrawn")
            deliver(workspace, {f"gone{station}": package("1101", [gone], reason="withdrawal")})
            publish(workspace, NIGHT + minutes(7))
    deliver(workspace, {"odd": package("1101", [row(village, "2", 5, 3), row(village, "9" * 16, 5, 4)])})
    publish(workspace, NIGHT + minutes(7))
    site = workspace / "public" / "uji"
    table = read(site, f"pemilu/hhcw/ppwp/11/1101/110101/{village}.json")["table"]
    figures = {"1": None, "01": None, "001": 2, "002": 3, "9" * 16: 4}
    codes = {f"{village}{number}": figure for number, figure in figures.items()}
    assert {code: one["100025"] for code, one in table.items()} == codes
    stations = {code: read(site, f"pemilu/hhcw/ppwp/11/1101/110101/{village}/{code}.json")["chart"] for code in codes}
    assert {code: chart and chart["100025"] for code, chart in stations.items()} == codes
    listed = {one["kode"]: one["id"] for one in read(site, f"wilayah/pemilu/ppwp/11/1101/110101/{village}.json")}
    assert listed == {code: int(code) if len(code) <= 15 else code for code in codes}


def test_a_mirror_has_it(workspace: Path, tmp_path: Path) -> None:
    """A mirror keeps the files, from the packs of releases, and its copy passes the audit."""
    site, root = workspace / "public" / "uji", workspace / "keys" / "metadata" / "1.root.json"
    mirror = init(tmp_path / "mirror", [str(site)], None, root, None)
    with mirror.lock():
        sync(mirror, Upstreams(mirror.settings.upstreams), NIGHT + minutes(6))
    copy = tmp_path / "mirror" / "public"
    assert tree(copy / "uji" / "sirekap") == tree(site / "sirekap")
    assert audit(copy, root).exit_code == 0


BROKEN = {
    "another candidate": (OPTION.replace("= 2,", "= 3,"), "contests.sirekap.candidates", "sirekap"),
    "a candidate twice": (OPTION.replace("= 2,", "= 1,"), "contests.sirekap.candidates", "sirekap"),
    "an id that is none": (OPTION.replace("100025", "x"), "contests.sirekap.candidates", "sirekap"),
    "a part of the country": ('area = "11"\n' + OPTION, "contests.sirekap", "sirekap"),
}


@pytest.mark.parametrize(("option", "field", "rule"), BROKEN.values(), ids=BROKEN)
def test_what_sirekap_has_not_is_refused(option: str, field: str, rule: str) -> None:
    """The option is refused where candidates, levels or areas are not as Sirekap has them."""
    with pytest.raises(DefinitionError) as refused:
        parse_election((ELECTION + option).encode(), "election.toml")
    assert (refused.value.field, refused.value.rule) == (field, rule)


def test_other_levels_are_refused() -> None:
    """Paths have the country's five levels: another shard level would be signed by nobody."""
    with pytest.raises(DefinitionError, match="five levels"):
        parse_election(
            (ELECTION.replace('shard_level = "kabupaten"', 'shard_level = "provinsi"') + OPTION).encode(),
            "election.toml",
        )
