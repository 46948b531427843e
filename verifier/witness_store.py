"""A witness's memory: one SQLite file, the evidence beside it, and the rule that nothing leaves before it is stored.

`checkpoint` has every checkpoint that was cosigned, one for each size of each log; the largest is the newest. `seen` has
what was asked lately and what was answered. Several processes may use one store: SQLite lets one write at a time.
"""

import hashlib
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from verifier import limits
from verifier.durable import sync_folder, write_durably
from verifier.errors import VerificationError, VerifierError
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.note import VerifierKey
from verifier.witness import Answer, Evidence, Request, accept, decide

__all__ = ["Seen", "StoreError", "WitnessStore", "origin_hash", "read_seen"]

DATABASE = "witness.sqlite"
EVIDENCE = "evidence"
BUSY_SECONDS = 30
_SCHEMA = """
CREATE TABLE witness (vkey TEXT NOT NULL) STRICT;
CREATE TABLE checkpoint (
  origin TEXT NOT NULL, size INTEGER NOT NULL, note BLOB NOT NULL, PRIMARY KEY (origin, size)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (
  number INTEGER PRIMARY KEY, time INTEGER NOT NULL, source TEXT NOT NULL, origin TEXT NOT NULL,
  old_size INTEGER NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, status INTEGER NOT NULL, message TEXT NOT NULL
) STRICT;
"""


class StoreError(VerifierError):
    """The witness's memory cannot be used. It cosigns nothing."""


@dataclass(frozen=True)
class Seen:
    """One request of a known log: `time` (Unix seconds), `source` (an address, or a URL that was pulled), answer."""

    number: int
    time: int
    source: str
    origin: str
    old_size: int
    size: int
    root: bytes
    status: int
    message: str


def origin_hash(origin: str) -> str:
    """A log's name in paths: hex SHA-256 of its origin, as tlog-witness's "Monitor Retrieval Mechanism" has it."""
    return hashlib.sha256(origin.encode()).hexdigest()


class WitnessStore:
    """The memory in `folder` of the witness `key`; `ed25519(message)` signs, `now()` is the time in Unix seconds."""

    def __init__(
        self, folder: Path, key: VerifierKey, ed25519: Callable[[bytes], bytes], now: Callable[[], int]
    ) -> None:
        self._folder, self._key, self._ed25519, self._now = folder, key, ed25519, now
        self._lock = threading.Lock()
        with _reported(folder):
            self._database = _open(folder / DATABASE)
        if self.key_of(folder) != key:
            raise VerificationError(f"the memory in {folder} is that of another witness than {key.encode()}")

    @staticmethod
    def create(folder: Path, key: VerifierKey) -> None:
        """Make an empty memory; StoreError if there is one. A witness that forgets would cosign a fork."""
        path = folder / DATABASE
        with _reported(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".") as fresh:
            new = Path(fresh, DATABASE)
            new.touch(mode=0o600)
            database = _open(new)
            try:
                database.executescript(_SCHEMA)
                database.execute("INSERT INTO witness VALUES (?)", (key.encode(),))
            finally:
                database.close()
            path.hardlink_to(new)  # whole or not at all, and never over another
            sync_folder(folder)

    @staticmethod
    def key_of(folder: Path) -> VerifierKey:
        """The key of the witness whose memory is in `folder`."""
        with _reported(folder):
            database = _open(folder / DATABASE)
            try:
                (vkey,) = database.execute("SELECT vkey FROM witness").fetchone()
            finally:
                database.close()
        return VerifierKey.parse(vkey)

    def add(self, request: Request, source: str) -> Answer:
        """Decide, and store what was decided; what is returned may be sent. StoreError: nothing was cosigned."""
        head = request.signed.checkpoint
        with self._transaction():
            answer = decide(request, self._cosigned(head.origin), self._cosigned(head.origin, head.size))
            time = self._now()
            if answer.status == 200:
                answer = accept(request, self._key, time, self._ed25519)
            if answer.signed is not None:
                row = (head.origin, head.size, answer.signed.encode())
                self._database.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", row)
            if answer.evidence is not None:
                self._keep(answer.evidence)
            values = (time, source, head.origin, request.old_size, head.size, head.root, answer.status, answer.message)
            number = self._database.execute("INSERT INTO seen VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", values).lastrowid
            self._database.execute("DELETE FROM seen WHERE number <= ?", ((number or 0) - limits.WITNESS_SEEN_COUNT,))
        return answer

    def cosigned(self, origin: str, size: int | None = None) -> SignedCheckpoint | None:
        """What was cosigned of this log, last or at this size, with the log's signature and ours."""
        with self._lock, _reported(self._folder):
            return self._cosigned(origin, size)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cosigned(self, origin: str, size: int | None = None) -> SignedCheckpoint | None:
        if size is None:
            query = "SELECT note FROM checkpoint WHERE origin = ? ORDER BY size DESC LIMIT 1"
            row = self._database.execute(query, (origin,)).fetchone()
        else:
            query = "SELECT note FROM checkpoint WHERE origin = ? AND size = ?"
            row = self._database.execute(query, (origin, size)).fetchone()
        return SignedCheckpoint.parse(row[0]) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Reads and writes that nothing comes between, in this process or another; on the disk when this returns."""
        with self._lock, _reported(self._folder):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _keep(self, evidence: Evidence) -> None:
        """One file for each checkpoint that contradicts; the kinds are counted apart, so that replays of harmless old
        checkpoints, which anyone can send, do not crowd out a proof."""
        head = evidence.request.signed.checkpoint
        folder = self._folder / EVIDENCE
        name = f"{evidence.kind}-{origin_hash(head.origin)[:16]}-"
        path = folder / f"{name}{hashlib.sha256(head.encode().encode()).hexdigest()[:16]}.json"
        if not path.exists() and len(list(folder.glob(f"{name}*"))) < limits.WITNESS_EVIDENCE_COUNT:
            write_durably(path, evidence.encode())


def read_seen(folder: Path, count: int) -> list[Seen]:
    """The newest `count` requests to the witness in `folder`, the oldest of them first."""
    with _reported(folder):
        database = _open(folder / DATABASE)
        try:
            rows = database.execute("SELECT * FROM seen ORDER BY number DESC LIMIT ?", (count,)).fetchall()
        finally:
            database.close()
    return [Seen(*row) for row in reversed(rows)]


def _open(path: Path) -> sqlite3.Connection:
    """Never makes the file: a witness whose memory is gone must not begin anew unasked."""
    uri = f"{path.resolve().as_uri()}?mode=rw"
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA synchronous = EXTRA")  # a commit returns when file and folder are on the disk
    return database


@contextmanager
def _reported(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise StoreError(f"{folder} has the memory of a witness already, and that is never overwritten") from None
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the memory of the witness in {folder} cannot be used: {error}") from error
