"""Tiles: the log's tree as immutable files of at most 256 hashes or entries each; what an append adds to them.

Format: C2SP tlog-tiles (https://c2sp.org/tlog-tiles). Paths are relative to the log's directory. Nothing read from a
tile is trusted: a proof made from tiles is verified against a signed checkpoint like any other.
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats import merkle
from verifier.formats.encoding import HASH_SIZE

__all__ = ["ENTRIES", "Reader", "RightEdge", "Tile", "encode_bundle", "node_reader", "parse_bundle", "tiles_between"]

HEIGHT = 8
WIDTH = 1 << HEIGHT
TOP_LEVEL = 7  # of a tree smaller than 2^63
ENTRIES = -1  # the "level" of bundles of entries, which share the indices and widths of level 0

_LENGTH = struct.Struct(">H")
_PATH = re.compile(
    r"tile/(?P<level>entries|[0-7])/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True)
class Tile:
    """A tile's place: `level` 0 to 7 or ENTRIES, `index` from 0, `width` in hashes or entries, 256 for a full one."""

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (ENTRIES <= self.level <= TOP_LEVEL and 0 <= self.index < 2**63 and 1 <= self.width <= WIDTH):
            raise FormatError(f"there is no tile {self.index} of width {self.width} at level {self.level}")

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read a path that `path` gives; FormatError for anything else."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise FormatError("a tile's path must be tile/<level>/<index>, with .p/<width> for a partial one")
        tile = cls(
            level=ENTRIES if match["level"] == "entries" else int(match["level"]),
            index=int(match["index"].replace("x", "").replace("/", "")),
            width=int(match["width"] or WIDTH),
        )
        if tile.path != path:
            raise FormatError("a tile's path must have no needless zeros and no width of 256")
        return tile

    @property
    def path(self) -> str:
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else self.level
        return f"tile/{level}/{name}" + ("" if self.width == WIDTH else f".p/{self.width}")


Reader = Callable[[Tile], bytes]  # raises its own error when the tile cannot be had


def _count(level: int, size: int) -> int:
    """How many hashes (or entries) a tree of `size` has at a level of tiles."""
    return size >> (HEIGHT * max(level, 0))


def tiles_between(old_size: int, size: int) -> Iterator[Tile]:
    """The tiles, full and partial, that a tree of `size` has and one of `old_size` lacks: what an append writes."""
    for level in range(ENTRIES, TOP_LEVEL + 1):
        old, new = _count(level, old_size), _count(level, size)
        if new > old:
            for index in range(old // WIDTH, -(-new // WIDTH)):
                yield Tile(level, index, min(WIDTH, new - index * WIDTH))


def _read_hashes(read: Reader, tile: Tile) -> list[bytes]:
    data = read(tile)
    if len(data) != tile.width * HASH_SIZE:
        raise FormatError(f"{tile.path} has {len(data)} bytes, expected {tile.width * HASH_SIZE}")
    return [data[i : i + HASH_SIZE] for i in range(0, len(data), HASH_SIZE)]


def node_reader(size: int, read: Reader) -> merkle.Node:
    """The tree of `size` entries for the functions of `merkle`. Each tile is read once, and only when it is needed."""
    known: dict[Tile, list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        tile_index, first = divmod(index << height, WIDTH)
        width = min(WIDTH, _count(tile_level, size) - tile_index * WIDTH)
        if width < first + (1 << height):
            raise VerificationError(f"a tree of {size} entries has no node {index} at level {level}")
        tile = Tile(tile_level, tile_index, width)
        if tile not in known:
            known[tile] = _read_hashes(read, tile)
        return merkle.fold(known[tile][first : first + (1 << height)])

    return node


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """A bundle of 1 to 256 entries; FormatError for an entry that is too long."""
    for entry in entries:
        if len(entry) > limits.LOG_ENTRY:
            raise FormatError(f"a log entry has {len(entry)} bytes, at most {limits.LOG_ENTRY} are allowed")
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def parse_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """The `width` entries of a bundle; FormatError for anything else."""
    entries: list[bytes] = []
    position = 0
    while position < len(data) and len(entries) < width:
        end = position + _LENGTH.size
        if end > len(data):
            break
        end += _LENGTH.unpack_from(data, position)[0]
        entries.append(data[position + _LENGTH.size : end])
        position = end
    if position != len(data) or len(entries) != width or max(map(len, entries), default=0) > limits.LOG_ENTRY:
        raise FormatError(f"a bundle must be {width} entries of at most {limits.LOG_ENTRY} bytes and nothing else")
    return tuple(entries)


@dataclass(frozen=True)
class RightEdge:
    """All that an append needs: the tree's `size`, the hashes of each level's partial tile (`rows`, from level 0), and
    the `entries` of the partial bundle. At most 8 × 255 hashes, however large the tree."""

    size: int = 0
    rows: tuple[tuple[bytes, ...], ...] = ((),) * (TOP_LEVEL + 1)
    entries: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, size: int, read: Reader) -> Self:
        """The right edge of the tree of `size` entries, from its partial tiles. Compare `root()` with a checkpoint."""
        if not 0 <= size < 2**63:
            raise FormatError("a tree has from 0 to 2^63 - 1 entries")

        def partial(level: int) -> Tile | None:
            index, width = divmod(_count(level, size), WIDTH)
            return Tile(level, index, width) if width else None

        tiles = [partial(level) for level in range(TOP_LEVEL + 1)]
        rows = tuple(tuple(_read_hashes(read, tile)) if tile else () for tile in tiles)
        bundle = partial(ENTRIES)
        entries = parse_bundle(read(bundle), bundle.width) if bundle else ()
        if tuple(map(merkle.leaf_hash, entries)) != rows[0]:
            raise VerificationError("the log's last entries are not those that its last tile has the hashes of")
        return cls(size, rows, entries)

    def root(self) -> bytes:
        """The tree's root hash."""
        root = b""
        for row in self.rows:
            end = len(row)
            while end:
                start = end & (end - 1)  # perfect subtrees, the smallest and rightmost first
                subtree = merkle.fold(row[start:end])
                root = merkle.node_hash(subtree, root) if root else subtree
                end = start
        return root or merkle.EMPTY_ROOT

    def append(self, entries: Sequence[bytes]) -> tuple[Self, dict[str, bytes]]:
        """The right edge after `entries`, and the files to write, by path: those of `tiles_between`.

        Takes time for what is appended and for one tile a level, not for what is there.
        """
        size = self.size + len(entries)
        if size >= 2**63:
            raise FormatError("a tree has from 0 to 2^63 - 1 entries")
        bundles, rest = _pack(ENTRIES, self.size, self.entries, entries)
        files = {tile.path: encode_bundle(part) for tile, part in bundles.items()}
        rows, added = [], [merkle.leaf_hash(entry) for entry in entries]
        for level, old in enumerate(self.rows):
            tiles, row = _pack(level, self.size, old, added)
            files.update((tile.path, b"".join(part)) for tile, part in tiles.items())
            rows.append(row)
            added = [merkle.fold(part) for tile, part in tiles.items() if tile.width == WIDTH]
        return type(self)(size, tuple(rows), rest), files


def _pack(
    level: int, size: int, old: tuple[bytes, ...], new: Sequence[bytes]
) -> tuple[dict[Tile, tuple[bytes, ...]], tuple[bytes, ...]]:
    """One level's tiles that `new` completes or begins, after the partial one `old` of a tree of `size`; and the new partial one."""
    if not new:
        return {}, old
    row, first = (*old, *new), _count(level, size) // WIDTH
    parts = [row[start : start + WIDTH] for start in range(0, len(row), WIDTH)]
    tiles = {Tile(level, first + number, len(part)): part for number, part in enumerate(parts)}
    return tiles, parts[-1] if len(parts[-1]) < WIDTH else ()
