"""The pages of an area's polling stations, where they are too many for one: docs/formats.md, "Pages of stations".

What belongs to a station stands on its page alone, and is numbered there: a correction changes no other page but the first, which has the sums.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from builder import limits
from builder.wording import Results

__all__ = [
    "StationPage",
    "further_hrefs",
    "on_page",
    "page_number",
    "page_path",
    "page_releases",
    "revised_pages",
    "station_pages",
]


class StationPage(NamedTuple):
    """A page by its number from 1, its path without extension, and its first and last station."""

    number: int
    path: str
    first: str
    last: str

    @property
    def href(self) -> str:
        """From another page of the same area: all lie in one folder."""
        return f"{self.path.rpartition('/')[2]}.html"

    @property
    def stations(self) -> str:
        """Its stations in short."""
        return self.first if self.first == self.last else f"{self.first}–{self.last}"


def page_number(place: int) -> int:
    """Number of the page of the station at `place`, from 0, among an area's stations."""
    return place // limits.STATIONS_ON_PAGE + 1


def page_path(path: str, number: int) -> str:
    """Path of a page of the area at `path`, both without extension: the first page is the area's own. No code has an inner `-`."""
    return path if number == 1 else f"{path}-{number}"


def station_pages(results: Results) -> list[StationPage]:
    """An area's pages in order; none where its own has all of its stations."""
    rows = results["polling_stations"]["rows"]
    if len(rows) <= limits.STATIONS_ON_PAGE:
        return []
    path, numbers = results["path"].removesuffix(".json"), range(1, page_number(len(rows) - 1) + 1)
    shown = [(number, _rows(results, number)) for number in numbers]
    return [StationPage(number, page_path(path, number), some[0][0], some[-1][0]) for number, some in shown]


def on_page(results: Results, number: int) -> Results:
    """Of an area's results, the stations of one page with what belongs to them; what is the area's own belongs to the first one."""
    table, rows = results["polling_stations"], _rows(results, number)
    here = {row[0] for row in rows} | ({""} if number == 1 else set())
    lists = {name: results[name] for name in ("findings", "revisions", "scans") if name in results}
    shown = {name: [one for one in some if one["station"] in here] for name, some in lists.items()}
    return {**results, "polling_stations": {**table, "rows": rows}, **shown}


def further_hrefs(results: Results) -> dict[str, str]:
    """Where each station is that is not on the area's first page, as a link from there."""
    return {row[0]: page.href for page in station_pages(results)[1:] for row in _rows(results, page.number)}


def revised_pages(results: Results) -> list[tuple[str, str, str]]:
    """Further pages whose stations' figures were changed: link from the first page, stations, number of changes."""
    counts = ((page, len(on_page(results, page.number)["revisions"])) for page in station_pages(results)[1:])
    return [(page.href, page.stations, str(count)) for page, count in counts if count]


def page_releases(results: Results, grown: int, releases: Mapping[str, int]) -> list[tuple[StationPage, int]]:
    """Each further page with the release that changed it last: `grown`, at which a station was added and stations moved on, or one that
    changed a row or added a scan of its own stations. `releases` are those of the area's packages by name."""
    found = []
    for page in station_pages(results)[1:]:
        own = on_page(results, page.number)
        changed = [revision["release"] for revision in own["revisions"]]
        changed += [releases[scan["package"]] for scan in own.get("scans", ())]
        found.append((page, max([grown, *changed])))
    return found


def _rows(results: Results, number: int) -> Sequence[Sequence[Any]]:
    """The stations of one page."""
    first = (number - 1) * limits.STATIONS_ON_PAGE
    rows: Sequence[Sequence[Any]] = results["polling_stations"]["rows"]
    return rows[first : first + limits.STATIONS_ON_PAGE]
