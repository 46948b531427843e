"""The publisher's log on a mirror: the tree of the checkpoint that the release's proof has, every tile of it checked before it is shown.

The right edge leads to the checkpoint's root; each full tile has its hash in the tile above it, each bundle's entries theirs in the tile
beside it. So a tile has one right content, whoever sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from itertools import groupby
from typing import TYPE_CHECKING

from verifier import limits
from verifier.errors import FormatError, VerificationError, VerifierError
from verifier.fetcher import MissingError
from verifier.formats import merkle
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.encoding import HASH_SIZE
from verifier.formats.tiles import ENTRIES, WIDTH, RightEdge, Tile, encode_bundle, parse_bundle, tiles_between
from verifier.log import CHECKPOINT
from verifier.mirror.upstreams import worst

if TYPE_CHECKING:
    from verifier.mirror.budget import Budget
    from verifier.mirror.folder import Folder
    from verifier.mirror.upstreams import Upstreams

__all__ = ["bring_log", "check_tiles", "read_edge"]

Check = Callable[[bytes], None]
Fetch = Callable[[str, int], bytes]  # see verifier.fetcher.Fetcher


def bring_log(
    folder: Folder,
    upstreams: Upstreams,
    first: Fetch,
    budget: Budget,
    executor: Executor,
    signed: SignedCheckpoint,
    *,
    full: bool,
) -> None:
    """Bring in the tiles and entries of the tree of `signed`, which was checked with files from `first`. `full`: look at those that are
    there, too."""
    edge = _first_edge([folder.fetch, first, *(upstream.fetch for upstream in upstreams.all)], signed)
    for tile, data in _edge_files(edge):
        budget.take(len(data))
        folder.put(_path(tile), data)

    def get(tile: Tile, check: Check) -> None:
        there = folder.read(_path(tile))
        try:
            check(there or b"")
        except VerifierError:
            budget.take(_length(tile))
            folder.put(_path(tile), upstreams.fetch(_path(tile), _length(tile), check))

    since = 0 if full else _served_size(folder)
    check_tiles(edge, since, get, lambda tile: folder.read(_path(tile)) or b"", lambda work: list(executor.map(*work)))


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
    edge = RightEdge.read(signed.checkpoint.size, lambda tile: _read_partial(fetch, tile))
    if edge.root() != signed.checkpoint.root:
        raise VerificationError(f"the log's tiles are not those of its checkpoint of {signed.checkpoint.size} entries")
    return edge


def _first_edge(places: Iterable[Fetch], signed: SignedCheckpoint) -> RightEdge:
    errors: list[VerifierError] = []
    for place in places:
        try:
            return read_edge(place, signed)
        except VerifierError as error:
            errors.append(error)
    raise worst(errors)


def _read_partial(fetch: Fetch, tile: Tile) -> bytes:
    """A partial tile, or the beginning of the full one that has taken its place (tlog-tiles, "Partial Tiles")."""
    try:
        return fetch(_path(tile), _length(tile))
    except MissingError:
        full = Tile(tile.level, tile.index)
        data = fetch(_path(full), _length(full))
    return encode_bundle(parse_bundle(data, WIDTH)[: tile.width]) if tile.level == ENTRIES else data[: _length(tile)]


def _edge_files(edge: RightEdge) -> Iterable[tuple[Tile, bytes]]:
    for level, row in enumerate(edge.rows):
        if row:
            yield Tile(level, (edge.size >> 8 * level) // WIDTH, len(row)), b"".join(row)
    if edge.entries:
        yield Tile(ENTRIES, edge.size // WIDTH, len(edge.entries)), encode_bundle(edge.entries)


def _check_hashes(data: bytes, expected: bytes) -> None:
    hashes = [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]
    if len(data) != WIDTH * HASH_SIZE or merkle.fold(hashes) != expected:
        raise VerificationError("it is not the tile that the log's checkpoint leads to")


def _check_bundle(data: bytes, hashes: bytes) -> None:
    if b"".join(map(merkle.leaf_hash, parse_bundle(data, WIDTH))) != hashes:
        raise VerificationError("these are not the entries that the log's checkpoint leads to")


def _served_size(folder: Folder) -> int:
    try:
        return SignedCheckpoint.parse(folder.read(CHECKPOINT) or b"").checkpoint.size
    except FormatError:
        return 0


def _path(tile: Tile) -> str:
    return f"log/{tile.path}"


def _length(tile: Tile) -> int:
    return tile.width * (2 + limits.LOG_ENTRY if tile.level == ENTRIES else HASH_SIZE)
