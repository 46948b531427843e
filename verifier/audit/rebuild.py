"""The site made again from the logged inputs, role by role, in this process or in several; and what was published otherwise."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from builder.ledger import Ledger
from builder.site import Inputs, Part, Site, parts
from builder.tally import read_tallies, write_tallies
from verifier.audit.report import Change
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.files import is_pack
from verifier.site import signed_file

__all__ = ["Listing", "Rebuilt", "differences", "parting", "published", "rebuild"]

FEW_ROLES = 12
SITE = "site"
NOT_MADE = frozenset({"targets", "trust"})  # signed offline: inputs themselves
PARTINGS_SHOWN = 20
EXCERPT = 60

Listing = Mapping[str, tuple[int, str]]  # path → length, SHA-256


class _Plan(NamedTuple):
    """Where everything lies that a process needs."""

    inputs: Inputs
    ledger: Path
    tallies: Path


class Rebuilt(NamedTuple):
    """The site, to render single files of it, and all of its files by role."""

    site: Site
    roles: dict[str, Listing]


def rebuild(inputs: Inputs, site: Site, folder: Path, processes: int) -> Rebuilt:
    """Every file of the site at the last cut of its ledger."""
    plan = _Plan(Inputs(inputs.content, inputs.templates), site.ledger.directory, folder / "tallies")
    by_role = _parts_by_role(site)
    if len(by_role) < FEW_ROLES or processes < 2:
        roles = {role: _entries(site, some) for role, some in by_role.items()}
    else:
        write_tallies(plan.tallies, site.tallies)
        context = get_context("spawn")
        with ProcessPoolExecutor(processes, context, _start_worker, (plan,)) as pool:
            roles = dict(zip(by_role, pool.map(_work, by_role, chunksize=4), strict=True))
    files = [*site.site_files(), *site.lasting_files(0)]
    return Rebuilt(site, {**roles, SITE: {entry.path: (entry.length, entry.sha256) for entry, _ in files}})


def _parts_by_role(site: Site) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts(site.definition):
        found.setdefault(part.role, []).append(part)
    return found


def _entries(site: Site, some: Sequence[Part]) -> Listing:
    return {entry.path: (entry.length, entry.sha256) for part in some for entry, _ in site.area_files(part, 0)}


_site: Site
_roles: dict[str, list[Part]]


def _start_worker(plan: _Plan) -> None:
    global _site, _roles  # noqa: PLW0603 - a worker process has one site for its life
    inputs = plan.inputs
    _site = Site(inputs, Ledger(plan.ledger), read_tallies(plan.tallies, inputs.definition.election.contests))
    _roles = _parts_by_role(_site)
    gc.freeze()
    gc.set_threshold(100_000)


def _work(role: str) -> Listing:
    return _entries(_site, _roles[role])


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


def differences(listed: Mapping[str, Listing], rebuilt: Rebuilt) -> Iterator[Change]:
    """Every file that was published otherwise than the inputs say, by path."""
    for role in sorted((listed.keys() | rebuilt.roles.keys()) - NOT_MADE):
        theirs, ours = listed.get(role, {}), rebuilt.roles.get(role, {})
        for path in sorted(path for path in theirs.keys() | ours.keys() if theirs.get(path) != ours.get(path)):
            if path not in ours:
                if role != SITE or not is_pack(path):  # what is in a pack: verifier.audit.packs
                    yield Change(path, "published, and follows from no input", theirs[path][1])
            elif path not in theirs:
                yield Change(path, "follows from the inputs, and was not published", "", ours[path][1])
            else:
                yield Change(path, "published otherwise than the inputs say", theirs[path][1], ours[path][1])


def parting(change: Change, client: Client, rebuilt: Rebuilt) -> str:
    """Where the published file and the one that follows from the inputs part; nothing where one of them cannot be had."""
    try:
        theirs = client.target(change.path)
    except VerifierError:
        return ""
    ours = rebuilt.site.render(change.path)
    if ours is None or ours == theirs:
        return ""
    at = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    start = max(0, at - EXCERPT // 2)
    shown = [data[start : start + EXCERPT].decode("utf-8", "replace") for data in (theirs, ours)]
    return f"from byte {at} on: published “{shown[0]}”, from the inputs “{shown[1]}”"
