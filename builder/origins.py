"""Where an area's figures come from: the packages with its rows, and each change with its reason, authority and document."""

from collections.abc import Mapping
from typing import Any

from builder.wording import HASH_SHOWN, Results, Wording

__all__ = ["revision_rows", "source_rows"]


def revision_rows(results: Results, labels: Mapping[str, str], wording: Wording, root: str) -> list[tuple[Any, ...]]:
    """Each revision: its place from 1, title, changes (label, old, new), reason, authority, document, package, its cover's href, release."""
    names = _names(results)
    return [
        _revision(place, revision, labels, wording, root, names)
        for place, revision in enumerate(results["revisions"], 1)
    ]


def _revision(
    place: int,
    revision: Mapping[str, Any],
    labels: Mapping[str, str],
    wording: Wording,
    root: str,
    names: Mapping[str, str],
) -> tuple[Any, ...]:
    figure, package = wording.figure, revision["package"]
    changes = [(labels.get(name, name), figure(old), figure(new)) for name, old, new in revision["changes"]]
    return (
        place, wording.revision_title(revision), changes, wording.reason(revision), wording.authority(revision, names), wording.given(revision["document"]),
        package[:HASH_SHOWN], _cover(package, root), revision["release"],
    )  # fmt: skip


def source_rows(results: Results, wording: Wording, root: str) -> list[tuple[str, ...]]:
    """Each package with rows of this area, which covers the area itself or one of its parents: series, tier, area, form, document, authority, package, href."""
    if not results["sources"]:
        return []
    names = _names(results)
    return [
        (
            wording.words[source["series"]].capitalize(), wording.levels.get(source["tier"], source["tier"]), names.get(source["area"], source["area"]),
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
