"""One tile of the log, from the election's folder. Nothing in it is trusted yet."""

from collections.abc import Callable

from verifier import limits
from verifier.fetcher import MissingError
from verifier.formats.encoding import HASH_SIZE
from verifier.formats.tiles import ENTRIES, WIDTH, Tile, encode_bundle, parse_bundle

__all__ = ["Fetch", "fetch_tile", "tile_cap", "tile_path"]

Fetch = Callable[[str, int], bytes]  # see verifier.fetcher.Fetcher


def tile_path(tile: Tile) -> str:
    """Where it lies, relative to the election's folder."""
    return f"log/{tile.path}"


def tile_cap(tile: Tile) -> int:
    """How many bytes its file may have."""
    return tile.width * (2 + limits.LOG_ENTRY if tile.level == ENTRIES else HASH_SIZE)


def fetch_tile(fetch: Fetch, tile: Tile) -> bytes:
    """A tile or bundle; a partial one may have been dropped for the full one, and is its beginning (tlog-tiles, "Partial Tiles")."""
    try:
        return fetch(tile_path(tile), tile_cap(tile))
    except MissingError:
        if tile.width == WIDTH:
            raise
    full = Tile(tile.level, tile.index)
    data = fetch(tile_path(full), tile_cap(full))
    return encode_bundle(parse_bundle(data, WIDTH)[: tile.width]) if tile.level == ENTRIES else data[: tile_cap(tile)]
