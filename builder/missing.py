"""404.html: what a server answers where there is nothing. It is shown at any depth, so that its links begin at the server's root."""

from collections.abc import Mapping

from builder.election import Definition
from builder.languages import language_folder
from builder.letters import LETTERS_NAME
from builder.pages import Pages

__all__ = ["missing_page"]


def missing_page(definition: Definition, pages: Mapping[str, Pages]) -> bytes:
    """One page in both languages."""
    election = definition.election
    root = f"/{election.id}/"
    english = pages["en"].wording
    folder = language_folder("en") if "en" in election.languages else ""
    wide = [
        contest for contest in election.contests if not contest.area or not definition.areas.shards[definition.areas.index[contest.area]]
    ]  # fmt: skip
    values = {
        "root": root,
        "words": pages["id"].wording.texts["missing"],
        "lists": [(f"{root}{one.id}/{LETTERS_NAME}", one.title.id) for one in wide],
        "english": english.texts["missing"],
        "english_home": f"{root}{folder}index.html",
        "english_lists": [(f"{root}{folder}{one.id}/{LETTERS_NAME}", one.title.en) for one in wide],
    }
    return pages["id"].other_page("404.html", "404.html", values["words"]["title"], values)
