"""Figures, shares and times as a language writes them: 84.298.880, 55,27%, 18 April 2019 12.00 WIB; 84,298,880, 55.27%."""

import datetime
import zoneinfo
from collections.abc import Mapping
from typing import Any

__all__ = [
    "Figures",
    "bar_width",
    "hundredths",
    "local_date",
    "local_time",
    "share",
    "signed",
    "station_name",
    "zone_name",
]

_READY = 10_000  # Most figures of a village are smaller; making these strings takes a millisecond, once.


class Figures(dict[int | None, str]):
    """Figure → text, a dash for an absent one. A dict, so that `map(figures.__getitem__, row)` runs at C's speed."""

    def __init__(self, none: str, group: str = ".") -> None:
        self._group = group
        super().__init__({number: self[number] for number in range(_READY)})
        self[None] = none

    def __missing__(self, figure: int) -> str:
        return f"{figure:,}".replace(",", self._group)


def signed(figure: int, figures: Figures) -> str:
    """A difference: `+1.234`, `−5` (with U+2212), `0`."""
    if figure == 0:
        return "0"
    return f"{'+' if figure > 0 else '−'}{figures[abs(figure)]}"


def station_name(title: str, number: str) -> str:
    """A station as it is told: `TPS 12`; by its number alone where that begins with a letter, as overseas, where votes come by post (`POS-001`)
    and in mobile ballot boxes (`KSK-001`), too."""
    return number if number[:1].isalpha() else f"{title} {number}"


def hundredths(part: int, whole: int) -> int:
    """`part` of `whole` in hundredths of a percent, half up; in integers, which leave no doubt about rounding."""
    return (part * 20_000 + whole) // (2 * whole)


def share(part: int | None, whole: int | None, decimal: str = ",") -> str:
    """`55,27%`, or "" of nothing."""
    if part is None or not whole or whole < 0:
        return ""
    number = hundredths(part, whole)
    return f"{number // 100}{decimal}{number % 100:02d}%"


def bar_width(part: int | None, whole: int | None) -> str:
    """The share as an SVG length: `55.27%`."""
    return share(part, whole, ".") or "0.00%"


def local_time(utc: str, zone: str, calendar: Mapping[str, Any]) -> str:
    """`2019-04-18T05:00:00Z` in `zone`, with the zone's own abbreviation (WIB, WITA, WIT), as `calendar` writes it.

    Raises:
        ValueError: `utc` is not such a time, or `zone` is unknown.
    """
    moment = datetime.datetime.strptime(utc, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    local = moment.astimezone(zoneinfo.ZoneInfo(zone))
    time: str = calendar["time"]
    return time.format(date=local_date(local, calendar), hour=local.hour, minute=local.minute, zone=local.tzname())


def zone_name(zone: str, day: datetime.date) -> str:
    """The zone's own abbreviation, as it is on that day: WIB."""
    return datetime.datetime.combine(day, datetime.time(12), zoneinfo.ZoneInfo(zone)).strftime("%Z")


def local_date(date: datetime.date, calendar: Mapping[str, Any]) -> str:
    """`17 April 2019`."""
    return f"{date.day} {calendar['months'][date.month - 1]} {date.year}"
