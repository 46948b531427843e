"""Check files against their signed lengths and hashes: objects, aliases, minisign signatures.

Work comes in batches that run anywhere (a thread, another process): everything here can be pickled, and this module
does not import python-tuf, so that a worker process starts fast.
"""

import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from verifier import limits
from verifier.errors import FetchError, StaleError, VerificationError, VerifierError
from verifier.fetcher import Fetcher, GaveUpError, MissingError, StalledError
from verifier.printable import counted
from verifier.receiver import Receiver, receive
from verifier.results_signature import MinisignKeys, check_results, read_signature

__all__ = [
    "BESIDE_RESULTS",
    "PACK_OBJECTS",
    "Batch",
    "BatchReport",
    "Failure",
    "MissingScan",
    "Official",
    "SignedFile",
    "check_batch",
    "check_copy",
    "check_signature",
    "is_full_pack",
    "is_pack",
    "is_results",
    "is_stray",
    "named_packages",
    "object_path",
]

# The keys of a results file are sorted: what may stand between these two has no free text in it.
_PACKAGE = re.compile(
    rb'"package":"([0-9a-f]{64})"'
    rb'(?:(?:,"reason":"[a-z]*","release":[0-9]+,"revision":[0-9]+)?,"series":"[a-z]*","signature":"([0-9a-f]{64})"|(,"sha256":))?'
)


_PACKS = "packs/"
PACK_OBJECTS = f"targets/{_PACKS}"
# Release, group of contests (of full packs alone), number.
_PACK = re.compile(_PACKS + r"([1-9][0-9]{0,15})-(?:([a-z0-9]{1,32})-)?([1-9][0-9]{0,15})\.tar")

# Folders with what the roles of groups and shards sign besides results and pages.
BESIDE_RESULTS = ("data/", "embed/")
_NO_RESULTS = (*BESIDE_RESULTS, "sirekap/")


class SignedFile(NamedTuple):
    """A TUF target: path relative to the election, hex sha256, length in bytes."""

    path: str
    sha256: str
    length: int


class Named(Protocol):
    """A file that is named by path and hex sha256, whoever lists it."""

    @property
    def path(self) -> str: ...

    @property
    def sha256(self) -> str: ...


class Failure(NamedTuple):
    """One thing that does not hold: where, what, and if it can be compared, what was signed and what was found.
    `stale`: it is only that signed metadata has expired. `unanswered`: the source did not say whether it has the file."""

    path: str
    what: str
    expected: str = ""
    got: str = ""
    stale: bool = False
    unanswered: bool = False

    @classmethod
    def of(cls, path: str, error: VerifierError) -> Self:
        """What `error` says about the file at `path`."""
        if isinstance(error, MissingError):
            return cls(path, "missing")
        return cls(path, str(error), stale=isinstance(error, StaleError), unanswered=isinstance(error, FetchError))


@dataclass(frozen=True)
class Batch:
    """Files to check. `aliases`: also at the paths that browsers use. `keys`: also the minisign signatures of those
    that are results files (`.json`); None leaves them out."""

    fetcher: Fetcher
    files: Sequence[SignedFile]
    aliases: bool
    keys: MinisignKeys | None


class Official(NamedTuple):
    """Who signed a package: for which area, with which key (SHA-256 of its blob)."""

    package: str
    area: str
    key: str


class MissingScan(NamedTuple):
    """A package's scan that is not there: its path, and the hashes of both."""

    path: str
    package: str
    sha256: str


@dataclass(frozen=True)
class BatchReport:
    """How many files, bytes of them and signatures were checked, good or bad, and the failures.
    `packages`: the recap packages that good results files name, as `named_packages` gives them. `officials`: who signed those that were checked.
    `missing`: their scans that are not there; an order may withhold them."""

    files: int
    length: int
    signatures: int
    failures: tuple[Failure, ...]
    packages: frozenset[tuple[bytes, bytes]] = frozenset()
    officials: frozenset[Official] = frozenset()
    missing: tuple[MissingScan, ...] = ()


def check_batch(batch: Batch) -> BatchReport:
    """Check every file of the batch; a failure never hides the next one."""
    failures: list[Failure] = []
    length = signatures = 0
    packages: set[tuple[bytes, bytes]] = set()
    for number, file in enumerate(batch.files):
        try:
            if is_pack(file.path):
                length += _check_pack(batch, file, failures)
                continue
            data = _check_file(batch, file, failures)
        except GaveUpError as error:
            left = len(batch.files) - number - 1
            failures.append(
                Failure(
                    file.path,
                    f"not checked, nor what comes after it ({counted(left, 'file')}): {error}",
                    unanswered=True,
                )
            )
            break
        if data is None:
            continue
        length += len(data)
        if is_results(file.path):
            packages |= named_packages(data)
            if batch.keys is not None:
                signatures += 1
                failures += _check_signature(batch, file, data, batch.keys)
    return BatchReport(len(batch.files), length, signatures, tuple(failures), frozenset(packages))


def is_results(path: str) -> bool:
    """True for a results file among the files of a group of contests or of a shard: it alone has a minisign signature."""
    return path.endswith(".json") and not path.startswith(_NO_RESULTS)


def named_packages(data: bytes) -> set[tuple[bytes, bytes]]:
    """Name and hash of the signature (empty: unsigned) of the recap packages that a results file names as sources."""
    # In a results file a quotation mark within a text is escaped, so that no text can look like this.
    found = _PACKAGE.findall(data)
    named = {(package, signature) for package, signature, scan in found if not scan}
    # A scan's entry does not say who signed its package; the sources do. One that no source names is checked all the same.
    sources = {package for package, _ in named}
    return named | {(package, b"") for package, _, scan in found if scan and package not in sources}


def object_path(file: Named) -> str:
    """Where the file's immutable object lies (TUF specification 6.2, consistent snapshots); its signature lies beside it."""
    directory, slash, name = file.path.rpartition("/")
    return f"targets/{directory}{slash}{file.sha256}.{name}"


def is_pack(path: str) -> bool:
    """True for a pack: it only repeats other files, so a copy of the site may do without it, and it has no alias."""
    return path.startswith(_PACKS) and _PACK.fullmatch(path) is not None


def is_full_pack(path: str) -> bool:
    """True for one of the packs that hold every file in force together; else a pack has what its release changed."""
    found = _PACK.fullmatch(path)
    return found is not None and found[2] is not None


def is_stray(path: str, release: int, listed: Container[str]) -> bool:
    """True for what lies below packs/ and is none of the packs of `release`, which are numbered from 1 on; `listed` are the paths beside it.

    No page and no alias is ever there: under another name, a file that nobody compares with anything could pass for one of the site's.
    """
    if not path.startswith(_PACKS):
        return False
    if (found := _PACK.fullmatch(path)) is None or int(found[1]) != release:
        return True
    number = int(found[3])
    return number > 1 and path.replace(f"-{number}.tar", f"-{number - 1}.tar") not in listed


def _check_file(batch: Batch, file: SignedFile, failures: list[Failure]) -> bytes | None:
    """Return the object's bytes if they are the signed ones, else None. Its alias is checked as well."""
    path = object_path(file)
    linked = False
    data = None
    try:
        if batch.aliases:
            data, linked = batch.fetcher.fetch_linked(path, file.path, file.length)
        else:
            data = batch.fetcher.fetch(path, file.length)
    except GaveUpError:
        raise
    except VerifierError as error:
        failures.append(Failure.of(path, error))
        if isinstance(error, StalledError):  # whoever stalls an object stalls its alias too: one wait is enough
            return None
    if data is not None and (difference := _difference(path, file, data)):
        failures.append(difference)
        data = None
    if batch.aliases and (data is None or not linked):
        failures += check_copy(batch.fetcher, file.path, file)
    return data


def _check_pack(batch: Batch, file: SignedFile, failures: list[Failure]) -> int:
    """Return how many bytes a pack has that is the signed one, 0 for one that is wrong, or not there."""
    path, receiver = object_path(file), Receiver()
    try:
        receive(batch.fetcher, path, file.length, receiver)
    except GaveUpError:
        raise
    except MissingError:
        return 0
    except VerifierError as error:
        failures.append(Failure.of(path, error))
        return 0
    difference = _unlike(path, file, receiver.length, receiver.sha256)
    failures += [difference] if difference else []
    return 0 if difference else receiver.length


def check_copy(fetcher: Fetcher, path: str, file: SignedFile) -> list[Failure]:
    """Check the copy of a file's bytes at another path: no failure or one."""
    try:
        difference = _difference(path, file, fetcher.fetch(path, file.length))
    except VerifierError as error:
        difference = Failure.of(path, error)
    return [difference] if difference else []


def _difference(path: str, file: SignedFile, data: bytes) -> Failure | None:
    return _unlike(path, file, len(data), hashlib.sha256(data).hexdigest())


def _unlike(path: str, file: SignedFile, length: int, sha256: str) -> Failure | None:
    if length != file.length:
        return Failure(path, "wrong length", str(file.length), str(length))
    return None if sha256 == file.sha256 else Failure(path, "wrong sha256", file.sha256, sha256)


def _check_signature(batch: Batch, file: SignedFile, data: bytes, keys: MinisignKeys) -> list[Failure]:
    """Check the signature beside the object, and that the alias has the same one."""
    path = object_path(file) + ".minisig"
    alias = file.path + ".minisig"
    try:
        text, linked = batch.fetcher.fetch_linked(path, alias, limits.MINISIGN_FILE)
        check_signature(text, file.path, data, keys)
        if batch.aliases and not linked:
            path = alias
            if batch.fetcher.fetch(alias, limits.MINISIGN_FILE) != text:
                raise VerificationError("it is not the signature beside the object")
    except VerifierError as error:
        return [Failure.of(path, error)]
    return []


def check_signature(text: bytes, path: str, data: bytes, keys: MinisignKeys) -> None:
    """Return if `text` is a minisign signature of `data`, made for the results file at `path` by the key of its release."""
    signature, comment = read_signature(text)
    check_results(data, signature, comment, keys.for_release(comment.release))
    if comment.file != path:
        raise VerificationError(f"it is the signature of {comment.file}")
