"""What a release puts on one target: files, bytes, requests, and about what it costs. Estimated before anything is signed or asked of the target."""

import os
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from builder.pack import pack_names, read_index
from publish.cdn.batches import POINTERS, CloudFront, Invalidation, Place, Purge, asked_as, requests
from publish.release import make
from publish.release.draft import Draft, DraftState
from publish.release.flow import Flow
from publish.release.gone import gone_paths
from publish.release.hints import DOMAIN_HINTS
from publish.release.packs import PACK_LENGTH
from publish.release.push import SNAPSHOT
from publish.release.record import Base
from publish.workspace import Workspace
from verifier.files import is_pack, is_results
from verifier.formats import ustar
from verifier.formats.tiles import tiles_between

__all__ = ["Load", "estimate"]

MINISIGN_BYTES = 450  # a signature of a results file, about
LISTED_BYTES = 250  # a file's entry in its role's metadata, about
GB = 1_000_000_000


class Load(msgspec.Struct, frozen=True):
    """What one target takes: changed files, aliases of what is gone, bytes, requests, purges (what CloudFront bills as paths, requests of other CDNs); the price of
    these requests and of keeping the bytes for a month, None for a folder.
    """

    files: int
    gone: int
    bytes: int
    puts: int
    gets: int
    purges: int
    cost: float | None
    cost_month: float | None
    currency: str


def estimate(flow: Flow, name: str, base: Base, draft: Draft) -> Load:
    """What the release of a draft puts on target `name`, which holds `base`. Its public addresses are those of the configuration."""
    workspace, state = flow.workspace, draft.state()
    assert state is not None
    listed = {pack: read_index(draft.files, pack) for pack in pack_names(draft.files)}
    files = [entry for entries in listed.values() for entry in entries]
    signed = [
        f"{entry.path}.minisig" for role in state.rendered for entry in listed.get(role, ()) if is_results(entry.path)
    ]
    replaced, _ = gone_paths(base.store, draft, state, workspace.ledger.cuts)
    gone = [*replaced, *(f"{path}.minisig" for path in replaced if is_results(path))]
    size = sum(entry.length for entry in files) + len(signed) * MINISIGN_BYTES
    handed_in, metadata = [*_package_sizes(workspace, base, state)], [*_metadata_sizes(flow, base, state, listed)]
    packages, scans = ([size for size, is_scan in handed_in if is_scan == kind] for kind in (False, True))
    sizes = [*(entry.length for entry in files), *[MINISIGN_BYTES] * len(signed), *packages, *metadata]
    packed = sum(ustar.size_of("", size) for size in sizes)
    if workspace.ledger.cuts[-1].full:
        packed += _full_size(base) if base.record else packed
    # All of it but scans lies in packs, too: publish/release/packs.py.
    once = [*packages, *scans, *metadata, *[PACK_LENGTH] * (packed // PACK_LENGTH), packed % PACK_LENGTH]
    target, aliases = workspace.config.targets[name], [*(entry.path for entry in files), *signed, *gone]
    hints = [DOMAIN_HINTS[entry.path] for entry in files if entry.path in DOMAIN_HINTS]
    # Aliases on a disk are links; each object, alias, pointer and hint of a bucket is one PUT. Timestamp, checkpoint and proof are read first.
    stored = sum(once) + (2 if target.bucket else 1) * size
    puts = len(files) + len(signed) + len(once) + len(aliases) + len(POINTERS) + len(hints) + _log_files(flow, base)
    gets = 3
    place = Place(target.urls, workspace.definition.election.id)
    purges = _purges(target.purge, [*aliases, *hints, *POINTERS], place) if target.purge else 0
    prices = target.prices
    billed = purges if isinstance(target.purge, CloudFront) else 0
    cost = (puts * prices.per_1000_puts + gets * prices.per_1000_gets + billed * prices.per_1000_purges) / 1000
    cost_month = stored / GB * prices.per_gb_month
    paid = target.bucket is not None
    return Load(
        len(files), len(gone), stored, puts, gets, purges,
        round(cost, 6) if paid else None, round(cost_month, 6) if paid else None, prices.currency,
    )  # fmt: skip


def _full_size(base: Base) -> int:
    """About how many bytes full packs have: those of what the target lists, for little of it changes in length."""
    roles = [role for role in (base.record.roles if base.record else ()) if role != SNAPSHOT]
    files = {path: length for role in roles for path, (length, _) in base.role_targets(role).items()}
    sizes = [length for path, length in files.items() if not is_pack(path)]
    sizes += [MINISIGN_BYTES for path in files if is_results(path)]
    return sum(ustar.size_of("", size) for size in sizes)


def _log_files(flow: Flow, base: Base) -> int:
    """How many files of the log the release adds: tiles, proof, checkpoint."""
    log = flow.pushes.log
    entries = log.size + log.lacks(flow.workspace.ledger) + 1
    return len([*tiles_between(base.record.log if base.record else 0, entries)]) + 2


def _purges(purge: Purge, paths: Sequence[str], place: Place) -> int:
    found = requests(purge, asked_as(place.election, paths), place, "plan", {})
    return sum(len(request.items) if isinstance(request, Invalidation) else 1 for request in found)


def _package_sizes(workspace: Workspace, base: Base, state: DraftState) -> Iterator[tuple[int, bool]]:
    """Length of each file of the packages that the target lacks, but for withheld scans; and whether it is a scan."""
    ledger = workspace.ledger
    for record in ledger.packages[base.packages : ledger.cuts[state.release - 1].through]:
        withheld = ledger.withheld(record.package)
        scans = {scan.file: scan.sha256 in withheld for scan in ledger.read_cover(record).scans}
        with os.scandir(ledger.directory / "packages" / record.package) as files:
            yield from ((file.stat().st_size, file.name in scans) for file in files if not scans.get(file.name))


def _metadata_sizes(flow: Flow, base: Base, state: DraftState, listed: Mapping[str, Sequence[object]]) -> Iterator[int]:
    """Length of each file of metadata: as it was at the target, or about what its entries will take."""
    known = base.record.roles if base.record else {}
    for role, version in make.role_versions(flow.workspace, flow.site).items():
        if version > state.since or not known:
            yield known[role].length if role in known else len(listed.get(role, ())) * LISTED_BYTES
    yield known[SNAPSHOT].length if SNAPSHOT in known else len(listed) * LISTED_BYTES
    yield from map(len, flow.keyring.trust.metadata.values())
