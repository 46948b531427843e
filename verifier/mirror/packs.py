"""The packs of the releases that a mirror has missed: few large files that hold most of what it lacks (docs/formats.md, "Packs").

They are a way of getting files and no more. The role `site` of each release signs its own packs, and whatever comes out of one is
checked by the newest metadata like a file from any upstream; so a pack that is missing, late or wrong costs requests and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING

from verifier import limits
from verifier.archive import ArchiveFetcher
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.files import SignedFile, is_full_pack, is_pack, is_stray, object_path
from verifier.mirror.budget import Budget
from verifier.mirror.folder import Folder
from verifier.mirror.metadata import MetadataSource
from verifier.mirror.upstreams import Upstreams

if TYPE_CHECKING:
    from verifier.tuf_api import Targets

__all__ = ["Ahead", "Arriving", "bring_packs", "find_packs"]

SITE = "site"
# What may come beyond what is needed: a release of one station has more around its files than in them.
MARGIN = 4_000_000


class Ahead(ThreadPoolExecutor):
    """A thread that works ahead of a run. Who leaves by an error waits for none of that (`left`), nor for the rest of a pack that is just coming."""

    def __init__(self) -> None:
        super().__init__(1)
        self.left = threading.Event()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self.left.set()
        self.shutdown(cancel_futures=kind is not None)


class Arriving:
    """Packs that a thread brings in, one after the other: whoever goes through them waits for the next, up to the first that cannot be had."""

    def __init__(self, thread: Executor, packs: Iterator[ArchiveFetcher], count: int) -> None:
        self._packs = [thread.submit(next, packs, None) for _ in range(count)]

    def __iter__(self) -> Iterator[ArchiveFetcher]:
        for coming in self._packs:
            if (pack := coming.result()) is None:
                return
            yield pack

    def here(self) -> list[ArchiveFetcher]:
        """Those that have come so far."""
        return list(islice(self, sum(coming.done() for coming in self._packs)))


def find_packs(
    folder: Folder,
    upstreams: Upstreams,
    source: MetadataSource,
    client: Client,
    budget: Budget,
    since: int,
    most: int,
) -> list[SignedFile]:
    """The packs of the releases after `since`, the newest first, as long as all of them together have hardly more than `most` bytes; or full
    packs and those of the releases after them, where that is less."""
    newest = client.snapshot.version
    last = max(since, newest - limits.PACKS_RELEASES_COUNT)

    def listed(release: int) -> list[SignedFile]:
        path = f"metadata/{release}.{SITE}.json"
        if release == newest:
            data = source.fetch(path, limits.TARGETS_METADATA)
        else:
            data = _earlier(folder, upstreams, client, budget, path, release)
        return _listed(client.earlier_role(SITE, release, data))

    return _choose(map(listed, range(newest, last, -1)), most + MARGIN, leads_on=last == since)


def bring_packs(
    folder: Folder, upstreams: Upstreams, budget: Budget, packs: Sequence[SignedFile], left: threading.Event
) -> Iterator[ArchiveFetcher]:
    """Each of some packs once it is where the mirror's own readers find it."""
    try:
        for pack in packs:
            yield _open(folder, upstreams, budget, pack, left)
    except VerifierError:
        return  # the files come one by one


def _choose(releases: Iterable[Sequence[SignedFile]], most: int, *, leads_on: bool) -> list[SignedFile]:
    """Which of the packs of some releases, the newest first, bring most of what is needed for at most `most` bytes.

    A chain of what each release changed leads to the last of them. The newest full packs make all that is behind them needless: they are taken as soon as
    the chain behind them is longer, or does not lead on to what is there (`leads_on`).
    """
    chain: list[SignedFile] = []
    full: list[SignedFile] = []  # with the chain before them
    try:
        for packs in releases:
            every = [pack for pack in packs if is_full_pack(pack.path)]
            if every and not full and _length([*chain, *every]) <= most:
                full = [*chain, *every]
            changed = [pack for pack in packs if not is_full_pack(pack.path)]
            chain += changed
            if not changed or _length(chain) > (_length(full) if full else most):
                break
        else:
            if leads_on:
                return chain
    except VerifierError:
        pass  # a list that cannot be had: the chain ends there
    if full:
        return full
    while _length(chain) > most:
        chain.pop()
    return chain


def _length(packs: Iterable[SignedFile]) -> int:
    return sum(pack.length for pack in packs)


def _earlier(folder: Folder, upstreams: Upstreams, client: Client, budget: Budget, path: str, release: int) -> bytes:
    """The role `site` of an earlier release."""
    data = folder.read(path, max_length=limits.TARGETS_METADATA)
    if data is None:
        budget.take(limits.TARGETS_METADATA)
        data = upstreams.fetch(path, limits.TARGETS_METADATA, lambda found: _check(client, release, found))
        folder.put(path, data)
    return data


def _listed(role: Targets) -> list[SignedFile]:
    return [
        SignedFile(path, target.hashes["sha256"], target.length)
        for path, target in sorted(role.targets.items())
        if is_pack(path)
        and not is_stray(path, role.version, role.targets)
        and "sha256" in target.hashes
        and target.length <= limits.TARGET_FILE
    ]


def _open(
    folder: Folder, upstreams: Upstreams, budget: Budget, pack: SignedFile, left: threading.Event
) -> ArchiveFetcher:
    path = object_path(pack)
    if not folder.has(path, pack):
        budget.take(pack.length)
        with folder.receiving(path, left) as receiver:
            upstreams.receive(path, pack.length, pack.sha256, receiver)
    archive = ArchiveFetcher(folder.public / path)
    archive.check()
    return archive


def _check(client: Client, release: int, data: bytes) -> None:
    client.earlier_role(SITE, release, data)
