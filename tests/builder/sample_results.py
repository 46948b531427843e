"""Results dicts of every shape, as the builder hands them to the pages: docs/formats.md, "Results"."""

import datetime
from typing import Any

from builder.election import Candidate, Contest, Election, Kind, Level, Title

PACKAGE = "3f" * 32
FIGURES = ["votes_1", "votes_2", "registered", "voters", "valid", "invalid"]


def election(**changes: Any) -> Election:
    """A small fictional election with five levels and one contest."""
    names = ("negara", "provinsi", "kabupaten", "kecamatan", "kelurahan")
    values: dict[str, Any] = {
        "id": "contoh",
        "title": Title(id="Pemilihan Contoh", en="Example Election"),
        "date": datetime.date(2026, 2, 11),
        "time_zones": ("Asia/Jakarta",),
        "levels": tuple(Level(id=name, title=Title(id=name.capitalize(), en=name)) for name in names),
        "shard_level": "kabupaten",
        "contests": (contest(),),
        "kinds": {"domestic": Kind()},
    }
    return Election(**values | changes)


def contest(*names: str) -> Contest:
    names = names or ("Anwar Melati – Budi Kenanga", "Citra Cempaka – Dedi Seroja")
    candidates = tuple(Candidate(number=number, name=name) for number, name in enumerate(names, 1))
    title = Title(id="Presiden dan Wakil Presiden", en="President")
    fields = ("registered", "voters", "valid", "invalid")
    return Contest(id="ppwp", group="ppwp", title=title, candidates=candidates, fields=fields)


def village(**changes: Any) -> dict[str, Any]:
    """A village of four stations: one as it should be, one with a finding, one withdrawn, one not in yet."""
    values: dict[str, Any] = {
        "format": "terbit-results-1",
        "election": "contoh",
        "contest": "ppwp",
        "path": "ppwp/1101/1101012001.json",
        "release": 3,
        "released": "2026-02-11T10:30:00Z",
        "area": {"code": "1101012001", "name": "Suka Maju", "level": "kelurahan", "kind": "domestic"},
        "parents": [
            {"code": "0", "name": "Nusa Contoh", "level": "negara", "path": "ppwp/0"},
            {"code": "11", "name": "Tanjung Biru", "level": "provinsi", "path": "ppwp/11"},
            {"code": "1101", "name": "Rawa Indah", "level": "kabupaten", "path": "ppwp/1101/1101"},
            {"code": "110101", "name": "Kali Jernih", "level": "kecamatan", "path": "ppwp/1101/110101"},
        ],
        "candidates": [
            {"number": 1, "name": "Anwar Melati – Budi Kenanga", "party": None},
            {"number": 2, "name": "Citra Cempaka – Dedi Seroja", "party": None},
        ],
        "fields": ["registered", "voters", "valid", "invalid"],
        "stations": {"expected": 4, "listed": 4, "reported": 2, "withdrawn": 1},
        "count": {"status": "unofficial-partial", "votes": [212, 181], "fields": [500, 405, 391, 12]},
        "recap": None,
        "below": None,
        "difference": None,
        "children": {"columns": [], "rows": []},
        "polling_stations": {
            "columns": ["station", "revision", "state", *FIGURES, "findings"],
            "rows": [
                ("1", 2, "", 112, 90, 250, 208, 202, 6, ""),
                ("2", 1, "", 100, 91, 250, 197, 189, 6, "candidates-valid"),
                ("3", 2, "withdrawn", 80, 70, 200, 155, 150, 5, ""),
                ("4", None, "pending", None, None, None, None, None, None, ""),
            ],
        },
        "findings": [{"rule": "candidates-valid", "station": "2", "series": "count", "left": 191, "right": 189}],
        "finding_counts": {"candidates-valid": 1},
        "revisions": [
            {
                "station": "1",
                "series": "count",
                "revision": 2,
                "state": "",
                "reason": "transcription",
                "note": "angka 7 terbaca 1",
                "changes": [["votes_1", 172, 112], ["voters", None, 208]],
                "package": PACKAGE,
                "release": 2,
                "by": "KPU Rawa Indah",
                "attestation": "operator",
                "document": "12/BA/2026",
            },
            {
                "station": "3",
                "series": "count",
                "revision": 2,
                "state": "withdrawn",
                "reason": "duplicate",
                "note": "",
                "changes": [],
                "package": PACKAGE,
                "release": 3,
                "by": "KPU Rawa Indah",
                "attestation": "operator",
                "document": "",
            },
        ],
        "sources": [
            {
                "package": PACKAGE,
                "series": "count",
                "tier": "kabupaten",
                "area": "1101",
                "form": "C1",
                "document": "",
                "attestation": "operator",
                "by": "KPU Rawa Indah",
            },
        ],
    }
    return values | changes


def nation(**changes: Any) -> dict[str, Any]:
    """The root: no recap of its own yet, one of two provinces has handed in."""
    values = village() | {
        "path": "ppwp/0.json",
        "area": {"code": "0", "name": "Nusa Contoh", "level": "negara", "kind": "domestic"},
        "parents": [],
        "stations": {"expected": 823_236, "listed": 810_000, "reported": 806_583, "withdrawn": 0},
        "count": {
            "status": "unofficial-partial",
            "votes": [84_298_880, 68_221_284],
            "fields": [190_000_000, 154_000_000, 151_950_244, 4_190_487],
        },
        "below": {
            "votes": [5_607_362, 8_650_239],
            "fields": [None, None, 14_257_601, None],
            "handed_in": 1,
            "expected": 2,
        },
        "difference": None,
        "children": {
            "columns": ["code", "name", "path", "expected", "reported", *FIGURES, "recap_1", "recap_2", "findings"],
            "rows": [
                (
                    "11",
                    "Tanjung Biru",
                    "ppwp/11",
                    15_610,
                    15_600,
                    404_188,
                    2_400_746,
                    3_500_000,
                    2_900_000,
                    2_804_934,
                    35_000,
                    5_607_362,
                    8_650_239,
                    120,
                ),
                ("-99", "Luar Negeri", "ppwp/n99", 3_177, 0, 0, 0, None, None, None, None, None, None, 0),
            ],
        },
        "polling_stations": {"columns": [], "rows": []},
        "findings": [{"rule": "recap-below", "station": None, "series": "recap", "left": 10, "right": 12}],
        "finding_counts": {"candidates-valid": 13_848, "voters-list": 6_831, "a-later-rule": 2},
        "revisions": [],
        "progress": progress((806_583, 84_298_880, 68_221_284)),
    }
    return values | changes


def progress(last: tuple[int, int, int], points: int = 3) -> dict[str, Any]:
    """Releases that came half an hour apart, the last of them with stations and votes `last`, one before it with a little more: a withdrawal."""
    begin = datetime.datetime(2026, 2, 11, 10, 30, tzinfo=datetime.UTC) - datetime.timedelta(minutes=30 * (points - 1))
    times = [(begin + datetime.timedelta(minutes=30 * step)).strftime("%Y-%m-%dT%H:%M:%SZ") for step in range(points)]
    figures = [
        [one * step // points + (step == points - 1) * (one // points + 7) for one in last] for step in range(1, points)
    ]
    rows = [[number, time, *one] for number, (time, one) in enumerate(zip(times, [*figures, last], strict=True), 1)]
    return {"columns": ["release", "released", "reported", "votes_1", "votes_2"], "rows": rows}


def province(**changes: Any) -> dict[str, Any]:
    """A province with its own recap, corrected once, beside the sum of the recaps below."""
    values = nation() | {
        "path": "ppwp/11.json",
        "area": {"code": "11", "name": "Tanjung Biru", "level": "provinsi", "kind": "domestic"},
        "parents": village()["parents"][:1],
        "recap": {
            "status": "correction",
            "votes": [404_200, 2_400_800],
            "fields": [None, None, 2_805_000, None],
            "own": True,
            "revision": 2,
            "withdrawn": False,
        },
        "below": {
            "votes": [404_199, 2_400_800],
            "fields": [None, None, 2_804_999, None],
            "handed_in": 23,
            "expected": 23,
        },
        "count": {
            "status": "unofficial-complete",
            "votes": [404_188, 2_400_746],
            "fields": [3_500_000, 2_900_000, 2_804_934, 35_000],
        },
        "difference": [12, 54],
        "stations": {"expected": 15_610, "listed": 15_610, "reported": 15_610, "withdrawn": 0},
        "progress": progress((15_610, 404_188, 2_400_746)),
    }
    values["children"] = {
        "columns": values["children"]["columns"],
        "rows": [
            (
                "1101",
                "Rawa Indah",
                "ppwp/1101/1101",
                612,
                612,
                20_000,
                80_000,
                120_000,
                101_000,
                100_000,
                900,
                20_001,
                80_000,
                7,
            ),
        ],
    }
    return values | changes
