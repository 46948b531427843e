"""Push: a signed draft to one target, in the order that keeps the last release whole whatever happens.

Objects, then versioned metadata, then `timestamp.json` (the one commit point), then aliases. Every step can be repeated: a stop anywhere leaves the last
release whole, and the next run carries on with the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path

import msgspec

from builder.pack import pack_names, read_pack
from publish.cdn.purger import Purger
from publish.errors import RaceError, TargetError
from publish.progress import Stages
from publish.redaction import orders, public_files
from publish.release.check import client_refusal
from publish.release.draft import Draft, DraftState
from publish.release.gone import gone_aliases, gone_paths
from publish.release.hints import DOMAIN_HINTS, latest_hint
from publish.release.jobs import Runner
from publish.release.record import Base, Record
from publish.signing.keyring import Keyring
from publish.signing.repository import RoleFile
from publish.targets import Conflict, Seen, Target
from publish.targets.local import LocalTarget
from publish.translog.log import Log
from publish.workspace import Workspace
from verifier.files import PACK_OBJECTS
from verifier.formats.metadata_fields import signed_fields
from verifier.log import CHECKPOINT
from verifier.printable import counted

__all__ = ["SNAPSHOT", "Push", "mapped"]

SNAPSHOT = "snapshot"
CHECKPOINT_ROLE = "checkpoint"  # kept beside the roles on record


@dataclass(frozen=True)
class Push:
    """One target with what it holds (`base`) and shows as the log (`shown_log`), and the timestamp that this run has signed.

    `label` tells several targets' stages apart.
    """

    workspace: Workspace
    target: Target
    base: Base
    keyring: Keyring
    stages: Stages
    timestamp: bytes
    log: Log
    shown_log: Seen | None
    label: str = ""
    purger: Purger | None = None

    def release(self, draft: Draft, state: DraftState, runner: Runner) -> None:
        """Make a signed and checked draft public."""
        packs = pack_names(draft.files)
        replaced, gone = gone_paths(self.base.store, draft, state, self.workspace.ledger.cuts)
        with self.target.exclusive():
            self._put_objects(draft, state, packs, runner)
            self._put_log()
            self.target.commit(self.timestamp, self.base.seen)
            self._put_aliases(draft, packs, runner)
            self.target.put_aliases(gone_aliases(replaced, draft), _ignore)
            for name, data in _domain_files(draft).items():
                self.target.put_hint(DOMAIN_HINTS[name], data)
            self._put_hints(state.release)
            self.target.settle()
        # On record before the CDN is told: whatever that takes, the release stands.
        changed = {
            role: (draft.metadata / f"{state.roles[role].version}.{role}.json").read_bytes() for role in state.changed
        }
        self._record(state.release, self._cut_through(state.release), state.roles, changed, sorted(gone))
        if self.purger:
            more = [DOMAIN_HINTS[name] for name in _domain_files(draft)]
            more += [alias.path for group in gone_aliases(replaced, draft) for alias in group]
            self.purger.release(draft, more, signed_fields(self.timestamp).version)

    def renew(self, now: datetime) -> None:
        """The recorded release is still the newest: show its new timestamp.

        Raises:
            TargetError: a client would take the old one and not the new one, which was not shown; or it takes neither, and the new one was shown.
        """
        record, seen = self.base.record, self.base.seen
        assert record is not None
        assert seen is not None
        root, refusal = self.keyring.trust.metadata["1.root.json"], None
        if not self._shows_trust(record.release):  # else nothing has come that a client could lack
            refusal = client_refusal(self.target, self.timestamp, root, now)
        if refusal and client_refusal(self.target, seen.data, root, now) is None:
            raise TargetError(
                f"clients would refuse the renewed timestamp ({refusal}), so the old one was left; publish a release now, which brings the newer root"
            )
        with self.target.exclusive():
            self.target.commit(self.timestamp, self.base.seen)
            self._put_hints(record.release)
        self._record(record.release, record.packages, record.roles, {}, record.gone)
        if self.purger:
            self.purger.renew(signed_fields(self.timestamp).version)
        if refusal:
            raise TargetError(f"clients refuse what stands there ({refusal}); the timestamp was renewed all the same")

    def _shows_trust(self, release: int) -> bool:
        """True if `release` has shown the public the offline-signed metadata that is in force here."""
        cuts = self.workspace.ledger.cuts[:release]
        return len(cuts) == release and cuts[-1].trust == self.keyring.trust.sha256

    def log_alone(self) -> None:
        """Show the log as it is now, beside whichever release stands."""
        with self.target.exclusive():
            self._put_log()
        if self.base.record is not None:
            self.base.record = msgspec.structs.replace(self.base.record, log=self.log.size)
            self.base.store.write(self.base.record, {CHECKPOINT_ROLE: self.log.cosigned.encode()})

    def _put_log(self) -> None:
        """Tiles first, then the checkpoint that speaks of them; before the timestamp, whose release is in it."""
        since = self.base.record.log if self.base.record else 0
        conflicts = self.target.put_objects(self.log.files(min(since, self.log.size)), _ignore)
        for conflict in conflicts:
            self.target.replace(conflict)
        # Another copy of this workspace that logs at this moment must not show another log over ours.
        self.target.commit(self.log.cosigned.encode(), self.shown_log, CHECKPOINT)
        self._warn_replaced(len(conflicts))

    def _stage(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return self.stages.stage(name, total, of=self.label)

    def _put_objects(self, draft: Draft, state: DraftState, packs: list[str], runner: Runner) -> None:
        """Put all that is immutable: files and signatures, packages, metadata. Wrong bytes in their places are replaced, and told."""
        local = isinstance(self.target, LocalTarget)
        with self._stage("push objects", len(packs) if local else draft.count(packs)) as advance:
            if local:
                runner.run([("put_objects", self.target.name)], packs, advance)
                conflicts = []
            else:
                conflicts = self.target.put_objects((file for pack in packs for file in draft.objects(pack)), advance)
            conflicts += self.target.put_objects(self._packages(state), _ignore)
            for pack in draft.pack_paths.values():  # one by one: they are large
                path = f"{PACK_OBJECTS}{pack.name}"
                if not isinstance(self.target, LocalTarget) or not self.target.take_object(path, pack):
                    conflicts += self.target.put_objects([(path, mapped(pack))], _ignore)
            conflicts += self._put_metadata(draft, state.release)
            for conflict in conflicts:
                self.target.replace(conflict)
            self.target.settle()
        self._warn_replaced(len(conflicts) + runner.count("put_objects", self.target.name))

    def _warn_replaced(self, count: int) -> None:
        if count:
            self.stages.say(
                f"WARNING: {self.target.name}: {counted(count, 'immutable file')} with other bytes replaced: a broken write, or tampering"
            )

    def _put_aliases(self, draft: Draft, packs: list[str], runner: Runner) -> None:
        local = isinstance(self.target, LocalTarget)
        with self._stage("push aliases", len(packs) if local else draft.count(packs)) as advance:
            if local:
                runner.run([("put_aliases", self.target.name)], packs, advance)
            else:
                self.target.put_aliases((group for pack in packs for group in draft.aliases(pack)), advance)

    def _packages(self, state: DraftState) -> Iterator[tuple[str, bytes]]:
        """The packages that the target lacks, and the orders that withhold scans of any."""
        ledger = self.workspace.ledger
        for record in ledger.packages[self.base.packages : self._cut_through(state.release)]:
            yield from public_files(ledger, record)
        yield from orders(ledger).items()

    def _put_metadata(self, draft: Draft, release: int) -> list[Conflict]:
        """Put versioned metadata; returns those in whose place other bytes stand.

        Raises:
            RaceError: another publisher with our keys has made this release.
        """
        files = {path.name: path.read_bytes() for path in sorted(draft.metadata.glob("[0-9]*"))}
        files |= self.keyring.trust.metadata
        # The snapshot goes first, and its name is where two publishers meet: nobody else can have signed one of this number.
        snapshot = f"{release}.{SNAPSHOT}.json"
        conflicts = self.target.put_objects([(f"metadata/{snapshot}", files.pop(snapshot))], _ignore)
        if conflicts and self.keyring.signed_snapshot(conflicts[0].found, release):
            raise RaceError(
                f"{self.target.name}: {snapshot} is there already, signed with our keys but not by us: another publisher made this "
                "release. Stop one of the two; nothing of ours was committed"
            )
        return conflicts + self.target.put_objects(
            ((f"metadata/{name}", data) for name, data in files.items()), _ignore
        )

    def _put_hints(self, release: int) -> None:
        """`latest.json` is a hint that nobody signs; without the ledger, which has the release's time, it stays as it is."""
        if release > len(self.workspace.ledger.cuts):
            return
        cut = self.workspace.ledger.cuts[release - 1]
        hint = latest_hint(release, cut.time, signed_fields(self.timestamp).expires, self.workspace.frozen)
        self.target.put_hint("latest.json", hint)

    def _record(
        self, release: int, packages: int, roles: dict[str, RoleFile], changed: dict[str, bytes], gone: Sequence[str]
    ) -> None:
        version, sha256 = signed_fields(self.timestamp).version, hashlib.sha256(self.timestamp).hexdigest()
        log = self.base.record.log if self.base.record and not changed else self.log.size
        kept = {**changed, "timestamp": self.timestamp}
        if changed:
            kept[CHECKPOINT_ROLE] = self.log.cosigned.encode()
        self.base.store.write(Record(release, packages, sha256, version, roles, tuple(gone), log=log), kept)

    def _cut_through(self, release: int) -> int:
        return self.workspace.ledger.cuts[release - 1].through


def _domain_files(draft: Draft) -> dict[str, bytes]:
    """The signed bytes of what is shown at the domain's root too: never what stands at the target, where a stranger may have put it."""
    return {entry.path: data for entry, data in read_pack(draft.files, "site", DOMAIN_HINTS.__contains__)}


def mapped(file: Path) -> memoryview:
    """A file's bytes as the system reads them when they are sent: a pack is too large to be held."""
    with file.open("rb") as opened:
        return memoryview(mmap(opened.fileno(), 0, access=ACCESS_READ))


def _ignore(steps: int) -> None:
    pass
