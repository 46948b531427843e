"""The metadata that a mirror's TUF client reads: what is there already, else from any upstream.

The timestamp names length and SHA-256 of the snapshot, the snapshot those of every role: so each file has one right
content, whoever sends it, and a liar costs no more than asking the next. The client verifies the signatures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple
from urllib.parse import quote

from verifier import limits
from verifier.errors import FormatError, VerificationError, VerifierError
from verifier.fetcher import MissingError
from verifier.formats import strict_json
from verifier.mirror.budget import Budget
from verifier.mirror.folder import TIMESTAMP, Folder
from verifier.mirror.upstreams import Upstream, Upstreams, worst
from verifier.receiver import check_sha256

__all__ = ["Listed", "MetadataSource", "claimed_version", "named_metadata", "right_bytes"]

NOT_IN_A_SNAPSHOT = frozenset({"root", "timestamp", "snapshot"})


class Listed(NamedTuple):
    """A metadata file as the one above it names it."""

    path: str
    length: int
    sha256: str


class MetadataSource:
    """A Fetcher. `timestamp` comes from `upstream`, which alone is asked for roots that nothing names by hash.

    Files under new names are kept in the folder at once: no release that is served knows them. `replacing` are those in
    whose place others stand; they go there when everything has been verified.
    """

    def __init__(
        self, folder: Folder, upstreams: Upstreams, upstream: Upstream, timestamp: bytes, budget: Budget
    ) -> None:
        self._folder, self._upstreams, self._upstream, self._budget = folder, upstreams, upstream, budget
        self.timestamp = timestamp
        self.replacing: dict[str, bytes] = {}
        self._log_files: dict[str, bytes] = {}
        self._named = {one.path: one for role, one in named_metadata(timestamp).items() if role == "snapshot"}

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        if path == TIMESTAMP:
            return self.timestamp
        if path.endswith(".root.json"):
            return self._upstream.fetch(path, max_length)
        if path.startswith("targets/"):
            return self._object(path, max_length)
        if path.endswith(".tlog-proof") or path.startswith("log/"):
            return self._log_file(path, max_length)
        if path not in self._named:
            raise MissingError(f"{path} is named by no metadata")
        data = self._right(self._named[path], max_length)
        if path.endswith(".snapshot.json"):
            roles = named_metadata(data)
            # A root or timestamp that only a snapshot names is none, and must not lie where one is looked for.
            self._named |= {one.path: one for role, one in roles.items() if role not in NOT_IN_A_SNAPSHOT}
        return data

    def _object(self, path: str, max_length: int) -> bytes:
        sha256 = path.rpartition("/")[2].partition(".")[0]
        data = self._folder.read(path, sha256, max_length)
        if data is None:
            self._budget.take(max_length)
            data = self._upstreams.fetch(path, max_length, right_bytes(sha256))
            self._folder.put(path, data)
        return data

    def _log_file(self, path: str, max_length: int) -> bytes:
        """Nothing names these by hash: the check of the log says whether they are right (verifier/log.py)."""
        if path not in self._log_files:
            self._log_files[path] = self._upstream.fetch(path, max_length)
        return self._log_files[path]

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher."""
        return self.fetch(path, max_length), False

    def fetch_all(self, executor: Executor) -> None:
        """Get every role that the verified snapshot names, side by side: a nation has hundreds."""
        if len(self._named) > limits.ROLES_COUNT:
            raise VerificationError(f"the snapshot names more than {limits.ROLES_COUNT} roles")
        errors: list[VerifierError] = []

        def get(one: Listed) -> None:
            try:
                self._right(one, limits.TARGETS_METADATA)
            except VerifierError as error:
                errors.append(error)

        for _ in executor.map(get, list(self._named.values())):
            pass
        if errors:
            raise worst(errors)

    def _right(self, named: Listed, max_length: int) -> bytes:
        path = named.path
        data = self.replacing.get(path) or self._folder.read(path, named.sha256, limits.TARGETS_METADATA)
        if data is None:
            length = min(named.length, max_length)
            self._budget.take(length)
            data = self._upstreams.fetch(path, length, right_bytes(named.sha256))
            if self._folder.read(path) is None:
                self._folder.put(path, data)
            else:
                self.replacing[path] = data
        return data


def right_bytes(sha256: str) -> Callable[[bytes], None]:
    """A check that raises VerificationError for bytes of any other SHA-256."""

    def check(data: bytes) -> None:
        check_sha256(hashlib.sha256(data).hexdigest(), sha256)

    return check


def named_metadata(data: bytes) -> dict[str, Listed]:
    """What a timestamp or snapshot names, by role. Nothing is verified here; FormatError for anything else."""
    named = {}
    match strict_json.loads(data, "metadata"):
        case {"signed": {"meta": dict(meta)}}:
            for name, entry in meta.items():
                match entry:
                    case {"version": int(version), "length": int(length), "hashes": {"sha256": str(sha256)}}:
                        role = str(name).removesuffix(".json")
                        named[role] = Listed(f"metadata/{version}.{quote(role, '')}.json", length, sha256)
                    case _:
                        raise FormatError("metadata names a file without version, length or SHA-256")
        case _:
            raise FormatError("this is neither a timestamp nor a snapshot")
    return named


def claimed_version(timestamp: bytes) -> int:
    """The version that a timestamp says it has, for the order of trying; FormatError if it is none."""
    match strict_json.loads(timestamp, "the timestamp"):
        case {"signed": {"version": int(version)}}:
            return version
    raise FormatError("the timestamp has no version")
