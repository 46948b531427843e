"""The publisher's transparency log: what of the ledger and which releases are in it, appended so that it can never fork.

`ledger/log/` holds the log as it is published (docs/formats.md, "Log"), and `state.json`, which says how far it goes. An append writes tiles, which mean
nothing yet, then replaces `state.json` with the signed checkpoint in it: from that write on, and from no earlier one, the new entries are in the log. A
checkpoint leaves this machine only after that. A stop before it leaves tiles that the next append writes anew; a stop after it leaves a log that
the next run goes on from. State is the tree's right edge: an append costs what is appended.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from builder import durable
from builder.ledger import Ledger
from publish.errors import LogError, RaceError
from publish.signing.repository import RoleFile
from publish.translog.entries import entry, release_entry
from verifier.errors import FormatError, VerifierError
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint, check_log_signature
from verifier.formats.leaves import Release, parse_leaf
from verifier.formats.note import VerifierKey, sign
from verifier.formats.tiles import ENTRIES, HEIGHT, WIDTH, RightEdge, Tile, node_reader, parse_bundle, tiles_between
from verifier.formats.tlog_proof import LogProof

__all__ = ["Log", "logged_size", "tiles_on_disk"]

STATE = "state.json"
PROOF = b"c2sp.org/tlog-proof@"
RECOVER = "restore the newest copy of the ledger, or rebuild it from what is public: terbit recover URL"


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the log: the ledger's first `records`, which end with the hash `end`, and the releases up to `release`, whose entry is `index`.

    `checkpoint` is signed by the log alone. `spent`: that release was logged, and cannot be made again byte for byte.
    """

    checkpoint: str
    records: int
    end: str
    release: int
    index: int
    sha256: str
    spent: bool = False


class Log:
    """The log in `directory`, signed by `key` through `ed25519`, the secret half's signing; without it, only to be read."""

    def __init__(self, directory: Path, key: VerifierKey, ed25519: Callable[[bytes], bytes] | None = None) -> None:
        self._directory, self._key, self._ed25519 = directory, key, ed25519
        self._state = _read_state(directory)

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.signed.checkpoint.size if self._state else 0

    @property
    def release(self) -> int:
        """The newest release in the log, 0 for none."""
        return self._state.release if self._state else 0

    @property
    def spent(self) -> bool:
        """True if the newest release in the log can never be made public: the next one takes the next number."""
        return self._state is not None and self._state.spent

    @cached_property
    def signed(self) -> SignedCheckpoint:
        """The newest checkpoint, signed by the log alone."""
        assert self._state is not None
        return SignedCheckpoint.parse(self._state.checkpoint.encode())

    @property
    def cosigned(self) -> SignedCheckpoint:
        """The newest checkpoint, with the cosignatures that witnesses have given: what is published."""
        try:
            kept = SignedCheckpoint.parse((self._directory / "checkpoint").read_bytes())
        except (FileNotFoundError, VerifierError):
            return self.signed
        return kept if kept.checkpoint == self.signed.checkpoint else self.signed

    def keep(self, signed: SignedCheckpoint, sizes: Mapping[str, int]) -> None:
        """Keep what the witnesses have given; lost, it is asked for again."""
        durable.write_file(self._directory / "checkpoint", signed.encode())
        durable.write_file(self._directory / "witnesses.json", msgspec.json.encode(sizes, order="sorted"))

    def witness_sizes(self) -> dict[str, int]:
        """How many entries each witness had cosigned last, by its name in the policy."""
        try:
            return msgspec.json.decode((self._directory / "witnesses.json").read_bytes(), type=dict[str, int])
        except (FileNotFoundError, ValueError):
            return {}

    @cached_property
    def node(self) -> merkle.Node:
        """The tree, for proofs."""
        return node_reader(self.size, self._read_tile)

    def lacks(self, ledger: Ledger) -> int:
        """How many of the ledger's records are not in the log yet."""
        return len(ledger.records) - (self._state.records if self._state else 0)

    def check_public(self, data: bytes | None, where: str) -> None:
        """Refuse to go on behind or beside what `where` shows as the log's newest checkpoint.

        `data`: a checkpoint, or a proof with one. What does not bear our signature says nothing: a stranger put it there, and it will be replaced.

        Raises:
            RaceError: this log is an old copy, or another one: an append would fork the log for everybody to see.
        """
        try:
            is_proof = data is not None and data.startswith(PROOF)
            public = LogProof.parse(data or b"").checkpoint if is_proof else SignedCheckpoint.parse(data or b"")
            check_log_signature(public, self._key)
        except VerifierError:
            return
        head = public.checkpoint
        if head.size > self.size:
            problem = f"a log of {head.size} entries, and this one has {self.size}"
        elif merkle.tree_hash(head.size, self.node) != head.root:
            problem = f"another log of {head.size} entries"
        else:
            return
        raise RaceError(
            f"{where} shows {problem}, signed with our key: another publisher is at work, or this is an old copy. Nothing was published. "
            f"Let only one go on; to go on with an old copy, {RECOVER}"
        )

    def check_continued(self, entries: Sequence[bytes], where: str, mend: str) -> None:
        """Refuse a log that is not this one, gone on. LogError as `check_public`; `mend` is what to do about another one."""
        both = min(self.size, len(entries))
        if both and RightEdge().append(entries[:both])[0].root() != merkle.tree_hash(both, self.node):
            raise LogError(f"{where} shows another log than the one here, signed with our key: find out why; {mend}")
        if self.size > len(entries):
            raise LogError(
                f"the log here has {self.size} entries, and {where} shows {len(entries)}: nothing to recover there"
            )

    def adopt(
        self,
        entries: Sequence[bytes],
        signed: SignedCheckpoint,
        releases: Sequence[tuple[int, Release]],
        records: int,
        end: str,
    ) -> None:
        """Take over a log that was checked, with the ledger that follows from it; `releases` are indices and entries of all of them."""
        edge, start = RightEdge(), 0
        # There was a checkpoint after each release: whoever has one may ask for the partial tiles that it needs.
        for stop in [*(index + 1 for index, _ in releases), len(entries)]:
            edge, files = edge.append(entries[start:stop])
            self._write_tiles(files)
            start = stop
        assert edge.root() == signed.checkpoint.root
        index, release = releases[-1] if releases else (-1, None)
        number = int(release.file.partition(".")[0]) if release else 0
        own = SignedCheckpoint(signed.checkpoint, signed.note.lines_of(self._key))
        self._write_state(_State(own.encode().decode(), records, end, number, index, release.sha256 if release else ""))
        self.keep(signed, {})

    def append(self, ledger: Ledger, snapshot: RoleFile | None = None) -> None:
        """Log every record that is not in the log yet, then the release of `snapshot`. Nothing to append: nothing is done.

        Raises:
            LogError: the ledger is not the one that is logged, or this release was logged with other bytes.
        """
        done = self._state.records if self._state else 0
        if self._state and (done > len(ledger.records) or ledger.end_at(done) != self._state.end):
            raise LogError(
                f"{self._directory} has other records than the ledger, which is an old copy or another one; {RECOVER}"
            )
        entries = [entry(record) for record in ledger.records[done:]]
        last = (self.release, self._state.index, self._state.sha256) if self._state else (0, -1, "")
        if snapshot and (snapshot.version, snapshot.sha256) != (last[0], last[2]):
            if snapshot.version <= last[0]:
                self._spend()
                raise LogError(
                    f"release {snapshot.version} is in the log with other bytes than were made now, so its number is used up; publish again: "
                    f"that makes release {snapshot.version + 1}"
                )
            last = (snapshot.version, self.size + len(entries), snapshot.sha256)
            entries.append(release_entry(snapshot).encode())
        if entries:
            self._commit(entries, len(ledger.records), ledger.end, *last)

    def _commit(self, entries: list[bytes], records: int, end: str, release: int, index: int, sha256: str) -> None:
        edge, files = self._edge().append(entries)
        self._write_tiles(files)
        assert self._ed25519 is not None
        head = Checkpoint(self._key.name, edge.size, edge.root())
        signed = SignedCheckpoint(head, (sign(head.encode(), self._key, self._ed25519),))
        self._write_state(_State(signed.encode().decode(), records, end, release, index, sha256))

    def _write_tiles(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            place = self._directory / path
            place.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(place, data)

    def _spend(self) -> None:
        assert self._state is not None
        self._write_state(msgspec.structs.replace(self._state, spent=True))

    def prove(self, index: int, signed: SignedCheckpoint) -> LogProof:
        """That entry `index` is in the tree of `signed`, this log's newest checkpoint with what witnesses added."""
        return LogProof(index, merkle.inclusion_proof(index, self.size, self.node), signed)

    def entries(self) -> Iterator[bytes]:
        """Every entry, in order."""
        for tile in tiles_between(0, self.size):
            if tile.level == ENTRIES:
                yield from parse_bundle(self._read_tile(tile), tile.width)

    def release_index(self) -> int:
        """Index of the entry of the newest release."""
        assert self._state is not None
        return self._state.index

    def proof_file(self, release: Release) -> Path:
        """Where the proof of a release is kept: whoever was shown it must be shown the same one again."""
        return self._directory / "proofs" / f"{release.sha256}.tlog-proof"

    def keep_proof(self, release: Release, data: bytes) -> None:
        file = self.proof_file(release)
        file.parent.mkdir(parents=True, exist_ok=True)
        durable.write_file(file, data)

    def files(self, since: int) -> Iterator[tuple[str, bytes]]:
        """The tiles that a copy with the first `since` entries lacks, as (path in the election's folder, bytes).

        From nothing, also the partial ones of earlier checkpoints: a log keeps them until the full ones are there (tlog-tiles, "Partial Tiles").
        """
        for tile in tiles_between(since, self.size) if since else tiles_on_disk(self._directory, self.size):
            yield f"log/{tile.path}", self._read_tile(tile)

    def _edge(self) -> RightEdge:
        edge = RightEdge.read(self.size, self._read_tile)
        if self._state and edge.root() != self.signed.checkpoint.root:
            raise LogError(f"{self._directory} is damaged: its tiles are not those of its checkpoint; {RECOVER}")
        try:
            for one in edge.entries:
                parse_leaf(one)
        except FormatError as error:  # readers would refuse all of a log that has these in it
            raise LogError(
                f"{self._directory} was begun by another version of terbit, and this one cannot continue it ({error}); go on with that version, "
                "or begin anew with new keys, for a log of another origin: terbit init NEW, then terbit keys init -C NEW"
            ) from error
        return edge

    def _read_tile(self, tile: Tile) -> bytes:
        path = self._directory / tile.path
        try:
            return path.read_bytes()
        except OSError as error:
            raise LogError(f"{path} cannot be read ({error.strerror}); {RECOVER}") from error

    def _write_state(self, state: _State) -> None:
        durable.write_file(self._directory / STATE, msgspec.json.encode(state))
        self._state = state
        for name in ("signed", "node"):
            self.__dict__.pop(name, None)


def _read_state(directory: Path) -> _State | None:
    path = directory / STATE
    try:
        return msgspec.json.decode(path.read_bytes(), type=_State)
    except FileNotFoundError:
        # Tiles alone are what a stopped first append leaves; these come after it.
        if any((directory / name).exists() for name in ("checkpoint", "proofs")):
            raise LogError(f"{path} is gone, and with it how far the log goes; {RECOVER}") from None
        return None
    except (OSError, ValueError) as error:
        raise LogError(f"{path} cannot be read: {error}; {RECOVER}") from error


def logged_size(directory: Path) -> int:
    """How many entries the log in `directory` has, for those who have no key of it."""
    state = _read_state(directory)
    return SignedCheckpoint.parse(state.checkpoint.encode()).checkpoint.size if state else 0


def tiles_on_disk(folder: Path, size: int) -> Iterator[Tile]:
    """The tiles in `folder` that a log of `size` entries has or had; what a broken-off append left is none of them."""
    for path in sorted((folder / "tile").rglob("*")):
        try:
            tile = Tile.parse(path.relative_to(folder).as_posix())
        except FormatError:
            continue
        if path.is_file() and tile.index * WIDTH + tile.width <= size >> (HEIGHT * max(tile.level, 0)):
            yield tile
