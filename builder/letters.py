"""Lists of areas from A to Z: the search that needs no script. Static names alone.

One for each contest, of its areas down to the shard level, and one for each of its shards, of all areas in it: docs/formats.md, "Search".
"""

from collections.abc import Sequence
from itertools import groupby

from builder.election import Contest, Definition
from builder.exports import top_row
from builder.pages import Pages, language_folder
from builder.search import fold

__all__ = ["LETTERS_NAME", "letters_page"]

LETTERS_NAME = "a-z.html"  # no code has an inner `-`


def letters_page(definition: Definition, contest: Contest, rows: Sequence[int], pages: Pages, language: str) -> tuple[str, bytes]:  # fmt: skip
    """Path and bytes of the list of a part: `rows` are its areas, the first one the area that it is of."""
    areas, first = definition.areas, rows[0]
    path = f"{language_folder(language)}{areas.path(contest.id, first).rpartition('/')[0]}/{LETTERS_NAME}"
    if areas.shards[first]:
        listed = rows[1:]
        parents = [(f"../{LETTERS_NAME}", pages.wording.texts["letters"]["title"])] if _has_list_above(definition, contest) else []  # fmt: skip
    else:
        depth = definition.election.level_number(definition.election.shard_level)
        listed = [row for row in range(first + 1, areas.ends[first]) if areas.levels[row] <= depth]
        parents = []
    links = sorted((fold(areas.names[row]), row) for row in listed)
    folder = areas.path(contest.id, first).rpartition("/")[0]
    values = {
        "words": pages.wording.texts["letters"],
        "contest": pages.wording.title(contest.title),
        "area": areas.names[first],
        "parents": parents,
        "groups": [
            (
                letter or "#",
                [
                    (
                        f"{areas.path(contest.id, row).removeprefix(f'{folder}/')}.html",
                        areas.names[row],
                        areas.names[areas.parents[row]],
                    )
                    for _, row in some
                ],
            )
            for letter, some in groupby(links, key=lambda link: link[0][:1].upper())
        ],
    }
    title = f"{values['words']['title']}: {areas.names[first]} – {values['contest']}"
    return path, pages.other_page("a-z.html", path, title, values, definition.election.languages)


def _has_list_above(definition: Definition, contest: Contest) -> bool:
    return not definition.areas.shards[top_row(definition, contest)]
