"""Cards: what a link to an area's page shows where it is shared. A PNG, and the page's Open Graph description.

docs/formats.md, "Cards". A picture must come out the same on every machine: builder/drawing.py draws it from `card.svg` of the templates. Nothing in it is measured: texts are cut
by a guess of their width that does not depend on a font.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from builder.contest_values import ContestValues, leading
from builder.drawing import drawn
from builder.election import Election
from builder.errors import ContentError
from builder.languages import language_suffix
from builder.wording import Results, Wording

__all__ = ["TEMPLATE", "card_path", "card_values", "draw", "fitted", "sharing"]

TEMPLATE = "card.svg"
SHOWN, IN_ONE_COLUMN, TOLD = 8, 3, 3  # candidates
INSIDE, TEST_SIGN, HIDDEN, STATUS = 552, 120, 180, 420  # pixels
ROWS, HIGHEST_ROW = 152, 74  # pixels from the first candidate to the end of the last one, and those of one at most
# What XML 1.0 does not take, other control characters, and marks that turn the order of reading.
_NOT_DRAWN = re.compile(
    r"[^ -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
# A template may come from whoever publishes: the renderer must open no file for it, and expand nothing. No text can look like this: "<" is escaped.
_REACHES_OUT = re.compile(r"<(!|[^\s/>]*image)", re.IGNORECASE)
_NARROW, _BROAD = frozenset(" !'(),-./:;I[]fijlrt|·"), frozenset("%@MWmw—…")


class _Layout(NamedTuple):
    """Pixels: width of a column and of its longest bar, the sign with a number, sizes of letters, where the bar begins below the row and how high it is, room for a share."""

    width: int
    bar: int
    sign: int
    name: int
    share: int
    below: int
    high: int
    room: int


# Down to this many pixels from one candidate to the next.
_LAYOUTS = {
    60: _Layout(width=INSIDE, bar=390, sign=30, name=23, share=30, below=37, high=22, room=120),
    45: _Layout(width=INSIDE, bar=INSIDE, sign=24, name=20, share=25, below=29, high=12, room=100),
}
_COLUMNS = _Layout(width=264, bar=264, sign=22, name=16, share=18, below=26, high=6, room=66)


def card_path(results_path: str, language: str) -> str:
    """Path of the card beside the page for frames, by the path of the results file."""
    return f"embed/{results_path.removesuffix('.json')}{language_suffix(language)}.png"


def sharing(results: Results, shown: ContestValues, election: Election, wording: Wording, language: str) -> tuple[str, str] | None:  # fmt: skip
    """A page's description in a sentence or two, and the address of its card, "" where there is none; None for a page that has neither."""
    if not election.is_embedded(shown.contest, len(results["parents"]), results["area"]["code"]):
        return None
    series, main, _, rows = shown.votes(results)
    told = [f"{rows[place][0]} {rows[place][1]} {share}" for place in leading(main["votes"], TOLD) if (share := rows[place][7])]  # fmt: skip
    sentence = wording.texts["card"]["description"].format(
        votes=f"{'; '.join(told)}. " if told else "",
        stations=wording.words["stations_reported"].format(station=wording.station),
        series=series,
        status=wording.status(main)[1],
        **_told(results, wording),
    )
    sentence, languages = _NOT_DRAWN.sub("", sentence), election.card_languages
    if not languages:
        return sentence, ""
    path = card_path(results["path"], language if language in languages else languages[0])
    # As it is: not every program that looks for this reads the entities of a page as browsers do.
    return sentence, Markup(escape(f"{election.address}{path}"))  # noqa: S704  # escaped


def card_values(results: Results, shown: ContestValues, election: Election, wording: Wording) -> dict[str, Any]:
    """What `card.svg` takes: ready strings, and pixels as integers."""
    series, main, _, rows = shown.votes(results)
    votes, area, texts = main["votes"], results["area"], wording.texts["card"]
    places, total = leading(votes, SHOWN), sum(vote or 0 for vote in votes)
    half = len(places) if len(places) <= IN_ONE_COLUMN else (len(places) + 1) // 2
    step = min(HIGHEST_ROW, ROWS // half)
    layout = next(one for least, one in _LAYOUTS.items() if step >= least) if half == len(places) else _COLUMNS
    bars = [_bar(rows[place], votes[place], total, layout) for place in places]
    title = wording.area(area)
    beside = INSIDE - TEST_SIGN * election.test
    title_size = next((size for size in (36, 30) if fitted(title, beside, size) == title), 24)
    shape, status = wording.status(main)
    hidden, told = len(votes) - len(places), _told(results, wording)
    contest = f"{wording.title(shown.contest.title)} · {wording.title(election.title)}"
    return {
        "test": election.test,
        "title": fitted(title, beside, title_size),
        "title_size": title_size,
        "contest": fitted(contest, INSIDE - HIDDEN * bool(hidden), 18),
        "more": wording.texts["embed"]["more"].format(count=hidden) if hidden else "",
        "layout": layout,
        "step": step,
        "columns": [bars[:half], bars[half:]],
        "shape": shape,
        "status": fitted(texts["status"].format(status=status, series=series), STATUS, 20),
        "stations": texts["stations"].format(station=fitted(wording.station, 160, 18), **told),
        **told,
    }


def _bar(row: Sequence[Any], votes: int | None, total: int, layout: _Layout) -> tuple[Any, ...]:
    """One candidate's number and the width of its sign, name, colour, votes, share, and length of the bar."""
    number, name, _, colour, _, told, *_ = row
    sign = layout.sign + layout.sign * (len(str(number)) - 1) * 2 // 5
    length = layout.bar * (votes or 0) // total if total else 0
    share = row[7] if total else ""
    return number, sign, fitted(name, layout.width - sign - 10 - layout.room, layout.name), colour, told, share, length


def _told(results: Results, wording: Wording) -> dict[str, Any]:
    """Stations that are in, of how many; time in the area's zone; release."""
    stations = results["stations"]
    codes = [*(parent["code"] for parent in results["parents"]), results["area"]["code"]]
    return {
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
    """A card as PNG.

    Raises:
        ContentError: it is no SVG, or reaches for something outside of itself.
    """
    text = svg.decode()
    if found := _REACHES_OUT.search(text):
        raise ContentError(f"{found[0]!r}: a card is drawn of shapes and texts alone", file=TEMPLATE, rule="template")
    try:
        return drawn(text, fonts)
    except ValueError as error:
        raise ContentError(f"cannot be drawn: {error}", file=TEMPLATE, rule="template") from error


def _advance(letter: str) -> float:
    """About how wide a letter is, in parts of its size, and rather more than less."""
    if letter in _NARROW:
        return 0.32
    if letter in _BROAD or letter >= "\u1100":
        return 0.9
    return 0.64 if "A" <= letter <= "Z" else 0.53
