"""The lists of an earlier release. The log has its snapshot's hash, the snapshot that of every list, a list that of every file.

So the log binds what was published under a number, down to each byte; who signed it is another question (verifier/audit/signatures.py).
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from verifier import limits
from verifier.audit.rebuild import Listing
from verifier.errors import VerificationError
from verifier.fetcher import Fetcher, MissingError
from verifier.files import object_path
from verifier.formats import leaves, strict_json
from verifier.formats.metadata_fields import listed_targets
from verifier.mirror.metadata import Listed, named_metadata

__all__ = ["Lists", "SignedObject", "read_lists", "read_object", "read_right"]

OFFLINE = ("targets", "trust")


class Lists(NamedTuple):
    """What each role of a release listed; the roles whose list is not public any more; the offline-signed metadata among these by name. `named` by the
    `snapshot` are their files, `read` those that were not known."""

    roles: dict[str, Listing]
    gone: list[str]
    offline: dict[str, bytes]
    named: Mapping[str, Listed] = MappingProxyType({})
    snapshot: bytes = b""
    read: Mapping[str, bytes] = MappingProxyType({})


class SignedObject(NamedTuple):
    """A file by its path and hash, whichever release lists it."""

    path: str
    sha256: str


def read_lists(fetcher: Fetcher, release: leaves.Release, known: dict[str, Listing]) -> Lists:
    """The lists of a logged release. `known` keeps lists by their hash, since most releases have most of them in common.

    Raises:
        MissingError: its snapshot is not public any more.
        VerificationError, FormatError: a file is not the one that the log binds.
    """
    path = f"metadata/{release.file}"
    snapshot = read_right(fetcher, Listed(path, release.length, release.sha256), limits.SNAPSHOT_METADATA)
    named = named_metadata(snapshot)
    if len(named) > limits.ROLES_COUNT:
        raise VerificationError(f"{path} names more than {limits.ROLES_COUNT} roles")
    read: dict[str, bytes] = {}
    found = Lists({}, [], {}, named, snapshot, read)
    for role, one in named.items():
        try:
            if one.sha256 not in known or role in OFFLINE:
                data = read[role] = read_right(fetcher, one, limits.TARGETS_METADATA)
                strict_json.loads(data, one.path)
                known[one.sha256] = listed_targets(data)
                if role in OFFLINE:
                    found.offline[one.path.removeprefix("metadata/")] = data
            found.roles[role] = known[one.sha256]
        except MissingError:
            found.gone.append(role)
    return found


def read_object(fetcher: Fetcher, path: str, sha256: str, most: int = limits.TARGET_FILE) -> bytes:
    """A file of at most `most` bytes that some release listed, as it was then. MissingError if it is not public any more."""
    data = fetcher.fetch(object_path(SignedObject(path, sha256)), most)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise VerificationError(f"{path} is not served as it was listed")
    return data


def read_right(fetcher: Fetcher, listed: Listed, most: int) -> bytes:
    """A metadata file as the one above it names it. MissingError if it is not public any more."""
    data = fetcher.fetch(listed.path, min(listed.length, most))
    if (len(data), hashlib.sha256(data).hexdigest()) != (listed.length, listed.sha256):
        raise VerificationError(f"{listed.path} is not the file that the log binds")
    return data
