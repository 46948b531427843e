"""Tiles: paths, bundles, proofs from tiles, and appends that cost what they append."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier.formats.tlog import VECTORS, entries, expecting, grown, naive_root, vectors
from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats import merkle
from verifier.formats.tiles import (
    ENTRIES,
    RightEdge,
    Tile,
    encode_bundle,
    node_reader,
    parse_bundle,
    tiles_between,
)

SIZE = 66_000
EDGE, FILES = grown(SIZE)


def read(tile: Tile) -> bytes:
    return FILES[tile.path]


@vectors("tile-paths")
def test_shared_paths_end_in_the_class_that_they_name(vector):
    """Each shared path is the tile that it says and is written the same, or is refused."""
    with expecting(vector["expect"]):
        tile = Tile.parse(vector["path"])
        level = "entries" if tile.level == ENTRIES else tile.level
        assert (level, tile.index, tile.width) == (vector["level"], vector["index"], vector["width"])
        assert tile.path == vector["path"]


@given(st.builds(Tile, st.integers(ENTRIES, 7), st.integers(0, 2**63 - 1), st.integers(1, 256)))
def test_paths_are_read_as_they_are_written(tile):
    """Any tile's path is read back as that tile."""
    assert Tile.parse(tile.path) == tile


@given(st.text(alphabet="tile/x0129.p-entries\n", max_size=30))
def test_other_paths_are_refused(text):
    """Whatever the text, a path is written back the same or is a FormatError."""
    for path in (text, f"tile/{text}", f"tile/0/{text}"):
        try:
            assert Tile.parse(path).path == path
        except FormatError:
            continue


def test_the_tree_of_the_specification():
    """A tree of 70,000 has the tiles that tlog-tiles counts, and one of 256 a full tile and a partial one above it."""
    tiles = list(tiles_between(0, 70_000))
    assert [len([t for t in tiles if t.level == level and t.width == 256]) for level in range(3)] == [273, 1, 0]
    assert [[t.width for t in tiles if t.level == level and t.width < 256] for level in range(3)] == [[112], [17], [1]]
    assert [t.path for t in tiles_between(0, 256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]


def test_the_reference_tree():
    """The eight entries of Certificate Transparency's reference tree have its roots at each size."""
    reference = json.loads((VECTORS / "tree.json").read_bytes())
    edge = RightEdge()
    for entry, root in zip(reference["entries_hex"], reference["roots_hex"], strict=True):
        edge, _ = edge.append([bytes.fromhex(entry)])
        assert edge.root().hex() == root


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_appends_in_any_pieces_make_one_tree(counts):
    """However a log grew, its root, its files and its edge read from them are the same as appended at once."""
    edge, files = grown(*counts)
    size = sum(counts)
    assert edge.root() == naive_root([merkle.leaf_hash(entry) for entry in entries(size)])
    assert edge == RightEdge.read(size, lambda tile: files[tile.path])
    at_once, expected = grown(size)
    assert edge == at_once
    assert expected.items() <= files.items()
    assert set(expected) == {tile.path for tile in tiles_between(0, size)}


@settings(deadline=None)
@given(st.integers(0, SIZE), st.integers(0, 600))
def test_an_append_writes_the_tiles_between(old, added):
    """An append writes exactly the tiles that the new tree has and the old one lacks."""
    edge = RightEdge.read(old, lambda tile: partial(tile.level, tile.index, tile.width))
    _, files = edge.append(entries(added, old))
    assert list(files) == [tile.path for tile in tiles_between(old, old + added)]


def partial(level: int, index: int, width: int) -> bytes:
    """A partial tile or bundle of a smaller tree, cut from the large one's tile."""
    tile = next(t for t in (Tile(level, index, w) for w in range(256, 0, -1)) if t.path in FILES)
    if level == ENTRIES:
        return encode_bundle(parse_bundle(read(tile), tile.width)[:width])
    return read(tile)[: width * 32]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, SIZE - 1), st.integers(0, SIZE))
def test_proofs_from_tiles_hold(index, old):
    """Any entry's inclusion and any earlier tree's consistency are proved from few tiles."""
    asked = []

    def counting(tile: Tile) -> bytes:
        asked.append(tile)
        return read(tile)

    node = node_reader(SIZE, counting)
    proof = merkle.inclusion_proof(index, SIZE, node)
    merkle.verify_inclusion(merkle.leaf_hash(entries(1, index)[0]), index, SIZE, EDGE.root(), proof)
    assert len(asked) == len(set(asked)) <= 6
    old_root = merkle.tree_hash(old, node_reader(old, lambda tile: partial(tile.level, tile.index, tile.width)))
    merkle.verify_consistency(old, old_root, SIZE, EDGE.root(), merkle.consistency_proof(old, SIZE, node))
    assert merkle.tree_hash(SIZE, node) == EDGE.root()


def test_a_changed_tile_proves_nothing():
    """A hash changed in a tile leads to a proof that does not hold."""
    forged = dict(FILES, **{"tile/0/000": bytes(32) + FILES["tile/0/000"][32:]})
    proof = merkle.inclusion_proof(1, SIZE, node_reader(SIZE, lambda tile: forged[tile.path]))
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(merkle.leaf_hash(entries(1, 1)[0]), 1, SIZE, EDGE.root(), proof)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda _: b""])
def test_tiles_of_another_length_are_refused(change):
    """A tile that is cut, longer or empty is a FormatError."""
    with pytest.raises(FormatError):
        merkle.inclusion_proof(1, SIZE, node_reader(SIZE, lambda tile: change(read(tile))))
    with pytest.raises(FormatError):
        RightEdge.read(SIZE, lambda tile: change(read(tile)))


def test_entries_that_are_not_those_of_the_tile_are_refused():
    """THREATS 30: a right edge whose bundle and tile are of different logs is not appended to."""
    other = encode_bundle(entries(SIZE % 256, 1))
    with pytest.raises(VerificationError):
        RightEdge.read(SIZE, lambda tile: other if tile.level == ENTRIES else read(tile))


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\0", 1),
        (b"\0\1", 1),
        (b"\0\1ab", 1),
        (b"\0\1a\0\1b", 1),
        (b"\0\1a", 2),
        (b"\0\1a\0\2b", 2),
        (b"\0\1a", 0),
        ((limits.LOG_ENTRY + 1).to_bytes(2, "big") + bytes(limits.LOG_ENTRY + 1), 1),
    ],
    ids=["empty", "half-a-length", "no-entry", "trailing", "more", "fewer", "cut", "none", "too-long"],
)
def test_malformed_bundles_are_refused(data, width):
    """A bundle that is not exactly its entries is a FormatError."""
    with pytest.raises(FormatError):
        parse_bundle(data, width)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_bundles_are_read_as_they_are_written(bundle):
    """Any entries, empty ones too, are read back the same."""
    assert parse_bundle(encode_bundle(bundle), len(bundle)) == tuple(bundle)


def test_entries_that_nobody_would_read_are_not_appended():
    """An entry beyond the cap, and a tree beyond 2^63 - 1, are refused before they are written."""
    with pytest.raises(FormatError):
        EDGE.append([bytes(limits.LOG_ENTRY + 1)])
    with pytest.raises(FormatError):
        RightEdge(size=2**63 - 1).append([b""])
    with pytest.raises(VerificationError):
        node_reader(SIZE, read)(0, SIZE)
