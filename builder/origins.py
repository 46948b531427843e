"""Where an area's figures come from: the packages with its rows, and each change with its reason, authority and document."""

from collections.abc import Mapping
from typing import Any

from builder.wording import HASH_SHOWN, Results, Wording

__all__ = ["filled_rows", "revision_rows", "source_rows"]


def revision_rows(results: Results, labels: Mapping[str, str], wording: Wording, root: str) -> list[tuple[Any, ...]]:
    """Each package that replaced something, the newest release first: its revisions (place from 1, title, changes as label, old, new), reason, authority, document, package, its cover's href, release.

    Those in which only empty fields were filled in are left to `filled_rows`: on a busy night they would bury what was replaced.
    """
    titles, names = wording.revision_titles(results["revisions"]), _names(results)
    return [
        (
            [(place, titles[place - 1], _changes(one, labels, wording)) for place, one in some],
            *_origin(some[0][1], names, wording, root),
        )
        for some in _by_package(results, filled=False)
    ]


def filled_rows(results: Results, wording: Wording, root: str) -> list[tuple[Any, ...]]:
    """Each package by which fields were filled in that had been empty: stations (place of the revision, number), reason, and so on as above."""
    names = _names(results)
    return [
        ([(place, one["station"]) for place, one in some], *_origin(some[0][1], names, wording, root))
        for some in _by_package(results, filled=True)
    ]


def _by_package(results: Results, *, filled: bool) -> list[list[tuple[int, Mapping[str, Any]]]]:
    """Revisions with their places, in groups: what came together is told once."""
    groups: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for place, revision in enumerate(results["revisions"], 1):
        if _only_filled(revision) == filled:
            groups.setdefault(revision["package"], []).append((place, revision))
    return sorted(groups.values(), key=lambda some: -some[0][1]["release"])


def _only_filled(revision: Mapping[str, Any]) -> bool:
    changes = revision["changes"]
    return bool(revision["station"] and changes) and all(old is None for _, old, _ in changes)


def _changes(revision: Mapping[str, Any], labels: Mapping[str, str], wording: Wording) -> list[tuple[str, str, str]]:
    figure = wording.figure
    return [(labels.get(name, name), figure(old), figure(new)) for name, old, new in revision["changes"]]


def _origin(
    revision: Mapping[str, Any], names: Mapping[str, str], wording: Wording, root: str
) -> tuple[str, str, str, str, str, int]:
    """Reason, authority, document, package, its cover's href, release."""
    package = revision["package"]
    return (
        wording.reason(revision), wording.authority(revision, names), wording.given(revision["document"]),
        package[:HASH_SHOWN], _cover(package, root), revision["release"],
    )  # fmt: skip


def source_rows(results: Results, wording: Wording, root: str) -> list[tuple[str, ...]]:
    """Each package with rows of this area, which covers the area itself or one of its parents: series, tier, area, form, document, authority, package, href."""
    if not results["sources"]:
        return []
    names = _names(results)
    return [
        (
            wording.words[source["series"]].capitalize(), wording.level(source["tier"], results["area"]["kind"]), names.get(source["area"], source["area"]),
            wording.given(source["form"]), wording.given(source["document"]), wording.authority(source, names),
            source["package"][:HASH_SHOWN], _cover(source["package"], root),
        )
        for source in results["sources"]
    ]  # fmt: skip


def _names(results: Results) -> dict[str, str]:
    """The area and those above it by code: whoever handed in figures of an area is one of them."""
    return {area["code"]: area["name"] for area in (*results["parents"], results["area"])}


def _cover(package: str, root: str) -> str:
    return f"{root}packages/{package}/recap.toml"
