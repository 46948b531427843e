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
from verifier.mirror.folder import Folder
from verifier.site import SiteReport, check_whole_site

__all__ = ["first_root", "verify"]


def verify(
    folder: Folder, executor: Executor, now: datetime, progress: Callable[[int, int], None] = lambda done, known: None
) -> SiteReport:
    """The report of `check_whole_site` on the public folder, signatures and unlisted files included.

    The mirror's own state is left out: while a run is under way it may know a newer release than the one that is whole.
    """
    fetcher = DirectoryFetcher(folder.public)
    root = first_root(folder)
    with tempfile.TemporaryDirectory() as state:
        client = Client(fetcher, Path(state), now, root)
        client.refresh()
        return check_whole_site(client, fetcher, executor, signatures=True, folder=folder.public, progress=progress)


def first_root(folder: Folder) -> bytes:
    """The first root that the mirror trusts."""
    roots = sorted(folder.state.glob("root_history/*.root.json"), key=lambda file: int(file.name.partition(".")[0]))
    if not roots:
        raise VerifierError(f"{folder.state} holds no root; make the mirror anew with terbit-verify mirror init")
    return DirectoryFetcher(roots[0].parent).fetch(roots[0].name, limits.ROOT_METADATA)
