"""Check what a mirror serves, from the first root that it trusts and with no other memory."""

import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from pathlib import Path

from verifier import limits
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.fetcher import DirectoryFetcher
from verifier.formats.tiles import Tile
from verifier.formats.tlog_proof import LogProof
from verifier.log import check_log, proof_path
from verifier.mirror.folder import Folder
from verifier.mirror.log import check_tiles, read_edge
from verifier.site import SiteReport, check_site
from verifier.withheld import Redactions

__all__ = ["first_root", "verify"]


def verify(
    folder: Folder, executor: Executor, now: datetime, progress: Callable[[int, int], None] = lambda done, known: None
) -> SiteReport:
    """The report of `check_site` on the public folder, signatures and unlisted files included.

    The mirror's own state is left out: while a run is under way it may know a newer release than the one that is whole.
    """
    fetcher = DirectoryFetcher(folder.public)
    root = first_root(folder)
    with tempfile.TemporaryDirectory() as state:
        client = Client(fetcher, Path(state), now, root)
        client.refresh()
        logged = check_log(client, fetcher)
        if logged is not None:
            _check_tiles(client, fetcher)
        order = Redactions(fetcher, logged.checkpoint.checkpoint if logged else None).order
        return check_site(
            client, fetcher, executor, signatures=True, folder=folder.public, order=order, progress=progress
        )


def first_root(folder: Folder) -> bytes:
    """The first root that the mirror trusts."""
    roots = sorted(folder.state.glob("root_history/*.root.json"), key=lambda file: int(file.name.partition(".")[0]))
    if not roots:
        raise VerifierError(f"{folder.state} holds no root; make the mirror anew with terbit-verify mirror init")
    return DirectoryFetcher(roots[0].parent).fetch(roots[0].name, limits.ROOT_METADATA)


def _check_tiles(client: Client, fetcher: DirectoryFetcher) -> None:
    """Check every tile and entry of the log that the release's proof leads to."""
    proof = LogProof.parse(fetcher.fetch(proof_path(client.snapshot.version), limits.PROOF_FILE))

    def get(tile: Tile, check: Callable[[bytes], None]) -> None:
        check(fetcher.fetch(f"log/{tile.path}", limits.TARGET_FILE))

    edge = read_edge(fetcher.fetch, proof.checkpoint)
    check_tiles(edge, 0, get, lambda tile: fetcher.fetch(f"log/{tile.path}", limits.TARGET_FILE))
