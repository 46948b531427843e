"""A file that is not what it must be, and how it is told."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from publish.guard.inventory import Found
from publish.guard.judge import Finding, Right, holds
from publish.guard.listing import is_plain
from verifier.formats.minisign import PublicKey
from verifier.printable import printable

__all__ = ["Wrong", "hash_of", "told_time"]


class Wrong(NamedTuple):
    """A path that does not hold what it must: `found` is what stands there, None if nothing does. `withheld`: it is what an order withholds."""

    path: str
    right: Right | None
    found: Found | None
    withheld: bool = False

    @property
    def sha256(self) -> str:
        return hash_of(self.found)

    def finding(self, where: str, seen: str, done: str, keys: Sequence[PublicKey]) -> Finding:
        """What is told about it."""
        path, right, found, withheld = self
        if found is None:
            what, detail = "deleted", "it is gone"
        elif withheld:
            what, detail = "withheld", "a logged order withholds this scan, and it is still shown"
        elif right is None:
            what, detail = "added", _strange(path, found)
        else:
            what, detail = "altered", _difference(right, found, keys)
        # A stranger's name may hold what neither JSON nor a terminal can take.
        path, detail, done = map(printable, (path, detail, done))
        return Finding(seen, where, path, what, detail, done, self.sha256)  # type: ignore[arg-type]


def hash_of(found: Found | None) -> str:
    return hashlib.sha256(found.data).hexdigest() if found is not None and found.data is not None else ""


def told_time(now: datetime) -> str:
    """`2026-11-21T05:00:00.123Z`."""
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"


def _difference(right: Right, found: Found, keys: Sequence[PublicKey]) -> str:
    """What is wrong with a file that belongs there: its bytes, and only if these are right what else is told of it."""
    if found.data is None or holds(found.data, right, keys):
        return found.fault
    if right.signature:
        return "it is not the signature that belongs there"
    sha256 = hashlib.sha256(found.data).hexdigest()
    return f"other bytes ({len(found.data):,} instead of {right.length:,}; sha256 {sha256})"


def _strange(path: str, found: Found) -> str:
    """What is wrong with a file that does not belong there."""
    proves_itself = path.startswith(("targets/", "metadata/")) and found.data is not None
    told = f"nothing of ours has this name{' and these bytes' if proves_itself else ''}"
    return f"{told}; {found.fault}" if found.fault and (found.data is None or not is_plain(path)) else told
