"""What belongs at a target of the public log: the checkpoint that was shown there, the tiles beneath it, and each release's proof."""

import hashlib
from pathlib import Path

from publish.errors import LogError
from publish.guard.judge import Right
from publish.release.lineage import Lineage
from publish.release.push import CHECKPOINT_ROLE
from publish.release.record import Record, RecordStore
from publish.translog.log import logged_size, tiles_on_disk
from publish.workspace import Workspace
from verifier.formats.tiles import tiles_between
from verifier.log import CHECKPOINT, proof_path

__all__ = ["expect_log"]


def expect_log(
    workspace: Workspace, store: RecordStore, record: Record
) -> tuple[dict[str, Right], dict[str, bytes], set[str]]:
    """By path what belongs there, the bytes of all of it, and which paths may be there or not: what other checkpoints need.

    Raises:
        LogError: some of it is no longer in the ledger.
    """
    folder = workspace.log
    data = {f"log/{tile.path}": _read(folder / tile.path) for tile in tiles_between(0, record.log)}
    if record.log:
        data[CHECKPOINT] = store.role(CHECKPOINT_ROLE)
    needed = {*data}
    # A push that is under way, or was broken off, is ahead of the record.
    data |= {f"log/{tile.path}": _read(folder / tile.path) for tile in tiles_on_disk(folder, logged_size(folder))}
    for release, sha256 in Lineage(workspace.ledger.directory):
        proof = folder / "proofs" / f"{sha256}.tlog-proof"
        if proof.is_file():
            data[proof_path(release)] = _read(proof)
            if release == record.release:
                needed.add(proof_path(release))
    right = {
        path: Right("hint" if path == CHECKPOINT else "metadata", hashlib.sha256(one).hexdigest(), len(one), path)
        for path, one in data.items()
    }
    return right, data, data.keys() - needed


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LogError(
            f"{path} belongs to the public log and cannot be read: {error.strerror}; restore it from your backup"
        ) from error
