"""The log's own files at a place: the checkpoint that stands there, and every tile that it leads to."""

from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher
from verifier.files import Failure
from verifier.formats import merkle
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.tiles import ENTRIES, Tile, node_reader
from verifier.formats.tlog_policy import Policy
from verifier.log import CHECKPOINT, tile_reader
from verifier.mirror.log import Check, check_tiles, read_edge

__all__ = ["check_public_log"]


def check_public_log(fetcher: Fetcher, policy: Policy, proved: SignedCheckpoint) -> list[Failure]:
    """What is wrong with the log that stands at a place, whose release was proved by the checkpoint `proved`."""
    try:
        shown = SignedCheckpoint.parse(fetcher.fetch(CHECKPOINT, limits.NOTE_FILE))
        policy.witnessed(shown)
        old, new = proved.checkpoint, shown.checkpoint
        if new.size < old.size:
            raise VerificationError(f"it has {new.size} entries, fewer than the {old.size} of the release's own proof")
        past = merkle.tree_hash(old.size, node_reader(new.size, tile_reader(fetcher)))
        edge = read_edge(fetcher.fetch, shown)
        if past != old.root:
            raise VerificationError("it does not continue the log that the release's proof is of: two stories are told")
    except VerifierError as error:
        return [Failure.of(CHECKPOINT, error)]
    failures: list[Failure] = []
    known: dict[Tile, bytes] = {}

    def get(tile: Tile, check: Check) -> None:
        try:
            data = fetcher.fetch(f"log/{tile.path}", limits.TILE_FILE)
            check(data)
        except VerifierError as error:
            failures.append(Failure.of(f"log/{tile.path}", error))
            data = b""
        if tile.level != ENTRIES:
            known[tile] = data

    check_tiles(edge, 0, get, lambda tile: known.get(tile, b""))
    return failures
