"""The client's check of the log: this release is in it, witnesses saw it, and its past is the one that we saw before.

DESIGN: the step between snapshot and roles. A publisher whose keys are stolen, or who lies, can still sign two snapshots with one number; he
cannot show two people two logs unless the witnesses help him, and cannot change what was logged without two checkpoints that do not fit, both
with his signature. Those are kept as evidence.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from verifier import limits
from verifier.durable import write_durably
from verifier.errors import FetchError, FormatError, VerificationError
from verifier.fetcher import Fetcher, MissingError
from verifier.formats import merkle
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.leaves import Release
from verifier.formats.tiles import Reader, Tile, node_reader
from verifier.formats.tlog_policy import Policy
from verifier.formats.tlog_proof import LogProof
from verifier.log_tiles import fetch_tile, tile_path

if TYPE_CHECKING:
    from verifier.client import Client

__all__ = [
    "CHECKPOINT",
    "POLICY_PATH",
    "LogReport",
    "check_log",
    "check_proof",
    "proof_path",
    "released",
    "tile_reader",
]

POLICY_PATH = "trust/tlog-policy.txt"
CHECKPOINT = "log/checkpoint"
SEEN = "log"  # in the client's state: one file for each checkpoint that it has accepted, by size


@dataclass(frozen=True)
class LogReport:
    """Where the release stands: entry `index` of the tree of `checkpoint`; which witnesses of `policy` saw that, and when (Unix seconds)."""

    index: int
    checkpoint: SignedCheckpoint
    policy: Policy
    witnesses: Mapping[str, int]

    @property
    def origin(self) -> str:
        return self.checkpoint.checkpoint.origin

    @property
    def size(self) -> int:
        """Number of entries that the log had."""
        return self.checkpoint.checkpoint.size

    @property
    def told(self) -> str:
        """In words, for people."""
        seen = (
            f"{len(self.witnesses)} of {len(self.policy.witnesses)} witnesses"
            if self.policy.witnesses
            else "no witness"
        )
        names = f" ({', '.join(self.witnesses)})" if self.witnesses else ""
        text = f"entry {self.index} of {self.size} in the log {self.origin}, seen by {seen}{names}"
        return text if self.policy.quorum else f"{text}; none is required, so others may be told another story"


def proof_path(release: int) -> str:
    return f"metadata/{release}.snapshot.json.tlog-proof"


def check_proof(data: bytes, release: Release, policy: Policy) -> tuple[LogProof, Mapping[str, int]]:
    """The proof in `data`, if it shows `release` in a log of `policy` that enough witnesses saw; and when each did."""
    proof = LogProof.parse(data)
    times = policy.check(proof.checkpoint)
    try:
        proof.check(release.encode())
    except VerificationError:
        raise VerificationError(
            f"REPLAY: the log proof is not of this {release.file}; another release's was put in its place, or this one was never logged"
        ) from None
    return proof, times


def released(client: "Client") -> Release:
    """What the log must say of the refreshed `client`'s release."""
    meta = client.timestamp.snapshot_meta
    sha256 = (meta.hashes or {}).get("sha256", "")
    return Release(f"{client.snapshot.version}.snapshot.json", meta.length or 0, sha256)


def check_log(client: "Client", fetcher: Fetcher) -> LogReport | None:
    """Check that the refreshed `client`'s release is in the log, and the log the one that its state remembers; remember it.

    None for a site whose offline keys name no log.

    Raises:
        VerificationError: it is not, too few witnesses saw it, or the log was forked, cut or rewritten. Two checkpoints that contradict each
            other are kept in the state, and the message says where.
    """
    if not client.lists(POLICY_PATH):
        return None
    policy = Policy.parse(client.target(POLICY_PATH))
    number = client.snapshot.version
    try:
        data = fetcher.fetch(proof_path(number), limits.PROOF_FILE)
    except MissingError:
        raise VerificationError(
            f"release {number} has no log proof, though the offline keys name a log for it"
        ) from None
    proof, times = check_proof(data, released(client), policy)
    seen = _Seen(client.state / SEEN, client.state / "evidence")
    seen.check(proof.checkpoint, fetcher)
    seen.remember(proof.checkpoint)
    return LogReport(proof.index, proof.checkpoint, policy, times)


class _Seen:
    """The checkpoints that a client has accepted, newest last, and the evidence that it keeps."""

    def __init__(self, folder: Path, evidence: Path) -> None:
        self._folder, self._evidence = folder, evidence

    def check(self, signed: SignedCheckpoint, fetcher: Fetcher) -> None:
        """Return if `signed` continues the newest one; VerificationError otherwise. `fetcher` has the tiles."""
        newest = self._newest(signed.checkpoint.origin)
        if newest is None:
            return
        old, new = newest.checkpoint, signed.checkpoint
        if new.size == old.size:
            if new.root != old.root:
                self._refuse(
                    "SPLIT VIEW: the log shows two different trees of one size; others may be told another story",
                    newest,
                    signed,
                )
        elif new.size < old.size:
            self._check_earlier(newest, signed, fetcher)
        else:
            self._check_growth(newest, signed, fetcher)

    def _check_earlier(self, newest: SignedCheckpoint, signed: SignedCheckpoint, fetcher: Fetcher) -> None:
        """A log grows between releases, too: a proof by an earlier checkpoint is as good, if that is the past of the one remembered."""
        old, new = newest.checkpoint, signed.checkpoint
        node = node_reader(old.size, tile_reader(fetcher))
        try:
            past, whole = merkle.tree_hash(new.size, node), merkle.tree_hash(old.size, node)
        except FetchError:
            self._refuse(
                f"TRUNCATION: the log had {old.size} entries, and only {new.size} are shown here. If every mirror shows no more, it was cut",
                newest, signed,
            )  # fmt: skip
        if whole != old.root:
            raise _wrong_tiles(old.size)
        if past != new.root:
            self._refuse("FORK: the log's past is not the one that was shown before", newest, signed)

    def _check_growth(self, newest: SignedCheckpoint, signed: SignedCheckpoint, fetcher: Fetcher) -> None:
        old, new = newest.checkpoint, signed.checkpoint
        node = node_reader(new.size, tile_reader(fetcher))
        proof, past = merkle.consistency_proof(old.size, new.size, node), merkle.tree_hash(old.size, node)
        try:
            merkle.verify_consistency(old.size, past, new.size, new.root, proof)
        except VerificationError:
            raise _wrong_tiles(new.size) from None
        if past != old.root:
            self._refuse("FORK: the log's past was changed since the last check", newest, signed)

    def remember(self, signed: SignedCheckpoint) -> None:
        write_durably(self._path(signed.checkpoint.size), signed.encode())
        sizes = self._sizes()
        for size in sizes[: -limits.CHECKPOINTS_SEEN_COUNT]:
            self._path(size).unlink(missing_ok=True)

    def _newest(self, origin: str) -> SignedCheckpoint | None:
        for size in reversed(self._sizes()):
            if (found := self._read(size)) is not None and found.checkpoint.origin == origin:
                return found
        return None

    def _sizes(self) -> list[int]:
        names = self._folder.glob("*.checkpoint") if self._folder.is_dir() else ()
        return sorted(int(path.stem) for path in names if path.stem.isdecimal())

    def _path(self, size: int) -> Path:
        return self._folder / f"{size}.checkpoint"

    def _read(self, size: int) -> SignedCheckpoint | None:
        try:
            return SignedCheckpoint.parse(self._path(size).read_bytes())
        except (OSError, FormatError):  # half written when the power went: whatever came before it counts
            return None

    def _refuse(self, what: str, newest: SignedCheckpoint, signed: SignedCheckpoint) -> NoReturn:
        text = f"{what}\n\nseen before:\n\n".encode() + newest.encode() + b"\nshown now:\n\n" + signed.encode()
        path = self._evidence / f"{hashlib.sha256(text).hexdigest()[:16]}.txt"
        self._evidence.mkdir(parents=True, exist_ok=True)
        if len(list(self._evidence.iterdir())) < limits.EVIDENCE_COUNT:
            path.write_bytes(text)
        raise VerificationError(
            f"{what}. Both checkpoints, with the log's signatures, are in {path}: publish that file"
        )


def _wrong_tiles(size: int) -> VerificationError:
    return VerificationError(
        f"the log's tiles here are not those of its checkpoint of {size} entries: altered or incomplete; try another mirror"
    )


def tile_reader(fetcher: Fetcher) -> Reader:
    """Tiles of hashes from the election's folder."""

    def read(tile: Tile) -> bytes:
        try:
            return fetch_tile(fetcher.fetch, tile)
        except MissingError:
            raise FetchError(
                f"{tile_path(tile)} is missing, so the log's past cannot be checked; try another mirror"
            ) from None

    return read
