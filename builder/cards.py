"""Cards: what a link to an area's page shows where it is shared. A PNG, and the page's Open Graph description.

docs/formats.md, "Cards". A picture must come out the same on every machine: it is drawn from `card.svg` of the templates by one pinned renderer, with fonts that come with
the program or with the templates, and never with those of the system. Nothing in it is measured: texts are cut by a guess of their width that does not depend on a font.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from builder.contest_values import ContestValues, leading
from builder.election import Contest, Definition, Election
from builder.errors import ContentError
from builder.exports import top_row
from builder.languages import language_suffix
from builder.wording import Results, Wording

__all__ = ["TEMPLATE", "card_path", "card_values", "carded_rows", "draw", "fitted", "packaged_fonts", "sharing"]

TEMPLATE = "card.svg"
LEVELS = 3
SHOWN, IN_ONE_COLUMN, TOLD = 8, 3, 3  # candidates
INSIDE, TEST_SIGN = 1080, 200  # pixels
_FONTS = ("SourceSansPro-Regular.ttf", "SourceSansPro-Semibold.ttf")
# What XML 1.0 does not take, other control characters, and marks that turn the order of reading.
_NOT_DRAWN = re.compile(
    r"[^ -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
# A template may come from whoever publishes: the renderer must open no file for it, and expand nothing. No text can look like this: "<" is escaped.
_REACHES_OUT = re.compile(r"<(!|[^\s/>]*image)", re.IGNORECASE)
_NARROW, _BROAD = frozenset(" !'(),-./:;I[]fijlrt|·"), frozenset("%@MWmw—…")


class _Layout(NamedTuple):
    """Pixels: width of a column and of its longest bar, from one row to the next, sizes of letters."""

    width: int
    bar: int
    step: int
    name_size: int
    share_size: int


_BROAD_ROWS = _Layout(width=INSIDE, bar=720, step=108, name_size=32, share_size=36)
_NARROW_ROWS = _Layout(width=520, bar=200, step=82, name_size=27, share_size=27)


def carded_rows(definition: Definition, contest: Contest, rows: Iterable[int]) -> list[int]:
    """Those of `rows` that have a card: areas of the first three levels, and the area that the contest covers."""
    levels, top = definition.areas.levels, top_row(definition, contest)
    return [row for row in rows if levels[row] < LEVELS or row == top]


def card_path(results_path: str, language: str) -> str:
    """Path of the card beside the page for frames, by the path of the results file."""
    return f"embed/{results_path.removesuffix('.json')}{language_suffix(language)}.png"


def sharing(results: Results, shown: ContestValues, election: Election, wording: Wording, language: str) -> tuple[str, str] | None:  # fmt: skip
    """A page's description in a sentence or two, and the address of its card, "" where there is none; None for a page that is not of the first three levels."""
    if len(results["parents"]) >= LEVELS and results["area"]["code"] != shown.contest.area:
        return None
    series, main, _, rows = shown.votes(results)
    told = [f"{rows[place][0]} {rows[place][1]} {share}" for place in leading(main["votes"], TOLD) if (share := rows[place][7])]  # fmt: skip
    sentence = wording.texts["card"]["description"].format(
        votes=f"{'; '.join(told)}. " if told else "",
        series=series,
        status=wording.status(main)[1],
        **_told(results, wording),
    )
    if not election.cards:
        return _NOT_DRAWN.sub("", sentence), ""
    path = card_path(results["path"], language if language in election.cards else election.cards[0])
    # As it is: not every program that looks for this reads the entities of a page as browsers do.
    return _NOT_DRAWN.sub("", sentence), Markup(escape(f"{election.address}{path}"))  # noqa: S704  # escaped


def card_values(results: Results, shown: ContestValues, election: Election, wording: Wording) -> dict[str, Any]:
    """What `card.svg` takes: ready strings, and pixels as integers."""
    series, main, _, rows = shown.votes(results)
    votes, area = main["votes"], results["area"]
    places = leading(votes, SHOWN)
    layout = _BROAD_ROWS if len(places) <= IN_ONE_COLUMN else _NARROW_ROWS
    bars = [_bar(rows[place], votes[place], sum(vote or 0 for vote in votes), layout) for place in places]
    title = wording.words["area_title"].format(level=wording.levels[area["level"]], area=area["name"])
    title_size = next((size for size in (64, 52) if fitted(title, INSIDE, size) == title), 42)
    shape, status = wording.status(main)
    hidden = len(votes) - len(places)
    half = len(bars) if layout is _BROAD_ROWS else (len(bars) + 1) // 2
    return {
        "test": election.test,
        "election": fitted(wording.title(election.title), INSIDE - TEST_SIGN * election.test, 28),
        "title": fitted(title, INSIDE, title_size),
        "title_size": title_size,
        "contest": fitted(wording.title(shown.contest.title), INSIDE, 34),
        "layout": layout,
        "columns": [bars[:half], bars[half:]],
        "shape": shape,
        "status": fitted(f"{series}: {status}", 750 if hidden else INSIDE, 28),
        "more": wording.texts["embed"]["more"].format(count=hidden) if hidden else "",
        **_told(results, wording),
    }


def _bar(row: Sequence[Any], votes: int | None, total: int, layout: _Layout) -> tuple[Any, ...]:
    """One candidate's number and the width of its sign, name, colour, votes, share, and length of the bar."""
    number, name, _, colour, _, told, *_ = row
    sign = 16 + 15 * len(str(number))
    length = layout.bar * (votes or 0) // total if total else 0
    share = row[7] if total else ""
    return number, sign, fitted(name, layout.width - sign - 14, layout.name_size), colour, told, share, length


def _told(results: Results, wording: Wording) -> dict[str, Any]:
    """Stations that are in, of how many; time in the area's zone; release."""
    stations = results["stations"]
    codes = [*(parent["code"] for parent in results["parents"]), results["area"]["code"]]
    return {
        "stations": wording.words["stations_reported"].format(station=wording.station),
        "reported": wording.figure(stations["reported"]),
        "expected": wording.figure(stations["expected"]),
        "time": wording.time(results["released"], codes),
        "release": results["release"],
    }


def fitted(text: str, width: int, size: int) -> str:
    """As much of a text as takes about `width` pixels in letters of `size`; what cannot be drawn is left out."""
    left = width / size
    # Whatever the letters are, no more of a text that a stranger made as long as he liked is looked at.
    text = _NOT_DRAWN.sub("", text[: 4 * int(left)])
    for place, letter in enumerate(text):
        left -= _advance(letter)
        if left < 0:
            return f"{text[: max(0, place - 1)].rstrip()}…"
    return text


def draw(svg: bytes, fonts: Sequence[Path]) -> bytes:
    """An SVG as PNG.

    Raises:
        ContentError: it is no SVG, or reaches for something outside of itself.
    """
    import resvg_py

    text = svg.decode()
    if found := _REACHES_OUT.search(text):
        raise ContentError(f"{found[0]!r}: a card is drawn of shapes and texts alone", file=TEMPLATE, rule="template")
    try:
        return resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=True, font_files=[str(font) for font in fonts])
    except ValueError as error:
        raise ContentError(f"cannot be drawn: {error}", file=TEMPLATE, rule="template") from error


@cache
def packaged_fonts() -> tuple[Path, ...]:
    """The fonts that come with the program: Latin letters with any diacritics, Greek, Cyrillic."""
    spec = find_spec("font_source_sans_pro")
    if spec is None or not spec.submodule_search_locations:
        raise ContentError("font-source-sans-pro did not come with this installation; install terbit again", rule="installation")  # fmt: skip
    return tuple(Path(next(iter(spec.submodule_search_locations)), "files", name) for name in _FONTS)


def _advance(letter: str) -> float:
    """About how wide a letter is, in parts of its size, and rather more than less."""
    if letter in _NARROW:
        return 0.32
    if letter in _BROAD or letter >= "\u1100":
        return 0.9
    return 0.62 if "A" <= letter <= "Z" else 0.52
