"""The log, read as a whole: every entry, and from them the root hash that the log and its witnesses signed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.fetcher import Fetcher
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint
from verifier.formats.leaves import Leaf, parse_leaf
from verifier.formats.tiles import ENTRIES, WIDTH, Tile, parse_bundle
from verifier.log_tiles import fetch_tile

__all__ = ["check_root", "parse_entries", "read_entries"]


def read_entries(fetcher: Fetcher, size: int, executor: Executor) -> list[bytes]:
    """The first `size` entries of the log. Nothing of them is trusted yet. VerificationError if nobody could hold so many."""
    if size > limits.LOG_ENTRIES_COUNT:
        raise VerificationError(
            f"the log is said to have {size} entries, and at most {limits.LOG_ENTRIES_COUNT} are read"
        )
    tiles = [Tile(ENTRIES, index, min(WIDTH, size - index * WIDTH)) for index in range(-(-size // WIDTH))]
    return [entry for bundle in executor.map(partial(_bundle, fetcher), tiles) for entry in bundle]


def _bundle(fetcher: Fetcher, tile: Tile) -> Sequence[bytes]:
    return parse_bundle(fetch_tile(fetcher.fetch, tile), tile.width)


def check_root(entries: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """Return if these are all the entries that a checkpoint stands for; else VerificationError."""
    hashes = [merkle.leaf_hash(entry) for entry in entries[: checkpoint.size]]

    def node(level: int, index: int) -> bytes:
        return merkle.fold(hashes[index << level : (index + 1) << level])

    if len(hashes) < checkpoint.size or merkle.tree_hash(checkpoint.size, node) != checkpoint.root:
        raise VerificationError(
            f"the log's entries here are not those of its checkpoint of {checkpoint.size} entries: altered or incomplete; try another mirror"
        )


def parse_entries(entries: Sequence[bytes]) -> Iterator[Leaf]:
    """What the entries say; FormatError, naming the entry, for one that says nothing that we know."""
    for number, entry in enumerate(entries):
        try:
            yield parse_leaf(entry)
        except FormatError as error:
            raise FormatError(f"entry {number} of the log: {error}") from None
