"""Our own check before anything is committed: the verifier, on the draft, from the first root on, as any client would."""

import tempfile
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

from builder.pack import pack_names, read_index
from builder.parts import DATA_FILES, SIREKAP
from publish.errors import SigningError, TargetError
from publish.release.draft import Draft
from publish.release.jobs import Runner
from publish.targets import TIMESTAMP, Target
from verifier.client import Client
from verifier.errors import FetchError, VerifierError
from verifier.fetcher import DirectoryFetcher, Fetcher, MissingError, OverlayFetcher, too_long
from verifier.files import BESIDE_RESULTS, PACK_OBJECTS, Failure, object_path
from verifier.printable import counted
from verifier.receiver import Receiver
from verifier.site import check_site

__all__ = ["DraftFetcher", "check_draft", "client_refusal", "role_of"]

SIGNATURES_CHECKED = 5_000


@dataclass(frozen=True)
class DraftFetcher:
    """The public tree as it will be after a draft is pushed: the draft, and what was signed or taken in before.

    `record`, `offline` and `packages` are the folders of the recorded roles, of the offline-signed metadata and of the ledger's packages.
    """

    draft: Path
    record: Path
    offline: Path
    packages: Path

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        kind, _, rest = path.partition("/")
        if kind == "targets":
            return self._object(path, rest, max_length)
        if kind == "packages":
            places = [self.packages / rest]
        else:
            role = rest.partition(".")[2]
            places = [Draft(self.draft).metadata / rest, self.offline / rest, self.record / role]
        for place in places:
            if place.is_file():
                if place.stat().st_size > max_length:
                    raise too_long(path, max_length)
                return place.read_bytes()
        raise MissingError(f"{path} is neither in the draft nor on record")

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher: there are no aliases yet."""
        return self.fetch(path, max_length), False

    def receive(self, path: str, length: int, receiver: Receiver) -> None:
        """See verifier.receiver.Streaming: of what a draft holds, packs alone are large."""
        if path.startswith(PACK_OBJECTS):
            DirectoryFetcher(Draft(self.draft).packs).receive(path.removeprefix(PACK_OBJECTS), length, receiver)
        else:
            receiver.take(self.fetch(path, length))

    def _object(self, path: str, rest: str, max_length: int) -> bytes:
        draft, role = Draft(self.draft), role_of(rest.rpartition("/")[0])
        if path.startswith(PACK_OBJECTS):
            return DirectoryFetcher(draft.packs).fetch(path.removeprefix(PACK_OBJECTS), max_length)
        directory = draft.signatures if path.endswith(".minisig") else draft.files
        pack = directory / f"{role}.pack"
        place = _places(directory, role, pack.stat().st_mtime_ns).get(path) if pack.is_file() else None
        if place is None:
            raise MissingError(f"{path} is not in the draft")
        data, offset, length = place
        if length > max_length:
            raise too_long(path, max_length)
        return data[offset : offset + length]


@lru_cache(maxsize=2)
def _places(directory: Path, role: str, changed: int) -> dict[str, tuple[bytes, int, int]]:
    """Where each object of a role lies in its pack, as (pack, offset, length)."""
    data, offset, found = (directory / f"{role}.pack").read_bytes(), 0, {}
    for entry in read_index(directory, role):
        path = entry.path if entry.path.endswith(".minisig") else object_path(entry)
        found[path] = (data, offset, entry.length)
        offset += entry.length
    return found


@dataclass(frozen=True)
class TargetFetcher:
    """What stands at a target, read with the publisher's own access: no cache lies between."""

    target: Target

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        try:
            seen = self.target.read(path)
        except TargetError as error:
            raise FetchError(str(error)) from error
        if seen is None:
            raise MissingError(f"{path} is not at {self.target.name}")
        if len(seen.data) > max_length:
            raise too_long(path, max_length)
        return seen.data

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher: a target tells nothing of links."""
        return self.fetch(path, max_length), False


def client_refusal(target: Target, timestamp: bytes, root: bytes, now: datetime) -> VerifierError | None:
    """Why a client that begins with `root` refuses the metadata that stands at a target, under `timestamp`; None if it takes it."""
    with tempfile.TemporaryDirectory() as state:
        try:
            Client(OverlayFetcher({TIMESTAMP: timestamp}, TargetFetcher(target)), Path(state), now, root).refresh()
        except VerifierError as error:
            return error
    return None


def check_draft(
    draft: Draft,
    fetcher: DraftFetcher,
    withheld: Mapping[tuple[str, str], str],
    root: bytes,
    timestamp: bytes,
    now: datetime,
    runner: Runner,
) -> None:
    """Refuse what the public would refuse. `withheld` has the order for each scan of a package that may be missing, all by their hash.

    Raises:
        SigningError: something in the draft does not verify under `timestamp`; nothing was committed.
    """
    overlay = OverlayFetcher({TIMESTAMP: timestamp}, fetcher)
    packs = pack_names(draft.files)
    paths = Counter(entry.path for name in packs for entry in read_index(draft.files, name))
    # A minisign check costs twenty hashes. All are checked when they are few, else those of some roles: signing is one code path for all.
    sampled = None if paths.total() <= SIGNATURES_CHECKED else frozenset(packs[:: len(packs) // 16 + 1])
    # The roles are checked in several processes, none of which would see one path in two of them.
    failures = [Failure(path, "is listed by two roles") for path, count in paths.items() if count > 1]
    check = partial(_check_roles, draft, overlay, withheld, root, now, sampled)
    failures += [failure for found in runner.in_parts(check, packs) for failure in found]
    if failures:
        raise SigningError(
            f"our own check refuses this release ({counted(len(failures), 'failure')}, the first: {failures[0].path}: {failures[0].what}); nothing was committed. "
            f"Look at the disk and at who writes to {draft.directory}; to have the release made anew, move that folder away and publish again"
        )


def _check_roles(
    draft: Draft,
    fetcher: Fetcher,
    withheld: Mapping[tuple[str, str], str],
    root: bytes,
    now: datetime,
    sampled: Container[str] | None,
    names: Sequence[str],
) -> tuple[Failure, ...]:
    """Check the changed files of the roles `names`, and of those above the shards, through which the way to them leads."""
    roles = [name for name in pack_names(draft.files) if "-" not in name or name in names]
    changed = {name: {entry.path for entry in read_index(draft.files, name)} for name in roles}
    with tempfile.TemporaryDirectory() as state, ThreadPoolExecutor(1) as executor:
        client = Client(fetcher, Path(state), now, root=root)
        client.refresh()
        check = partial(check_site, client, fetcher, executor, aliases=False, order=lambda *file: withheld.get(file))
        if sampled is None:
            return check(signatures=True, only=changed).failures
        signed = {name: paths for name, paths in changed.items() if "-" not in name or name in sampled}
        return check(only=changed).failures + check(signatures=True, only=signed).failures


def role_of(folder: str) -> str:
    """The role whose pack holds the files of a folder: docs/formats.md, "TUF metadata"."""
    if folder.startswith("sirekap/"):
        _, _, _, *rest = folder.split("/")
        shard = rest[2] if len(rest) > 2 else DATA_FILES
        return f"{rest[0]}-{shard}-{SIREKAP}" if rest else "site"
    kind = next((kind for kind in ("en/", *BESIDE_RESULTS) if folder.startswith(kind)), "")
    contest, _, shard = folder.removeprefix(kind).partition("/")
    if folder in {"", "en", "assets", "schema", "inputs", "search", "feeds", "packs"}:
        return "site"
    if folder in {"trust", "keys"}:
        return "trust"
    group = contest.partition("-")[0]
    shard = shard or (DATA_FILES if kind in BESIDE_RESULTS else "")
    return f"{group}-{shard}" if shard else group
