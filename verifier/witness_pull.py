"""A witness that opens no port: it reads the log itself, checks its past from the tiles, and leaves the cosigned
checkpoint where the publisher fetches it, or posts it."""

import urllib3

from verifier import limits
from verifier.errors import FetchError, StaleError, VerificationError
from verifier.fetcher import Fetcher, MissingError
from verifier.formats import merkle
from verifier.formats.encoding import HASH_SIZE
from verifier.formats.tiles import WIDTH, Reader, Tile, node_reader
from verifier.witness import Answer, Logs, Request, open_checkpoint
from verifier.witness_store import WitnessStore

__all__ = ["post", "pull"]

TIMEOUT = urllib3.Timeout(connect=limits.FETCH_TIMEOUT_SECONDS, read=limits.FETCH_TIMEOUT_SECONDS)


def pull(fetcher: Fetcher, origin: str, logs: Logs, store: WitnessStore, source: str) -> Answer:
    """Fetch the checkpoint of the log `origin` and, where it has grown, the tiles that tie it to what was cosigned last.

    FetchError if they cannot be had; StaleError if the checkpoint is one that was cosigned before the last one
    (a cache's); VerificationError if the tiles are not those of the checkpoint.
    """
    opened = open_checkpoint(fetcher.fetch("checkpoint", limits.NOTE_FILE), {origin: logs[origin]})
    if isinstance(opened, Answer):
        return opened
    latest = store.cosigned(origin)
    old_size, size = latest.checkpoint.size if latest else 0, opened.checkpoint.size
    earlier = store.cosigned(origin, size)
    if size < old_size and earlier is not None and earlier.checkpoint == opened.checkpoint:
        raise StaleError(f"{source} shows an old checkpoint of {size} entries; this witness has cosigned {old_size}")
    request = Request(old_size, (), opened)
    if 0 < old_size < size:
        node = node_reader(size, _tile_reader(fetcher))
        proof, past = merkle.consistency_proof(old_size, size, node), merkle.tree_hash(old_size, node)
        try:
            merkle.verify_consistency(old_size, past, size, opened.checkpoint.root, proof)
        except VerificationError:
            raise VerificationError(
                f"the tiles of {origin} are not those of its checkpoint of {size} entries"
            ) from None
        request = Request(old_size, proof, opened, past)
    return store.add(request, source)


def _tile_reader(fetcher: Fetcher) -> Reader:
    def read(tile: Tile) -> bytes:
        length = tile.width * HASH_SIZE
        try:
            return fetcher.fetch(tile.path, length)
        except MissingError:
            if tile.width == WIDTH:
                raise
            # A log may drop a partial tile as soon as the full one is there (tlog-tiles, "Partial Tiles").
            return fetcher.fetch(Tile(tile.level, tile.index).path, WIDTH * HASH_SIZE)[:length]

    return read


def post(url: str, data: bytes) -> None:
    """POST a cosigned checkpoint as it is; FetchError unless the answer is of the 200s."""
    try:
        response = urllib3.request(
            "POST", url, body=data, headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=TIMEOUT, retries=urllib3.Retry(2, redirect=0), preload_content=False,
        )  # fmt: skip
        response.close()
    except urllib3.exceptions.HTTPError as error:
        raise FetchError(f"{url} could not be reached: {error}") from None
    if not 200 <= response.status < 300:
        raise FetchError(f"{url} did not take the checkpoint: HTTP {response.status}")
