"""The packs of the releases that a mirror has missed: few large files that hold most of what it lacks (docs/formats.md, "Packs").

They are a way of getting files and no more. The role `site` of each release signs its own packs, and whatever comes out of one is
checked by the newest metadata like a file from any upstream; so a pack that is missing, late or wrong costs requests and nothing else.
"""

from collections.abc import Iterable, Iterator

from verifier import limits
from verifier.archive import ArchiveFetcher
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.files import SignedFile, is_pack, object_path
from verifier.mirror.budget import Budget
from verifier.mirror.folder import Folder
from verifier.mirror.metadata import right_bytes
from verifier.mirror.upstreams import Upstreams

__all__ = ["open_packs"]

SITE = "site"
# What may come beyond what is needed: a release of one station has more around its files than in them.
MARGIN = 4_000_000


def open_packs(
    folder: Folder,
    upstreams: Upstreams,
    client: Client,
    budget: Budget,
    newest: Iterable[SignedFile],
    since: int,
    need: int,
) -> Iterator[ArchiveFetcher]:
    """The packs of the releases after `since`, from the `newest` backwards, as long as they are not twice as long as what is needed (bytes).

    Each is put where the mirror's own readers find it.
    """
    left = 2 * need + MARGIN
    for release in range(
        client.snapshot.version, max(since, client.snapshot.version - limits.PACKS_RELEASES_COUNT), -1
    ):
        try:
            packs = (
                list(newest)
                if release == client.snapshot.version
                else _earlier(folder, upstreams, client, budget, release)
            )
            left -= sum(pack.length for pack in packs)
            if left < 0:
                return
            for pack in packs:
                yield _open(folder, upstreams, budget, pack)
        except VerifierError:
            return  # the files come one by one


def _earlier(folder: Folder, upstreams: Upstreams, client: Client, budget: Budget, release: int) -> list[SignedFile]:
    """The packs of an earlier release, as its role `site` lists them."""
    path = f"metadata/{release}.{SITE}.json"
    data = folder.read(path, max_length=limits.TARGETS_METADATA)
    if data is None:
        budget.take(limits.TARGETS_METADATA)
        data = upstreams.fetch(path, limits.TARGETS_METADATA, lambda data: _check(client, release, data))
        folder.put(path, data)
    targets = client.earlier_role(SITE, release, data).targets
    return [
        SignedFile(path, target.hashes["sha256"], target.length)
        for path, target in sorted(targets.items())
        if is_pack(path) and "sha256" in target.hashes and target.length <= limits.TARGET_FILE
    ]


def _check(client: Client, release: int, data: bytes) -> None:
    client.earlier_role(SITE, release, data)


def _open(folder: Folder, upstreams: Upstreams, budget: Budget, pack: SignedFile) -> ArchiveFetcher:
    path = object_path(pack)
    if folder.read(path, pack.sha256) is None:
        budget.take(pack.length)
        folder.put(path, upstreams.fetch(path, pack.length, right_bytes(pack.sha256)))
    archive = ArchiveFetcher(folder.public / path)
    archive.check()
    return archive
