"""What belongs at a target: every path of the last release with its hash, from the record, the offline-signed metadata and the ledger."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from builder.ledger import PackageRecord
from builder.pack import Entry
from builder.pages import GONE_DATA, GONE_PAGES
from publish.guard.judge import Right
from publish.release.draft import object_path
from publish.release.hints import DOMAIN_HINTS, latest_hint
from publish.release.record import Record, RecordStore
from publish.signing.offline import Offline
from publish.targets import TIMESTAMP
from publish.workspace import Workspace

__all__ = ["Expected", "Recorded", "expect", "recorded"]

SNAPSHOT, SITE, TRUST = "snapshot", "site", "trust"


@dataclass(frozen=True)
class Recorded:
    """A record as it was read: its own bytes tell it from any later one."""

    record: Record
    mark: bytes


@dataclass(frozen=True)
class Expected:
    """`right` by path; `data` has the bytes of what can be had from nowhere else; what is `coming` may be there, or not yet."""

    release: int
    timestamp_version: int
    mark: bytes
    right: dict[str, Right]
    data: dict[str, bytes]
    coming: frozenset[str]


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
    trust = Offline(workspace.keys).current()
    data |= {f"metadata/{name}": content for name, content in trust.metadata.items()}
    data |= trust.files
    timestamp = store.role("timestamp")
    cut = workspace.ledger.cuts[record.release - 1]
    data[TIMESTAMP] = timestamp
    data["latest.json"] = latest_hint(record.release, cut.time, _expires(timestamp), workspace.frozen)
    files = {path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in trust.files.items()}
    right.update(_role(TRUST, files))
    for path, content in data.items():
        if path not in trust.files:
            kind = "timestamp" if path == TIMESTAMP else "hint" if path == "latest.json" else "metadata"
            right[path] = Right(kind, hashlib.sha256(content).hexdigest(), len(content), path)  # type: ignore[arg-type]
    for name, path in DOMAIN_HINTS.items():
        if (source := right.get(name)) is not None:
            right[path] = source._replace(kind="hint")
    right.update(_gone(record.gone, right))
    packages = workspace.ledger.packages
    right.update(_packages(workspace, packages))
    later = {one.package for one in packages[record.packages :]}
    coming = frozenset(path for path in right if path.startswith("packages/") and path.split("/")[1] in later)
    return Expected(record.release, record.timestamp_version, found.mark, right, data, coming)


def _role(role: str, files: dict[str, tuple[int, str]]) -> dict[str, Right]:
    """Objects and aliases of one role, and the signatures beside its results."""
    right = {}
    signed = role not in {SITE, TRUST}
    for path, (length, sha256) in files.items():
        place = object_path(Entry(path, length, sha256))
        right[place] = Right("object", sha256, length, path, role)
        right[path] = Right("alias", sha256, length, path, role)
        if signed and path.endswith(".json"):
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
            found |= dict.fromkeys((path, f"{path}.minisig"), right[GONE_DATA])
    return found


def _packages(workspace: Workspace, records: Sequence[PackageRecord]) -> dict[str, Right]:
    right = {}
    for record in records:
        folder = f"packages/{record.package}"
        cover = workspace.ledger.read_cover(record)
        length = (workspace.ledger.directory / folder / "recap.toml").stat().st_size
        right[f"{folder}/recap.toml"] = Right("package", record.package, length, f"{folder}/recap.toml")
        for file in (cover.rows, *cover.scans):
            right[f"{folder}/{file.file}"] = Right("package", file.sha256, file.length, f"{folder}/{file.file}")
    return right


class _Signed(msgspec.Struct):
    expires: str


class _Timestamp(msgspec.Struct):
    signed: _Signed


def _expires(timestamp: bytes) -> str:
    return msgspec.json.decode(timestamp, type=_Timestamp).signed.expires
