"""What was published, held against what was made again: every file that is not the same, and where its bytes part."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from verifier import limits
from verifier.audit.compression import otherwise_compressed
from verifier.audit.lists import read_object
from verifier.audit.rebuild import SITE, Listing, Plan, Roles, load
from verifier.audit.report import Change
from verifier.audit.workshop import BuildError, Workshop
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.fetcher import Fetcher
from verifier.files import is_pack
from verifier.site import signed_file

__all__ = ["Compared", "compare", "published", "with_partings"]

NOT_MADE = frozenset({"targets", "trust"})  # signed offline: inputs themselves
PARTINGS_SHOWN = 20
EXCERPT = 60
RECOMPRESSED = "same content, other compression (library versions differ)"


def published(client: Client, changes: list[Change]) -> dict[str, Listing]:
    """What each role of the verified release lists; what it has no right to list is a change."""
    owners: dict[str, str] = {}
    found: dict[str, Listing] = {}
    for role in client.walk():
        files = {}
        for path, target in role.targets.targets.items():
            try:
                file = signed_file(role, path, target, owners)
            except VerifierError as error:
                changes.append(Change(path, str(error)))
            else:
                files[path] = (file.length, file.sha256)
        found[role.name] = files
    return found


class Compared(NamedTuple):
    """Files that were published otherwise than the inputs say; those that differ in compression alone, or in the hashes of such files; and those of which
    nobody can say which of both, since what was published is gone."""

    changes: list[Change]
    recompressed: list[Change]
    gone: list[Change]


def compare(listed: Roles, made: Roles, plan: Plan, workshop: Workshop, fetcher: Fetcher) -> Compared:
    """What was published, as `listed`, and what was `made`, role by role."""
    found = Compared([], [], [])
    expected = {*NOT_MADE, *(contest.group for contest in load(plan).site.definition.election.contests), *made}
    for role in sorted(listed.keys() - expected):
        found.changes.append(Change(f"role {role}", "may sign files, and follows from no input"))
    for role in sorted((listed.keys() | made.keys()) - NOT_MADE):
        theirs, ours = listed.get(role, {}), made.get(role, {})
        changes = {change.path: change for change in differences(role, theirs, ours)}
        same, gone = otherwise_compressed(role, changes.keys(), theirs, ours, plan, workshop, fetcher)
        found.recompressed.extend(replace(changes.pop(path), what=RECOMPRESSED) for path in sorted(same))
        found.gone.extend(changes.pop(path) for path in sorted(gone))
        found.changes.extend(changes.values())
    return found


def differences(role: str, theirs: Listing, ours: Listing) -> Iterator[Change]:
    """Every file of a role that was published otherwise than the inputs say, by path."""
    for path in sorted(path for path in theirs.keys() | ours.keys() if theirs.get(path) != ours.get(path)):
        if path not in ours:
            if role != SITE or not is_pack(path):  # what is in a pack: verifier.audit.packs
                yield Change(path, "published, and follows from no input", theirs[path][1])
        elif path not in theirs:
            yield Change(path, "follows from the inputs, and was not published", "", ours[path][1])
        else:
            yield Change(path, "published otherwise than the inputs say", theirs[path][1], ours[path][1])


def with_partings(changes: Sequence[Change], plan: Plan, workshop: Workshop, fetcher: Fetcher) -> list[Change]:
    """The same, the first ones with the place where the published file and the one that follows from the inputs part, where both can be had."""
    theirs = {}
    for change in [one for one in changes if one.published and one.rebuilt][:PARTINGS_SHOWN]:
        with suppress(VerifierError):
            theirs[change.path] = read_object(fetcher, change.path, change.published, limits.RESULTS_FILE)
    with suppress(BuildError):
        places = workshop.run(_parting, [(plan, path, data) for path, data in theirs.items()])
        where = dict(zip(theirs, places, strict=True))
        return [replace(change, where=where.get(change.path, "")) for change in changes]
    return list(changes)


def _parting(plan: Plan, path: str, theirs: bytes) -> str:
    ours = load(plan).site.render(path)
    if ours is None or ours == theirs:
        return ""
    at = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    start = max(0, at - EXCERPT // 2)
    shown = [data[start : start + EXCERPT].decode("utf-8", "replace") for data in (theirs, ours)]
    return f"from byte {at} on: published “{shown[0]}”, from the inputs “{shown[1]}”"
