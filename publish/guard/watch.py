"""One look of the guard at one target: list, compare, read what nobody has looked at, put right what is wrong.

A look costs a listing. Only what was written since the last look is read, and then compared by hash with what the last release signed.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import msgspec

from builder import durable
from builder.errors import BuilderError
from publish import limits
from publish.errors import PublishError
from publish.guard.expected import Expected, expect, recorded
from publish.guard.inventory import EVIDENCE, READ_AT_ONCE, BucketInventory, Found, Inventory, LocalInventory
from publish.guard.judge import Finding, Right, claimed, harmless, holds, is_mended, is_mutable, plan
from publish.guard.listing import Listing, is_beside
from publish.guard.mend import Mender
from publish.guard.purge import purged
from publish.guard.sources import Sources
from publish.guard.wrong import Wrong, hash_of, told_time
from publish.release.check import role_of
from publish.release.draft import Draft
from publish.release.lineage import Lineage
from publish.release.packs import PACK_LENGTH
from publish.release.record import open_record
from publish.signing.keyring import Keyring
from publish.signing.ours import read_public_keys, signed_by
from publish.targets import TIMESTAMP
from publish.workspace import Workspace
from verifier.errors import FormatError
from verifier.files import PACK_OBJECTS
from verifier.formats.metadata_fields import signed_fields

__all__ = ["TargetWatch", "open_inventories"]

_looking = Lock()  # the threads of this process take turns; between processes there is the workspace's lock
PATIENCE = 6  # tries
BATCH = 64  # files put right while a publisher may have to wait
AHEAD_SECONDS = 86_400  # a timestamp's version is Unix time, or a little more
EARLIER = 16  # versions of a role's metadata that are looked at for an earlier signed copy
_METADATA = re.compile(r"metadata/([1-9][0-9]{0,15})\.([a-z0-9-]+)\.json")

T = TypeVar("T")
# Path -> the file that its name claims to be (path, SHA-256), what is there, its length in bytes.
Superseded = dict[str, tuple[tuple[str, str], Found, int]]


class TargetWatch:
    """Watches one target. `heal`: also puts right what is wrong there."""

    def __init__(
        self, directory: Path, name: str, heal: bool, clock: Callable[[], datetime], passphrase_file: Path | None = None
    ) -> None:
        self.name, self._directory, self.heals, self._clock = name, directory, heal, clock
        self._passphrase_file = passphrase_file
        self.workspace = Workspace(directory)
        self.store = open_record(self.workspace, name)
        self._cache = self.workspace.build / "guard" / f"{name}.json"
        self._verified: dict[str, tuple[str, str]] = _read_verified(self._cache)
        self._saved = dict(self._verified)
        self.expected: Expected | None = None
        self._loading = Lock()
        self._listed = Listing()

    def sweep(self) -> list[Finding]:
        """One look; what was found, and what was done about it. TargetError when the target does not answer."""
        if not self.load():
            return self._unrecorded()
        assert self.expected is not None
        timestamp = next(self.inventory.read([(TIMESTAMP, EVIDENCE)]))[1]
        self._listed = self.inventory.listing(ChainMap[str, Any](self.expected.right, self._verified))
        missing, unread = plan(self.expected.right, self.expected.coming, self._listed.files, self._verified)
        newer = self._is_newer(timestamp)
        # An alias is made of its object, which is mended first.
        wrong = chain.from_iterable(self._wrong(missing, unread, mutable=mutable) for mutable in (False, True))
        findings: list[Finding] = []
        # Mended as it is found: what a stranger has written need not fit into our memory.
        for batch in _portions(wrong, BATCH, lambda one: one.found.length if one.found else 0):
            findings += self._settle(batch, newer)
        self._forget()
        # At once: a cache may have kept what stood there, an object's for a year.
        findings = purged(self.workspace, self.name, findings, is_mended, self._clock())
        if self._listed.left_out:
            findings.append(self._left_out())
        return findings + (self._unfinished() if newer else [])

    def _settle(self, wrong: Sequence[Wrong], newer: bool) -> list[Finding]:
        """Put right what may be; `newer`: a release of ours that is not on record stands there."""
        findings = self._handle([one for one in wrong if not is_mutable(one.right)])
        mutable = [one for one in wrong if is_mutable(one.right)]
        if newer:
            # That release's own pages prove themselves by its metadata (`_proven`); a stranger's go, whatever the timestamp says.
            strange = [one for one in mutable if one.right is None]
            theirs = self._proven({(one.path, one.sha256) for one in strange})
            mutable = [one for one in strange if (one.path, one.sha256) not in theirs]
        if mutable:
            with self.settled() as settled:
                # What a publisher is about to replace is his; the next look sees what he left.
                if settled:
                    findings += self._handle(mutable)
        return findings

    def load(self) -> bool:
        """Learn what belongs there, if that has changed; False if there is no record of it."""
        with self._loading:
            found = recorded(self.store)
            if found is None:  # terbit.toml may name another place by now
                self.store = open_record(Workspace(self._directory), self.name)
                found = recorded(self.store)
            if found is not None and (self.expected is None or self.expected.mark != found.mark):
                self.workspace = Workspace(self._directory)
                self.keys = read_public_keys(self.workspace.keys / "public")
                self._keyring = Keyring(self.workspace)
                inventories = open_inventories(self.workspace)
                self.inventory = inventories.pop(self.name)
                every = [*inventories.values(), self.inventory]
                sources = Sources(self.workspace, self.store, every, self.keys, self._passphrase_file)
                self._mender = Mender(self.inventory, sources, self.keys)
                try:
                    self.expected = expect(self.workspace, self.store, found)
                except FormatError:  # a publisher is just writing the record
                    self.expected = None
                    return False
            return found is not None

    @contextlib.contextmanager
    def settled(self) -> Iterator[bool]:
        """True while no publisher is at work and what was looked at is still the last release."""
        with _looking, self._quiet() as quiet:
            found = recorded(self.store)
            yield bool(quiet and found and self.expected and found.mark == self.expected.mark)

    def earlier(self, right: Right, sha256: str) -> bool:
        """True if an earlier release signed these bytes for the same path: a copy that is old, not altered."""
        pattern = re.compile(rf"metadata/([1-9][0-9]{{0,15}})\.{re.escape(right.role)}\.json")
        versions = sorted(
            (int(match[1]) for path in self._listed.files if (match := pattern.fullmatch(path))), reverse=True
        )
        paths = [(f"metadata/{version}.{right.role}.json", EVIDENCE) for version in versions[:EARLIER]]
        for _, found in self.inventory.read(paths) if right.role else ():
            signed = signed_by(found.data, self.keys) if found and found.data else None
            if signed and signed.files.get(right.file) == sha256:
                return True
        return False

    def save(self) -> None:
        """Keep what was verified for the next run."""
        if self._verified != self._saved:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(self._cache, msgspec.json.encode(self._verified))
            self._saved = dict(self._verified)

    def _wrong(self, missing: Sequence[str], unread: Sequence[str], *, mutable: bool) -> Iterator[Wrong]:
        assert self.expected is not None
        right = self.expected.right
        yield from (Wrong(path, right[path], None) for path in missing if is_mutable(right[path]) == mutable)
        yield from self._read([path for path in unread if is_mutable(right.get(path)) == mutable])

    def _read(self, paths: Sequence[str]) -> Iterator[Wrong]:
        assert self.expected is not None
        right, others = self.expected.right, self.workspace.config.guard.others
        beside = {path for path in paths if path not in right and is_beside(path)}
        for path in beside:
            if not any(path[3:] == other or (other.endswith("/") and path[3:].startswith(other)) for other in others):
                yield Wrong(path, None, Found(None))
        superseded = Superseded()
        # What belongs there first: its readers wait.
        ordered = sorted((path for path in paths if path not in beside), key=lambda path: path not in right)
        ordered = [path for path in ordered if not self._settle_pack(path, superseded)]
        withheld = self.expected.withheld
        known = ChainMap(right, withheld)
        wanted = ((path, known[path].length if path in known else _most(path)) for path in ordered)
        portions = _portions(wanted, READ_AT_ONCE, lambda one: min(self._listed.files[one[0]].length, _most(one[0])))
        for path, found in chain.from_iterable(map(self.inventory.read, portions)):
            here = right.get(path)
            if found is None:
                if here is not None and path not in self.expected.coming:
                    yield Wrong(path, here, None)
            elif found.data is None or (found.fault and here is not None):
                yield Wrong(path, here, found)
            elif holds(found.data, here, self.keys) if here else harmless(path, found.data, self.keys):
                if here is None and found.fault and _is_shown(path):
                    yield Wrong(path, _as_it_is(path, hash_of(found), len(found.data)), found)
                else:
                    self._remember(path, found.tag, here.sha256 if here else "")
            elif here is None and (claim := claimed(path, hash_of(found))) is not None:
                superseded[path] = claim, found._replace(data=None), len(found.data)
            else:
                order = withheld.get(path)
                yield Wrong(path, here, found, order is not None and holds(found.data, order, self.keys))
        yield from self._judge_superseded(superseded)

    def _settle_pack(self, path: str, superseded: Superseded) -> bool:
        """Read a pack, which is too large to be held as all else is that is read: False where nothing is settled by that.

        One that is right is remembered; one that has the hash in its name and is of no release here goes into `superseded`.
        """
        assert self.expected is not None
        here = self.expected.right.get(path)
        if (
            not path.startswith(PACK_OBJECTS)
            or (found := self.inventory.sum(path, here.length if here else PACK_LENGTH)) is None
        ):
            return False
        if here is None:
            if (claim := claimed(path, found.sha256)) is not None:
                superseded[path] = claim, Found(None, tag=found.tag), found.length
            return claim is not None
        if (found.sha256, found.length) != (here.sha256, here.length):
            return False
        self._remember(path, found.tag, here.sha256)
        return True

    def _remember(self, path: str, tag: str, sha256: str) -> None:
        """What was read was good: by its own tag, since the listing may have shown another file a moment before."""
        if tag:
            self._verified[path] = (tag, sha256)

    def _judge_superseded(self, objects: Superseded) -> Iterator[Wrong]:
        """Objects named by their own hash: anyone can make such a name, only we list it in signed metadata or in a draft."""
        claims = {claim for claim, _, _ in objects.values()}
        proven = self._proven(claims)
        if claims - proven:
            proven |= self._drafted()
        for path, (claim, there, length) in objects.items():
            if claim in proven and there.fault:
                yield Wrong(path, _as_it_is(path, claim[1], length), there)
            elif claim in proven:
                self._remember(path, there.tag, "")
            elif not self._listed.left_out:  # else what proves it may just not have been looked at
                for _, found in self.inventory.read([(path, EVIDENCE)]):
                    if found is not None:
                        yield Wrong(path, None, found)

    def _proven(self, claims: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those (file, SHA-256) that metadata with our signatures lists, of this or of another release, as it stands at the target."""
        names: dict[str, list[tuple[int, str]]] = {}
        for path in self._listed.files:
            if match := _METADATA.fullmatch(path):
                names.setdefault(match[2], []).append((int(match[1]), path))
        proven: set[tuple[str, str]] = set()
        for role, versions in names.items():
            wanted = {claim for claim in claims if role_of(claim[0].rpartition("/")[0]) == role}
            newest = iter(sorted(versions, reverse=True))
            while wanted and (some := list(islice(newest, EARLIER))):
                for _, found in self.inventory.read([(path, EVIDENCE) for _, path in some]):
                    signed = signed_by(found.data, self.keys) if found and found.data else None
                    listed = {claim for claim in wanted if signed and signed.files.get(claim[0]) == claim[1]}
                    proven, wanted = proven | listed, wanted - listed
        return proven

    def _drafted(self) -> set[tuple[str, str]]:
        """What the drafts list that are here or were: a release under way, stopped, or refused by our own check, may have put objects already."""
        found = Draft.dropped(self.workspace.dropped)
        for folder in self.workspace.build.glob("draft/*"):
            with contextlib.suppress(BuilderError, OSError):  # a publisher is just beginning another one
                found |= Draft(folder).listed()
        return found

    def _handle(self, wrong: Sequence[Wrong]) -> list[Finding]:
        """Put right what is wrong, and tell."""
        assert self.expected is not None
        done = self._mender.mend(wrong, self.expected) if self.heals else [""] * len(wrong)
        return [
            one.finding(self.name, told_time(self._clock()), what, self.keys)
            for one, what in zip(wrong, done, strict=True)
        ]

    def _is_newer(self, timestamp: Found | None) -> bool:
        """True for a later timestamp of our own line: one stolen key of another role, or a version from the far future, must not stop the mending."""
        assert self.expected is not None
        if timestamp is None or timestamp.data is None:
            return False
        try:
            snapshot = self._keyring.named_snapshot(timestamp.data)
        except (PublishError, OSError):
            return False
        if snapshot is None or not Lineage(self.workspace.ledger.directory).has(snapshot.version, snapshot.sha256):
            return False
        latest = max(self._clock().timestamp(), self.expected.timestamp_version) + AHEAD_SECONDS
        return self.expected.timestamp_version < signed_fields(timestamp.data).version <= latest

    def _unfinished(self) -> list[Finding]:
        with self.settled() as settled:
            if not settled:
                return []
        detail = "a younger timestamp with our signature: another publisher, or a stopped run. Pages are left alone; run: terbit publish"
        return [Finding(told_time(self._clock()), self.name, TIMESTAMP, "unfinished", detail)]

    def _left_out(self) -> Finding:
        detail = (
            f"{self._listed.left_out:,} more files than one look takes in, of which nobody has looked at; "
            f"the next look goes on, and those that it may not remove must go: look at what lies there"
        )
        return Finding(told_time(self._clock()), self.name, "*", "added", detail)

    def _unrecorded(self) -> list[Finding]:
        with _looking, self._quiet() as quiet:
            if not quiet or recorded(self.store) is not None:
                return []
        detail = f"there is no record of what was published here; run: terbit reconcile {self.name}, or terbit publish"
        return [Finding(told_time(self._clock()), self.name, TIMESTAMP, "unfinished", detail)]

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[bool]:
        """`Workspace.quiet`, with some patience for another guard."""
        for _ in range(PATIENCE):
            with self.workspace.quiet() as quiet:
                if quiet:
                    yield True
                    return
            time.sleep(0.05)
        yield False

    def _forget(self) -> None:
        for path in self._verified.keys() - self._listed.files.keys():
            del self._verified[path]


def _most(path: str) -> int:
    """How many bytes an earlier release's file of this name may have."""
    return PACK_LENGTH if path.startswith(PACK_OBJECTS) else EVIDENCE


def _portions(items: Iterable[T], most: int, size: Callable[[T], int]) -> Iterator[list[T]]:
    """At most so many at once, and no more than one of them beyond LOOK_BYTES."""
    some, total = list[T](), 0
    for one in items:
        some.append(one)
        total += size(one)
        if len(some) == most or total >= limits.LOOK_BYTES:
            yield some
            some, total = [], 0
    if some:
        yield some


def open_inventories(workspace: Workspace) -> dict[str, Inventory]:
    """All targets as the guard sees them, by name; buckets with the guard's credentials."""
    found: dict[str, Inventory] = {target.name: LocalInventory(target) for target in workspace.local_targets()}
    for name, config in workspace.config.targets.items():
        if config.bucket is not None:
            from publish.targets.bucket import open_bucket
            from publish.targets.keys import open_keys

            profile = workspace.config.guard.profile
            bucket = open_bucket(config, workspace.definition.election.id, profile)
            found[name] = BucketInventory(name, bucket, open_keys(config, profile))
    return found


def _is_shown(path: str) -> bool:
    """True for what the public may still ask for by a name that an earlier release gave it."""
    return path.startswith(("targets/", "metadata/"))


def _as_it_is(path: str, sha256: str, length: int) -> Right:
    """A superseded file, whose bytes prove themselves: to be put there again with the headers that belong to it."""
    return Right("metadata", sha256, length, path)


def _read_verified(path: Path) -> dict[str, tuple[str, str]]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[str, str]])
    except (OSError, ValueError):
        return {}
