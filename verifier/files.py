"""Check files against their signed lengths and hashes: objects, aliases, minisign signatures.

Work comes in batches that run anywhere (a thread, another process): everything here can be pickled, and this module
does not import python-tuf, so that a worker process starts fast.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.results_signature import MinisignKeys, check_results, read_signature

__all__ = ["Batch", "BatchReport", "Failure", "SignedFile", "check_batch"]


class SignedFile(NamedTuple):
    """A TUF target: path relative to the election, hex sha256, length in bytes."""

    path: str
    sha256: str
    length: int


class Failure(NamedTuple):
    """One thing that does not hold: where, what, and if it can be compared, what was signed and what was found.
    `stale`: it is only that signed metadata has expired."""

    path: str
    what: str
    expected: str = ""
    got: str = ""
    stale: bool = False


@dataclass(frozen=True)
class Batch:
    """Files to check. `aliases`: also at the paths that browsers use. `keys`: also the minisign signatures of those
    that are results files (`.json`); None leaves them out."""

    fetcher: Fetcher
    files: Sequence[SignedFile]
    aliases: bool
    keys: MinisignKeys | None


@dataclass(frozen=True)
class BatchReport:
    """How many files, bytes of them and signatures were checked, good or bad, and the failures."""

    files: int
    length: int
    signatures: int
    failures: tuple[Failure, ...]


def check_batch(batch: Batch) -> BatchReport:
    """Check every file of the batch; a failure never hides the next one."""
    failures: list[Failure] = []
    length = signatures = 0
    for file in batch.files:
        object_path = _object_path(file)
        data = _check_copy(batch.fetcher, object_path, file, failures)
        length += len(data or b"")
        if batch.aliases and not (data is not None and batch.fetcher.same_file(file.path, object_path)):
            _check_copy(batch.fetcher, file.path, file, failures)
        if batch.keys is not None and data is not None and file.path.endswith(".json"):
            signatures += 1
            failure = _check_signature(batch, file, data, batch.keys)
            failures += [failure] if failure else []
    return BatchReport(len(batch.files), length, signatures, tuple(failures))


def _object_path(file: SignedFile) -> str:
    directory, slash, name = file.path.rpartition("/")
    return f"targets/{directory}{slash}{file.sha256}.{name}"


def _check_copy(fetcher: Fetcher, path: str, file: SignedFile, failures: list[Failure]) -> bytes | None:
    """Return the bytes at `path` if they are the signed ones, else None and one failure more."""
    try:
        data = fetcher.fetch(path, file.length)
    except MissingError:
        failures.append(Failure(path, "missing"))
        return None
    except VerifierError as error:
        failures.append(Failure(path, str(error)))
        return None
    if len(data) != file.length:
        failures.append(Failure(path, "wrong length", str(file.length), str(len(data))))
        return None
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != file.sha256:
        failures.append(Failure(path, "wrong sha256", file.sha256, sha256))
        return None
    return data


def _check_signature(batch: Batch, file: SignedFile, data: bytes, keys: MinisignKeys) -> Failure | None:
    """Check the signature beside the object, and that the alias has the same one."""
    path = _object_path(file) + ".minisig"
    alias = file.path + ".minisig"
    try:
        text = batch.fetcher.fetch(path, limits.MINISIGN_FILE)
        signature, comment = read_signature(text)
        check_results(data, signature, comment, keys.for_release(comment.release))
        if comment.file != file.path:
            raise VerificationError(f"it is the signature of {comment.file}")
        if not batch.aliases or batch.fetcher.same_file(alias, path):
            return None
        path = alias
        if batch.fetcher.fetch(alias, limits.MINISIGN_FILE) != text:
            raise VerificationError("it is not the signature beside the object")
    except MissingError:
        return Failure(path, "missing")
    except VerifierError as error:
        return Failure(path, str(error))
    return None
