"""The publisher's log on a mirror: the tree of the checkpoint that the release's proof has, every tile of it checked before it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from verifier.errors import FormatError, VerifierError
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.tiles import ENTRIES, WIDTH, RightEdge, Tile, encode_bundle
from verifier.log import CHECKPOINT
from verifier.log_tiles import Fetch, tile_cap, tile_path
from verifier.mirror.upstreams import worst
from verifier.public_log import Check, check_tiles, read_edge

if TYPE_CHECKING:
    from verifier.mirror.budget import Budget
    from verifier.mirror.folder import Folder
    from verifier.mirror.upstreams import Upstreams

__all__ = ["bring_log"]


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
        folder.put(tile_path(tile), data)

    def get(tile: Tile, check: Check) -> None:
        there = folder.read(tile_path(tile))
        try:
            check(there or b"")
        except VerifierError:
            budget.take(tile_cap(tile))
            folder.put(tile_path(tile), upstreams.fetch(tile_path(tile), tile_cap(tile), check))

    since = 0 if full else _served_size(folder)
    check_tiles(
        edge, since, get, lambda tile: folder.read(tile_path(tile)) or b"", lambda work: list(executor.map(*work))
    )


def _first_edge(places: Iterable[Fetch], signed: SignedCheckpoint) -> RightEdge:
    errors: list[VerifierError] = []
    for place in places:
        try:
            return read_edge(place, signed)
        except VerifierError as error:
            errors.append(error)
    raise worst(errors)


def _edge_files(edge: RightEdge) -> Iterable[tuple[Tile, bytes]]:
    for level, row in enumerate(edge.rows):
        if row:
            yield Tile(level, (edge.size >> 8 * level) // WIDTH, len(row)), b"".join(row)
    if edge.entries:
        yield Tile(ENTRIES, edge.size // WIDTH, len(edge.entries)), encode_bundle(edge.entries)


def _served_size(folder: Folder) -> int:
    try:
        return SignedCheckpoint.parse(folder.read(CHECKPOINT) or b"").checkpoint.size
    except FormatError:
        return 0
