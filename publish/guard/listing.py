"""What a place lists, within bounds: whoever may write there can make a million names, and the guard must go on looking and mending."""

import re
from collections.abc import Container

from publish import limits
from publish.guard.judge import Listed

__all__ = ["ASIDE", "Listing", "is_beside", "is_plain"]

ASIDE = "../.set-aside/"
_ODD = re.compile(r"(^|/)\.{0,2}(/|$)|[\x00-\x1f\x7f]")


def is_plain(path: str) -> bool:
    """True if a publisher could have written this name. Others are one with it at some servers, or at none: `//`, `.`, `..`, `/` at the end, control characters."""
    return _ODD.search(path.removeprefix("../")) is None


def is_beside(path: str) -> bool:
    """True for what lies beside the election's folder and is not ours to judge."""
    return path.startswith("../") and not path.startswith(ASIDE)


class Listing:
    """`files` by path: all that is `known`, and of the rest as many as limits.py says; `left_out` is the number of others."""

    def __init__(self, known: Container[str] = ()) -> None:
        self.files: dict[str, Listed] = {}
        self.left_out = 0
        self._known, self._room = known, [limits.STRANGE_FILES, limits.NEIGHBOURS, limits.EVIDENCE_FILES]
        self.evidence_files = self.evidence_bytes = 0

    def add(self, path: str, listed: Listed) -> None:
        """Take a file in if there is room. May be called by several threads: a count that is off by a few does no harm."""
        aside = path.startswith(ASIDE)
        self.evidence_files += aside
        self.evidence_bytes += listed.length if aside else 0
        if path not in self._known:
            kind = 2 if aside else 1 if is_beside(path) else 0
            if self._room[kind] <= 0:
                self.left_out += 1
                return
            self._room[kind] -= 1
        self.files[path] = listed
