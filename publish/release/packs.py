"""Packs: what one release changed, as a few large files, so that a mirror catches up by few requests (docs/formats.md, "Packs").

A pack is a function of the ledger, as the release is: it has the files whose release this is, whatever the target held before. So a rebuild from nothing and
another signer make the same ones, and no release lists those of an earlier one: their bytes could not be made again.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from builder.ledger import Ledger
from builder.pack import Entry, read_index
from builder.parts import parts
from builder.recap import COVER, SIGNATURE
from builder.site import Site, is_lasting
from publish.release.draft import Draft, DraftState, object_path
from verifier.formats import ustar

__all__ = ["PACK_LENGTH", "write_packs"]

# Small enough to be held in memory and sent in one request over a poor line, large enough for one release to need few.
PACK_LENGTH = 80_000_000
OPEN_FILES = 64
SITE, TRUST, SNAPSHOT = "site", "trust", "snapshot"


class _Piece(NamedTuple):
    """A file of a pack, and where its bytes lie."""

    path: str
    source: str
    offset: int
    length: int


def write_packs(site: Site, draft: Draft, state: DraftState) -> dict[str, tuple[int, str]]:
    """Write the packs of a draft of which all but role `site` and snapshot is signed, by everybody; path, length and hex SHA-256 of each."""
    shutil.rmtree(draft.packs, ignore_errors=True)
    draft.packs.mkdir()
    found = [*_changed(site, draft, state), *_metadata(draft, state.release), *_packages(site.ledger, state.release)]
    pieces = sorted(one for one in found if ustar.size_of(one.path, one.length) < PACK_LENGTH)
    listed = {}
    for number, part in enumerate(_split(pieces), 1):
        name = f"{state.release}-{number}.tar"
        temporary = draft.packs / name
        digest = hashlib.sha256()
        with temporary.open("wb", buffering=1 << 20) as file:
            for data in ustar.encode(_read(part)):
                digest.update(data)
                file.write(data)
        listed[f"packs/{name}"] = (temporary.stat().st_size, digest.hexdigest())
        os.replace(temporary, draft.packs / f"{digest.hexdigest()}.{name}")
    return listed


def _changed(site: Site, draft: Draft, state: DraftState) -> Iterator[_Piece]:
    """Objects of the files that this release changed, with the signatures of results: all of `site`, of `trust` if that changed, and
    the results and pages that would be made after the release before."""
    cuts = site.cuts
    wanted = _late_files(site, state.release - 1) if state.since < state.release - 1 else None
    trust = [TRUST] if len(cuts) == 1 or cuts[-2].trust != cuts[-1].trust else []
    for role in [*state.rendered, SITE, *trust]:
        objects = set()
        for piece, entry in _pieces(draft.files, role):
            if wanted is None or entry.path in wanted or (role in {SITE, TRUST} and not is_lasting(entry.path)):
                objects.add(path := object_path(entry))
                yield piece._replace(path=path)
        if draft.has_signatures(role):
            signatures = (piece for piece, _ in _pieces(draft.signatures, role))
            yield from (piece for piece in signatures if piece.path.removesuffix(".minisig") in objects)


def _late_files(site: Site, since: int) -> set[str]:
    """Paths of the results, pages and inputs that changed after release `since`, where a draft has earlier changes, too."""
    late = [part for part in parts(site.definition) if site.part_release(part) > since]
    paths = {entry.path for part in late for entry, _ in site.area_files(part, since)}
    return paths | {entry.path for entry, _ in site.lasting_files(since)}


def _pieces(directory: Path, name: str) -> Iterator[tuple[_Piece, Entry]]:
    offset, source = 0, str(directory / f"{name}.pack")
    for entry in read_index(directory, name):
        yield _Piece(entry.path, source, offset, entry.length), entry
        offset += entry.length


def _metadata(draft: Draft, release: int) -> Iterator[_Piece]:
    """The lists of groups and shards that have this release's number."""
    for path in draft.metadata.glob(f"{release}.*.json"):
        if path.name.split(".")[1] not in {SITE, SNAPSHOT}:
            yield _Piece(f"metadata/{path.name}", str(path), 0, path.stat().st_size)


def _packages(ledger: Ledger, release: int) -> Iterator[_Piece]:
    """The packages that this release added, without their scans: those are large, and may have to be withheld one day."""
    first = ledger.cuts[release - 2].through if release > 1 else 0
    for record in ledger.packages[first : ledger.cuts[release - 1].through]:
        for name in (COVER, ledger.read_cover(record).rows.file, *([SIGNATURE] if record.signature else [])):
            path = f"packages/{record.package}/{name}"
            source = ledger.directory / path
            yield _Piece(path, str(source), 0, source.stat().st_size)


def _split(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Shares of at most PACK_LENGTH each."""
    share: list[_Piece] = []
    length = len(ustar.END)
    for piece in pieces:
        size = ustar.size_of(piece.path, piece.length)
        if length + size > PACK_LENGTH:
            yield share
            share, length = [], len(ustar.END)
        share.append(piece)
        length += size
    if share:
        yield share


def _read(pieces: Iterable[_Piece]) -> Iterator[tuple[str, bytes]]:
    with contextlib.ExitStack() as opened:
        descriptors: dict[str, int] = {}
        for piece in pieces:
            if piece.source not in descriptors:
                if len(descriptors) == OPEN_FILES:
                    opened.close()
                    descriptors.clear()
                descriptors[piece.source] = os.open(piece.source, os.O_RDONLY)
                opened.callback(os.close, descriptors[piece.source])
            yield piece.path, os.pread(descriptors[piece.source], piece.length, piece.offset)
