"""Which releases are ours: the hash of each snapshot that this workspace made public or was about to, kept beside the ledger.

Two copies of one workspace have the same keys, so a signature does not tell whose release stands at a target. Whoever finds one that is not in its own line
must not go on: its next release would take back what the other one's said.
"""

from collections.abc import Iterator
from pathlib import Path

from builder import durable
from publish.errors import PublishError
from publish.translog.log import RECOVER
from publish.workspace import Workspace

__all__ = ["Lineage", "check_ledger", "old_copy"]


def old_copy(workspace: Workspace, shown: int) -> str | None:
    """What is wrong with a ledger that ends before release `shown`, which is public, or before the log that its keys have signed; None if it does not."""
    ledger = workspace.ledger
    last = len(ledger.cuts)
    # A cut is on disk before anything of it is signed. No target may be left to tell what the keys did: it is gone, or elsewhere.
    if not max(shown, last) and workspace.log_begun.exists():
        return f"the keys here have signed a public log ({workspace.log_begun.name} beside them says so), of which nothing is in {ledger.directory}: it is lost"
    # Its last record alone may be torn, which is made again: then the release stands in our line, as it does in no old copy.
    if shown <= last or (shown == last + 1 and any(release == shown for release, _ in Lineage(ledger.directory))):
        return None
    return f"release {shown} is public, but the ledger here ends with {last}: an old copy"


def check_ledger(workspace: Workspace, shown: int) -> None:
    """PublishError where there is an `old_copy`: what were written into it would be another history."""
    if (problem := old_copy(workspace, shown)) is not None:
        raise PublishError(f"{problem}; {RECOVER} (docs/operations.md)")


class Lineage:
    """`ledger/snapshots`: a line with release and SHA-256 for each, oldest first."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger / "snapshots"

    def has(self, release: int, sha256: str) -> bool:
        return self._line(release, sha256) in self._read()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Release and hash of each, oldest first."""
        for line in self._read():
            release, _, sha256 = line.decode().strip().partition(" ")
            yield int(release), sha256

    def add(self, release: int, sha256: str) -> None:
        """Called before the commit: a stop after it is then known for what it is."""
        lines = self._read()
        if self._line(release, sha256) not in lines:
            durable.write_file(self._path, b"".join([*lines, self._line(release, sha256)]))

    def _read(self) -> list[bytes]:
        try:
            return self._path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []

    @staticmethod
    def _line(release: int, sha256: str) -> bytes:
        return f"{release} {sha256}\n".encode()
