"""A small election for tests: 1 country, 3 provinces (one overseas), 4 regencies, 8 villages, 24 polling stations."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from builder.recap import Attestation, Cover, NamedFile, RevisionReason, package_files

__all__ = ["COLUMNS", "NIGHT", "package", "row", "write_definition", "write_package"]

NIGHT = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
COLUMNS = "area,station,revision,state,votes_1,votes_2,registered,voters,valid,invalid"

ELECTION = """\
id = "uji"
date = 2026-11-03
time_zones = ["Asia/Jakarta"]
shard_level = "kabupaten"
levels = [
  { id = "negara", title = { id = "Negara", en = "Country" } },
  { id = "provinsi", title = { id = "Provinsi", en = "Province" } },
  { id = "kabupaten", title = { id = "Kabupaten", en = "Regency" } },
  { id = "desa", title = { id = "Desa", en = "Village" } },
]
[title]
id = "Pemilihan uji"
en = "Test election"
[kinds.domestic]
spare_percent = 2
consecutive_stations = true
[kinds.overseas]
[[contests]]
id = "ppwp"
group = "ppwp"
fields = ["registered", "voters", "valid", "invalid"]
title = { id = "Presiden", en = "President" }
candidates = [{ number = 1, name = "Satu" }, { number = 2, name = "Dua" }]
"""

AREAS = """\
code,parent,level,name,kind,stations
0,,negara,Contoh,domestic,
11,0,provinsi,Utara,domestic,
12,0,provinsi,Selatan,domestic,
-99,0,provinsi,Luar Negeri,overseas,
1101,11,kabupaten,Satu,domestic,
1102,11,kabupaten,Dua,domestic,
1201,12,kabupaten,Tiga,domestic,
-991,-99,kabupaten,Jauh,overseas,
110101,1101,desa,Aman,domestic,3
110102,1101,desa,Baru,domestic,3
110201,1102,desa,Cempaka,domestic,3
110202,1102,desa,Damai,domestic,3
120101,1201,desa,Elok,domestic,3
120102,1201,desa,Fajar,domestic,3
120103,1201,desa,Gading,domestic,3
-9911,-991,desa,Kota Jauh,overseas,3
"""

VILLAGES = {
    "1101": ("110101", "110102"),
    "1102": ("110201", "110202"),
    "1201": ("120101", "120102", "120103"),
    "-991": ("-9911",),
}


def write_definition(content: Path, election: str = ELECTION, areas: str = AREAS) -> None:
    """`election.toml`, `areas.csv` and one page."""
    (content / "pages" / "id").mkdir(parents=True, exist_ok=True)
    (content / "election.toml").write_text(election)
    (content / "areas.csv").write_text(areas)
    (content / "pages" / "id" / "tentang.md").write_text("# Tentang\n\nHalaman uji.\n")


def row(
    area: str, station: object, first: int, second: int, *, revision: int = 1, state: str = "", **changed: int
) -> str:
    """One row of rows.csv whose arithmetic holds, but for what is `changed`."""
    if state == "withdrawn":
        return f"{area},{station},{revision},withdrawn,,,,,,"
    valid = changed.get("valid", first + second)
    figures = [
        first,
        second,
        changed.get("registered", 300),
        changed.get("voters", valid + 2),
        valid,
        changed.get("invalid", 2),
    ]
    return f"{area},{station},{revision},{state},{','.join(map(str, figures))}"


def package(
    area: str, rows: Iterable[str], *, series: str = "count", tier: str = "kabupaten", reason: str | None = None
) -> dict[str, bytes]:
    """The files of a package that covers `area`."""
    data = "\n".join([COLUMNS, *rows, ""]).encode()
    cover = Cover(
        "terbit-recap-1", "uji", "ppwp", series, tier, area, NamedFile("rows.csv", hashlib.sha256(data).hexdigest(), len(data)),  # type: ignore[arg-type]
        Attestation("operator", "Penguji"), "C1", "", RevisionReason(reason) if reason else None,
    )  # fmt: skip
    return package_files(cover, data)


def write_package(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def first_packages() -> dict[str, dict[str, bytes]]:
    """Every station's count, one package a regency, and some recaps."""
    packages = {}
    for number, (regency, villages) in enumerate(VILLAGES.items()):
        rows = [row(village, station, 100 + number, 90 + station) for village in villages for station in (1, 2, 3)]
        packages[f"count{regency}"] = package(regency, rows)
    packages["recap11"] = package(
        "11", ["11,,1,,606,552,,,1158,", "1101,,1,,600,552,,,1152,"], series="recap", tier="provinsi"
    )
    return packages


def correction(area: str = "110101", station: object = 2, revision: int = 2) -> dict[str, bytes]:
    return package("1101", [row(area, station, 80, 110, revision=revision)], reason="transcription")


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)
