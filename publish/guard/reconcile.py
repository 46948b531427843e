"""The record of what a target holds, made again from the target itself, for a workspace whose `build/` is gone or wrong.

Nothing that the target shows is believed: the timestamp must have our signature and name a snapshot of our own line, and every role must be what that
snapshot says, whoever has its bytes. What else stands there is then the guard's to judge and to put right (publish/guard/watch.py).
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from builder.pages import GONE_DATA, GONE_PAGES
from publish.config import OFFLINE_ROLES
from publish.errors import RaceError, TargetError
from publish.guard.expected import expect, recorded
from publish.guard.inventory import Inventory
from publish.guard.judge import Right
from publish.release.lineage import Lineage
from publish.release.push import CHECKPOINT_ROLE
from publish.release.record import Record, RecordStore, open_record
from publish.signing.keyring import Keyring
from publish.signing.repository import RoleFile
from publish.targets import TIMESTAMP
from publish.translog.log import Log
from publish.workspace import Workspace
from verifier import limits
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.fetcher import MissingError, OverlayFetcher, too_long
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.metadata_fields import signed_fields
from verifier.log import CHECKPOINT

__all__ = ["rebuild"]

SNAPSHOT = "snapshot"


def rebuild(workspace: Workspace, name: str, inventories: Sequence[Inventory], keyring: Keyring) -> Record | None:
    """Read which release the target `name` holds, verify it from the first root on, and write that down; None if it holds none.

    `inventories`: all targets, the one in question first. An expired timestamp will do: the next run renews it.

    Raises:
        TargetError: the target does not answer, its timestamp is not ours, or some metadata is nowhere to be had; or nothing is there, but was.
        RaceError: the release is not one that was made here.
    """
    store = open_record(workspace, name)
    timestamp = _read(inventories[0], TIMESTAMP, limits.TIMESTAMP_METADATA)
    if timestamp is None:
        if (before := store.read() or store.elsewhere()) is None:
            return None
        # Endpoint, bucket or prefix may be wrong: the record is kept. A target that does not show its timestamp is built and compared as a whole.
        raise TargetError(
            f"nothing is published there, and release {before.release} was ({before.place}): look at the target's place in terbit.toml. "
            "If it was emptied: terbit publish, which puts everything there again"
        )
    named = keyring.named_snapshot(timestamp)
    if named is None:
        raise TargetError(
            f"{name}: {TIMESTAMP} has no signature of ours: somebody else wrote it, or its key was replaced since. To overwrite it: terbit publish"
        )
    cuts = workspace.ledger.cuts
    if named.version > len(cuts) or not Lineage(workspace.ledger.directory).has(named.version, named.sha256):
        raise RaceError(
            f"{name} shows release {named.version}, signed with our keys but not made here: another publisher is at work, or this is an old copy of "
            "the workspace. Let only one go on"
        )
    cut = cuts[named.version - 1]
    fetcher = _Fetcher(workspace, inventories, named)
    roles = _verify(fetcher, timestamp, datetime.fromisoformat(cut.time), keyring.trust.metadata["1.root.json"])
    sha256 = hashlib.sha256(timestamp).hexdigest()
    files = {role: file for role, (file, _) in roles.items()}
    log, checkpoint = _shown_log(workspace, inventories[0], keyring)
    record = Record(cut.release, cut.through, sha256, signed_fields(timestamp).version, files, log=log)
    kept = {role: data for role, (_, data) in roles.items()}
    store.write(record, {"timestamp": timestamp, CHECKPOINT_ROLE: checkpoint, **kept})
    if gone := _find_gone(workspace, store, inventories[0]):
        record = msgspec.structs.replace(record, gone=gone)
        store.write(record, {})
    return record


def _shown_log(workspace: Workspace, inventory: Inventory, keyring: Keyring) -> tuple[int, bytes]:
    """How much of our log the target shows, and its checkpoint; nothing for one that is not ours, which the next run replaces.

    Raises:
        LogError: it is ours, and this log is behind it or another one.
    """
    data = _read(inventory, CHECKPOINT, limits.NOTE_FILE) or b""
    Log(workspace.log, keyring.log_key).check_public(data, inventory.name)
    try:
        signed = SignedCheckpoint.parse(data)
        keyring.policy.witnessed(signed)
    except VerifierError:
        return 0, b""
    return signed.checkpoint.size, data


class _Fetcher:
    """Metadata by its hash, from whoever has it: this disk, the target, the other targets. See verifier.fetcher.Fetcher."""

    def __init__(self, workspace: Workspace, inventories: Sequence[Inventory], snapshot: RoleFile) -> None:
        self._offline, self._inventories = workspace.keys / "metadata", inventories
        self._stores = [RecordStore(folder) for folder in sorted((workspace.build / "targets").glob("*"))]
        self.named = {_path(SNAPSHOT, snapshot.version): snapshot}
        self.kept: dict[str, bytes] = {}

    def name(self, role: str, file: RoleFile) -> None:
        """Another file that the snapshot names."""
        self.named[_path(role, file.version)] = file

    def prefetch(self) -> None:
        """Read from the target, many at once, what will be asked for."""
        wanted = [(path, file.length) for path, file in self.named.items() if path not in self.kept]
        for path, found in self._inventories[0].read(wanted):
            if found is not None and found.data is not None and self._is_right(path, found.data):
                self.kept[path] = found.data

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        if path not in self.kept:
            right = (data for data in self._candidates(path, max_length) if self._is_right(path, data))
            if (data := next(right, None)) is None:
                raise MissingError(f"{path}: nobody has what was signed")
            self.kept[path] = data
        if len(self.kept[path]) > max_length:
            raise too_long(path, max_length)
        return self.kept[path]

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher."""
        return self.fetch(path, max_length), False

    def _is_right(self, path: str, data: bytes) -> bool:
        """Roots are not named by any hash: the client judges them."""
        return path not in self.named or hashlib.sha256(data).hexdigest() == self.named[path].sha256

    def _candidates(self, path: str, most: int) -> Iterator[bytes]:
        name = path.removeprefix("metadata/")
        places = [self._offline / name, *(store.directory / name.partition(".")[2] for store in self._stores)]
        for place in places if path in self.named else places[:1]:
            with contextlib.suppress(OSError):
                yield place.read_bytes()
        for inventory in self._inventories if path in self.named else self._inventories[:1]:
            with contextlib.suppress(TargetError):
                if (data := _read(inventory, path, most)) is not None:
                    yield data


def _verify(fetcher: _Fetcher, timestamp: bytes, now: datetime, root: bytes) -> dict[str, tuple[RoleFile, bytes]]:
    """Every online role and the snapshot, verified as they were at `now`, the time of their cut."""
    try:
        with tempfile.TemporaryDirectory() as state:
            # Terbit's own rules about timestamps speak of the time when they were signed, which `now` is not.
            client = Client(
                OverlayFetcher({TIMESTAMP: timestamp}, fetcher), Path(state), now, root=root, stock_tuf=True
            )
            client.refresh()
            for name, meta in client.snapshot.meta.items():
                file = RoleFile(meta.version, meta.length or 0, (meta.hashes or {}).get("sha256", ""))
                fetcher.name(name.removesuffix(".json"), file)
            fetcher.prefetch()
            roles = {*client.roles(), SNAPSHOT} - {*OFFLINE_ROLES}
    except VerifierError as error:
        raise TargetError(
            f"the release that stands there does not verify: {error}. To build and compare everything: terbit publish"
        ) from error
    found = {_role(path): (file, fetcher.kept[path]) for path, file in fetcher.named.items() if _role(path) in roles}
    return {role: (RoleFile(file.version, len(data), file.sha256), data) for role, (file, data) in found.items()}


def _find_gone(workspace: Workspace, store: RecordStore, inventory: Inventory) -> tuple[str, ...]:
    """The pages and results files that are gone: no release lists them, and a page that says so stands in their place."""
    found = recorded(store)
    assert found is not None
    right = expect(workspace, store, found).right
    pages = {right[name].sha256 for name in (*GONE_PAGES, GONE_DATA) if name in right}
    longest = max((right[name].length for name in (*GONE_PAGES, GONE_DATA) if name in right), default=0)
    strange = [path for path in inventory.listing(right).files if _may_be_gone(path, right)]
    return tuple(
        sorted(
            path
            for path, there in inventory.read([(path, longest) for path in strange])
            if there is not None and there.data is not None and hashlib.sha256(there.data).hexdigest() in pages
        )
    )


def _may_be_gone(path: str, right: dict[str, Right]) -> bool:
    immutable = path.startswith(("../", "targets/", "metadata/", "packages/", "log/"))
    return path not in right and not immutable and path.endswith((".html", ".json"))


def _read(inventory: Inventory, path: str, most: int) -> bytes | None:
    found: Iterable[bytes | None] = (one.data if one else None for _, one in inventory.read([(path, most)]))
    return next(iter(found), None)


def _path(role: str, version: int) -> str:
    return f"metadata/{version}.{role}.json"


def _role(path: str) -> str:
    return path.split(".")[1]
