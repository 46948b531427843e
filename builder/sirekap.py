"""A contest's figures in the shape of Sirekap's public JSON of 2024, for programs that read that: docs/formats.md, "Sirekap's shape".

Each file is a function of one area's results alone, so it changes when they do. Signed by roles of their own: whoever checks a page fetches no list of these.
"""

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from builder.areas import path_name
from builder.election import Contest
from builder.figures import hundredths, station_name
from builder.importers.sirekap import FIELDS, WIB
from builder.results import View

__all__ = ["nation_file", "sirekap_files"]

RESULTS, AREAS = "sirekap/pemilu/hhcw", "sirekap/wilayah/pemilu"
ORDINARY = "Reguler"  # the kind of poll; another one is told by the reason of a revision in the results file
PAGES = 3  # of a form, in Sirekap
EXACT_DIGITS = 15  # of a number that every reader of JSON reads alike (RFC 8259, section 6)

File = tuple[str, bytes]
_encode = msgspec.json.Encoder(order="sorted").encode


def nation_file(view: View, contest: Contest) -> Iterator[File]:
    """The results of the whole country, which lie in one folder with those of other contests: of role `site`. None for a contest of a part of it."""
    if contest.sirekap and not view["parents"]:
        yield f"{RESULTS}/{contest.id}.json", _encode(_results(view, contest))


def sirekap_files(view: View, contest: Contest) -> Iterator[File]:
    """The files of one area: its results, the list of what is below it and, of a village, its stations, where the definition asks for them."""
    codes = [path_name(parent["code"]) for parent in view["parents"][1:]]
    code: str = view["area"]["code"]
    below = _below(view)
    if not view["parents"]:
        yield f"{AREAS}/{contest.id}/0.json", _encode(_list(below, 1))
        return
    place = "/".join([contest.id, *codes, path_name(code)])
    yield f"{RESULTS}/{place}.json", _encode(_results(view, contest))
    yield f"{AREAS}/{place}.json", _encode(_list(below, len(codes) + 2))
    if contest.sirekap and contest.sirekap.stations:
        for number, station in _numbered(view):
            yield f"{RESULTS}/{place}/{code}{number}.json", _encode(_station(station, view, contest))


def _results(view: View, contest: Contest) -> dict[str, Any]:
    stations = view["stations"]
    chart = _votes(view["count"]["votes"], contest) | {"persen": _percent(stations["reported"], stations["expected"])}
    return {
        "ts": _time(view),
        "psu": ORDINARY,
        "mode": "hhcw",
        "chart": chart,
        "table": {
            code: _votes(votes, contest)
            | {"psu": ORDINARY, "persen": _percent(reported, expected), "status_progress": bool(reported)}
            for code, _, votes, reported, expected in _below(view)
        },
        "progres": {"total": stations["expected"], "progres": stations["reported"]},
    }


def _below(view: View) -> list[tuple[str, str, list[int | None], int, int]]:
    """Of each area or station below: code, name, votes, and stations reported and expected."""
    count = len(view["candidates"])
    found = [(row[0], row[1], list(row[5 : 5 + count]), row[4], row[3]) for row in view["children"]["rows"]]
    for number, (_, _, state, *figures, _) in _numbered(view):
        is_in = not state
        votes = figures[:count] if is_in else [None] * count
        found.append((f"{view['area']['code']}{number}", station_name("TPS", number), votes, int(is_in), 1))
    return found


def _list(below: list[tuple[str, str, list[int | None], int, int]], level: int) -> list[dict[str, Any]]:
    return [
        {
            "nama": name,
            "id": int(code) if code.isdecimal() and len(code) <= EXACT_DIGITS else code,
            "kode": code,
            "tingkat": level,
        }
        for code, name, *_ in below
    ]


def _station(row: Any, view: View, contest: Contest) -> dict[str, Any]:  # noqa: ANN401 - a row of a results file
    """One station's form; what is not in, or withdrawn, is null."""
    _, _, state, *figures, _ = row
    votes, fields = figures[: len(contest.candidates)], figures[len(contest.candidates) :]
    given = dict(zip(contest.fields, fields, strict=True))
    told = {key: given.get(name) for key, name in FIELDS.items()}
    has_votes, has_fields = not state, not state and any(figure is not None for figure in told.values())
    return {
        "chart": _votes(votes, contest) | {"null": None} if has_votes else None,
        "images": [None] * PAGES,
        "administrasi": told if has_fields else None,
        "psu": None,
        "ts": _time(view),
        "status_suara": has_votes,
        "status_adm": has_fields,
    }


def _votes(votes: list[int | None], contest: Contest) -> dict[str, Any]:
    assert contest.sirekap is not None
    by_number = dict(zip((one.number for one in contest.candidates), votes, strict=True))
    return {name: by_number[number] for name, number in contest.sirekap.candidates.items()}


def _numbered(view: View) -> Iterator[tuple[str, Any]]:
    """Each station's row with its number in three digits or more; those that would be the same then stay as they were handed in."""
    rows = view["polling_stations"]["rows"]
    padded = [row[0].zfill(3) for row in rows]
    alike = Counter(padded)
    for row, number in zip(rows, padded, strict=True):
        yield (number if alike[number] == 1 else row[0]), row


def _percent(part: int, whole: int) -> float:
    """With two decimals, rounded as integers, so that every machine writes the same."""
    return hundredths(part, whole) / 100 if whole else 0


def _time(view: Mapping[str, Any]) -> str:
    moment = datetime.datetime.strptime(view["released"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    return moment.astimezone(WIB).strftime("%Y-%m-%d %H:%M:%S")
