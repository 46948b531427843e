"""Where releases are pushed to: one contract for every kind of target.

A target holds the public tree of one election (docs/formats.md, "Public tree"); paths are relative to the election's folder, with `/` between segments.
There are four kinds of files, and they differ in who may change them:

- *objects* (`targets/…`, `metadata/N.…`, `packages/…`) are immutable: written only where nothing stands under their name. What stands there already is compared.
- the *timestamp* (`metadata/timestamp.json`) is the one commit point: replaced only if it is still the one that was seen; so is the log's checkpoint.
- *aliases* are copies of objects at the paths that people use: replaced one by one, each at once (a reader gets the old file or the new one).
- *hints* (`latest.json`, the domain's own pages) are replaced as they are; nobody may trust them.

Nothing is ever deleted. Every method may be repeated with the same arguments, also after it failed or was stopped midway.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeAlias

__all__ = ["TIMESTAMP", "Alias", "Conflict", "Data", "Seen", "Target"]

Data: TypeAlias = bytes | memoryview  # of a large file, a view of what lies on disk
TIMESTAMP = "metadata/timestamp.json"


class Alias(NamedTuple):
    """`path` is to show the bytes `data` of the object at `source`."""

    path: str
    source: str
    data: bytes


class Conflict(NamedTuple):
    """At an object's `path`, where `data` belongs, stand other bytes: a broken write, another publisher, or tampering."""

    path: str
    data: Data
    found: bytes


class Seen(NamedTuple):
    """A file as it was read, with the tag by which the target tells it from any later one."""

    data: bytes
    tag: str


class Target(Protocol):
    """One place to push to. Every method raises `TargetError` when the target is down, full or refuses."""

    name: str

    def read(self, path: str) -> Seen | None:
        """A file, None if there is none."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Held while a release is pushed: keeps other publishers away where `commit` alone cannot. RaceError if one is at work."""

    def put_objects(self, files: Iterable[tuple[str, Data]], advance: Callable[[int], None]) -> list[Conflict]:
        """Write immutable files, as (path, bytes), those that stand there already left alone.

        Returns those that stand there with other bytes; nothing was done about them. Calls `advance` with the number of files done.
        """

    def replace(self, conflict: Conflict) -> None:
        """Put the right bytes in place of wrong ones. The wrong ones are kept aside as evidence where the target can."""

    def commit(self, data: bytes, seen: Seen | None, path: str = TIMESTAMP) -> None:
        """Replace the timestamp, or the log's checkpoint, if it is still the one `seen` (None: there was none), durably.

        Raises:
            RaceError: it is another one: somebody else has published meanwhile.
        """

    def put_aliases(self, groups: Iterable[Sequence[Alias]], advance: Callable[[int], None]) -> None:
        """Make aliases show the bytes of their objects, which are there already; those of a group one right after the other."""

    def put_hint(self, path: str, data: bytes) -> None:
        """Replace a file that nobody may trust. A `path` that begins with `../` belongs to the domain, not to the election."""

    def settle(self) -> None:
        """Make everything so far durable: what a commit points at must survive a power cut."""
