"""Ledger and log rebuilt from a public tree, for a publisher whose machine is gone. Keys, `terbit.toml` and content come from a backup.

Nothing there is believed: the log has the signature of our own key, its entries lead to that checkpoint's root, and each package has the hash that its
entry names. What the log says in its order is the ledger (docs/formats.md, "Ledger", "Log"), byte for byte. What is here already must be its beginning.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from builder import durable
from builder import limits as builder_limits
from builder.errors import BuilderError
from builder.inputs import archive_names, read_archive
from builder.ledger import Cut, Record, RedactedRecord, RefusedRecord, RootRecord
from builder.recap import COVER, ORDER_SUFFIX, SIGNATURE, Package, parse_cover, parse_package
from publish.errors import LogError, RaceError
from publish.release.lineage import Lineage
from publish.signing.keyring import Keyring
from publish.translog.log import Log
from publish.workspace import Workspace
from verifier import limits
from verifier.audit.records import cut_record, package_record
from verifier.errors import FormatError, VerifierError
from verifier.fetcher import Fetcher
from verifier.formats import leaves
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.tlog_proof import LogProof
from verifier.log import CHECKPOINT, proof_path
from verifier.log_entries import check_root, parse_entries, read_entries

__all__ = ["Recovered", "recover"]


@dataclass(frozen=True)
class Recovered:
    """What ledger and log have now, and how much of it was new here; `without_proof`: logged releases of which none was found (they were stopped
    before they were public, or this is not the place to recover from)."""

    entries: int
    packages: int
    release: int
    new_records: int
    without_proof: tuple[str, ...]


def recover(workspace: Workspace, fetcher: Fetcher, place: str, keyring: Keyring, executor: Executor) -> Recovered:
    """Bring ledger and log to what `place` shows.

    Raises:
        LogError: what is here is not the beginning of what is there, or something there is missing or not what was logged. Nothing was changed.
        VerifierError: the log there is not ours, or cannot be read.
    """
    try:
        signed = SignedCheckpoint.parse(fetcher.fetch(CHECKPOINT, limits.NOTE_FILE))
    except FormatError as error:
        raise FormatError(f"{CHECKPOINT} at {place}: {error}; try another mirror") from None
    keyring.policy.witnessed(signed)
    entries = read_entries(fetcher, signed.checkpoint.size, executor)
    check_root(entries, signed.checkpoint)
    log = Log(workspace.log, keyring.log_key)
    mend = _mend(workspace)
    log.check_continued(entries, place, mend)
    logged = list(parse_entries(entries))
    named = [leaf for leaf in logged if isinstance(leaf, leaves.Package)]
    redacted = [leaf for leaf in logged if isinstance(leaf, leaves.Redacted)]
    withheld = [{one.file for one in redacted if one.package == leaf.package} for leaf in named]
    packages = list(executor.map(partial(_package, fetcher), named, withheld))
    orders = {path: data for one in redacted for path, data in _order(fetcher, one)}
    records = _records(logged, packages)
    ledger = workspace.ledger
    with ledger.lock():
        known = len(ledger.records)
        if ledger.records != records[:known]:
            raise LogError(
                f"the ledger here is not the beginning of the one that {place} shows: somebody went on from an old copy, or this is another election; "
                f"{mend}"
            )
        _keep_archives(workspace, fetcher, [one for one in records if isinstance(one, Cut)])
        ledger.follow(records[known:], [one for one in packages if one.name not in ledger])
        for path, data in orders.items():
            durable.write_file(ledger.directory / path, data)
    releases = [(index, leaf) for index, leaf in enumerate(logged) if isinstance(leaf, leaves.Release)]
    lineage = Lineage(ledger.directory)
    for _, release in releases:
        lineage.add(int(release.file.partition(".")[0]), release.sha256)
    log.adopt(entries, signed, releases, len(records), ledger.end)
    proofs = {release: _proof(fetcher, release, keyring, log) for _, release in releases}
    for release, proof in proofs.items():
        if proof is not None:
            log.keep_proof(release, proof)
    without = tuple(release.file for release, proof in proofs.items() if proof is None)
    return Recovered(len(entries), len(packages), log.release, len(records) - known, without)


def _mend(workspace: Workspace) -> str:
    """What to do where the ledger here is a second history: most often a first release that was made after the machine was lost."""
    folders = [workspace.ledger.directory, workspace.build, *(target.root for target in workspace.local_targets())]
    aside = ", ".join(map(str, folders))
    return (
        f"if nobody has seen anything of what was made here, move {aside} away (not the place to recover from), and run this again. "
        "If others have seen it, keep both, and say in public which one holds (docs/operations.md, Recovery)"
    )


def _package(fetcher: Fetcher, leaf: leaves.Package, withheld: Collection[str]) -> Package:
    folder = f"packages/{leaf.package}"
    try:
        cover = parse_cover(fetcher.fetch(f"{folder}/{COVER}", builder_limits.COVER_FILE), folder)
        names = {COVER, cover.rows.file, *(scan.file for scan in cover.scans if scan.sha256 not in withheld)}
        if leaf.signature is not None:
            names.add(SIGNATURE)
        package = parse_package(names, lambda name, cap: fetcher.fetch(f"{folder}/{name}", cap), folder, withheld)
    except (VerifierError, BuilderError) as error:
        raise LogError(f"package {leaf.package} cannot be had: {error}; try another mirror") from None
    if package.name != leaf.package:
        raise LogError(f"{folder}/{COVER} is another one than was logged; try another mirror")
    return package


def _records(logged: Sequence[leaves.Leaf], packages: Sequence[Package]) -> list[Record]:
    found = {package.name: package for package in packages}
    records: list[Record] = []
    for leaf in logged:
        match leaf:
            case leaves.Package():
                records.append(package_record(leaf, found[leaf.package]))
            case leaves.Refused():
                records.append(RefusedRecord(leaf.package, leaf.rules, leaf.signature, leaf.signer))
            case leaves.Inputs():
                records.append(cut_record(leaf))
            case leaves.Root():
                records.append(RootRecord(leaf.file, leaf.length, leaf.sha256))
            case leaves.Redacted():
                records.append(RedactedRecord(leaf.package, leaf.file, leaf.authority))
    return records


def _keep_archives(workspace: Workspace, fetcher: Fetcher, cuts: Sequence[Cut]) -> None:
    """What releases were made from: the next one lists it, too."""
    for name in archive_names(cuts):
        path = workspace.ledger.directory / "inputs" / name
        if path.exists():
            continue
        try:
            data = fetcher.fetch(f"inputs/{name}", 2 * builder_limits.INPUTS_ARCHIVE)
            read_archive(data, name.partition(".")[0], name)
        except (VerifierError, BuilderError) as error:
            raise LogError(f"inputs/{name} cannot be had: {error}; try another mirror") from None
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_file(path, data)


def _order(fetcher: Fetcher, leaf: leaves.Redacted) -> Iterator[tuple[str, bytes]]:
    """The text by which a scan is withheld: it is published with every release."""
    path = f"packages/{leaf.package}/{leaf.authority}{ORDER_SUFFIX}"
    try:
        data = fetcher.fetch(path, limits.ORDER_FILE)
    except VerifierError as error:
        raise LogError(f"{path} cannot be had: {error}; try another mirror") from None
    if hashlib.sha256(data).hexdigest() != leaf.authority:
        raise LogError(f"{path} is another one than was logged; try another mirror")
    yield path, data


def _proof(fetcher: Fetcher, release: leaves.Release, keyring: Keyring, log: Log) -> bytes | None:
    """The proof that was shown: another one under its name would look like tampering. None where there is none that holds."""
    try:
        data = fetcher.fetch(proof_path(int(release.file.partition(".")[0])), limits.PROOF_FILE)
        proof = LogProof.parse(data)
        proof.check(release.encode())
        keyring.policy.witnessed(proof.checkpoint)
        log.check_public(data, "the proof")
    except (VerifierError, RaceError):
        return None
    return data
