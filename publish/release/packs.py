"""Packs: what one release changed, as a few large files, so that a mirror catches up by few requests (docs/formats.md, "Packs").

A pack is a function of the ledger, as the release is: it has the files whose release this is, whatever the target held before. So a rebuild from nothing and
another signer make the same ones, and no release lists those of an earlier one: their bytes could not be made again.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from builder.ledger import Ledger
from builder.pack import Entry, pack_names, read_index
from builder.parts import parts
from builder.recap import COVER, SIGNATURE
from builder.site import Site, is_lasting
from publish.release.draft import Draft, DraftState
from publish.release.jobs import Runner
from verifier.files import object_path
from verifier.formats import ustar

__all__ = ["PACK_LENGTH", "write_packs"]

# Few enough requests for whoever catches up, and below the cap on any file (verifier.limits.TARGET_FILE). Nobody needs to hold one.
PACK_LENGTH = 240_000_000
BLOCK_LENGTH = 1_000_000
OPEN_FILES = 64
SITE, TRUST, SNAPSHOT = "site", "trust", "snapshot"


class _Piece(NamedTuple):
    """A file of a pack, and where its bytes lie."""

    path: str
    source: str
    offset: int
    length: int


def write_packs(
    site: Site, draft: Draft, state: DraftState, runner: Runner, whole: Draft | None, record: Path | None
) -> dict[str, tuple[int, str]]:
    """Write the packs of a draft of which all but role `site` and snapshot is signed, by everybody; path, length and hex SHA-256 of each.

    `whole`: the draft of every file, for full packs; None for none. `record`: where the lists of earlier releases lie (`publish.release.record`).
    """
    shutil.rmtree(draft.packs, ignore_errors=True)
    draft.packs.mkdir()
    found = [*_changed(site, draft, state), *_metadata(draft, state.release)]
    found += _packages(site.ledger, site.cuts[-2].through if len(site.cuts) > 1 else 0)
    shares = [*_numbered(f"{state.release}", found)]
    if whole is not None:
        for group, pieces in _every(site, draft, whole, state, record).items():
            shares += _numbered(f"{state.release}-{group}", pieces)
    written = runner.in_parts(partial(_write, draft.packs), shares)
    return {path: file for part in written for path, file in part.items()}


def _write(directory: Path, shares: Iterable[tuple[str, Sequence[_Piece]]]) -> dict[str, tuple[int, str]]:
    """Write packs, in any process; what they are listed with."""
    listed = {}
    for name, pieces in shares:
        temporary = directory / name
        digest = hashlib.sha256()
        # A folder as target links to this very file: nobody else may write to it.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            for data in _joined(ustar.encode(_read(pieces))):
                digest.update(data)
                file.write(data)
            length = file.tell()
        listed[f"packs/{name}"] = (length, digest.hexdigest())
        os.replace(temporary, directory / f"{digest.hexdigest()}.{name}")
    return listed


def _changed(site: Site, draft: Draft, state: DraftState) -> Iterator[_Piece]:
    """Objects of the files that this release changed, with the signatures of results: all of `site`, of `trust` if that changed, and
    the results and pages that would be made after the release before."""
    cuts = site.cuts
    wanted = _late_files(site, state.release - 1) if state.since < state.release - 1 else None
    trust = [TRUST] if len(cuts) == 1 or cuts[-2].trust != cuts[-1].trust else []
    for role in [*state.rendered, SITE, *trust]:

        def changed(path: str, role: str = role) -> bool:
            return wanted is None or path in wanted or (role in {SITE, TRUST} and not is_lasting(path))

        yield from _objects(draft, role, changed)


def _every(site: Site, draft: Draft, whole: Draft, state: DraftState, record: Path | None) -> dict[str, list[_Piece]]:
    """All that is in force, by group of contests; under `site` what belongs to none."""
    found: dict[str, list[_Piece]] = {SITE: [*_packages(site.ledger, 0)]}
    for role in pack_names(whole.files):
        found.setdefault(_group(role), []).extend(_objects(whole, role, lambda path: True))
    for role, file in state.roles.items():
        if role not in {SITE, SNAPSHOT}:
            name = f"{file.version}.{role}.json"
            source = draft.metadata / name
            if record is not None and not source.exists():
                source = record / f"{role}.json"
            found.setdefault(_group(role), []).append(_Piece(f"metadata/{name}", str(source), 0, file.length))
    return found


def _group(role: str) -> str:
    return SITE if role == TRUST else role.partition("-")[0]


def _objects(draft: Draft, role: str, wanted: Callable[[str], bool]) -> Iterator[_Piece]:
    """The objects of a role's files whose path is wanted, and the signatures beside them."""
    pieces = [
        _Piece(object_path(entry), source, offset, entry.length)
        for entry, source, offset in _places(draft.files, role)
        if wanted(entry.path)
    ]
    yield from pieces
    if draft.has_signatures(role):
        signatures = {f"{piece.path}.minisig" for piece in pieces}
        for entry, source, offset in _places(draft.signatures, role):
            if entry.path in signatures:
                yield _Piece(entry.path, source, offset, entry.length)


def _late_files(site: Site, since: int) -> set[str]:
    """Paths of the results, pages and inputs that changed after release `since`, where a draft has earlier changes, too."""
    late = [part for part in parts(site.definition) if site.part_release(part) > since]
    paths = {entry.path for part in late for entry, _ in site.area_files(part, since)}
    return paths | {entry.path for entry, _ in site.lasting_files(since)}


def _places(directory: Path, name: str) -> Iterator[tuple[Entry, str, int]]:
    """Each file of a pack of the draft, and in which file it begins where."""
    offset, source = 0, str(directory / f"{name}.pack")
    for entry in read_index(directory, name):
        yield entry, source, offset
        offset += entry.length


def _metadata(draft: Draft, release: int) -> Iterator[_Piece]:
    """The lists of groups and shards that have this release's number."""
    for path in draft.metadata.glob(f"{release}.*.json"):
        if path.name.split(".")[1] not in {SITE, SNAPSHOT}:
            yield _Piece(f"metadata/{path.name}", str(path), 0, path.stat().st_size)


def _packages(ledger: Ledger, since: int) -> Iterator[_Piece]:
    """The packages after the first `since`, without their scans: those are large, and may have to be withheld one day."""
    for record in ledger.packages[since : ledger.cuts[-1].through]:
        for name in (COVER, ledger.read_cover(record).rows.file, *([SIGNATURE] if record.signature else [])):
            path = f"packages/{record.package}/{name}"
            source = ledger.directory / path
            yield _Piece(path, str(source), 0, source.stat().st_size)


def _numbered(name: str, pieces: Iterable[_Piece]) -> Iterator[tuple[str, list[_Piece]]]:
    return ((f"{name}-{number}.tar", share) for number, share in enumerate(_split(sorted(pieces)), 1))


def _split(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Shares of at most PACK_LENGTH each, without what is as large as that."""
    share: list[_Piece] = []
    length = len(ustar.END)
    for piece in pieces:
        size = ustar.size_of(piece.path, piece.length)
        if size >= PACK_LENGTH:
            continue
        if length + size > PACK_LENGTH:
            yield share
            share, length = [], len(ustar.END)
        share.append(piece)
        length += size
    if share:
        yield share


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts of about BLOCK_LENGTH."""
    block: list[bytes] = []
    length = 0
    for part in parts:
        block.append(part)
        length += len(part)
        if length >= BLOCK_LENGTH:
            yield b"".join(block)
            block, length = [], 0
    yield b"".join(block)


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
