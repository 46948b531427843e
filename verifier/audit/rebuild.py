"""The site made again from the logged inputs, role by role. Whatever renders runs in the workshop, on a plan; this process renders nothing."""

import gc
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from builder.ledger import Ledger
from builder.pack import listing
from builder.rows import Rows
from builder.site import Inputs, Part, Site, is_lasting, make_tallies, parts
from builder.tally import read_tallies, write_tallies
from verifier.audit.workshop import Workshop

__all__ = ["SITE", "Listing", "Loaded", "Plan", "Roles", "lay_out_plan", "load", "rebuild"]

SITE = "site"

Listing = Mapping[str, tuple[int, str]]  # path → length, SHA-256
Roles = Mapping[str, Listing]
NOTHING: Roles = MappingProxyType({})


class Plan(NamedTuple):
    """Where everything lies that a process needs to make the site of `release`: its inputs, a ledger (which may go on after it), its figures."""

    content: Path
    templates: Path
    ledger: Path
    tallies: Path
    release: int


def lay_out_plan(folder: Path, inputs: Inputs, rows: dict[str, Rows], ledger: Ledger) -> Plan:
    """The plan of the ledger's last cut; `rows` are what its packages come to. The figures go into `folder`."""
    cuts = ledger.cuts
    tallies = folder / "tallies" / str(len(cuts))
    write_tallies(tallies, make_tallies(rows, inputs.definition, cuts))
    return Plan(inputs.content, inputs.templates, ledger.directory, tallies, len(cuts))


class Loaded(NamedTuple):
    """A site, of which nothing is rendered yet, and what each role signs of it."""

    site: Site
    parts: dict[str, list[Part]]


@lru_cache(maxsize=1)
def load(plan: Plan) -> Loaded:
    """The site of a plan."""
    ledger = Ledger(plan.ledger)
    del ledger.cuts[plan.release :]
    inputs = Inputs(plan.content, plan.templates)
    site = Site(inputs, ledger, read_tallies(plan.tallies, inputs.definition.election.contests))
    by_role: dict[str, list[Part]] = {}
    for part in parts(site.definition):
        by_role.setdefault(part.role, []).append(part)
    gc.freeze()
    gc.set_threshold(100_000)
    return Loaded(site, by_role)


def rebuild(plan: Plan, workshop: Workshop, before: Roles = NOTHING, since: int = 0) -> dict[str, Listing]:
    """Every file of the site, by role. `before` are those of an earlier release `since`, made here too: what has not changed after it is not made again.

    Raises:
        BuildError: it cannot be made, or not within the workshop's limits.
    """
    site, by_role = load(plan)
    if site.pages_release > since:  # definition, templates or program: every file is another, and some may be gone
        before, since = NOTHING, 0
    changed = [role for role, some in by_role.items() if any(site.part_release(part) > since for part in some)]
    made = workshop.run(_make, [(plan, role, since, before.get(role, {})) for role in (SITE, *changed)])
    return {**before, **dict(zip((SITE, *changed), made, strict=True))}


def _make(plan: Plan, role: str, since: int, before: Listing) -> Listing:
    """The files of a role; `before` are those of release `since`."""
    site, by_role = load(plan)
    if role == SITE:
        files = chain(site.site_files(), site.lasting_files(since))
        before = {path: file for path, file in before.items() if is_lasting(path)}
    else:
        files = chain.from_iterable(site.area_files(part, since, before) for part in by_role[role])
    return {**before, **listing(entry for entry, _ in files)}
