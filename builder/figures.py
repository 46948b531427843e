"""Figures, shares and times as Indonesian pages write them: 84.298.880, 55,27 %, 18 April 2019 12.00 WIB."""

import datetime
import zoneinfo
from collections.abc import Sequence

__all__ = ["Figures", "bar_width", "local_time", "share", "signed"]

_READY = 10_000  # Most figures of a village are smaller; making these strings takes a millisecond, once.


class Figures(dict[int | None, str]):
    """Figure → text, a dash for an absent one. A dict, so that `map(figures.__getitem__, row)` runs at C's speed."""

    def __init__(self, none: str) -> None:
        super().__init__({number: _grouped(number) for number in range(_READY)})
        self[None] = none

    def __missing__(self, figure: int) -> str:
        return _grouped(figure)


def _grouped(figure: int) -> str:
    return f"{figure:,}".replace(",", ".")


def signed(figure: int) -> str:
    """A difference: `+1.234`, `−5` (with U+2212), `0`."""
    if figure == 0:
        return "0"
    return f"{'+' if figure > 0 else '−'}{_grouped(abs(figure))}"


def _hundredths(part: int, whole: int) -> int:
    """`part` of `whole` in hundredths of a percent, half up; in integers, which leave no doubt about rounding."""
    return (part * 20_000 + whole) // (2 * whole)


def share(part: int | None, whole: int) -> str:
    """`55,27 %`, or "" of nothing."""
    if part is None or whole <= 0:
        return ""
    number = _hundredths(part, whole)
    return f"{number // 100},{number % 100:02d} %"


def bar_width(part: int | None, whole: int) -> str:
    """The share as an SVG length: `55.27%`."""
    number = _hundredths(part, whole) if part is not None and whole > 0 else 0
    return f"{number // 100}.{number % 100:02d}%"


def local_time(utc: str, zone: str, months: Sequence[str]) -> str:
    """`2019-04-18T05:00:00Z` in `zone`, with the zone's own abbreviation (WIB, WITA, WIT).

    Raises:
        ValueError: `utc` is not such a time, or `zone` is unknown.
    """
    moment = datetime.datetime.strptime(utc, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    local = moment.astimezone(zoneinfo.ZoneInfo(zone))
    return f"{local.day} {months[local.month - 1]} {local.year} {local.hour:02d}.{local.minute:02d} {local.tzname()}"
