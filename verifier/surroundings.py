"""What browsers are shown around the signed files: the domain's own pages, and files that no signed list names.

Nobody signs `index.html` and `.well-known/security.txt` at the domain's root, yet both repeat a signed file byte for
byte (docs/formats.md, "Public tree"), and most visitors see nothing else first.
"""

import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from verifier.fetcher import Fetcher
from verifier.files import Failure, SignedFile, check_copy

__all__ = ["DOMAIN_PAGES", "check_domain", "unlisted"]

DOMAIN_PAGES = {"portal.html": "index.html", "security.txt": ".well-known/security.txt"}
# Metadata and objects are reached through what is signed, packages through results: nobody is led to any others.
REACHED_BY_NAME = frozenset({"metadata", "targets", "packages", "log"})
HINTS = frozenset({"latest.json"})


def check_domain(domain: Fetcher, sources: Sequence[SignedFile]) -> list[Failure]:
    """Compare the pages at the root of `domain` with those of `sources` that they repeat. One that is not there
    deceives nobody."""
    failures = []
    for source in sources:
        path = DOMAIN_PAGES[source.path]
        for failure in check_copy(domain, path, source):
            if failure.what != "missing":
                what = f"the domain's page is not the signed {source.path}: {failure.what}"
                failures.append(failure._replace(path=f"../{path}", what=what))
    return failures


def unlisted(folder: Path, listed: Container[str]) -> Iterator[str]:
    """Paths below an election's `folder` that are neither `listed` nor a listed file's minisign signature.

    Nothing is ever deleted from a site, so that an old page is no proof of an attack; but nobody vouches for it.
    """
    pending = [""]
    while pending:
        parent = pending.pop()
        for name in sorted(os.listdir(folder / parent)):
            path = parent + name
            if path in listed or (path.endswith(".json.minisig") and path[: -len(".minisig")] in listed):
                continue
            if os.path.isdir(folder / path) and not os.path.islink(folder / path):
                if path not in REACHED_BY_NAME:
                    pending.append(path + "/")
            elif path not in HINTS:
                yield path
