"""Elections for the tests: a small one written out, and the nation's of 2019 and 2024 from real data."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from builder import recap
from builder.areas import parse_areas
from builder.election import Definition, parse_election
from builder.importers.csv import CsvMap
from builder.importers.delivery import import_results
from builder.importers.source import load_map
from builder.intake import judge
from builder.ledger import Cut
from builder.rows import Rows

SMALL_TOML = """\
id = "small-2029"
date = 2029-02-14
time_zones = ["Asia/Jakarta"]
levels = [
  { id = "negara",    title = { id = "Negara",    en = "Country" } },
  { id = "provinsi",  title = { id = "Provinsi",  en = "Province" } },
  { id = "kabupaten", title = { id = "Kabupaten", en = "Regency" } },
  { id = "desa",      title = { id = "Desa",      en = "Village" } },
]
shard_level = "kabupaten"

[title]
id = "Kecil"
en = "Small"

[kinds.domestic]
spare_percent = 2
max_registered = 300
consecutive_stations = true
[kinds.overseas]

[[contests]]
id = "ppwp"
group = "ppwp"
fields = ["registered", "voters", "valid", "invalid", "total"]
title = { id = "Presiden", en = "President" }
[[contests.candidates]]
number = 1
name = "A"
party = "pa"
[[contests.candidates]]
number = 2
name = "B"

[[contests]]
id = "dprd-11"
group = "dprd"
area = "11"
fields = ["valid"]
title = { id = "DPRD", en = "Council" }
[[contests.candidates]]
number = 7
name = "C"

[[parties]]
id = "pa"
name = "Partai A"
"""

SMALL_AREAS = """\
code,parent,level,name,kind,stations
0,,negara,Negeri,domestic,
1,0,provinsi,Satu,domestic,
11,1,kabupaten,Sebelas,domestic,
111,11,desa,Seratus,domestic,3
112,11,desa,"Dua, Belas",domestic,1
12,1,kabupaten,Dua Belas,domestic,
121,12,desa,Tujuh,domestic,2
-9,0,provinsi,Luar Negeri,overseas,
-91,-9,kabupaten,Kairo,overseas,
-911,-91,desa,Kairo,overseas,1
"""

LEVELS = """
levels = [
  { id = "negara", title = { id = "Negara", en = "Country" } },
  { id = "provinsi", title = { id = "Provinsi", en = "Province" } },
  { id = "kabupaten", title = { id = "Kabupaten/Kota", en = "Regency" } },
  { id = "kecamatan", title = { id = "Kecamatan", en = "District" } },
  { id = "kelurahan", title = { id = "Kelurahan/Desa", en = "Village" } },
]
shard_level = "kabupaten"
time_zones = ["Asia/Jakarta"]
title = { id = "Pemilihan Umum", en = "General Election" }
[kinds.domestic]
spare_percent = 2
max_registered = 300
[kinds.overseas]
[[contests]]
id = "ppwp"
group = "ppwp"
title = { id = "Presiden", en = "President" }
"""

TOML_2019 = f"""\
id = "pemilu-2019"
date = 2019-04-17
{LEVELS}
fields = ["registered_male", "registered_female", "registered", "voters", "valid", "invalid"]
candidates = [{{ number = 1, name = "01" }}, {{ number = 2, name = "02" }}]
"""

_BY_SEX = ("registered", "voters_listed", "voters_moved", "voters_unlisted", "voters")
FIELDS_2024 = [f"{name}{sex}" for name in _BY_SEX for sex in ("_male", "_female", "")] + ["valid", "invalid", "total"]
TOML_2024 = f"""\
id = "pemilu-2024"
date = 2024-02-14
{LEVELS}
fields = {FIELDS_2024}
candidates = [{{ number = 1, name = "01" }}, {{ number = 2, name = "02" }}, {{ number = 3, name = "03" }}]
"""


def define(toml: str, areas: bytes) -> Definition:
    """A definition from texts, as `load_definition` reads it from files."""
    election = parse_election(toml.encode(), "election.toml")
    files = {"election.toml": toml.encode(), "areas.csv": areas}
    return Definition(election, parse_areas(areas, election, "areas.csv"), files)


def small_election() -> Definition:
    return define(SMALL_TOML, SMALL_AREAS.encode())


def shared_data(name: str) -> Path:
    """A file of the real data, or skip: it lies beside the project, not in it."""
    default = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("TERBIT_SHARED_DATA", default)) / name
    if not path.exists():
        pytest.skip(f"the real data is not here ({name}); set TERBIT_SHARED_DATA to its folder")
    return path


def make_package(
    definition: Definition,
    rows: str,
    *,
    contest: str = "ppwp",
    series: str = "count",
    area: str = "0",
    reason: str | None = None,
    note: str = "",
    **cover: Any,
) -> recap.Package:
    """A package with `rows` (lines without the header); its tier is the area's level."""
    place = definition.areas.index.get(area, 0)
    found = definition.election.contest(contest) or definition.election.contests[0]
    data = (",".join(recap.row_columns(found)) + "\n" + rows).encode()
    made = recap.Cover(
        format="terbit-recap-1",
        election=cover.pop("election", definition.election.id),
        contest=contest,
        series=series,
        tier=cover.pop("tier", definition.election.levels[definition.areas.levels[place]].id),
        area=area,
        rows=recap.NamedFile("rows.csv", hashlib.sha256(data).hexdigest(), len(data)),
        attestation=recap.Attestation("operator", "test"),
        revision=recap.RevisionReason(reason, note) if reason else None,
        **cover,
    )
    return recap.Package(made, recap.package_files(made, data), "package")


def line(
    definition: Definition,
    area: str,
    station: str,
    revision: int = 1,
    state: str = "",
    contest: str = "ppwp",
    **figures: int | None,
) -> str:
    """One line of rows.csv; figures that are not named are absent."""
    found = definition.election.contest(contest)
    assert found is not None
    assert set(figures) <= set(found.figures)
    cells = [figures.get(name) for name in found.figures]
    return (
        ",".join([area, station, str(revision), state, *("" if cell is None else str(cell) for cell in cells)]) + "\n"
    )


def no_rows(definition: Definition) -> dict[str, Rows]:
    return {contest.id: Rows(contest) for contest in definition.election.contests}


def accept(
    definition: Definition, *packages: recap.Package, rows: dict[str, Rows] | None = None, known: int = 0
) -> dict[str, Rows]:
    """Rows after packages that must all be accepted."""
    rows = no_rows(definition) if rows is None else rows
    verdicts = judge(packages, rows, definition, known)
    assert [str(broken) for verdict in verdicts for broken in verdict.broken] == []
    return rows


def make_cuts(*through: int) -> list[Cut]:
    """Cuts 1, 2… that take the packages up to the given numbers."""
    same = "0" * 64
    return [
        Cut(number, "2029-02-14T00:00:00Z", last, same, same, same, same, "0.1.0", 1)
        for number, last in enumerate(through, 1)
    ]


def import_packages(definition: Definition, source: Path, map_name: str, out: Path) -> list[recap.Package]:
    """Packages of a CSV of real data, by a map that comes with Terbit."""
    report = import_results(source, load_map(map_name, CsvMap), definition, {}, out=out)
    return [recap.read_package(path) for path in report.packages]
