"""A small page for other sites' frames, for areas down to the shard level: `embed/<contest>/[<shard>/]<area>.html`, with its oEmbed answer.

docs/formats.md, "Embeds". No script and one fixed height: whoever frames it knows how much room it takes, whatever the figures are.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from markupsafe import escape

from builder.contest_values import leading
from builder.election import Contest, Definition
from builder.figures import bar_width
from builder.languages import language_folder, language_suffix
from builder.pages import Pages
from builder.results import View

__all__ = ["WIDTH", "embed_page", "embed_path", "embedded_rows", "height", "oembed"]

WIDTH = 480  # CSS pixels
_FRAME_HEIGHT, _CANDIDATE_HEIGHT, CANDIDATES_SHOWN = 204, 44, 8
_encode = msgspec.json.Encoder(order="sorted").encode


def embedded_rows(definition: Definition, contest: Contest, rows: Iterable[int]) -> list[int]:
    """Those of `rows` that have a page for frames, and a card."""
    areas, election = definition.areas, definition.election
    return [row for row in rows if election.is_embedded(contest, areas.levels[row], areas.codes[row])]


def embed_path(definition: Definition, contest: Contest, row: int, language: str) -> str:
    """Path of an area's page for frames, without extension."""
    return f"embed/{definition.areas.path(contest.id, row)}{language_suffix(language)}"


def height(contest: Contest) -> int:
    """Height of every page of a contest, in CSS pixels."""
    return _FRAME_HEIGHT + _CANDIDATE_HEIGHT * min(len(contest.candidates), CANDIDATES_SHOWN)


def embed_page(view: View, definition: Definition, contest: Contest, row: int, pages: Pages) -> tuple[str, bytes]:
    """Path and bytes of the page: the count's votes, or the recapitulation's where the count has none; the leading candidates where there are many."""
    wording, language = pages.wording, pages.language
    election, count, recap = definition.election, view["count"], view["recap"] or view["below"]
    main = count if any(count["votes"]) or recap is None else recap
    votes = main["votes"]
    total = sum(vote or 0 for vote in votes)
    shown = leading(votes, CANDIDATES_SHOWN)
    stations, path = view["stations"], embed_path(definition, contest, row, language)
    root = "../" * path.count("/")
    values: dict[str, Any] = {
        "words": wording.texts["embed"],
        "title": wording.title(contest.title),
        "area": view["area"]["name"],
        "test": election.test,
        "status": wording.status(main),
        "series": wording.words["series_count" if main is count else "series_recap"],
        "rows": [
            (
                contest.candidates[place].number,
                contest.candidates[place].name,
                wording.figure(votes[place]),
                wording.share(votes[place], total),
                bar_width(votes[place] or 0, total),
            )
            for place in shown
        ],
        "more": wording.texts["embed"]["more"].format(count=len(votes) - len(shown)) if len(shown) < len(votes) else "",
        "station": wording.station,
        "reported": wording.figure(stations["reported"]),
        "expected": wording.figure(stations["expected"]),
        "release": view["release"],
        "released": view["released"],
        "released_local": wording.time(view["released"]),
        "href": f"{root}{language_folder(language)}{view['path'].removesuffix('json')}html",
    }
    title = f"{view['area']['name']}: {values['title']}"
    return f"{path}.html", pages.other_page("embed.html", f"{path}.html", title, values)


def oembed(view: View, definition: Definition, contest: Contest, row: int, pages: Pages) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of the oEmbed answer (oembed.com, type rich); none where the site's own address is not told. Static names alone."""
    election = definition.election
    if election.address is None:
        return
    wording, path = pages.wording, embed_path(definition, contest, row, pages.language)
    title = f"{view['area']['name']}: {wording.title(contest.title)}, {wording.title(election.title)}"
    frame = '<iframe src="{}{}.html" title="{}" width="{}" height="{}" loading="lazy" style="border:0;max-width:100%"></iframe>'
    told = {
        "version": "1.0",
        "type": "rich",
        "title": title,
        "provider_name": wording.title(election.title),
        "provider_url": election.address,
        "width": WIDTH,
        "height": height(contest),
        "html": frame.format(escape(election.address), path, escape(title), WIDTH, height(contest)),
    }
    yield f"{path}.json", _encode(told) + b"\n"
