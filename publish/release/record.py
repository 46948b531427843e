"""The record of what a target holds: the signed metadata of the last release that was pushed there whole.

It lets a release cost what changed. It is a cache: without it, when the target shows another timestamp than the recorded one, or when the configuration names
another place for the target, everything is built and compared again.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from builder import durable
from publish.signing.repository import RoleFile
from publish.targets import Seen
from verifier.formats.metadata_fields import listed_targets

if TYPE_CHECKING:
    from publish.workspace import Workspace

__all__ = ["Base", "Record", "RecordStore", "open_record"]


class Record(msgspec.Struct, frozen=True):
    """Release `release` with the first `packages` packages stands whole at the target, under the timestamp with this hash.

    `roles` are the online roles and the snapshot; `gone` the pages and results files at whose aliases a page says that they are gone (publish/release/gone.py).
    `log` is the number of the log's entries that it shows; the checkpoint is kept beside the roles.
    """

    release: int
    packages: int
    timestamp_sha256: str
    timestamp_version: int
    roles: dict[str, RoleFile]
    gone: tuple[str, ...] = ()
    place: str = ""
    log: int = 0


class RecordStore:
    """`build/targets/<name>/`: `record.json`, and the metadata of each online role as `<role>.json`."""

    def __init__(self, directory: Path, place: str = "") -> None:
        """`place` is where the target is: what is on record of another place does not tell what this one holds."""
        self.directory, self.place = directory, place

    def read(self) -> Record | None:
        """The record, None if there is none that can be read."""
        record = self._read()
        return record if record and record.place == self.place else None

    def elsewhere(self) -> Record | None:
        """The record of another place that the target had before."""
        record = self._read()
        return record if record and record.place != self.place else None

    def _read(self) -> Record | None:
        try:
            return msgspec.json.decode((self.directory / "record.json").read_bytes(), type=Record)
        except (OSError, ValueError):
            return None

    def whole(self, record: Record) -> bool:
        """True if every recorded role's metadata is here as it was signed: files in `build/` may have been deleted or changed."""
        try:
            return all(
                hashlib.sha256(self.role(name)).hexdigest() == meta.sha256 for name, meta in record.roles.items()
            )
        except OSError:
            return False

    def role_targets(self, role: str) -> dict[str, tuple[int, str]]:
        """Length and SHA-256 of each file that a recorded role lists. Only for a record that is `whole`."""
        return listed_targets(self.role(role))

    def recorded_targets(self, record: Record, role: str) -> dict[str, tuple[int, str]]:
        """The same for any record; nothing for a role whose metadata is not as it was recorded."""
        try:
            if hashlib.sha256(self.role(role)).hexdigest() != record.roles[role].sha256:
                return {}
        except OSError:
            return {}
        return self.role_targets(role)

    def role(self, role: str) -> bytes:
        """A recorded role's metadata."""
        return (self.directory / f"{role}.json").read_bytes()

    def write(self, record: Record, changed: dict[str, bytes]) -> None:
        """Replace the record. A stop between the roles and `record.json` is noticed by the roles' hashes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for role, data in changed.items():
            (self.directory / f"{role}.json").write_bytes(data)
        record = msgspec.structs.replace(record, place=self.place)
        durable.write_file(self.directory / "record.json", msgspec.json.encode(record))


def open_record(workspace: "Workspace", name: str) -> RecordStore:
    """The record of the target `name`."""
    return RecordStore(workspace.build / "targets" / name, workspace.config.targets[name].place)


class Base:
    """What a target holds: release `release` whole (0: unknown), `record` says with which roles. `seen` is its timestamp."""

    def __init__(self, store: RecordStore, seen: Seen | None) -> None:
        record = store.read()
        shown = hashlib.sha256(seen.data).hexdigest() if seen else None
        self.store, self.seen = store, seen
        self.record = record if record and record.timestamp_sha256 == shown and store.whole(record) else None

    @property
    def release(self) -> int:
        return self.record.release if self.record else 0

    @property
    def directory(self) -> Path | None:
        """Where the recorded roles lie; None if they are not what the target holds."""
        return self.store.directory if self.record else None

    @property
    def packages(self) -> int:
        return self.record.packages if self.record else 0

    def role_targets(self, role: str) -> dict[str, tuple[int, str]]:
        """Length and SHA-256 of each file that a role lists at the target."""
        return self.store.role_targets(role) if self.record and role in self.record.roles else {}
