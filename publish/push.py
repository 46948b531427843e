"""Push: a signed draft to the target, in the order that keeps the last release whole whatever happens.

Objects, then versioned metadata, then our own check as any client would do it, then `timestamp.json` (the one commit point), then aliases. Every step can be
repeated: a stop anywhere leaves the last release whole, and the next run carries on with the same bytes.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from builder.pack import pack_names, read_index
from publish.draft import Draft, DraftState, timestamp_version
from publish.errors import SigningError
from publish.jobs import Runner
from publish.keyring import Keyring
from publish.progress import Stages
from publish.record import Record, RecordStore
from publish.repository import RoleFile
from publish.targets.local import LocalTarget
from publish.workspace import Workspace
from verifier.client import Client
from verifier.fetcher import DirectoryFetcher, OverlayFetcher
from verifier.site import check_site

__all__ = ["SNAPSHOT", "TIMESTAMP", "Push"]

SNAPSHOT = "snapshot"
TIMESTAMP = "metadata/timestamp.json"
SIGNATURES_CHECKED = 5_000
# These belong to the whole domain, so they are shown outside the election's folder too.
DOMAIN_ALIASES = {"portal.html": "index.html", "security.txt": ".well-known/security.txt"}


@dataclass(frozen=True)
class Push:
    """One target, and what is needed to sign for it at time `now`."""

    workspace: Workspace
    target: LocalTarget
    store: RecordStore
    keyring: Keyring
    stages: Stages
    now: datetime

    def release(self, draft: Draft, state: DraftState, runner: Runner) -> None:
        """Make a signed draft public."""
        packs = pack_names(draft.files)
        with self.stages.stage("push objects", len(packs)) as advance:
            runner.run(["put_objects"], packs, advance)
            replaced = runner.count("put_objects") + self._put_packages(state) + self._put_metadata(draft)
            self.target.settle()
        if replaced:
            self.stages.say(
                f"WARNING: {replaced} immutable files had other bytes and were replaced: a broken write, or tampering"
            )
        snapshot = (draft.metadata / f"{state.release}.{SNAPSHOT}.json").read_bytes()
        record = self.store.read()
        timestamp = self._timestamp(
            snapshot, state.release, max(draft.timestamp_version(), record.timestamp_version if record else 0)
        )
        draft.keep_timestamp(timestamp)
        with self.stages.stage("verify"):
            self._verify(draft, packs, timestamp, runner)
        self.target.put_pointer(TIMESTAMP, timestamp)
        with self.stages.stage("push aliases", len(packs)) as advance:
            runner.run(["put_aliases"], packs, advance)
            self._put_pointers(state.release)
            self.target.settle()
        changed = {
            role: (draft.metadata / f"{state.roles[role].version}.{role}.json").read_bytes() for role in state.changed
        }
        self._record(state.release, self._cut_through(state.release), timestamp, state.roles, changed)
        draft.discard()

    def renew(self, record: Record) -> None:
        """Sign the recorded snapshot again: it is still the newest."""
        timestamp = self._timestamp(self.store.role(SNAPSHOT), record.release, record.timestamp_version)
        self.target.put_pointer(TIMESTAMP, timestamp)
        self._put_pointers(record.release)
        self._record(record.release, record.packages, timestamp, record.roles, {})

    def _put_packages(self, state: DraftState) -> int:
        """Put the packages that the target lacks; returns how many files stood there with other bytes."""
        replaced = 0
        for record in self.workspace.ledger.packages[state.packages : self._cut_through(state.release)]:
            package = self.workspace.ledger.read(record)
            for name, data in package.files.items():
                replaced += self.target.put_object(f"packages/{record.package}/{name}", data)
        return replaced

    def _put_metadata(self, draft: Draft) -> int:
        replaced = 0
        for name, data in self.keyring.trust.metadata.items():
            replaced += self.target.put_object(f"metadata/{name}", data)
        for path in sorted(draft.metadata.glob("[0-9]*.json")):
            replaced += self.target.put_object(f"metadata/{path.name}", path.read_bytes())
        return replaced

    def _timestamp(self, snapshot: bytes, release: int, previous: int) -> bytes:
        # Unix time needs no state that could be lost; the version before it guards against two in one second.
        version = max(int(self.now.timestamp()), previous + 1)
        return self.keyring.timestamp(version, self.now, snapshot, release)

    def _verify(self, draft: Draft, packs: list[str], timestamp: bytes, runner: Runner) -> None:
        """Check what is about to be public as any client would, from the first root on; refuse what the public would refuse."""
        fetcher = OverlayFetcher({TIMESTAMP: timestamp}, DirectoryFetcher(self.target.root))
        changed = {name: {entry.path for entry in read_index(draft.files, name)} for name in packs}
        # A minisign check costs twenty hashes. All are checked when they are few, else those of some roles: signing is one code path for all.
        few = sum(map(len, changed.values())) <= SIGNATURES_CHECKED
        sampled = (
            changed
            if few
            else {name: changed[name] for name in packs if "-" not in name}
            | {name: changed[name] for name in packs[:: len(packs) // 16]}
        )
        with tempfile.TemporaryDirectory() as state, runner.executor() as executor:
            client = Client(fetcher, Path(state), self.now, root=self.keyring.trust.metadata["1.root.json"])
            client.refresh()
            failures = check_site(client, fetcher, executor, aliases=False, signatures=few, only=changed).failures
            if not few:
                failures += check_site(client, fetcher, executor, aliases=False, signatures=True, only=sampled).failures
        if failures:
            raise SigningError(
                f"our own check refuses this release ({len(failures)} failures, the first: {failures[0].path}: {failures[0].what}); nothing was committed"
            )

    def _put_pointers(self, release: int) -> None:
        """`latest.json` is a hint that nobody signs; what belongs to the domain is shown at its root."""
        cut = self.workspace.ledger.cuts[release - 1]
        expires = self.now + self.keyring.validity("timestamp")
        hint = {"release": release, "released": cut.time, "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.target.put_pointer("latest.json", msgspec.json.encode(hint) + b"\n")
        for name, domain_name in DOMAIN_ALIASES.items():
            if (data := self.target.read(name)) is not None:
                LocalTarget(self.target.root.parent).put_pointer(domain_name, data)

    def _record(
        self, release: int, packages: int, timestamp: bytes, roles: dict[str, RoleFile], changed: dict[str, bytes]
    ) -> None:
        version = timestamp_version(timestamp)
        self.store.write(Record(release, packages, hashlib.sha256(timestamp).hexdigest(), version, roles), changed)

    def _cut_through(self, release: int) -> int:
        return self.workspace.ledger.cuts[release - 1].through
