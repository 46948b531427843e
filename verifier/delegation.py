"""Which paths a TUF role may speak for (TUF specification 1.0, 4.5 "targets", and 5.6.7, the search).

A role may list any name it likes; the search finds it there only if every delegation on the way down covers the
name, and no terminating delegation visited earlier ends the search. `SignedRole.resolves` gives that answer for a
whole folder at once, because a site has 180,000 names but only some hundred folders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.tuf_api import DelegatedRole, Targets

__all__ = ["Chain", "Delegation", "SignedRole"]

# At most one `*` in a segment, so that no pattern that a stranger signed takes long to match.
_OF_FOLDERS = re.compile(r"([^/*?[]*(\*[^/*?[]*)?/)*\*")


class Delegation:
    """One delegation's path patterns. Answers about a folder hold for every name in it; None is "it depends"."""

    def __init__(self, role: DelegatedRole) -> None:
        self.role = role
        patterns = role.paths or []
        # `X/*` covers everything in the folder `X/`, or in those that match it; other patterns need the whole path.
        folders = [pattern[:-1] for pattern in patterns if _OF_FOLDERS.fullmatch(pattern)]
        self._folders = frozenset(folders)
        self._globs = [folder for folder in folders if "*" in folder]
        self._ends = tuple({glob.rpartition("*")[2] for glob in self._globs})
        self._by_folder_only = role.paths is not None and len(folders) == len(patterns)

    def covers(self, path: str) -> bool:
        """True if a pattern matches `path`, segment by segment (a glob does not cross `/`)."""
        return self.role.is_delegated_path(path)

    def covers_folder(self, folder: str) -> bool | None:
        """The same for all names in `folder`, which ends with `/` or is empty."""
        # A nation's folder is held against hundreds of delegations: nearly all of them already end in another way.
        if folder in self._folders or (folder.endswith(self._ends) and self._pattern.fullmatch(folder)):
            return True
        return False if self._by_folder_only else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(re.escape(glob).replace(r"\*", "[^/]*") for glob in self._globs))


Chain = tuple[Delegation, ...]


def _chain_covers_folder(chain: Chain, folder: str) -> bool | None:
    known: bool | None = True
    for delegation in reversed(chain):  # the last one covers the least, so most answers come from it alone
        answer = delegation.covers_folder(folder)
        if answer is False:
            return False
        if answer is None:
            known = None
    return known


@dataclass(frozen=True)
class SignedRole:
    """A targets role whose signatures, version, length and hash have been verified.

    `chain` are the delegations from the top-level targets role down to this one. `ended_by` are the chains of the
    terminating roles that a search visits before this one.
    """

    name: str
    targets: Targets
    chain: Chain
    ended_by: tuple[Chain, ...] = ()
    _folders: dict[str, bool | None] = field(default_factory=dict, repr=False, compare=False)

    def resolves(self, path: str) -> bool:
        """True if a search for `path` reaches this role."""
        folder = path[: path.rfind("/") + 1]
        if folder not in self._folders:
            self._folders[folder] = self._resolves_folder(folder)
        answer = self._folders[folder]
        return self._resolves_path(path) if answer is None else answer

    def _resolves_folder(self, folder: str) -> bool | None:
        covered = _chain_covers_folder(self.chain, folder)
        ended = [_chain_covers_folder(chain, folder) for chain in self.ended_by]
        if covered is False or True in ended:
            return False
        return None if covered is None or None in ended else True

    def _resolves_path(self, path: str) -> bool:
        return all(delegation.covers(path) for delegation in self.chain) and not any(
            all(delegation.covers(path) for delegation in chain) for chain in self.ended_by
        )
