"""Data files whose bytes differ and whose tables do not: zlib and polars compress them, and another version of these may give other bytes.

Such a file is neither the same nor forged, and is told as what it is. What a stranger compressed is read in the workshop, where time and memory end.
"""

import io
import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress

import polars as pl

from verifier.audit.lists import read_object
from verifier.audit.rebuild import Listing, Plan, load
from verifier.audit.workshop import BuildError, Workshop
from verifier.errors import VerifierError
from verifier.fetcher import Fetcher, MissingError

__all__ = ["otherwise_compressed"]

GZIP, PARQUET = ".csv.gz", ".parquet"
GZIP_START = slice(3, 8)  # flags and time of RFC 1952, all zero: no name, no comment
TIMES_LONGER, LONGER = 4, 4_096  # no encoder is so much worse than ours


def otherwise_compressed(
    role: str, paths: Collection[str], theirs: Listing, ours: Listing, plan: Plan, workshop: Workshop, fetcher: Fetcher
) -> tuple[set[str], set[str]]:
    """Of the `paths` at which a role's list differs from what was made: the files with the same content, differing in compression alone or in naming the
    hashes of such files; and those of which it cannot be said, since what was published is gone.
    """
    files: dict[str, bytes] = {}
    same, gone = set[str](), set[str]()
    for path in sorted(path for path in paths if _is_compressed(path) and path in theirs and path in ours):
        if theirs[path][0] <= TIMES_LONGER * ours[path][0] + LONGER:
            try:
                files[path] = read_object(fetcher, path, theirs[path][1])
            except MissingError:
                gone.add(path)
            except VerifierError:
                continue
    with suppress(BuildError):
        same.update(*workshop.run(_same_tables, [(plan, role, files)] if files else []))
        if same or gone:
            listing = {**ours, **{path: theirs[path] for path in same | gone}}
            (described,) = workshop.run(_described, [(plan, role, listing)])
            found = {path for path in paths if path in described and described[path] == theirs.get(path)}
            (gone if gone else same).update(found)
    return same, gone


def _is_compressed(path: str) -> bool:
    return path.startswith("data/") and path.endswith((GZIP, PARQUET))


def _same_tables(plan: Plan, role: str, theirs: Mapping[str, bytes]) -> list[str]:
    """Those of the files at these paths that have the same content as the role's own."""
    site, by_role = load(plan)
    made = (file for part in by_role[role] for file in site.area_files(part, 0))
    return [one.path for one, ours in made if one.path in theirs and _same(one.path, theirs[one.path], ours)]


def _described(plan: Plan, role: str, listing: Listing) -> Listing:
    """The files that describe a role's data files, if these are those of `listing`."""
    site, by_role = load(plan)
    made = (file for part in by_role[role] for file, _ in site.descriptions(part, listing))
    return {one.path: (one.length, one.sha256) for one in made}


def _same(path: str, theirs: bytes, ours: bytes) -> bool:
    try:
        if path.endswith(GZIP):
            text = zlib.decompress(ours, wbits=31)
            reader = zlib.decompressobj(wbits=31)
            ends = reader.decompress(theirs, len(text) + 1) == text and reader.eof and not reader.unused_data
            return ends and theirs[GZIP_START] == ours[GZIP_START]
        table, made = (pl.read_parquet(io.BytesIO(data)) for data in (theirs, ours))
        return table.schema == made.schema and table.equals(made)
    except (zlib.error, pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError):
        return False
