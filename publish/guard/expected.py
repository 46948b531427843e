"""What belongs at a target: every path of the last release with its hash, from the record, the offline-signed metadata and the ledger."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.hashing import input_hash
from builder.ledger import PackageRecord
from builder.pack import Entry
from builder.pages import GONE_DATA, GONE_PAGES
from builder.recap import SIGNATURE
from publish.errors import SigningError
from publish.guard.expected_log import expect_log
from publish.guard.judge import Right
from publish.redaction import orders
from publish.release.hints import DOMAIN_HINTS, latest_hint
from publish.release.record import Record, RecordStore
from publish.signing.offline import File, Offline
from publish.targets import TIMESTAMP
from publish.workspace import Workspace
from verifier.files import is_pack, is_results, object_path
from verifier.formats.metadata_fields import signed_fields
from verifier.tuf_api import Metadata, Targets

__all__ = ["Expected", "Recorded", "expect", "recorded"]

SNAPSHOT, SITE, TRUST = "snapshot", "site", "trust"


@dataclass(frozen=True)
class Recorded:
    """A record as it was read: its own bytes tell it from any later one."""

    record: Record
    mark: bytes


@dataclass(frozen=True)
class Expected:
    """`right` by path; `data` has the bytes of what can be had from nowhere else; what is `coming` may be there, or not yet; what is `withheld` must not."""

    release: int
    timestamp_version: int
    mark: bytes
    right: dict[str, Right]
    data: dict[str, bytes]
    coming: frozenset[str]
    withheld: dict[str, Right]


def recorded(store: RecordStore) -> Recorded | None:
    """The record, None where nothing whole is recorded."""
    try:
        mark = (store.directory / "record.json").read_bytes()
        record = store.read()
        if record is None or not store.whole(record):
            return None
        shown = hashlib.sha256(store.role("timestamp")).hexdigest()
    except OSError:
        return None
    return Recorded(record, mark) if shown == record.timestamp_sha256 else None


def expect(workspace: Workspace, store: RecordStore, found: Recorded) -> Expected:
    """Everything that belongs at the target of which `found` is the record."""
    record = found.record
    right: dict[str, Right] = {}
    data: dict[str, bytes] = {}
    for role, meta in record.roles.items():
        path = f"metadata/{meta.version}.{role}.json"
        right[path] = Right("metadata", meta.sha256, meta.length, path)
        if role != SNAPSHOT:
            right.update(_role(role, store.role_targets(role)))
    cut = workspace.ledger.cuts[record.release - 1]
    metadata, signed_files = _signed_offline(workspace.keys, store.role(SNAPSHOT), cut.trust)
    data |= {f"metadata/{name}": content for name, content in metadata.items()}
    data |= signed_files
    timestamp = store.role("timestamp")
    data[TIMESTAMP] = timestamp
    data["latest.json"] = latest_hint(record.release, cut.time, signed_fields(timestamp).expires, workspace.frozen)
    files = {path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in signed_files.items()}
    right.update(_role(TRUST, files))
    for path, content in data.items():
        if path not in signed_files:
            kind = "timestamp" if path == TIMESTAMP else "hint" if path == "latest.json" else "metadata"
            right[path] = Right(kind, hashlib.sha256(content).hexdigest(), len(content), path)  # type: ignore[arg-type]
    log, log_data, log_coming = expect_log(workspace, store, record)
    right |= log
    data |= log_data
    for name, path in DOMAIN_HINTS.items():
        if (source := right.get(name)) is not None:
            right[path] = source._replace(kind="hint")
    right.update(_gone(record.gone, right))
    packages = workspace.ledger.packages
    shown, withheld = _packages(workspace, packages, record.release)
    right.update(shown)
    texts, told = orders(workspace.ledger), orders(workspace.ledger, record.release)
    data |= texts
    right.update(
        {path: Right("package", hashlib.sha256(text).hexdigest(), len(text), path) for path, text in texts.items()}
    )
    later = {one.package for one in packages[record.packages :]}
    coming = {path for path in right if path.startswith("packages/") and path.split("/")[1] in later} | log_coming
    coming |= texts.keys() - told.keys()
    return Expected(record.release, record.timestamp_version, found.mark, right, data, frozenset(coming), withheld)


def _signed_offline(keys: Path, snapshot: bytes, trust_sha256: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Metadata by file name, and the files that `trust` lists by path, of the release that was cut on `trust_sha256` and has this snapshot.

    What the offline keys have signed since is in force here before the next release shows it to the public.

    Raises:
        SigningError: some of it is no longer in `keys`.
    """
    meta = signed_fields(snapshot).meta
    names = {role: f"{meta[f'{role}.json'].version}.{role}.json" for role in ("targets", TRUST)}
    folder = keys / "metadata"
    try:
        named = {name: (folder / name).read_bytes() for name in names.values()}
        roots = {path.name: path.read_bytes() for path in folder.glob("[1-9]*.root.json")}
    except OSError as error:
        raise SigningError(f"{error.filename} is published, and missing here; restore it from your backup") from error
    last = next((name for name in roots if input_hash({**named, name: roots[name]}) == trust_sha256), None)
    if last is None:
        raise SigningError(f"{folder} is not what the last release was made with; restore it from your backup")
    public = {name: data for name, data in roots.items() if _version(name) <= _version(last)}
    signed = Metadata[Targets].from_bytes(named[names[TRUST]])
    trust = File(TRUST, meta["trust.json"].version, named[names[TRUST]], signed)
    return {**public, **named}, Offline(keys).trust_files(trust)


def _version(name: str) -> int:
    return int(name.partition(".")[0])


def _role(role: str, files: dict[str, tuple[int, str]]) -> dict[str, Right]:
    """Objects and aliases of one role, and the signatures beside its results."""
    right = {}
    signed = role not in {SITE, TRUST}
    for path, (length, sha256) in files.items():
        place = object_path(Entry(path, length, sha256))
        right[place] = Right("object", sha256, length, path, role)
        if is_pack(path):
            continue
        right[path] = Right("alias", sha256, length, path, role)
        if signed and is_results(path):
            right[f"{place}.minisig"] = Right("object", sha256, length, path, role, signature=True)
            right[f"{path}.minisig"] = Right("alias", sha256, length, path, role, signature=True)
    return right


def _gone(paths: Sequence[str], right: Mapping[str, Right]) -> dict[str, Right]:
    """The aliases that show a page which says that theirs is gone (publish/release/gone.py)."""
    found = {}
    for path in paths:
        if path.endswith(".html"):
            found[path] = right[GONE_PAGES[path.count("/")]]
        else:
            found |= dict.fromkeys((path, f"{path}.minisig") if is_results(path) else (path,), right[GONE_DATA])
    return found


def _packages(
    workspace: Workspace, records: Sequence[PackageRecord], release: int
) -> tuple[dict[str, Right], dict[str, Right]]:
    """The files of packages, and those of them that are withheld, as `release` says."""
    right: dict[str, Right] = {}
    hidden: dict[str, Right] = {}
    for record in records:
        folder = f"packages/{record.package}"
        cover = workspace.ledger.read_cover(record)
        length = (workspace.ledger.directory / folder / "recap.toml").stat().st_size
        right[f"{folder}/recap.toml"] = Right("package", record.package, length, f"{folder}/recap.toml")
        if record.signature is not None:
            path = f"{folder}/{SIGNATURE}"
            length = (workspace.ledger.directory / path).stat().st_size
            right[path] = Right("package", record.signature, length, path)
        withheld = workspace.ledger.withheld(record.package, release)
        for file in (cover.rows, *cover.scans):
            path, found = f"{folder}/{file.file}", hidden if file.sha256 in withheld else right
            found[path] = Right("package", file.sha256, file.length, path)
    return right, hidden
