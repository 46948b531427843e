"""What lies in the newest release's packs: nothing but what is listed or logged elsewhere, byte for byte (docs/formats.md, "Packs")."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile
from typing import IO

from builder.recap import Package
from verifier import limits
from verifier.audit.rebuild import SITE, Roles
from verifier.audit.report import Change
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.files import SignedFile, check_signature, is_pack, is_results, object_path
from verifier.formats import ustar
from verifier.receiver import Receiver
from verifier.results_signature import MinisignKeys
from verifier.site import KEYS_PATH

__all__ = ["pack_changes"]

SIGNATURE = ".minisig"


def pack_changes(
    client: Client, fetcher: Fetcher, listed: Roles, made: Roles, packages: Sequence[Package]
) -> Iterator[Change]:
    """Every pack that has something else in it, and every results file that is not served as the signature in a pack says.

    A pack that is missing is none: a pack only repeats, and a copy may do without.
    """
    packs = sorted(filter(is_pack, listed.get(SITE, {})))
    known = _Known(client, listed, packages) if packs else None
    for path in packs:
        assert known is not None
        sha256 = listed[SITE][path][1]
        try:
            with TemporaryFile() as pack:
                client.receive_target(path, Receiver(pack))
                strays = [name for name, data in _members(pack) if not known.has(name, data)]
        except MissingError:
            continue
        except VerifierError as error:
            yield Change(path, f"is no pack: {error}", sha256)
        else:
            what = "has {} in it, which is not what was published under that name"
            yield from (Change(path, what.format(name), sha256) for name in strays)
    for file, problem in known.not_served.items() if known else ():
        ours = next((files[file.path][1] for files in made.values() if file.path in files), "")
        yield Change(file.path, f"is not served as it was signed: {problem}", _served(fetcher, file), ours)


def _served(fetcher: Fetcher, file: SignedFile) -> str:
    """SHA-256 of what is served as the file's object; empty if nothing is."""
    try:
        return hashlib.sha256(fetcher.fetch(object_path(file), limits.TARGET_FILE)).hexdigest()
    except VerifierError:
        return ""


def _members(pack: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """The files of a pack, which is too large to be held, one after the other."""
    pack.flush()

    def read(offset: int, length: int) -> bytes:
        return os.pread(pack.fileno(), length, offset)

    for path, offset, length in ustar.entries(read, pack.tell()):
        yield path, read(offset, length)


class _Known:
    """All that a pack may hold, by its place in the public tree. `not_served`: results files whose signatures could not be checked for that."""

    def __init__(self, client: Client, listed: Roles, packages: Sequence[Package]) -> None:
        self._client = client
        self.not_served: dict[SignedFile, str] = {}
        self._keys = MinisignKeys.parse(client.target(KEYS_PATH))
        self._objects = {
            object_path(file): file
            for role in listed.values()
            for file in (SignedFile(path, sha256, length) for path, (length, sha256) in role.items())
        }
        self._hashes = {path: file.sha256 for path, file in self._objects.items()}
        for name, meta in client.snapshot.meta.items():
            self._hashes[f"metadata/{meta.version}.{name}"] = (meta.hashes or {}).get("sha256", "")
        for package in packages:
            for name, data in package.files.items():
                self._hashes[f"packages/{package.name}/{name}"] = hashlib.sha256(data).hexdigest()

    def has(self, path: str, data: bytes) -> bool:
        """Whether these bytes are those that belong at `path`."""
        if path in self._hashes:
            return hashlib.sha256(data).hexdigest() == self._hashes[path]
        file = self._objects.get(path.removesuffix(SIGNATURE))
        if file is None or not is_results(file.path):
            return False
        try:
            results = self._client.target(file.path)
        except VerifierError as error:
            self.not_served[file] = str(error)
            return True
        try:
            check_signature(data, file.path, results, self._keys)
        except VerifierError:
            return False
        return True
