"""The log's own files at a place: the checkpoint that stands there, and every tile that it leads to.

The right edge leads to the checkpoint's root; each full tile has its hash in the tile above it, each bundle's entries theirs in the tile
beside it. So a tile has one right content, whoever sends it.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher
from verifier.files import Failure
from verifier.formats import merkle
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.encoding import HASH_SIZE
from verifier.formats.tiles import (
    ENTRIES,
    WIDTH,
    RightEdge,
    Tile,
    node_reader,
    parse_bundle,
    tiles_between,
)
from verifier.formats.tlog_policy import Policy
from verifier.log import CHECKPOINT, tile_reader
from verifier.log_tiles import Fetch, fetch_tile, tile_cap, tile_path

__all__ = ["Check", "check_log_files", "check_public_log", "check_tiles", "read_edge"]

Check = Callable[[bytes], None]


def check_public_log(fetcher: Fetcher, policy: Policy, proved: SignedCheckpoint) -> list[Failure]:
    """What is wrong with the log that stands at a place, whose release was proved by the checkpoint `proved`."""
    failures: list[Failure] = []
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
    check_log_files(fetcher, edge, lambda path, error: failures.append(Failure.of(path, error)))
    return failures


def check_log_files(
    fetcher: Fetcher, edge: RightEdge, failed: Callable[[str, VerifierError], None] | None = None
) -> None:
    """Check every full tile and bundle of the checked `edge`'s tree. One that does not hold is raised, or given to `failed` with its path."""
    known: dict[Tile, bytes] = {}

    def get(tile: Tile, check: Check) -> None:
        data = b""
        try:
            data = fetcher.fetch(tile_path(tile), tile_cap(tile))
            check(data)
        except VerifierError as error:
            if failed is None:
                raise
            failed(tile_path(tile), error)
            data = b""
        if tile.level != ENTRIES:
            known[tile] = data

    check_tiles(edge, 0, get, lambda tile: known.get(tile, b""))


def check_tiles(
    edge: RightEdge,
    since: int,
    get: Callable[[Tile, Check], None],
    read: Callable[[Tile], bytes],
    each: Callable[[tuple[Callable[[Tile], None], Iterable[Tile]]], object] = lambda work: list(map(*work)),
) -> None:
    """Have `get` check each full tile and bundle that the tree of the checked `edge` has and one of `since` entries lacks. `read` gives
    those that it has checked before: the higher ones come first, the bundles last."""

    def above(tile: Tile) -> bytes:
        index, place = divmod(tile.index, WIDTH)
        row = edge.rows[tile.level + 1]
        if index == (edge.size >> 8 * (tile.level + 1)) // WIDTH:
            return row[place]
        return read(Tile(tile.level + 1, index))[place * HASH_SIZE : (place + 1) * HASH_SIZE]

    def one(tile: Tile) -> None:
        if tile.level == ENTRIES:
            get(tile, lambda data: _check_bundle(data, read(Tile(0, tile.index))))
        else:
            get(tile, lambda data: _check_hashes(data, above(tile)))

    full = [tile for tile in tiles_between(since, edge.size) if tile.width == WIDTH]
    for _, level in groupby(sorted(full, key=lambda tile: -tile.level), key=lambda tile: tile.level):
        each((one, list(level)))


def read_edge(fetch: Fetch, signed: SignedCheckpoint) -> RightEdge:
    """The right edge of the checkpoint's tree as a place has it; VerificationError if it does not lead to the root."""
    edge = RightEdge.read(signed.checkpoint.size, lambda tile: fetch_tile(fetch, tile))
    if edge.root() != signed.checkpoint.root:
        raise VerificationError(f"the log's tiles are not those of its checkpoint of {signed.checkpoint.size} entries")
    return edge


def _check_hashes(data: bytes, expected: bytes) -> None:
    hashes = [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]
    if len(data) != WIDTH * HASH_SIZE or merkle.fold(hashes) != expected:
        raise VerificationError("it is not the tile that the log's checkpoint leads to")


def _check_bundle(data: bytes, hashes: bytes) -> None:
    if b"".join(map(merkle.leaf_hash, parse_bundle(data, WIDTH))) != hashes:
        raise VerificationError("these are not the entries that the log's checkpoint leads to")
