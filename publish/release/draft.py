"""A draft: one release on disk, made and signed but not public yet. It survives any stop; the next run pushes the same bytes."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from builder import durable
from builder.errors import BuilderError
from builder.pack import pack_names, read_index, read_pack
from publish import limits
from publish.signing.repository import RoleFile
from publish.targets import Alias
from verifier.files import object_path
from verifier.formats.metadata_fields import signed_fields

__all__ = ["Draft", "DraftState"]

PUSHED = "pushed"


class DraftState(msgspec.Struct, frozen=True):
    """Release `release` for a target that holds `since` (0: nothing that we know of) and its first `packages` packages.

    `rendered` are the roles with files in this draft. After `built`, `roles` are the online roles, those in `changed` have their metadata here: groups and
    shards first, then `site`, then all (`signed`); between these stages a second signer may have to be waited for.
    """

    release: int
    since: int
    packages: int
    stage: Literal["built", "roles", "site", "signed"]
    rendered: tuple[str, ...]
    roles: dict[str, RoleFile] = {}
    changed: tuple[str, ...] = ()


class Draft:
    """`build/draft/<release>/`: packs of files and of signatures by role, and metadata."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files, self.signatures, self.metadata, self.packs = (
            directory / "files",
            directory / "signatures",
            directory / "metadata",
            directory / "packs",  # for mirrors: publish/release/packs.py
        )

    @property
    def whole(self) -> "Draft":
        """Beside it, every file in force: publish/release/whole.py."""
        return Draft(self.directory / "whole")

    def state(self) -> DraftState | None:
        """How far it got; None if there is no draft, or one that was not finished."""
        try:
            return msgspec.json.decode((self.directory / "draft.json").read_bytes(), type=DraftState)
        except (OSError, ValueError):
            return None

    @property
    def is_half_signed(self) -> bool:
        """True if its signing was begun and not ended: a stop, or a second signer who is waited for."""
        state = self.state()
        return state is not None and state.stage in {"roles", "site"}

    def content_hash(self) -> str:
        """SHA-256 over path, length and hash of every file in it, pack by pack."""
        digest = hashlib.sha256()
        for name in pack_names(self.files):
            index = (self.files / f"{name}.index").read_bytes()
            digest.update(f"{name} {len(index)}\n".encode() + index)
        return digest.hexdigest()

    def start(self) -> None:
        """Begin anew."""
        self.discard()
        for folder in (self.files, self.signatures, self.metadata):
            folder.mkdir(parents=True)

    @property
    def pack_paths(self) -> dict[str, Path]:
        """The packs for mirrors by their TUF target paths (publish/release/packs.py); each lies under the name of its object."""
        return {f"packs/{path.name.partition('.')[2]}": path for path in sorted(self.packs.glob("*.*.tar"))}

    @property
    def timestamp(self) -> bytes | None:
        """The timestamp that was or may have been committed with this draft."""
        try:
            return (self.metadata / "timestamp.json").read_bytes()
        except FileNotFoundError:
            return None

    def keep_timestamp(self, data: bytes) -> None:
        """Called before the commit: a stop after it is then known for what it is."""
        durable.write_file(self.metadata / "timestamp.json", data)

    def has_signatures(self, pack: str) -> bool:
        """True if the pack of files `pack` has one of signatures beside it."""
        return (self.signatures / f"{pack}.index").exists()

    def objects(self, pack: str) -> Iterator[tuple[str, bytes]]:
        """The objects of a pack, files and then their signatures, as (path at the target, bytes)."""
        for entry, data in read_pack(self.files, pack):
            yield object_path(entry), data
        if self.has_signatures(pack):
            yield from ((entry.path, data) for entry, data in read_pack(self.signatures, pack))

    def aliases(self, pack: str) -> Iterator[list[Alias]]:
        """The aliases of a pack, each results file together with its signature."""
        signed = read_pack(self.signatures, pack) if self.has_signatures(pack) else ()
        signatures = {entry.path: data for entry, data in signed}
        for entry, data in read_pack(self.files, pack):
            source = object_path(entry)
            group = [Alias(entry.path, source, data)]
            if (signature := signatures.get(f"{source}.minisig")) is not None:
                group.append(Alias(f"{entry.path}.minisig", f"{source}.minisig", signature))
            yield group

    def listed(self) -> set[tuple[str, str]]:
        """Path and SHA-256 of each TUF target that was made so far."""
        packs = {(path, place.name.partition(".")[0]) for path, place in self.pack_paths.items()}
        indexes = (read_index(self.files, pack) for pack in pack_names(self.files))
        return packs | {(entry.path, entry.sha256) for index in indexes for entry in index}

    def count(self, packs: Iterable[str]) -> int:
        """Number of files and signatures in some packs."""
        return sum(
            len(read_index(self.files, pack))
            + (len(read_index(self.signatures, pack)) if self.has_signatures(pack) else 0)
            for pack in packs
        )

    def unpack(self, out: Path) -> None:
        """Write its files as plain files under `out`, to look at."""
        for name in pack_names(self.files):
            for entry, data in read_pack(self.files, name):
                path = out / entry.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def timestamp_version(self) -> int:
        return signed_fields(self.timestamp).version if self.timestamp else 0

    def finish(self, state: DraftState) -> None:
        durable.write_file(self.directory / "draft.json", msgspec.json.encode(state))

    def mark_pushed(self) -> None:
        """Called before the first of its objects may lie at a target."""
        (self.directory / PUSHED).touch()

    def drop(self, lists: Path) -> None:
        """Discard a draft that was never published; what it may have put at targets stays known by a list in the folder `lists`,
        as long as there is room for it beside newer ones."""
        if (self.directory / PUSHED).exists():
            with contextlib.suppress(BuilderError):  # a damaged one goes all the same
                data = msgspec.json.encode(sorted(self.listed()))
                lists.mkdir(parents=True, exist_ok=True)
                durable.write_file(lists / f"{hashlib.sha256(data).hexdigest()}.json", data)
                _keep_newest(lists)
        self.discard()

    @staticmethod
    def dropped(lists: Path) -> set[tuple[str, str]]:
        """What such drafts listed; nothing of a list that cannot be read."""
        found: set[tuple[str, str]] = set()
        for path in lists.glob("*.json"):
            with contextlib.suppress(OSError, ValueError):
                found |= msgspec.json.decode(path.read_bytes(), type=set[tuple[str, str]])
        return found

    def discard(self) -> None:
        # The marker goes first: half a draft must never look like one.
        (self.directory / "draft.json").unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def _keep_newest(lists: Path) -> None:
    """A target that is away leaves a list for each release, and each has all that it lacks: the newest one stays, and as many before it as have room."""
    length = 0
    newest = sorted(lists.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for place, path in enumerate(newest):
        length += path.stat().st_size
        if place and length > limits.DROPPED_LISTS_BYTES:
            path.unlink()
