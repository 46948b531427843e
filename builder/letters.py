"""Lists of areas from A to Z: the search that needs no script. Static names alone.

One for each contest, of its areas down to the shard level, and one for each of its shards, of all areas in it: docs/formats.md, "Search".
"""

from collections.abc import Sequence
from itertools import groupby

from builder.election import Contest, Definition
from builder.exports import top_row
from builder.languages import language_folder
from builder.pages import Pages
from builder.search import fold

__all__ = ["LETTERS_NAME", "letters_page"]

LETTERS_NAME = "a-z.html"  # no code has an inner `-`


def letters_page(definition: Definition, contest: Contest, rows: Sequence[int], pages: Pages) -> tuple[str, bytes]:
    """Path and bytes of the list of a part: `rows` are its areas, the first one the area that it is of."""
    areas, first = definition.areas, rows[0]
    folder = areas.path(contest.id, first).rpartition("/")[0]
    shard, words = areas.shards[first], pages.wording.texts["letters"]
    depth = definition.election.level_number(definition.election.shard_level)
    levels, title = list(pages.wording.levels), pages.wording.level
    if not shard:
        rows = [row for row in range(first, areas.ends[first]) if areas.levels[row] <= depth]
    links = [
        (
            fold(areas.names[row]),
            f"{areas.path(contest.id, row).removeprefix(f'{folder}/')}.html",
            areas.names[row],
            ", ".join(
                filter(None, (title(levels[areas.levels[row]], areas.kinds[row]), areas.names[areas.parents[row]]))
            ),
            f"{areas.shards[row]}/{LETTERS_NAME}" if areas.shards[row] != shard else "",
        )
        for row in rows[1:]
    ]
    values = {
        "words": words,
        "contest": pages.wording.title(contest.title),
        "area": areas.names[first],
        "area_href": f"{areas.path(contest.id, first).removeprefix(f'{folder}/')}.html",
        "has_lists": not shard,
        "parents": [(f"../{LETTERS_NAME}", words["title"])] if shard and _has_list_above(definition, contest) else [],
        "groups": [
            (letter or "#", [link for _, *link in some])
            for letter, some in groupby(sorted(links), key=lambda link: link[0][:1].upper())
        ],
    }
    path = f"{language_folder(pages.language)}{folder}/{LETTERS_NAME}"
    head_title = f"{words['title']}: {areas.names[first]} – {values['contest']}"
    return path, pages.other_page("a-z.html", path, head_title, values, definition.election.languages)


def _has_list_above(definition: Definition, contest: Contest) -> bool:
    return not definition.areas.shards[top_row(definition, contest)]
