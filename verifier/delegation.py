"""Which paths a TUF role may speak for (TUF specification 1.0, 4.5 "targets", and 5.6.7, the search).

A role may list any name it likes; the search finds it there only if every delegation on the way down covers the
name, and no terminating delegation visited earlier ends the search. `SignedRole.resolves` gives that answer for a
whole folder at once, because a site has 180,000 names but only some hundred folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuf.api.metadata import DelegatedRole, Targets

__all__ = ["Delegation", "SignedRole"]


class Delegation:
    """One delegation's path patterns, remembered by folder."""

    def __init__(self, role: DelegatedRole) -> None:
        self.role = role
        patterns = role.paths or []
        # `X/*` covers everything in the folders that match `X/`; other patterns need the whole path.
        self._folders = [pattern[:-1] for pattern in patterns if pattern == "*" or pattern.endswith("/*")]
        self._by_folder_only = role.paths is not None and len(self._folders) == len(patterns)
        self._known: dict[str, bool] = {}

    def covers(self, path: str) -> bool:
        """True if a pattern matches `path`, segment by segment (a glob does not cross `/`)."""
        folder = path[: path.rfind("/") + 1]
        whole = self._known.get(folder)
        if whole is None:
            whole = self._known[folder] = any(_matches(folder, pattern) for pattern in self._folders)
        return whole or (not self._by_folder_only and self.role.is_delegated_path(path))


def _matches(path: str, pattern: str) -> bool:
    segments, patterns = path.split("/"), pattern.split("/")
    return len(segments) == len(patterns) and all(map(fnmatchcase, segments, patterns))


@dataclass(frozen=True)
class SignedRole:
    """A targets role whose signatures, version, length and hash have been verified.

    `chain` are the delegations from the top-level targets role down to this one. `ended_by` are the chains of the
    terminating roles that a search visits before this one.
    """

    name: str
    targets: Targets
    chain: tuple[Delegation, ...]
    ended_by: tuple[tuple[Delegation, ...], ...] = ()

    def resolves(self, path: str) -> bool:
        """True if a search for `path` reaches this role."""
        return _cover(self.chain, path) and not any(_cover(chain, path) for chain in self.ended_by)


def _cover(chain: tuple[Delegation, ...], path: str) -> bool:
    return all(delegation.covers(path) for delegation in chain)
